// A client's KCP line and a gateway's end of it in virtual time, from one seed, sealed or plain: between them a network that
// loses, doubles, delays (and so reorders) and damages, and a client whose address may change. The gateway's end is the
// sans-IO server side of the protocols and a bare KCP.
import { Kcp } from '../../../protocols/kcp/kcp.ts'
import { kcpSettings } from '../../../protocols/kcp/settings.ts'
import { ConnectionIdCipher } from '../../../protocols/secure/connection-id.ts'
import { SEALED_OVERHEAD_BYTES } from '../../../protocols/secure/datagram-codec.ts'
import type { SecureDatagramConnection } from '../../../protocols/secure/datagram-connection.ts'
import { DatagramServer } from '../../../protocols/secure/datagram-server.ts'
import { Responder } from '../../../protocols/secure/handshakes.ts'
import type { Envelope } from '../../../sdk/client/envelope.ts'
import { PlainEnvelope } from '../../../sdk/client/envelope.ts'
import { KcpLine } from '../../../sdk/client/kcp-line.ts'
import { SealedEnvelope } from '../../../sdk/client/sealed-envelope.ts'
import { native, pairOf, secretOf } from '../../protocols/secure/keys.ts'
import { Random } from '../../sim/random.ts'

export type Weather = { loss: number; twice: number; damage: number; delayMs: number; jitterMs: number }
export const calm: Weather = { loss: 0, twice: 0, damage: 0, delayMs: 20, jitterMs: 0 }
export const storm: Weather = { loss: 0.15, twice: 0.1, damage: 0.02, delayMs: 20, jitterMs: 60 }

type Flying = { at: number; order: number; isUp: boolean; address: string; bytes: Uint8Array }
const CONV = 1
const settings = kcpSettings('fast', { mtu: 1170, sendBytesMax: 4 * 1024 * 1024, sendCountMax: 65_536, stream: true })

export class LineWorld {
  readonly random: Random
  weather: Weather
  now = 1000
  clientAddress = '192.0.2.1:5000'
  readonly line: KcpLine
  readonly log: string[] = []
  /** What came out of the stream at each end. */
  readonly atClient: Uint8Array[] = []
  readonly atGateway: Uint8Array[] = []
  readonly barely: string[] = []
  readonly handshakes: string[] = []
  /** Whether the gateway says that it does not know a connection. */
  tellsResets = true
  binding: Uint8Array | undefined
  server: DatagramServer
  connection: SecureDatagramConnection | undefined
  kcp: Kcp
  /** Where the plain gateway sends. */
  #plainAddress = ''
  readonly #isSealed: boolean
  #flying: Flying[] = []
  #order = 0

  constructor(options: { seed?: number; weather?: Weather; plain?: boolean; key?: Uint8Array } = {}) {
    this.random = new Random(options.seed ?? 1)
    this.weather = options.weather ?? calm
    this.#isSealed = options.plain !== true
    this.server = this.#newServer()
    this.kcp = this.#newKcp()
    const gatewayKey = options.key ?? pairOf(native, 'g').publicKey
    const random = (length: number) => this.random.bytes(length)
    const envelope: Envelope = this.#isSealed
      ? new SealedEnvelope({ crypto: native, gatewayKey, random }, this.now)
      : new PlainEnvelope()
    this.line = new KcpLine(
      CONV,
      kcpSettings('fast'),
      envelope,
      {
        send: (datagram) => this.#fly(true, this.clientAddress, datagram),
        opened: (binding) => {
          this.binding = binding.slice()
          this.log.push('opened')
        },
        received: (bytes) => this.atClient.push(bytes.slice()),
        bare: (frame) => this.barely.push(Buffer.from(frame).toString()),
        drained: () => this.log.push('drained'),
        stalled: () => this.log.push('stalled'),
        closed: (text) => this.log.push(`closed ${text}`),
      },
      this.now,
    )
    this.pump()
  }

  /** The gateway dies and another one is at its place, which knows nothing. */
  restartGateway(): void {
    this.server = this.#newServer()
    this.connection = undefined
    this.kcp.release()
    this.kcp = this.#newKcp()
  }

