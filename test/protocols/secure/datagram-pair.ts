// A client and a gateway's UDP port in virtual time, from one seed: between them a network that loses, doubles, delays
// (and so reorders), and a client whose address may change. Keeps count of bytes by address, so that amplification shows.
import { ConnectionIdCipher } from '../../../protocols/secure/connection-id.ts'
import type { CryptoProvider } from '../../../protocols/secure/crypto.ts'
import { SEALED_OVERHEAD_BYTES } from '../../../protocols/secure/datagram-codec.ts'
import type { SecureDatagramConnection } from '../../../protocols/secure/datagram-connection.ts'
import { DatagramInitiator, type DatagramInitiatorOptions } from '../../../protocols/secure/datagram-initiator.ts'
import {
  type DatagramOutcome,
  DatagramServer,
  type DatagramServerOptions,
} from '../../../protocols/secure/datagram-server.ts'
import { Responder, type TicketOpener } from '../../../protocols/secure/handshakes.ts'
import { Random } from '../../sim/random.ts'
import { native, pairOf, secretOf } from './keys.ts'

export const clusterKey = secretOf('C')
const GATEWAY = 'gateway:7777'

export type Weather = { loss: number; twice: number; delayMs: number; jitterMs: number }
export const calm: Weather = { loss: 0, twice: 0, delayMs: 20, jitterMs: 0 }
export const storm: Weather = { loss: 0.2, twice: 0.1, delayMs: 20, jitterMs: 80 }

type InFlight = { at: number; order: number; isUp: boolean; address: string; bytes: Uint8Array }
export type PairOptions = {
  seed?: number
  weather?: Weather
  crypto?: CryptoProvider
  openTicket?: TicketOpener
  server?: Partial<DatagramServerOptions>
  client?: Partial<DatagramInitiatorOptions>
}

export class Pair {
  readonly random: Random
  readonly server: DatagramServer
  readonly initiator: DatagramInitiator
  weather: Weather
  now = 1000
  clientAddress = '192.0.2.1:5000'
  client: SecureDatagramConnection | undefined
  gateway: SecureDatagramConnection | undefined
  readonly atClient: string[] = []
  readonly atGateway: string[] = []
  readonly outcomes: string[] = []
  /** Bytes from and to each address, at the gateway. */
  readonly bytesIn = new Map<string, number>()
  readonly bytesOut = new Map<string, number>()
  /** Every datagram that the client sent: what somebody in between has seen. */
  readonly seen: { address: string; bytes: Uint8Array }[] = []
  /** Told of all that the gateway is about to send. */
  onSend: (address: string, bytes: Uint8Array) => void = () => {}
  #flying: InFlight[] = []
  #order = 0

  constructor(options: PairOptions = {}) {
    const crypto = options.crypto ?? native
    this.random = new Random(options.seed ?? 1)
    this.weather = options.weather ?? calm
    this.server = new DatagramServer({
      responder: new Responder({
        crypto,
        identity: pairOf(crypto, 'g'),
        transport: 'udp',
        openTicket: options.openTicket,
      }),
      random: (length) => this.random.bytes(length),
      cookieSecret: this.random.bytes(32),
      idCiphers: [new ConnectionIdCipher(crypto.hash, clusterKey)],
      gateway: 3,
      worker: 1,
      admit: () => true,
      admitReset: () => true,
      isPeer: () => true,
      connectionsMax: 1000,
      unconfirmedMax: 100,
      ...options.server,
    })
    this.initiator = new DatagramInitiator(
      {
        crypto,
        gatewayKey: pairOf(crypto, 'g').publicKey,
        ephemeralSecret: this.random.bytes(32),
        address: GATEWAY,
        echo: this.random.bytes(8),
        ...options.client,
      },
      this.now,
    )
    this.pump()
  }

