// KCP in sealed datagrams (`security: noise`, docs/spec/datagram.md, docs/spec/kcp.md KCP-7.2): who a datagram belongs to,
// handshakes, replays and paths are protocols/secure's; here each confirmed connection becomes a carrier of the core, and
// what the core and KCP send is sealed. Whoever has not proved an address leaves nothing here and is answered with less
// than came from there. Sans-IO.
//
//   datagram -> source port -> DatagramServer -> refused, and counted | answered, and forgotten | of a connection:
//                                                         DATA -> KCP     BARE -> the core     CLOSE -> the end
import { type HandshakeLimit, HANDSHAKE_RATE, RESET_RATE } from '../policies/handshake-limit.ts'
import { code } from '../protocols/codes.ts'
import { packetHeadroom } from '../protocols/kcp/segment-pool.ts'
import type { KcpSettings } from '../protocols/kcp/settings.ts'
import { ConnectionIdCipher } from '../protocols/secure/connection-id.ts'
import { COOKIE_ROTATION_MS } from '../protocols/secure/cookie-jar.ts'
import { deriveKey } from '../protocols/secure/crypto.ts'
import { datagramType, SEALED_CONTENT_AT, SEALED_CONV } from '../protocols/secure/datagram-codec.ts'
import {
  type DatagramReceived,
  opened,
  OPENED_AT,
  type SecureDatagramConnection,
} from '../protocols/secure/datagram-connection.ts'
import { DatagramServer } from '../protocols/secure/datagram-server.ts'
import type { Responder } from '../protocols/secure/handshakes.ts'
import { isReflectionPort } from '../protocols/secure/reflection-ports.ts'
import { AddressTexts } from './address-texts.ts'
import type { DatagramCounters, DatagramDropReason } from './datagram-counters.ts'
import { KcpCarrier, type KcpPath, SAFE_MTU } from './kcp-carrier.ts'
import type { DatagramEnvironment } from './kcp-carriers.ts'
import { KcpCarriers } from './kcp-carriers.ts'
import { addressKey, networkKey } from '../policies/network.ts'

/** Handshakes that are not confirmed yet, of all addresses that have returned a cookie. */
export const UNCONFIRMED_MAX = 4096
/** What a connection id has room for. */
const CONNECTIONS_MAX = 1 << 20
/** Addresses whose path does not carry `mtu`; the oldest is forgotten for a newer one. */
const NARROW_MAX = 4096
const CLUSTER_LABEL = 'skewer/1 udp'
const COOKIE_LABEL = 'skewer/1 cookies'

/** What the gateway is known by; the same on all gateways of a cluster, so that each reads the ids of the others. */
export interface SealedIdentity {
  /** Another one after a change of keys; undefined as long as there are none. */
  responder(): Responder | undefined
  /** Private keys, the current one first. */
  secrets(): readonly Uint8Array[]
  /** Whether other gateways may have the same: a key that was made here nobody else has. */
  isShared(): boolean
}
export type SealedOptions = {
  identity: SealedIdentity
  /** Milliseconds since 1970: cookies change with it, alike on all gateways. */
  wallNow(): number
  limit: HandshakeLimit
  /** Of answers to datagrams that belong to nobody here. */
  resets: HandshakeLimit
  gateway: number
  worker: number
}

export class SealedKcp {
  readonly carriers: KcpCarriers
  /** For connections that begin from now on. */
  settings: Readonly<KcpSettings>
  /** Nobody new is taken. */
  isClosed = false
  readonly #env: DatagramEnvironment
  readonly #counters: DatagramCounters
  readonly #options: SealedOptions
  readonly #addresses = new AddressTexts()
  readonly #narrow = new Set<string>()
  /** Made with the first datagram: a listener may be there before its keys are. */
  #server: DatagramServer | undefined
  #responder: Responder | undefined
  /** Which cookies are made now: the number of the period of COOKIE_ROTATION_MS. */
  #period = 0

  constructor(
    env: DatagramEnvironment,
    counters: DatagramCounters,
    settings: Readonly<KcpSettings>,
    options: SealedOptions,
  ) {
    this.#env = env
    this.#counters = counters
    this.#options = options
    this.settings = settings
    this.carriers = new KcpCarriers(env, counters)
  }

  /** Connections that are not confirmed yet. */
  get unconfirmed(): number {
    return this.#server?.unconfirmed ?? 0
  }

  /** Takes a datagram, bytes[start, end), lent for the call. */
  receive(ip: string, port: number, bytes: Uint8Array, start: number, end: number, now: number): void {
    const counters = this.#counters
    counters.received++
    counters.receivedBytes += end - start
    const why = this.#receive(ip, port, bytes, start, end, now)
    if (why !== undefined) counters.drop(why)
  }

