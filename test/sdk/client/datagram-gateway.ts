// A gateway's UDP port on a real socket, in front of an EchoGateway: the protocols' server side and nothing of a gateway.
// It can be killed without a word, started again on its port, and swallow what comes.
import dgram from 'node:dgram'
import type { AddressInfo } from 'node:net'
import { Kcp } from '../../../protocols/kcp/kcp.ts'
import { kcpSettings } from '../../../protocols/kcp/settings.ts'
import { ConnectionIdCipher } from '../../../protocols/secure/connection-id.ts'
import { SEALED_OVERHEAD_BYTES } from '../../../protocols/secure/datagram-codec.ts'
import type { SecureDatagramConnection } from '../../../protocols/secure/datagram-connection.ts'
import { DatagramServer } from '../../../protocols/secure/datagram-server.ts'
import { Responder } from '../../../protocols/secure/handshakes.ts'
import { randomBytes } from 'node:crypto'
import type { Test } from 'tap'
import { native, pairOf, secretOf } from '../../protocols/secure/keys.ts'
import type { EchoConnection, EchoGateway } from './echo-gateway.ts'

export const gatewayKey = Buffer.from(pairOf(native, 'g').publicKey).toString('base64url')
const settings = kcpSettings('fast', { mtu: 1170, sendBytesMax: 4 * 1024 * 1024, sendCountMax: 65_536, stream: true })
const TICK_MS = 10

type Conversation = { kcp: Kcp; echo: EchoConnection | undefined; end(): void }

export class DatagramGateway {
  /** Nothing comes in and nothing goes out: UDP is blocked on the way. */
  isBlocked = false
  port = 0
  /** Addresses that a datagram of a conversation came from, in order. */
  readonly addresses: string[] = []
  handshakes = 0
  readonly #echoes: EchoGateway
  readonly #isSealed: boolean
  #socket: dgram.Socket | undefined
  #server: DatagramServer | undefined
  readonly #bySecure: Map<SecureDatagramConnection, Conversation> = new Map()
  readonly #byAddress: Map<string, Conversation> = new Map()
  #timer: ReturnType<typeof setInterval> | undefined

  constructor(t: Test, echoes: EchoGateway, isSealed = true) {
    this.#echoes = echoes
    this.#isSealed = isSealed
    t.teardown(() => this.kill())
  }

  async listen(): Promise<this> {
    const socket = dgram.createSocket('udp4')
    this.#socket = socket
    this.#server = new DatagramServer({
      responder: new Responder({ crypto: native, identity: pairOf(native, 'g'), transport: 'udp' }),
      random: (length) => randomBytes(length),
      cookieSecret: randomBytes(32),
      idCiphers: [new ConnectionIdCipher(native.hash, secretOf('C'))],
      gateway: 0,
      worker: 0,
      admit: () => true,
      admitReset: () => true,
      isPeer: () => true,
      connectionsMax: 100,
      unconfirmedMax: 100,
    })
    await new Promise<void>((resolve) => socket.bind(this.port, '127.0.0.1', resolve))
    this.port = (socket.address() as AddressInfo).port
    socket.on('message', (bytes, { address, port }) => this.#arrived(bytes, `${address}:${port}`))
    this.#timer = setInterval(() => this.#pump(), TICK_MS)
    return this
  }

  /** As kill -9: nobody is told. */
  kill(): void {
    clearInterval(this.#timer)
    this.#socket?.close()
    this.#socket = undefined
    for (const { echo, kcp } of [...this.#bySecure.values(), ...this.#byAddress.values()]) {
      kcp.release()
      echo?.cut()
    }
    this.#bySecure.clear()
    this.#byAddress.clear()
  }

  get conversations(): number {
    return this.#bySecure.size + this.#byAddress.size
  }

  /** A frame beside the stream, to everybody. */
  sendBare(frame: Uint8Array): void {
    for (const connection of this.#bySecure.keys()) this.#seal(connection, 'bare', frame)
  }

  /** Bytes of anybody to the sockets of all clients. */
  spray(bytes: Uint8Array): void {
    for (const connection of this.#bySecure.keys()) this.#send(bytes, connection.address)
  }

  #arrived(bytes: Buffer, address: string): void {
    if (this.isBlocked) return
    if (this.#isSealed) this.#sealed(bytes, address)
    else this.#plain(bytes, address)
    this.#pump()
  }

  #plain(bytes: Buffer, address: string): void {
    let one = this.#byAddress.get(address)
    if (one === undefined) {
      one = this.#converse(
        bytes.readUInt32LE(0),
        (segments) => this.#send(segments, address),
        () => this.#byAddress.delete(address),
      )
      this.#byAddress.set(address, one)
      one.echo = this.#accept(one)
    }
    one.kcp.receive(bytes, performance.now())
  }

  #sealed(bytes: Buffer, address: string): void {
    const now = performance.now()
    const outcome = this.#server!.receive(address, bytes, now)
    if (outcome.kind === 'reply') this.#send(outcome.bytes, address)
    if (outcome.kind === 'accepted') {
      this.handshakes++
      const { connection } = outcome
      const one = this.#converse(
        1,
        (segments) => this.#seal(connection, 'data', segments),
        () => connection.close(0),
      )
      this.#bySecure.set(connection, one)
      this.#send(outcome.bytes, address)
    }
    if (outcome.kind !== 'packet') return
    const { connection, received } = outcome
    const one = this.#bySecure.get(connection)
    if (one === undefined) return
    if (received.kind !== 'dropped' && this.addresses.at(-1) !== address) this.addresses.push(address)
    // HELLO when the client has shown that it holds the keys (KCP-7.2).
    if (one.echo === undefined && connection.isConfirmed) {
      one.echo = this.#accept(one, connection.established.binding)
    }
    if (received.kind === 'data') one.kcp.receive(received.bytes, now)
    if (received.kind === 'bare') one.echo?.receiveDatagram(received.bytes)
    if (received.kind === 'closed') {
      this.#bySecure.delete(connection)
      one.echo?.cut()
    }
  }

  #accept(one: Conversation, binding?: Uint8Array): EchoConnection {
    return this.#echoes.accept({
      write: (written) => one.kcp.send(written, performance.now()),
      close: () => one.end(),
      binding,
    })
  }

  #converse(conv: number, send: (segments: Uint8Array) => void, end: () => void): Conversation {
    const one: Conversation = {
      kcp: new Kcp(conv, settings, {
        packet: (b, start, stop) => send(b.slice(start, stop)),
        message: (b, start, stop) => one.echo?.receive(b.slice(start, stop)),
      }),
      echo: undefined,
      end,
    }
    return one
  }

  #pump(): void {
    const now = performance.now()
    for (const [connection, { kcp }] of this.#bySecure) {
      kcp.tick(now)
      connection.tick(now)
      for (let next = connection.nextDatagram(); next !== undefined; next = connection.nextDatagram()) {
        this.#send(next.bytes, next.address)
      }
    }
    for (const { kcp } of this.#byAddress.values()) kcp.tick(now)
  }

  #seal(connection: SecureDatagramConnection, kind: 'data' | 'bare', content: Uint8Array): void {
    const out = new Uint8Array(content.length + SEALED_OVERHEAD_BYTES)
    if (connection.seal(kind, content, out) > 0) this.#send(out, connection.address)
  }

  #send(bytes: Uint8Array, address: string): void {
    if (this.isBlocked) return
    const at = address.lastIndexOf(':')
    this.#socket?.send(bytes, Number(address.slice(at + 1)), address.slice(0, at), () => {})
  }
}
