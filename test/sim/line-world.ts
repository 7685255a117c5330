// The layer below sessions by itself: the client's KCP lines and a gateway's conversations on the network of a seed, bytes
// both ways, frames beside them. Judged more strictly than a session could: as long as nobody ends it and the weather leaves
// anything through, a sealed line lives; its bytes arrive as they were written, in order; a frame beside them at most once;
// nobody who has not proved an address is sent more than came from there; and at the end nothing is left over.
import { code } from '../../protocols/codes.ts'
import type { Carrier, CarrierEvents } from '../../gateway/seams.ts'
import { DatagramWire, type WireEvents } from './client-wire.ts'
import { Clock } from './clock.ts'
import { DatagramNetwork } from './datagram-network.ts'
import { Violation } from './ledger.ts'
import type { UdpProfile } from './profile.ts'
import { Random } from './random.ts'
import type { UdpWorld } from './udp-faults.ts'
import { startUdpFaults } from './udp-faults.ts'
import { UdpPort } from './udp-port.ts'
import { lineOptionsOf } from './udp-sides.ts'

const GATEWAY = 'g1'
const TROUBLE_MS = 6000
/** Longest time for everything to arrive once the network is well. */
const QUIET_WITHIN_MS = 30_000
/** A line that was closed waits a second; a gateway that was not told so, until a conversation is dead. */
const GONE_WITHIN_MS = 10 * 60_000
const EVENTS_MAX = 200_000
const PIECE_BYTES_MAX = 6000
const STALL_MS_MAX = 1500
const WELL = { loss: 0, twice: 0, corrupt: 0, latencyMs: 5, jitterMs: 0 }
/** As the SDK's carrier has it: what is not open by then is dialed anew. */
const OPEN_MS = 4500
const HEARTBEAT_MS = 3000
const BARE = new TextEncoder().encode('beside ')

export class LineWorld implements UdpWorld {
  readonly clock = new Clock()
  readonly random: Random
  readonly datagrams: DatagramNetwork
  readonly udp: UdpProfile
  readonly faults: Record<string, number> = {}
  isQuiet = false
  bytes = 0
  readonly #lines: Line[] = []
  readonly #port: UdpPort
  readonly #ends: GatewayEnd[] = []

