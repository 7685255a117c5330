// Plain KCP (`security: none`, docs/spec/kcp.md, KCP-7.3): conversations by the client's address and the `conv` that it
// chose. Nothing proves an address here, so everything is bounded instead: a conversation is begun by segment 0 only, a
// stranger (nobody logged in yet) is answered with at most three times what came from its address, and when there are too
// many strangers the one that has waited longest goes. Sans-IO.
//
//   datagram -> length -> source port -> conversation of (address, conv)? -> KCP's own check
//                                          no: does it begin one? -> room -> a carrier
import { code } from '../protocols/codes.ts'
import { command, field, headerBytes, readInt32 } from '../protocols/kcp/segment.ts'
import type { KcpSettings } from '../protocols/kcp/settings.ts'
import { isReflectionPort } from '../protocols/secure/reflection-ports.ts'
import type { DatagramCounters, DatagramDropReason } from './datagram-counters.ts'
import { KcpCarrier, type KcpPath } from './kcp-carrier.ts'
import type { DatagramEnvironment } from './kcp-carriers.ts'
import { KcpCarriers } from './kcp-carriers.ts'
import { addressKey, NetworkCounts } from '../policies/network.ts'

/** Strangers at the same time, in all and of one network. */
export const STRANGERS_MAX = 1024
export const STRANGERS_PER_NETWORK = 256
/** Conversations of one address and port: a client that comes back before its last conversation has ended. */
const CONVERSATIONS_PER_PORT = 4
/** What a stranger is sent, at most, for each byte from its address. */
export const STRANGER_FACTOR = 3
const NO_BINDING = new Uint8Array(0)

export class PlainKcp {
  readonly carriers: KcpCarriers
  /** For conversations that begin from now on. */
  settings: Readonly<KcpSettings>
  /** Nobody new is taken. */
  isClosed = false
  readonly #env: DatagramEnvironment
  readonly #counters: DatagramCounters
  readonly #strangersMax: number
  readonly #paths = new Map<string, PlainPath[]>()
  /** The longest there first. */
  readonly #strangers = new Set<PlainPath>()
  readonly #networks = new NetworkCounts()

  constructor(
    env: DatagramEnvironment,
    counters: DatagramCounters,
    settings: Readonly<KcpSettings>,
    strangersMax = STRANGERS_MAX,
  ) {
    this.#env = env
    this.#counters = counters
    this.settings = settings
    this.#strangersMax = strangersMax
    this.carriers = new KcpCarriers(env, counters)
  }

  get strangers(): number {
    return this.#strangers.size
  }