  deadline(): number {
    return Math.min(this.carriers.deadline(), this.#server?.deadline() ?? Infinity)
  }

  tick(now: number): void {
    const server = this.#server
    if (server !== undefined && server.deadline() <= now) this.#counters.unconfirmed += server.tick(now).length
    this.carriers.tick(now)
  }

  #receive(
    ip: string,
    port: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    now: number,
  ): DatagramDropReason | undefined {
    if (isReflectionPort(port)) return 'reflection_port'
    if (end > start && bytes[start] === datagramType.init) {
      if (this.isClosed) return 'stopped'
      this.#renew()
    }
    const server = this.#server ?? this.#makeServer()
    if (server === undefined) return 'stopped'
    const outcome = server.receiveIn(this.#addresses.of(ip, port), bytes, start, end, now)
    if (outcome.kind === 'packet') return this.#arrived(outcome.connection, outcome.received, now)
    if (outcome.kind === 'dropped') return outcome.why
    if (outcome.kind === 'stray' || outcome.kind === 'forgotten') {
      if (outcome.reset !== undefined) this.#reset(outcome.reset, ip, port)
      return outcome.kind === 'stray' ? 'stray' : 'unknown_connection'
    }
    if (outcome.kind === 'accepted') this.#counters.handshakes++
    this.#env.send(outcome.bytes, 0, outcome.bytes.length, ip, port)
    return undefined
  }

  #reset(bytes: Uint8Array, ip: string, port: number): void {
    this.#counters.resets++
    this.#env.send(bytes, 0, bytes.length, ip, port)
  }

