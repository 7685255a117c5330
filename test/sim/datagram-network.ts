// Datagrams between simulated nodes: lost, doubled, corrupted, delayed and so reordered, each by itself. Players sit behind
// NATs: each socket has an address that may change at any moment, and what goes to the old one is lost. Somebody listens in
// and may send what he has heard, or made, again from wherever he likes.
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

export class DatagramNetwork {
  /** Whether what runs inside is sealed: else a path that corrupts would be the end of every promise. */
  weather: DatagramWeather
  sent = 0
  lost = 0
  corrupted = 0
  /** The newest datagrams towards gateways. */
  readonly overheard: { to: string; bytes: Uint8Array }[] = []
  readonly #clock: Clock
  readonly #random: Random
  readonly #receivers: Map<string, Receiver> = new Map()
  #nextPort = 1024

  constructor(clock: Clock, random: Random, weather: DatagramWeather) {
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
    if (to.startsWith('g')) this.#overhear(to, bytes)
    if (this.#random.chance(loss)) {
      this.lost++
      return
    }
    this.#fly(from, to, bytes)
    if (this.#random.chance(twice)) this.#fly(from, to, bytes)
  }

  /** Somebody sends something of his own, or of others, from an address of his choice; not lost. */
  inject(from: string, to: string, bytes: Uint8Array): void {
    this.#fly(from, to, bytes)
  }

  #overhear(to: string, bytes: Uint8Array): void {
    if (this.overheard.length < OVERHEARD_MAX) this.overheard.push({ to, bytes: bytes.slice() })
    else this.overheard[this.sent % OVERHEARD_MAX] = { to, bytes: bytes.slice() }
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
    this.#clock.after(latencyMs + this.#random.unit() * jitterMs, () => this.#receivers.get(to)?.(from, copy))
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
