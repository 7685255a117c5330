// LATEST and UNRELIABLE frames of a connection that has datagrams beside its stream (WIRE-10, KCP-7.6): each is written into a
// writer of its own and leaves at once, without its length. Where there is no such way, or not for this frame, it goes in
// the stream.
import type { DatagramPath } from '../../protocols/session/channel-end.ts'
import { Writer } from '../../protocols/wire/writer.ts'
import type { ClientConnection } from './connection.ts'
import type { ClientCore } from './core.ts'

/** A length of two bytes ends here; a frame that is longer fits no datagram anyway. */
const FRAME_BYTES_MAX = 0x3fff
const ONE_BYTE_MAX = 0x7f

export class DatagramSender implements DatagramPath {
  readonly #core: ClientCore
  readonly #connection: ClientConnection
  readonly #writer = new Writer(64)

  constructor(core: ClientCore, connection: ClientConnection) {
    this.#core = core
    this.#connection = connection
  }

  begin(route: string): Writer | undefined {
    if (this.#core.env.writeDatagram === undefined || !this.#connection.knowsRoute(route)) return undefined
    this.#writer.clear()
    return this.#writer
  }

  end(): boolean {
    const bytes = this.#writer.view()
    const length = bytes[0] > ONE_BYTE_MAX ? 2 : 1
    if (bytes.length - length > FRAME_BYTES_MAX) return false
    return this.#core.env.writeDatagram!(this.#connection.id, bytes.subarray(length))
  }
}