  #arrived(
    connection: SecureDatagramConnection,
    received: DatagramReceived,
    now: number,
  ): DatagramDropReason | undefined {
    if (received.kind === 'dropped') return received.why
    const path = (connection.owner as SealedPath | undefined) ?? this.#begin(connection, now)
    if (path === undefined) return 'connections_max'
    const { carrier } = path
    path.follow()
    if (received.kind === 'data') {
      carrier.take(opened, OPENED_AT, OPENED_AT + received.bytes.length, now)
    } else if (received.kind === 'bare') {
      carrier.takeBare(received.bytes, now)
    } else if (received.kind === 'closed') {
      carrier.fail(code.detached, now)
      return undefined
    }
    // Whatever it was, the path may have something to say to it.
    if (!connection.isQuiet) this.carriers.touch(carrier)
    return undefined
  }

  /** Confirmed: a client of the core from now on. */
  #begin(connection: SecureDatagramConnection, now: number): SealedPath | undefined {
    if (!this.#env.enter()) {
      connection.close(code.admission)
      this.say(connection)
      this.#server!.release(connection)
      return undefined
    }
    const path = new SealedPath(this, connection)
    const { binding, ticket } = connection.established
    const isNarrow = this.settings.mtu > SAFE_MTU && this.#narrow.has(addressKey(path.ip))
    const settings = isNarrow ? { ...this.settings, mtu: SAFE_MTU } : this.settings
    path.carrier = new KcpCarrier(this.carriers, 'kcp-noise', binding, SEALED_CONV, settings, path, ticket)
    connection.owner = path
    this.carriers.start(path.carrier, now)
    return path
  }

  #admit(address: string, now: number): boolean {
    const ip = address.slice(0, address.indexOf(' '))
    return this.#options.limit.take(addressKey(ip), networkKey(ip), HANDSHAKE_RATE, now)
  }

  #admitReset(address: string, now: number): boolean {
    const ip = address.slice(0, address.indexOf(' '))
    return this.#options.resets.take(addressKey(ip), networkKey(ip), RESET_RATE, now)
  }

  // ---- keys ----

  #makeServer(): DatagramServer | undefined {
    const { identity, gateway, worker } = this.#options
    const responder = identity.responder()
    if (responder === undefined) return undefined
    this.#responder = responder
    this.#period = this.#periodNow()
    this.#server = new DatagramServer({
      responder,
      random: (length) => this.#env.randomBytes(length),
      cookieSecret: this.#cookieSecret(responder, this.#period - 1),
      idCiphers: this.#idCiphers(responder),
      gateway,
      worker,
      admit: (address, now) => this.#admit(address, now),
      admitReset: (address, now) => this.#admitReset(address, now),
      // Workers have no numbers of their own yet.
      isPeer: (_gateway, number) => number === worker && identity.isShared(),
      connectionsMax: CONNECTIONS_MAX,
      unconfirmedMax: UNCONFIRMED_MAX,
    })
    this.#server.rotateCookies(this.#cookieSecret(responder, this.#period))
    return this.#server
  }

  /** Before each handshake: keys may have been changed, cookies may be old. */
  #renew(): void {
    const responder = this.#options.identity.responder()
    const server = this.#server
    if (responder === undefined || server === undefined) return
    if (responder !== this.#responder) {
      this.#responder = responder
      server.rekey(responder, this.#idCiphers(responder))
    }
    const period = this.#periodNow()
    if (period === this.#period) return
    // After a pause of more than one period those before are worth nothing.
    if (period !== this.#period + 1) server.rotateCookies(this.#cookieSecret(responder, period - 1))
    server.rotateCookies(this.#cookieSecret(responder, period))
    this.#period = period
  }

  #periodNow(): number {
    return Math.floor(this.#options.wallNow() / COOKIE_ROTATION_MS)
  }

  #cookieSecret({ crypto }: Responder, period: number): Uint8Array {
    const [secret] = this.#options.identity.secrets()
    return deriveKey(crypto.hash, secret, `${COOKIE_LABEL} ${period}`)
  }

  #idCiphers({ crypto: { hash } }: Responder): ConnectionIdCipher[] {
    const cipherOf = (secret: Uint8Array) => new ConnectionIdCipher(hash, deriveKey(hash, secret, CLUSTER_LABEL))
    return this.#options.identity.secrets().map(cipherOf)
  }

  // ---- what paths ask for ----

  /** Seals the content bytes[at, end) where it is and sends it; false when it cannot. */
  seal(path: SealedPath, kind: 'data' | 'bare', bytes: Uint8Array, at: number, end: number): boolean {
    const sealedEnd = path.connection.sealIn(kind, bytes, at, end)
    if (sealedEnd > 0) this.#env.send(bytes, at - SEALED_CONTENT_AT, sealedEnd, path.ip, path.port)
    return sealedEnd > 0
  }

  /** The same of a frame that has no room around it. */
  sealBare(path: SealedPath, frame: Uint8Array): boolean {
    const { packet } = this.carriers.pool
    packet.set(frame, packetHeadroom)
    return this.seal(path, 'bare', packet, packetHeadroom, packetHeadroom + frame.length)
  }

  /** The longest frame that a bare datagram holds: nobody would notice that longer ones do not get through. */
  get bareBytesMax(): number {
    return Math.min(this.settings.mtu, SAFE_MTU)
  }

  ended(path: SealedPath, why: number): void {
    path.connection.close(why)
    this.say(path.connection)
    this.#server!.release(path.connection)
    path.connection.owner = undefined
  }

  narrowed(ip: string): void {
    this.#counters.narrowPaths++
    if (this.#narrow.size >= NARROW_MAX)
      for (const oldest of this.#narrow) {
        this.#narrow.delete(oldest)
        break
      }
    this.#narrow.add(addressKey(ip))
  }

  moved(): void {
    this.#counters.moves++
  }

  /** Sends what the layer itself has to say, to whatever address. */
  say(connection: SecureDatagramConnection): void {
    for (let next = connection.nextDatagram(); next !== undefined; next = connection.nextDatagram()) {
      const gap = next.address.indexOf(' ')
      const port = Number(next.address.slice(gap + 1))
      this.#env.send(next.bytes, 0, next.bytes.length, next.address.slice(0, gap), port)
    }
  }
}

/** One connection's way to its client, wherever that is now. */
class SealedPath implements KcpPath {
  readonly connection: SecureDatagramConnection
  carrier!: KcpCarrier
  ip = ''
  port = 0
  readonly #home: SealedKcp
  #address = ''

  constructor(home: SealedKcp, connection: SecureDatagramConnection) {
    this.#home = home
    this.connection = connection
    this.#take(connection.address)
  }

  /** Something came: the client's address may be another one now. */
  follow(): void {
    const { address } = this.connection
    if (address === this.#address) return
    this.#take(address)
    this.#home.moved()
  }

  #take(address: string): void {
    const gap = address.indexOf(' ')
    this.#address = address
    this.ip = address.slice(0, gap)
    this.port = Number(address.slice(gap + 1))
  }

  send(bytes: Uint8Array, start: number, end: number): void {
    this.#home.seal(this, 'data', bytes, start, end)
  }

  sendBare(frame: Uint8Array): boolean {
    return frame.length <= this.#home.bareBytesMax && this.#home.sealBare(this, frame)
  }

  narrowed(): void {
    this.#home.narrowed(this.ip)
  }

  turn(now: number): void {
    this.connection.tick(now)
    this.#home.say(this.connection)
  }

  deadline(): number {
    return this.connection.deadline()
  }

  end(why: number): void {
    this.#home.ended(this, why)
  }
}
