// Clients over UDP: one socket, and the table of conversations that its datagrams belong to. The socket stays open after
// `stop` until the last of them has ended, since they all share it.
import { kcpFrom } from '../../config/schema-kcp.ts'
import { HandshakeLimit } from '../../policies/handshake-limit.ts'
import { headerBytes } from '../../protocols/kcp/segment.ts'
import type { KcpSettings } from '../../protocols/kcp/settings.ts'
import type { LimitSettings, ListenerSettings } from '../../config/settings.ts'
import type { Hash } from '../../protocols/secure/crypto.ts'
import { SEALED_OVERHEAD_BYTES } from '../../protocols/secure/datagram-codec.ts'
import { SAFE_MTU } from '../kcp-carrier.ts'
import type { DatagramEnvironment, KcpCarriers } from '../kcp-carriers.ts'
import { PlainKcp } from '../plain-kcp.ts'
import { SealedKcp, type SealedOptions } from '../sealed-kcp.ts'
import type { Carrier, CarrierEvents } from '../seams.ts'
import { DatagramProxies } from './datagram-proxies.ts'
import { ListenerPlaces } from './listener-places.ts'
import type { Machine } from './loop.ts'
import type { Listener, ListenerHome } from './tcp-listener.ts'
import type { UdpSocket } from './udp-socket.ts'
import { openUdpSocket } from './udp-sockets.ts'

/** The table of conversations of one kind. */
type Conversations = {
  readonly carriers: KcpCarriers
  settings: Readonly<KcpSettings>
  /** Nobody new is taken. */
  isClosed: boolean
  receive(ip: string, port: number, bytes: Uint8Array, start: number, end: number, now: number): void
  deadline(): number
  tick(now: number): void
}

export class UdpListener implements Listener, Machine, DatagramEnvironment {
  settings: ListenerSettings
  readonly places: ListenerPlaces
  readonly #home: ListenerHome
  readonly #conversations: Conversations
  readonly #proxies: DatagramProxies
  #socket: UdpSocket | undefined
  /** What is sent now leaves when it is done. */
  #isFlushing = false
  /** Those that the doorkeeper counts, by the address that they came from: it may be another one when they leave. */
  readonly #entered = new WeakMap<Carrier, string>()

  constructor(settings: ListenerSettings, home: ListenerHome) {
    this.settings = settings
    this.places = new ListenerPlaces(settings, home.budget.counters)
    this.#proxies = new DatagramProxies(settings)
    this.#home = home
    const { datagrams } = home.counters
    const kcp = conversationSettings(settings, home.limits())
    this.#conversations =
      settings.security === 'none'
        ? new PlainKcp(this, datagrams, kcp)
        : new SealedKcp(this, datagrams, kcp, sealedOptions(home))
  }