  constructor(seed: number, udp: UdpProfile) {
    this.random = new Random(seed ^ 0x11e5)
    this.udp = udp
    this.datagrams = new DatagramNetwork(this.clock, this.random, udp.weather, udp.isSealed)
    this.#port = new UdpPort(this, {
      name: GATEWAY,
      whenRunning: (run) => run(),
      accept: (carrier) => this.#accept(carrier),
    })
  }

  wallNow(): number {
    return 1_700_000_000_000 + Math.floor(this.clock.now)
  }

  run(): void {
    for (let i = this.random.between(1, 3); i > 0; i--) this.#lines.push(new Line(this))
    startUdpFaults(this, {
      gateways: () => [GATEWAY],
      // The peer of a plain conversation is known by its address: a change is its end.
      rebind: () => this.udp.isSealed && this.random.pick(this.#lines).rebind(),
    })
    this.#steps(TROUBLE_MS)
    this.isQuiet = true
    this.datagrams.weather = WELL
    for (const end of this.#ends) end.goOn()
    const until = this.clock.now + QUIET_WITHIN_MS
    while (!this.#lines.every((line) => line.isThrough)) {
      if (this.clock.now >= until)
        throw new Violation(`not through: ${this.#lines.map((line) => line.state).join('; ')}`)
      this.#steps(100)
    }
    // Nobody is deaf any more: the word of the end is not repeated (DGM-8.1).
    this.#steps(STALL_MS_MAX)
    for (const line of this.#lines) line.close()
    // Plain KCP ends in silence (KCP-7.4), which only the core's heartbeats would notice.
    if (!this.udp.isSealed) for (const end of this.#ends) end.giveUp()
    this.#steps(GONE_WITHIN_MS)
    if (this.#port.connections > 0) throw new Violation(`${this.#port.connections} conversations are left over`)
    if (this.#port.unconfirmed > 0) throw new Violation(`${this.#port.unconfirmed} handshakes are left over`)
    if (this.clock.pending > 0) throw new Violation(`${this.clock.pending} things are still to be done`)
  }

  #steps(ms: number): void {
    let events = 0
    this.clock.run(this.clock.now + ms, () => {
      if (Violation.first !== undefined) throw Violation.first
      if (++events > EVENTS_MAX) throw new Violation(`${EVENTS_MAX} events within ${ms} ms: somebody spins`)
    })
  }

  /** A new conversation: whose it is, its first bytes tell. */
  #accept(carrier: Carrier): CarrierEvents {
    const end = new GatewayEnd(this, carrier, (name) => this.#lines[name])
    this.#ends.push(end)
    return end
  }

  get lineCount(): number {
    return this.#lines.length
  }
}

/** What one direction of one line carries: bytes that show where they belong. */
class Flow {
  readonly #salt: number
  written = 0
  read = 0

  constructor(salt: number) {
    this.#salt = salt
  }

  write(length: number): Uint8Array {
    const bytes = new Uint8Array(length)
    for (let i = 0; i < length; i++) bytes[i] = this.#at(this.written++)
    return bytes
  }

  take(bytes: Uint8Array): void {
    for (const byte of bytes) {
      if (this.read >= this.written) throw new Violation(`byte ${this.read} came, ${this.written} were written`)
      if (byte !== this.#at(this.read)) throw new Violation(`byte ${this.read} is not what was written`)
      this.read++
    }
  }

  get isThrough(): boolean {
    return this.read === this.written
  }

  #at(i: number): number {
    return (Math.imul(i + this.#salt, 0x9e3779b1) >>> 17) & 0xff
  }
}

/** Frames beside the stream, from one end. */
class Beside {
  readonly #arrived: Set<number> = new Set()
  #sent = 0

  next(): Uint8Array {
    return Uint8Array.from([...BARE, ++this.#sent >> 8, this.#sent & 0xff])
  }

  take(frame: Uint8Array): void {
    const n = (frame[BARE.length] << 8) | frame[BARE.length + 1]
    const isOurs = frame.length === BARE.length + 2 && BARE.every((byte, i) => frame[i] === byte)
    if (!isOurs || n < 1 || n > this.#sent) throw new Violation('a frame came that nobody sent')
    if (this.#arrived.has(n)) throw new Violation(`frame ${n} beside the stream came twice`)
    this.#arrived.add(n)
  }
}

class Line implements WireEvents {
  readonly up: Flow
  readonly down: Flow
  readonly besideUp = new Beside()
  readonly besideDown = new Beside()
  readonly #world: LineWorld
  readonly #name: number
  #wire: DatagramWire
  #openBy = 0
  #isOpen = false
  #isClosing = false
  /** The gateway's greeting, which a plain line waits for. */
  #skip: number

  constructor(world: LineWorld) {
    this.#world = world
    this.#skip = world.udp.isSealed ? 0 : GREETING.length
    this.#name = world.lineCount
    this.up = new Flow(world.random.u32())
    this.down = new Flow(world.random.u32())
    this.#wire = this.#dial()
    this.#act()
  }

  #dial(): DatagramWire {
    this.#openBy = this.#world.clock.now + OPEN_MS
    return new DatagramWire(this.#world, lineOptionsOf(this.#world, GATEWAY), this)
  }

  opened(): void {
    if (this.#isOpen) throw new Violation('opened twice')
    this.#isOpen = true
    this.#wire.write(Uint8Array.of(this.#name))
  }
  receive(bytes: Uint8Array): void {
    this.#world.bytes += bytes.length
    const from = Math.min(this.#skip, bytes.length)
    this.#skip -= from
    this.down.take(bytes.subarray(from))
  }
  receiveDatagram(frame: Uint8Array): void {
    this.besideDown.take(frame)
  }
  drained(): void {}
  stalled(): void {}
  closed(): void {
    if (this.#isClosing) return
    if (this.#isOpen) throw new Violation(`line ${this.#name} ended`)
    // A handshake may fail where the address changes faster than it goes.
    this.#wire = this.#dial()
  }

  rebind(): void {
    if (this.#world.random.chance(0.5)) this.#wire.rebind()
    else this.#wire.move()
  }

  close(): void {
    this.#isClosing = true
    this.#wire.close()
  }

  get isThrough(): boolean {
    return this.#isOpen && this.up.isThrough && this.down.isThrough && this.#wire.queuedBytes() === 0
  }

  get state(): string {
    const way = ({ read, written }: Flow) => `${read} of ${written}`
    return `line ${this.#name} ${this.#isOpen ? '' : 'not open '}up ${way(this.up)}, down ${way(this.down)}`
  }

  #act(): void {
    const { random, clock, isQuiet } = this.#world
    if (!this.#isOpen) {
      if (clock.now >= this.#openBy) this.#wire.close()
    } else if (isQuiet) {
      if (this.isThrough || this.#isClosing) return
      // As the core's heartbeat does: a client that its NAT has moved is found again when it speaks.
      this.#wire.write(this.up.write(1))
      clock.after(HEARTBEAT_MS, () => this.#act())
      return
    } else {
      if (random.chance(0.3)) this.#wire.writeDatagram(this.besideUp.next())
      else if (random.chance(0.02)) this.#wire.stall(random.between(100, STALL_MS_MAX))
      else this.#wire.write(this.up.write(random.between(1, random.chance(0.1) ? PIECE_BYTES_MAX : 100)))
    }
    clock.after(random.unit() * 60, () => this.#act())
  }
}

/** A conversation at the gateway: the first byte says whose it is. */
class GatewayEnd implements CarrierEvents {
  readonly #world: LineWorld
  readonly #carrier: Carrier
  readonly #lineOf: (name: number) => Line | undefined
  #line: Line | undefined
  #skip: number
  #isClosed = false

  constructor(world: LineWorld, carrier: Carrier, lineOf: (name: number) => Line | undefined) {
    this.#world = world
    this.#carrier = carrier
    this.#lineOf = lineOf
    // The PING with which a plain line says that it is here (KCP-7.3).
    this.#skip = world.udp.isSealed ? 0 : PING_BYTES
  }

  receive(bytes: Uint8Array): void {
    let from = Math.min(this.#skip, bytes.length)
    this.#skip -= from
    if (from > 0 && this.#skip === 0 && this.#line === undefined) this.#greet()
    if (this.#line === undefined && from < bytes.length) {
      this.#line = this.#lineOf(bytes[from++])
      if (this.#line === undefined) throw new Violation('bytes of nobody')
      this.#act()
    }
    if (from < bytes.length) this.#line!.up.take(bytes.subarray(from))
  }
  receiveDatagram(frame: Uint8Array): void {
    // Before the first byte of the stream nobody can say whose it is.
    this.#line?.besideUp.take(frame)
  }
  /** As a client that has proved who it is: a stranger would be sent little. */
  get isLoggedIn(): boolean {
    return this.#line !== undefined
  }
  drained(): void {}
  closed(): void {
    this.#isClosed = true
    if (!this.#world.isQuiet && this.#line !== undefined) throw new Violation('a conversation ended at the gateway')
  }

  goOn(): void {
    if (!this.#isClosed) this.#carrier.resume()
  }

  giveUp(): void {
    this.#carrier.close(code.idle, '')
  }

  /** Without a handshake the client waits for a word of ours; it is none of the stream that is compared. */
  #greet(): void {
    this.#carrier.write(GREETING)
  }

  #act(): void {
    const { random, clock, isQuiet } = this.#world
    if (this.#isClosed || isQuiet) return
    const line = this.#line!
    if (random.chance(0.3)) this.#carrier.datagram?.(line.besideDown.next())
    else if (random.chance(0.05)) {
      this.#carrier.pause()
      clock.after(random.between(10, 800), () => this.goOn())
    } else this.#carrier.write(line.down.write(random.between(1, random.chance(0.1) ? PIECE_BYTES_MAX : 100)))
    clock.after(random.unit() * 60, () => this.#act())
  }
}

const PING_BYTES = 4
const GREETING = Uint8Array.of(0)