  run(ms: number, until: () => boolean = () => false): boolean {
    const end = this.now + ms
    while (!until()) {
      const due = this.#flying.reduce((least, { at }) => Math.min(least, at), Infinity)
      const wake = Math.min(due, this.line.deadline(), this.kcp.deadline(), this.connection?.deadline() ?? Infinity)
      if (wake > end) {
        this.now = end
        return until()
      }
      this.now = Math.max(this.now, wake)
      const here = this.#flying.filter(({ at }) => at <= this.now).sort((a, b) => a.at - b.at || a.order - b.order)
      this.#flying = this.#flying.filter(({ at }) => at > this.now)
      for (const one of here) this.#arrived(one)
      this.pump()
    }
    return true
  }

  pump(): void {
    this.line.pump(this.now)
    this.connection?.tick(this.now)
    this.kcp.tick(this.now)
    for (let next = this.connection?.nextDatagram(); next !== undefined; next = this.connection?.nextDatagram()) {
      this.#fly(false, next.address, next.bytes)
    }
  }

  /** A datagram from anybody, into the client's socket. */
  inject(bytes: Uint8Array): void {
    this.line.receive(bytes, this.now)
    this.pump()
  }

  bareFromGateway(text: string): void {
    this.#seal('bare', Buffer.from(text))
  }

  #newServer(): DatagramServer {
    return new DatagramServer({
      responder: new Responder({ crypto: native, identity: pairOf(native, 'g'), transport: 'udp' }),
      random: (length) => this.random.bytes(length),
      cookieSecret: this.random.bytes(32),
      idCiphers: [new ConnectionIdCipher(native.hash, secretOf('C'))],
      gateway: 0,
      worker: 0,
      admit: () => true,
      admitReset: () => true,
      isPeer: () => true,
      connectionsMax: 100,
      unconfirmedMax: 100,
    })
  }

  #newKcp(): Kcp {
    return new Kcp(CONV, settings, {
      packet: (bytes, start, end) => {
        const segments = bytes.slice(start, end)
        if (!this.#isSealed) this.#fly(false, this.#plainAddress, segments)
        else this.#seal('data', segments)
      },
      message: (bytes, start, end) => this.atGateway.push(bytes.slice(start, end)),
    })
  }

  #seal(kind: 'data' | 'bare', content: Uint8Array): void {
    const { connection } = this
    if (connection === undefined) return
    const out = new Uint8Array(content.length + SEALED_OVERHEAD_BYTES)
    if (connection.seal(kind, content, out) > 0) this.#fly(false, connection.address, out)
  }

  #fly(isUp: boolean, address: string, bytes: Uint8Array): void {
    if (this.random.chance(this.weather.loss)) return
    const times = this.random.chance(this.weather.twice) ? 2 : 1
    for (let i = 0; i < times; i++) {
      const at = this.now + this.weather.delayMs + this.random.unit() * this.weather.jitterMs
      const copy = bytes.slice()
      if (this.random.chance(this.weather.damage)) copy[Math.floor(this.random.unit() * copy.length)] ^= 1
      this.#flying.push({ at, order: this.#order++, isUp, address, bytes: copy })
    }
  }

  #arrived({ isUp, address, bytes }: Flying): void {
    // What goes to an address that the client has left is lost.
    if (!isUp) {
      if (address === this.clientAddress) this.line.receive(bytes, this.now)
    } else if (this.#isSealed) {
      this.#atServer(address, bytes)
    } else {
      this.#plainAddress = address
      this.kcp.receive(bytes, this.now)
    }
  }

  #atServer(address: string, bytes: Uint8Array): void {
    const outcome = this.server.receive(address, bytes, this.now)
    if (outcome.kind === 'reply') this.#fly(false, address, outcome.bytes)
    if (outcome.kind === 'accepted') {
      this.connection = outcome.connection
      this.handshakes.push(address)
      this.#fly(false, address, outcome.bytes)
    }
    if ('reset' in outcome && this.tellsResets && outcome.reset !== undefined) this.#fly(false, address, outcome.reset)
    if (outcome.kind !== 'packet') return
    const { received } = outcome
    if (received.kind === 'data') this.kcp.receive(received.bytes, this.now)
    if (received.kind === 'bare') this.barely.push(Buffer.from(received.bytes).toString())
    if (received.kind === 'closed') this.log.push('gateway: closed')
  }
}

/** So many bytes that tell where they belong. */
export function patterned(length: number): Uint8Array {
  const bytes = new Uint8Array(length)
  for (let i = 0; i < length; i++) bytes[i] = (i * 31 + (i >> 8) * 17) & 0xff
  return bytes
}