  /** Takes a datagram, bytes[start, end), lent for the call. */
  receive(ip: string, port: number, bytes: Uint8Array, start: number, end: number, now: number): void {
    const counters = this.#counters
    counters.received++
    counters.receivedBytes += end - start
    const datagram = start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end)
    const why = this.#receive(ip, port, datagram, now)
    if (why !== undefined) counters.drop(why)
  }

  deadline(): number {
    return this.carriers.deadline()
  }

  tick(now: number): void {
    this.carriers.tick(now)
  }

  #receive(ip: string, port: number, datagram: Uint8Array, now: number): DatagramDropReason | undefined {
    if (datagram.length < headerBytes) return datagram.length === 0 ? 'empty' : 'short'
    const key = `${ip} ${port}`
    const paths = this.#paths.get(key)
    const conv = readInt32(datagram, field.conv)
    if (paths !== undefined) {
      for (let i = 0; i < paths.length; i++) {
        if (paths[i].conv !== conv) continue
        this.#take(paths[i], datagram, now)
        return undefined
      }
    }
    if (!isBeginning(datagram)) return 'no_conversation'
    if (isReflectionPort(port)) return 'reflection_port'
    if (this.isClosed) return 'stopped'
    if (paths !== undefined && paths.length >= CONVERSATIONS_PER_PORT) return 'network_full'
    return this.#begin(key, ip, port, conv, datagram, now)
  }

  #take(path: PlainPath, datagram: Uint8Array, now: number): void {
    const { carrier } = path
    if (path.isStranger) path.receivedBytes += datagram.length
    carrier.take(datagram, 0, datagram.length, now)
    if (path.isStranger && carrier.isLoggedIn) this.#known(path)
  }

  #begin(
    key: string,
    ip: string,
    port: number,
    conv: number,
    datagram: Uint8Array,
    now: number,
  ): DatagramDropReason | undefined {
    const network = addressKey(ip)
    if (this.#networks.of(network) >= STRANGERS_PER_NETWORK) return 'network_full'
    const path = new PlainPath(this, key, ip, port, conv, network)
    const carrier = new KcpCarrier(this.carriers, 'kcp', NO_BINDING, conv >>> 0, this.settings, path)
    path.carrier = carrier
    path.receivedBytes = datagram.length
    // What does not bear KCP's own look leaves nothing behind; what was said waits until somebody is there to hear it.
    carrier.pause()
    if (!carrier.take(datagram, 0, datagram.length, now)) return undefined
    if (this.#strangers.size >= this.#strangersMax) this.#evict(now)
    if (!this.#env.enter()) {
      carrier.kcp.release()
      return 'connections_max'
    }
    const beside = this.#paths.get(key)
    if (beside === undefined) this.#paths.set(key, [path])
    else beside.push(path)
    this.#strangers.add(path)
    this.#networks.add(network)
    this.carriers.start(carrier, now)
    carrier.resume()
    return undefined
  }

  #evict(now: number): void {
    for (const path of this.#strangers) {
      this.#counters.evicted++
      path.carrier.fail(code.admission, now)
      return
    }
  }

  /** Logged in: it no longer counts as a stranger. */
  #known(path: PlainPath): void {
    if (!path.isStranger) return
    path.isStranger = false
    this.#strangers.delete(path)
    this.#networks.take(path.network)
  }

  sent(path: PlainPath, bytes: Uint8Array, start: number, end: number): void {
    if (path.isStranger) {
      // The login may have been judged since its last datagram.
      if (path.carrier.isLoggedIn) this.#known(path)
      if (path.isStranger && !maySend(path, bytes, start, end)) {
        this.#counters.drop('amplification')
        return
      }
      path.sentBytes += end - start
    }
    this.#env.send(bytes, start, end, path.ip, path.port)
  }

  ended(path: PlainPath): void {
    this.#known(path)
    const paths = this.#paths.get(path.key)!
    paths.splice(paths.indexOf(path), 1)
    if (paths.length === 0) this.#paths.delete(path.key)
  }
}

/** One conversation's way to its client: an address that never changes. */
class PlainPath implements KcpPath {
  readonly key: string
  readonly ip: string
  readonly port: number
  readonly conv: number
  readonly network: string
  carrier!: KcpCarrier
  isStranger = true
  receivedBytes = 0
  sentBytes = 0
  readonly #home: PlainKcp

  constructor(home: PlainKcp, key: string, ip: string, port: number, conv: number, network: string) {
    this.#home = home
    this.key = key
    this.ip = ip
    this.port = port
    this.conv = conv
    this.network = network
  }

  send(bytes: Uint8Array, start: number, end: number): void {
    this.#home.sent(this, bytes, start, end)
  }

  sendBare(): boolean {
    return false
  }

  turn(): void {}

  deadline(): number {
    return Infinity
  }

  end(): void {
    this.#home.ended(this)
  }
}

/**
 * A stranger is sent so many times what came from it. As long as it has confirmed nothing, that is only what has data in it
 * (and so confirms, too): a stranger that heard its own words confirmed, and not ours, would wait for us in silence, and we
 * for bytes of its that let us speak.
 */
function maySend(path: PlainPath, bytes: Uint8Array, start: number, end: number): boolean {
  if (path.sentBytes + end - start > STRANGER_FACTOR * path.receivedBytes) return false
  return path.carrier.kcp.ackedBytes > 0 || hasData(bytes, start, end)
}

/** Segments without data come first in a datagram. */
function hasData(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at += headerBytes) if (bytes[at + field.command] === command.push) return true
  return false
}

/** Whether its first segment is the first of a conversation, from a peer that has received nothing yet. */
function isBeginning(datagram: Uint8Array): boolean {
  return (
    datagram[field.command] === command.push &&
    readInt32(datagram, field.sn) === 0 &&
    readInt32(datagram, field.una) === 0 &&
    readInt32(datagram, field.length) > 0
  )
}