  async listen(port: number = this.settings.port): Promise<{ host: string; port: number }> {
    const { name, host } = this.settings
    if (this.#socket === undefined) {
      this.#socket = await openUdpSocket({ name, host, port }, this.#home.counters.datagrams, this)
      this.#home.loop.add(this)
    }
    this.#conversations.isClosed = false
    return { host, port: this.#socket.port }
  }

  get socketKind(): string | undefined {
    return this.#socket?.kind
  }

  prepareReload(settings: ListenerSettings): () => void {
    return () => {
      this.settings = settings
      this.places.configure(settings)
      this.#proxies.configure(settings)
      this.#conversations.settings = conversationSettings(settings, this.#home.limits())
    }
  }

  stop(): void {
    this.#conversations.isClosed = true
    this.#closeWhenEmpty()
  }

  /** What is written goes out, and the port is free when this returns: whoever starts next on it finds it so. */
  end(): void {
    this.flush(this.now())
    this.vacate()
  }

  vacate(): void {
    this.stop()
    for (const carrier of [...this.#conversations.carriers.open]) carrier.destroy()
    this.flush(this.now())
  }

  // ---- the socket ----

  datagram(bytes: Uint8Array, start: number, end: number, ip: string, port: number): void {
    if (this.settings.proxyProtocol === undefined) {
      this.#conversations.receive(ip, port, bytes, start, end, this.#home.now())
      return
    }
    const from = this.#proxies
    if (!from.read(bytes.subarray(start, end), ip, port)) this.#home.counters.datagrams.drop('proxy_header')
    else this.#conversations.receive(from.ip, from.port, bytes, start + from.start, end, this.#home.now())
  }

  // ---- what conversations ask for ----

  now(): number {
    return this.#home.now()
  }

  randomBytes(length: number): Uint8Array {
    return this.#home.randomBytes(length)
  }

  send(bytes: Uint8Array, start: number, end: number, ip: string, port: number): void {
    const socket = this.#socket
    if (socket === undefined) return
    const flow = this.#proxies.towards(ip, port)
    if (flow === undefined) socket.send(bytes, start, end, ip, port)
    else socket.send(bytes, start, end, flow.proxyIp, flow.proxyPort)
    if (socket.isHolding && !this.#isFlushing) this.#home.loop.scheduleFlush()
  }

  scheduleFlush(): void {
    this.#home.loop.scheduleFlush()
  }

  enter(): boolean {
    if (!this.places.take()) return false
    if (this.#home.budget.take()) return true
    this.places.release()
    return false
  }

  left(carrier: Carrier): void {
    this.places.release()
    this.#home.budget.release()
    const address = this.#entered.get(carrier)
    if (address !== undefined) this.#home.doorkeeper.left(address)
    this.#home.carriers.delete(carrier)
  }

  accept(carrier: Carrier, now: number): CarrierEvents {
    const { doorkeeper, carriers, accept } = this.#home
    carriers.add(carrier)
    const events = accept(carrier, now, this)
    // Its address has been proved by now: not before, or anybody could use up what another may have.
    if (!doorkeeper.enter(carrier.address, this.settings.name, now)) queueMicrotask(() => carrier.destroy())
    else if (doorkeeper.isCounting) this.#entered.set(carrier, carrier.address)
    return events
  }

  // ---- turns and time ----

  flush(now: number): void {
    this.#isFlushing = true
    this.#conversations.carriers.flush(now)
    this.#isFlushing = false
    this.#socket?.flush()
    this.#closeWhenEmpty()
  }

  deadline(): number {
    return this.#conversations.deadline()
  }

  tick(now: number): void {
    this.#conversations.tick(now)
    this.#closeWhenEmpty()
  }

  #closeWhenEmpty(): void {
    if (this.#conversations.isClosed && this.#conversations.carriers.open.size === 0) this.#close()
  }

  #close(): void {
    if (this.#socket === undefined) return
    this.#socket.close()
    this.#socket = undefined
    this.#home.loop.remove(this)
  }
}

const MIB = 1024 * 1024
/** The engine takes no more. */
const SEND_BYTES_MAX = 64 * MIB
const SEND_COUNT_MAX = 65_536
/** Control frames of a turn. */
const SLACK_BYTES = 64 * 1024

/**
 * The engine's settings for a conversation. `send` has room for all that the core lets wait for a connection (W5), and for
 * the frame that goes past it: the core's own count ends a slow client, and this is only the wall behind it.
 */
function conversationSettings({ kcp, security }: ListenerSettings, limits: LimitSettings): KcpSettings {
  const wanted = kcp ?? kcpFrom(undefined)
  const { sendWindow } = wanted
  const mtu = security === 'none' ? wanted.mtu : wanted.mtu - SEALED_OVERHEAD_BYTES
  const sendBytesMax = Math.min(limits.connectionBytesMax + limits.frameBytesMax + SLACK_BYTES, SEND_BYTES_MAX)
  const sendCountMax = Math.min(
    Math.ceil(sendBytesMax / (Math.min(mtu, SAFE_MTU) - headerBytes)) + sendWindow + 1,
    SEND_COUNT_MAX,
  )
  return { ...wanted, mtu, sendBytesMax, sendCountMax }
}

function sealedOptions({ noise, gatewayName, randomBytes }: ListenerHome): SealedOptions {
  const limit = () => {
    const [a, b, c, d] = randomBytes(4)
    return new HandshakeLimit((a << 24) | (b << 16) | (c << 8) | d)
  }
  return {
    identity: {
      responder: () => (noise.publicKeyText === undefined ? undefined : noise.responder('udp')),
      secrets() {
        const { current, previous } = noise.keys
        return previous === undefined ? [current.secret] : [current.secret, previous.secret]
      },
      isShared: () => noise.isShared,
    },
    wallNow: Date.now,
    limit: limit(),
    resets: limit(),
    gateway: gatewayNumber(noise.crypto.hash, gatewayName),
    worker: 0,
  }
}

/** For connection ids: gateways of a cluster have different names, and so, nearly always, different numbers. */
function gatewayNumber(hash: Hash, name: string): number {
  const [low, high] = hash.sha256(new TextEncoder().encode(name))
  return low | (high << 8)
}
