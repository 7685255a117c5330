// The scripted client over plain KCP: one UDP socket, our own engine, a timer of its own. What it sends and what comes can
// be dropped by a function.
import dgram from 'node:dgram'
import { clientKind } from '../../../protocols/client/frames.ts'
import { writePair } from '../../../protocols/client/frames.ts'
import { Kcp } from '../../../protocols/kcp/kcp.ts'
import { kcpSettings } from '../../../protocols/kcp/settings.ts'
import { Writer } from '../../../protocols/wire/writer.ts'
import { ScriptedClient } from './scripted-client.ts'
import type { Test } from './started.ts'

const LOOK_MS = 5

export type KcpOptions = { conv?: number; drops?: (isUp: boolean) => boolean; host?: string; minRtoMs?: number }

export class PlainKcpClient {
  readonly socket: dgram.Socket
  readonly kcp: Kcp
  readonly client: ScriptedClient
  /** The last datagram sent. */
  last: Uint8Array = new Uint8Array(0)
  readonly #port: number
  readonly #host: string
  readonly #timer: NodeJS.Timeout
  readonly #drops: (isUp: boolean) => boolean

  constructor(
    t: Test,
    port: number,
    { conv = 0x1234_5678, drops = () => false, host = '127.0.0.1', minRtoMs = 30 }: KcpOptions = {},
  ) {
    this.#port = port
    this.#host = host
    this.#drops = drops
    this.socket = dgram.createSocket(host.includes(':') ? 'udp6' : 'udp4')
    this.kcp = new Kcp(conv, kcpSettings('fast', { stream: true, minRtoMs, sendBytesMax: 16 * 1024 * 1024 }), {
      packet: (bytes, start, end) => this.raw(bytes.slice(start, end)),
      message: (bytes, start, end) => this.client.take(bytes.subarray(start, end)),
    })
    this.client = new ScriptedClient({
      write: (bytes) => {
        this.kcp.send(bytes, performance.now())
        this.kcp.flush(performance.now())
      },
      destroy: () => this.destroy(),
      pause: () => this.kcp.pause(),
      resume: () => this.kcp.resume(performance.now()),
    })
    this.socket.on('message', (bytes) => {
      if (this.#drops(false)) return
      this.kcp.receive(bytes, performance.now())
      this.kcp.tick(performance.now())
    })
    this.#timer = setInterval(() => this.kcp.tick(performance.now()), LOOK_MS)
    t.teardown(() => this.destroy())
  }

  /** A client speaks first on plain KCP (KCP-7.3). */
  greet(): Promise<void> {
    const w = new Writer(16)
    writePair(w, clientKind.ping, 1, 0)
    this.client.pipe.write(w.drain())
    return this.client.until(() => this.client.isGreeted, 'HELLO')
  }

  raw(bytes: Uint8Array): void {
    this.last = bytes
    if (!this.#drops(true)) this.socket.send(bytes, this.#port, this.#host)
  }

  destroy(): void {
    if (this.kcp.isDead && this.socket.listenerCount('message') === 0) return
    clearInterval(this.#timer)
    this.kcp.release()
    this.socket.removeAllListeners('message')
    this.socket.close()
  }
}
