// Datagrams between simulated nodes: lost, doubled, corrupted, delayed and so reordered, each by itself. Players sit behind
// NATs: each socket has an address that may change at any moment, and what goes to the old one is lost. Somebody listens in
// and may send what he has heard, or made, again from wherever he likes; what he is sent is counted (DGM-4.2, DGM-7.3).
import type { Clock } from './clock.ts'
import { Violation } from './ledger.ts'
import type { Random } from './random.ts'

export type DatagramWeather = {
  loss: number
  twice: number
  corrupt: number
  latencyMs: number
  jitterMs: number
}

/** Who takes datagrams at an address. */
export type Receiver = (from: string, bytes: Uint8Array) => void

/** What every path carries: IPv6's least, less its headers and UDP's. */
const PATH_BYTES_MAX = 1232
/** Kept by whoever listens in. */
const OVERHEARD_MAX = 64
/** The network of those who have no line: what they are sent, they have paid for. */
export const STRANGERS = '203.0.113.'
/** Sealed: what a stranger gets is no more than it sent. Plain KCP, which has nothing to prove an address by: three times. */
const PLAIN_FACTOR = 3

export class DatagramNetwork {
  weather: DatagramWeather
  sent = 0
  lost = 0
  corrupted = 0
  /** The newest datagrams towards gateways. */
  readonly overheard: { from: string; to: string; bytes: Uint8Array }[] = []
  /** A stranger who sends a copy of the next datagram towards a gateway ahead of it. */
  hurriedFrom: string | undefined
  readonly #clock: Clock
  readonly #random: Random
  readonly #receivers: Map<string, Receiver> = new Map()
  readonly #factor: number
  /** Bytes that strangers may still be sent. */
  readonly #credit: Map<string, number> = new Map()
  #nextPort = 1024

  constructor(clock: Clock, random: Random, weather: DatagramWeather, isSealed: boolean) {
    this.#factor = isSealed ? 1 : PLAIN_FACTOR
    this.#clock = clock
    this.#random = random
    this.weather = weather
  }

  bind(address: string, receiver: Receiver): void {
    this.#receivers.set(address, receiver)
  }

  unbind(address: string): void {
    this.#receivers.delete(address)
  }

  /** A socket of a player, behind a NAT. */
  socket(receiver: Receiver): NatSocket {
    return new NatSocket(this, receiver, () => `198.51.100.${1 + (this.#nextPort % 200)} ${this.#nextPort++}`)
  }

  /** The bytes are lent for the call. */
  send(from: string, to: string, bytes: Uint8Array): void {
    if (bytes.length > PATH_BYTES_MAX) throw new Violation(`a datagram of ${bytes.length} bytes for ${to}`)
    this.sent++
    const { loss, twice } = this.weather
    if (to.startsWith('g')) this.#overhear(from, to, bytes)
    else if (to.startsWith(STRANGERS)) this.#pay(to, bytes.length)
    if (this.#random.chance(loss)) {
      this.lost++
      return
    }
    this.#fly(from, to, bytes)
    if (this.#random.chance(twice)) this.#fly(from, to, bytes)
  }

  /** Somebody sends something of his own, or of others, from an address of his choice; not lost. */
  inject(from: string, to: string, bytes: Uint8Array): void {
    const copy = bytes.slice()
    const { latencyMs } = this.weather
    this.#clock.after(latencyMs * this.#random.unit(), () => this.#arrive(from, to, copy))
  }

  #overhear(from: string, to: string, bytes: Uint8Array): void {
    const heard = { from, to, bytes: bytes.slice() }
    if (this.overheard.length < OVERHEARD_MAX) this.overheard.push(heard)
    else this.overheard[this.sent % OVERHEARD_MAX] = heard
    if (this.hurriedFrom === undefined) return
    this.#arrive(this.hurriedFrom, to, heard.bytes)
    this.hurriedFrom = undefined
  }

  #arrive(from: string, to: string, bytes: Uint8Array): void {
    if (from.startsWith(STRANGERS)) this.#credit.set(from, (this.#credit.get(from) ?? 0) + bytes.length * this.#factor)
    this.#receivers.get(to)?.(from, bytes)
  }

  #pay(to: string, bytes: number): void {
    const left = (this.#credit.get(to) ?? 0) - bytes
    if (left < 0) throw new Violation(`a stranger is sent more than came from there: ${-left} bytes`)
    this.#credit.set(to, left)
  }

  #fly(from: string, to: string, bytes: Uint8Array): void {
    const { latencyMs, jitterMs, corrupt } = this.weather
    let copy = bytes.slice()
    if (this.#random.chance(corrupt)) {
      this.corrupted++
      if (this.#random.chance(0.2)) copy = copy.subarray(0, Math.floor(this.#random.unit() * copy.length))
      else copy[Math.floor(this.#random.unit() * copy.length)] ^= 1 << this.#random.between(0, 7)
    }
    // To whoever has the address when it arrives.
    this.#clock.after(latencyMs + this.#random.unit() * jitterMs, () => this.#arrive(from, to, copy))
  }
}

export class NatSocket {
  address: string
  /** Nothing comes through, either way. */
  isBlocked = false
  readonly #network: DatagramNetwork
  readonly #receiver: Receiver
  readonly #fresh: () => string

  constructor(network: DatagramNetwork, receiver: Receiver, fresh: () => string) {
    this.#network = network
    this.#receiver = receiver
    this.#fresh = fresh
    this.address = fresh()
    this.#bind()
  }

  send(to: string, bytes: Uint8Array): void {
    if (!this.isBlocked) this.#network.send(this.address, to, bytes)
  }

  /** Another address from now on. */
  rebind(): void {
    this.#network.unbind(this.address)
    this.address = this.#fresh()
    this.#bind()
  }

  close(): void {
    this.isBlocked = true
    this.#network.unbind(this.address)
  }

  #bind(): void {
    this.#network.bind(this.address, (from, bytes) => {
      if (!this.isBlocked) this.#receiver(from, bytes)
    })
  }
}