  /** Runs until `until` says so, or the time is over; true when it said so. */
  run(ms: number, until: () => boolean = () => false): boolean {
    const end = this.now + ms
    while (!until()) {
      this.#flying.sort((a, b) => a.at - b.at || a.order - b.order)
      const wake = Math.min(
        this.#flying[0]?.at ?? Infinity,
        this.initiator.isFailed(this.now) ? Infinity : this.initiator.deadline(),
        this.client?.deadline() ?? Infinity,
        this.gateway?.deadline() ?? Infinity,
        this.server.deadline(),
      )
      if (wake > end) {
        this.now = end
        return until()
      }
      this.now = Math.max(this.now, wake)
      while (this.#flying.length > 0 && this.#flying[0].at <= this.now) this.#deliver(this.#flying.shift()!)
      this.server.tick(this.now)
      this.client?.tick(this.now)
      this.gateway?.tick(this.now)
      this.pump()
    }
    return true
  }

  connect(): boolean {
    return this.run(30_000, () => this.gateway?.isConfirmed === true && this.client?.isConfirmed === true)
  }

  up(text: string, kind: 'data' | 'bare' = 'data'): void {
    this.fromClient(seal(this.client!, text, kind))
  }

  down(text: string, kind: 'data' | 'bare' = 'data'): void {
    this.fromGateway(this.gateway!.address, seal(this.gateway!, text, kind))
  }

  /** A datagram from anybody, straight into the gateway. */
  inject(address: string, bytes: Uint8Array): DatagramOutcome {
    add(this.bytesIn, address, bytes.length)
    const outcome = this.server.receive(address, bytes, this.now)
    this.outcomes.push(outcome.kind === 'dropped' ? outcome.why : outcome.kind)
    if (outcome.kind === 'reply' || outcome.kind === 'accepted') this.fromGateway(address, outcome.bytes)
    if (outcome.kind === 'accepted') this.gateway = outcome.connection
    if (outcome.kind === 'packet') {
      const { received } = outcome
      if (received.kind === 'data' || received.kind === 'bare')
        this.atGateway.push(Buffer.from(received.bytes).toString())
      if (received.kind === 'dropped') this.outcomes.push(received.why)
    }
    this.pump()
    return outcome
  }

  fromClient(bytes: Uint8Array): void {
    this.seen.push({ address: this.clientAddress, bytes: bytes.slice() })
    this.#fly(true, this.clientAddress, bytes)
  }

  fromGateway(address: string, bytes: Uint8Array): void {
    add(this.bytesOut, address, bytes.length)
    this.onSend(address, bytes)
    this.#fly(false, address, bytes)
  }

  /** Sends whatever the machines want to send. */
  pump(): void {
    const init = this.initiator.nextDatagram(this.now)
    if (init !== undefined) this.fromClient(init)
    for (let next = this.client?.nextDatagram(); next !== undefined; next = this.client?.nextDatagram()) {
      this.fromClient(next.bytes)
    }
    for (let next = this.gateway?.nextDatagram(); next !== undefined; next = this.gateway?.nextDatagram()) {
      this.fromGateway(next.address, next.bytes)
    }
  }

  #fly(isUp: boolean, address: string, bytes: Uint8Array): void {
    if (this.random.chance(this.weather.loss)) return
    const times = this.random.chance(this.weather.twice) ? 2 : 1
    for (let i = 0; i < times; i++) {
      const at = this.now + this.weather.delayMs + this.random.unit() * this.weather.jitterMs
      this.#flying.push({ at, order: this.#order++, isUp, address, bytes: bytes.slice() })
    }
  }

  #deliver({ isUp, address, bytes }: InFlight): void {
    if (isUp) {
      this.inject(address, bytes)
      return
    }
    // What goes to an address that the client has left is lost.
    if (address !== this.clientAddress) return
    if (this.client === undefined) {
      this.client = this.initiator.receive(bytes, this.now)
    } else {
      const received = this.client.receive(GATEWAY, bytes, this.now)
      if (received.kind === 'data' || received.kind === 'bare')
        this.atClient.push(Buffer.from(received.bytes).toString())
    }
    this.pump()
  }
}

export function seal(connection: SecureDatagramConnection, text: string, kind: 'data' | 'bare' = 'data'): Uint8Array {
  const content = Buffer.from(text)
  const out = new Uint8Array(content.length + SEALED_OVERHEAD_BYTES)
  return out.subarray(0, connection.seal(kind, content, out))
}

function add(counts: Map<string, number>, address: string, bytes: number): void {
  counts.set(address, (counts.get(address) ?? 0) + bytes)
}
