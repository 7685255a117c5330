// A lane that waits (R4, `delay`): the numbered frames of one channel, from the one that a policy holds back on, kept until
// it may pass. Frames behind it keep their order by waiting too; acknowledgements and unnumbered frames do not. What waits
// counts as not yet received: where the channel is detached meanwhile it is dropped, and the client sends it again.
import { copyOf } from '../protocols/wire/reader.ts'
import type { Attachment } from './attachment.ts'
import type { ClientConnection } from './client-connection.ts'
import type { Expiring } from './deadlines.ts'
import { Deadline } from './deadlines.ts'
import type { Gateway } from './gateway.ts'

/** An honest client has no more under way than its window, its replies and a FIN. */
const FRAMES_MAX = 2 ** 14 + 65

export class HeldLane implements Expiring {
  readonly #gateway: Gateway
  readonly #connection: ClientConnection
  readonly #attachment: Attachment
  readonly #frames: Uint8Array[] = []
  readonly #until = new Deadline(this)
  #bytes = 0

  constructor(gateway: Gateway, connection: ClientConnection, attachment: Attachment, at: number) {
    this.#gateway = gateway
    this.#connection = connection
    this.#attachment = attachment
    gateway.deadlines.set(this.#until, at)
  }

  /** Keeps a copy of a frame; false where there is more than any window. */
  add(bytes: Uint8Array, start: number, end: number): boolean {
    this.#frames.push(copyOf(bytes, start, end))
    this.#bytes += end - start
    return this.#frames.length <= FRAMES_MAX && this.#bytes <= this.#gateway.limits.connectionBytesMax
  }

  /** The channel is detached. */
  drop(): void {
    this.#gateway.deadlines.clear(this.#until)
    this.#attachment.held = undefined
  }

  /** The time is over: the first is judged anew, and the others follow it for as long as it is not held again. */
  expired(_deadline: Deadline, now: number): void {
    const connection = this.#connection
    this.#attachment.held = undefined
    connection.now = Math.max(connection.now, now)
    for (const frame of this.#frames) {
      const isAttached = connection.aliases[this.#attachment.channel] === this.#attachment
      if (!connection.isAlive || !isAttached) return
      this.#gateway.lanes.fromClient(connection, frame, 0, frame.length)
    }
  }
}
