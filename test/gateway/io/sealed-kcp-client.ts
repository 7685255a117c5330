// The scripted client over sealed datagrams: the SDK's line on a UDP socket of the test's own, which may be changed for
// another one (another port, as after a NAT has forgotten us), and which can drop, double and damage what passes.
import { randomBytes } from 'node:crypto'
import dgram from 'node:dgram'
import { cryptoProvider } from '../../../gateway/io/crypto-provider.ts'
import { SEALED_CONV } from '../../../protocols/secure/datagram-codec.ts'
import { kcpSettings } from '../../../protocols/kcp/settings.ts'
import { KcpLine } from '../../../sdk/client/kcp-line.ts'
import { SealedEnvelope } from '../../../sdk/client/sealed-envelope.ts'
import { ScriptedClient } from './scripted-client.ts'
import type { Test } from './started.ts'

const LOOK_MS = 5

/** What becomes of a datagram on its way: as many copies as are returned. */
export type Weather = (datagram: Uint8Array, isUp: boolean) => Uint8Array[]

export class SealedKcpClient {
  socket: dgram.Socket
  readonly line: KcpLine
  readonly client: ScriptedClient
  /** Frames that came beside KCP. */
  readonly bare: Buffer[] = []
  /** Every datagram that was sent, and how many came. */
  readonly sent: Uint8Array[] = []
  arrived = 0
  /** Of the datagrams that came. */
  longest = 0
  readonly #port: number
  readonly #weather: Weather
  readonly #timer: NodeJS.Timeout

  constructor(t: Test, port: number, gatewayKey: Uint8Array, weather: Weather = (datagram) => [datagram]) {
    this.#port = port
    this.#weather = weather
    this.socket = this.#bind()
    const now = performance.now()
    const crypto = cryptoProvider()
    const envelope = new SealedEnvelope({ crypto, gatewayKey, random: randomBytes }, now)
    const settings = kcpSettings('fast', { stream: true, sendBytesMax: 16 * 1024 * 1024 })
    let isOpen = false
    const early: Uint8Array[] = []
    this.line = new KcpLine(
      SEALED_CONV,
      settings,
      envelope,
      {
        send: (datagram) => this.raw(datagram.slice()),
        opened: () => {
          isOpen = true
          for (const bytes of early.splice(0)) this.client.pipe.write(bytes)
        },
        received: (bytes) => this.client.take(bytes),
        bare: (frame) => void this.bare.push(Buffer.from(frame)),
        drained() {},
        stalled() {},
        closed: () => this.client.gone(),
      },
      now,
    )
    this.client = new ScriptedClient({
      write: (bytes) => {
        if (!isOpen) early.push(bytes.slice())
        else this.line.write(bytes, performance.now())
        this.line.pump(performance.now())
      },
      destroy: () => this.destroy(),
      pause() {},
      resume() {},
    })
    this.#timer = setInterval(() => this.line.pump(performance.now()), LOOK_MS)
    this.line.pump(now)
    t.teardown(() => this.destroy())
  }

  /** From now on from another port (and address), without a word of the client's: what a NAT does. */
  rebind(address?: string): void {
    this.socket.removeAllListeners('message')
    this.socket.close()
    this.socket = this.#bind()
    if (address !== undefined) this.socket.bind(0, address)
  }

  /** The client itself has changed networks. */
  move(): void {
    this.rebind()
    this.line.moved(performance.now())
    this.line.pump(performance.now())
  }

  raw(datagram: Uint8Array): void {
    this.sent.push(datagram)
    for (const copy of this.#weather(datagram, true)) this.socket.send(copy, this.#port, '127.0.0.1')
  }

  destroy(): void {
    clearInterval(this.#timer)
    if (this.socket.listenerCount('message') === 0) return
    this.socket.removeAllListeners('message')
    this.socket.close()
  }

  #bind(): dgram.Socket {
    const socket = dgram.createSocket('udp4')
    socket.on('message', (bytes) => {
      for (const copy of this.#weather(bytes, false)) {
        this.arrived++
        this.longest = Math.max(this.longest, copy.length)
        this.line.receive(copy, performance.now())
      }
      this.line.pump(performance.now())
    })
    return socket
  }
}
