// Datagrams between two ends in virtual time, from one seed: lost, doubled, delayed and so reordered. A KcpEnd is an
// engine with its two sinks written down.
import { Kcp } from '../../../protocols/kcp/kcp.ts'
import type { SegmentPool } from '../../../protocols/kcp/segment-pool.ts'
import type { KcpSettings } from '../../../protocols/kcp/settings.ts'
import { Random } from '../../sim/random.ts'

export type Weather = { loss: number; duplicate: number; delayMs: number; jitterMs: number }

type Flying = { at: number; order: number; datagram: Uint8Array }

/** One direction. */
export class Network {
  readonly #random: Random
  readonly #weather: Weather
  #flying: Flying[] = []
  #order = 0

  constructor(seed: number, weather: Weather) {
    this.#random = new Random(seed)
    this.#weather = weather
  }

  /** Keeps the datagram: the caller gives it. */
  send(datagram: Uint8Array, now: number): void {
    const { loss, duplicate, delayMs, jitterMs } = this.#weather
    if (this.#random.unit() < loss) return
    const copies = this.#random.unit() < duplicate ? 2 : 1
    for (let i = 0; i < copies; i++) {
      const at = now + delayMs + Math.floor(this.#random.unit() * jitterMs)
      this.#flying.push({ at, order: this.#order++, datagram })
    }
  }

  get nextAt(): number {
    return this.#flying.reduce((least, { at }) => Math.min(least, at), Infinity)
  }

  /** What has arrived, in the order of arrival. */
  arrived(now: number): Uint8Array[] {
    const here = this.#flying.filter(({ at }) => at <= now).sort((a, b) => a.at - b.at || a.order - b.order)
    this.#flying = this.#flying.filter(({ at }) => at > now)
    return here.map(({ datagram }) => datagram)
  }
}

export class KcpEnd {
  readonly kcp: Kcp
  packets: Uint8Array[] = []
  messages: Uint8Array[] = []
  /** Messages taken before the reader pauses. */
  appetite = Infinity

  constructor(conv: number, settings: KcpSettings, pool?: SegmentPool, firstSn = 0) {
    this.kcp = new Kcp(conv, settings, this, pool, firstSn)
  }

  packet(bytes: Uint8Array, start: number, end: number): void {
    this.packets.push(bytes.slice(start, end))
    // The buffer is lent with the room around it: nothing in it may matter afterwards.
    bytes.fill(0xee)
  }

  message(bytes: Uint8Array, start: number, end: number): void {
    this.messages.push(bytes.slice(start, end))
    if (--this.appetite <= 0) this.kcp.pause()
  }

  takePackets(): Uint8Array[] {
    const { packets } = this
    this.packets = []
    return packets
  }

  takeMessages(): Uint8Array[] {
    const { messages } = this
    this.messages = []
    return messages
  }
}

/** Two engines and what is between them, driven by their own deadlines. */
export class KcpPair {
  readonly a: KcpEnd
  readonly b: KcpEnd
  now: number
  packetsSent = 0
  readonly #there: Network
  readonly #back: Network

  constructor(seed: number, weather: Weather, settings: KcpSettings, startAt = 1000, firstSn = 0) {
    this.a = new KcpEnd(7, settings, undefined, firstSn)
    this.b = new KcpEnd(7, settings, undefined, firstSn)
    this.now = startAt
    this.#there = new Network(seed, weather)
    this.#back = new Network(seed + 1, weather)
  }

  /** Ticks both and lets time pass to the next thing that happens; false when nothing ever will. */
  step(until = Infinity): boolean {
    this.#emit()
    const { a, b } = this
    const at = Math.min(a.kcp.deadline(), b.kcp.deadline(), this.#there.nextAt, this.#back.nextAt)
    if (at === Infinity || at > until) return false
    this.now = Math.max(this.now, at)
    for (const datagram of this.#there.arrived(this.now)) b.kcp.receive(datagram, this.now)
    for (const datagram of this.#back.arrived(this.now)) a.kcp.receive(datagram, this.now)
    this.#emit()
    return true
  }

  #emit(): void {
    this.a.kcp.tick(this.now)
    this.b.kcp.tick(this.now)
    for (const packet of this.a.takePackets()) this.#fly(this.#there, packet)
    for (const packet of this.b.takePackets()) this.#fly(this.#back, packet)
  }

  #fly(network: Network, packet: Uint8Array): void {
    this.packetsSent++
    network.send(packet, this.now)
  }
}

/** A message that shows its number and length anywhere in it. */
export function numbered(number: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length)
  for (let i = 0; i < length; i++) bytes[i] = number * 31 + i * 7 + (i >> 8)
  return bytes
}

export const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
