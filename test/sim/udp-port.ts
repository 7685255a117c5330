// A gateway's UDP port in the simulator: the real conversations (plain or sealed), in virtual time.
import { DatagramCounters } from '../../gateway/datagram-counters.ts'
import type { DatagramEnvironment } from '../../gateway/kcp-carriers.ts'
import type { PlainKcp } from '../../gateway/plain-kcp.ts'
import { SealedKcp } from '../../gateway/sealed-kcp.ts'
import type { CarrierEvents, Carrier } from '../../gateway/seams.ts'
import type { Due } from './clock.ts'
import { conversationsOf } from './udp-sides.ts'
import type { UdpWorld } from './udp-faults.ts'

/** What the port needs of the gateway that it belongs to. */
export interface UdpHome {
  readonly name: string
  /** Runs now, or when the process goes on; never after its death. */
  whenRunning(run: () => void): void
  accept(carrier: Carrier, now: number): CarrierEvents
}

export class UdpPort implements DatagramEnvironment {
  readonly counters = new DatagramCounters()
  readonly #world: UdpWorld
  readonly #home: UdpHome
  readonly #conversations: PlainKcp | SealedKcp
  #timer: Due | undefined
  #isFlushDue = false
  #isClosed = false

  constructor(world: UdpWorld, home: UdpHome) {
    this.#world = world
    this.#home = home
    this.#conversations = conversationsOf(world, home.name, this, this.counters)
    world.datagrams.bind(home.name, (from, bytes) => home.whenRunning(() => this.#receive(from, bytes)))
  }

  /** The process is gone; nothing is said to anybody. */
  kill(): void {
    this.#isClosed = true
    this.#world.datagrams.unbind(this.#home.name)
    this.#world.clock.cancel(this.#timer)
  }

  get connections(): number {
    return this.#conversations.carriers.open.size
  }

  /** Handshakes that nobody has confirmed. */
  get unconfirmed(): number {
    return this.#conversations instanceof SealedKcp ? this.#conversations.unconfirmed : 0
  }

  #receive(from: string, bytes: Uint8Array): void {
    const gap = from.indexOf(' ')
    this.#conversations.receive(from.slice(0, gap), Number(from.slice(gap + 1)), bytes, 0, bytes.length, this.now())
    this.#arm()
  }

  // ---- what conversations ask for ----

  now(): number {
    return this.#world.clock.now
  }
  randomBytes(length: number): Uint8Array {
    return this.#world.random.bytes(length)
  }
  send(bytes: Uint8Array, start: number, end: number, ip: string, port: number): void {
    if (!this.#isClosed) this.#world.datagrams.send(this.#home.name, `${ip} ${port}`, bytes.subarray(start, end))
  }
  scheduleFlush(): void {
    if (this.#isFlushDue) return
    this.#isFlushDue = true
    this.#world.clock.at(this.now(), () => {
      this.#isFlushDue = false
      this.#home.whenRunning(() => {
        this.#conversations.carriers.flush(this.now())
        this.#arm()
      })
    })
  }
  enter(): boolean {
    return true
  }
  left(): void {}
  accept(carrier: Carrier, now: number): CarrierEvents {
    return this.#home.accept(carrier, now)
  }

  #arm(): void {
    if (this.#isClosed) return
    const at = this.#conversations.deadline()
    if (this.#timer !== undefined && !this.#timer.dead && this.#timer.at <= at) return
    this.#world.clock.cancel(this.#timer)
    this.#timer = undefined
    if (at === Infinity) return
    this.#timer = this.#world.clock.at(at, () => {
      this.#timer = undefined
      this.#home.whenRunning(() => {
        this.#conversations.tick(this.now())
        this.#arm()
      })
    })
  }
}
