// A table of conversations (plain-kcp.ts, sealed-kcp.ts) in virtual time, with clients and enemies at any address. What is
// sent is counted by address and reaches who is there after 20 ms; what a client of the core would hear is kept as text.
import { DatagramCounters, type DatagramDropReason, datagramDropReasons } from '../../gateway/datagram-counters.ts'
import type { KcpCarrier } from '../../gateway/kcp-carrier.ts'
import type { DatagramEnvironment } from '../../gateway/kcp-carriers.ts'
import { PlainKcp } from '../../gateway/plain-kcp.ts'
import { SealedKcp } from '../../gateway/sealed-kcp.ts'
import type { Carrier, CarrierEvents } from '../../gateway/seams.ts'
import { HandshakeLimit } from '../../policies/handshake-limit.ts'
import { type KcpSettings, kcpSettings } from '../../protocols/kcp/settings.ts'
import type { KeyPair } from '../../protocols/secure/crypto.ts'
import { SEALED_CONV } from '../../protocols/secure/datagram-codec.ts'
import { Responder } from '../../protocols/secure/handshakes.ts'
import { type Envelope, PlainEnvelope } from '../../sdk/client/envelope.ts'
import { KcpLine } from '../../sdk/client/kcp-line.ts'
import { SealedEnvelope } from '../../sdk/client/sealed-envelope.ts'
import { native, pairOf } from '../protocols/secure/keys.ts'
import { Random } from '../sim/random.ts'

const DELAY_MS = 20
const STEP_MS = 5
const LOG_MAX = 1000
export const fast = kcpSettings('fast', { mtu: 1170, stream: true, peerMtu: 1500, sendBytesMax: 1024 * 1024 })

/** What the core would be to one client. */
export class Heard implements CarrierEvents {
  readonly carrier: KcpCarrier
  text = ''
  readonly bare: string[] = []
  isLoggedIn = false
  ends = 0
  drains = 0
  onReceive: () => void = () => {}

  constructor(carrier: Carrier) {
    this.carrier = carrier as KcpCarrier
  }

  receive(bytes: Uint8Array): void {
    this.text += Buffer.from(bytes).toString()
    this.onReceive()
  }

  receiveDatagram(frame: Uint8Array): void {
    this.bare.push(Buffer.from(frame).toString())
  }

  drained(): void {
    this.drains++
  }

  closed(): void {
    this.ends++
  }

  say(text: string): void {
    this.carrier.write(Buffer.from(text))
  }
}

type Table = PlainKcp | SealedKcp
type Flying = { at: number; ip: string; port: number; isUp: boolean; bytes: Uint8Array }

export class DatagramWorld<T extends Table> implements DatagramEnvironment {
  readonly table: T
  readonly counters = new DatagramCounters()
  readonly heard: Heard[] = []
  readonly random = new Random(7)
  readonly clients: Client[] = []
  readonly bytesIn = new Map<string, number>()
  readonly bytesOut = new Map<string, number>()
  /** The first datagrams that were sent. */
  readonly log: string[] = []
  time = 1000
  wallTime = 1_700_000_000_000
  entered = 0
  enteredMax = Infinity
  /** Which of the datagrams that are sent get lost. */
  loses: (bytes: Uint8Array) => boolean = () => false
  /** What the core says first, as it says HELLO. */
  greeting = 'hi '
  #flying: Flying[] = []
  #isFlushAsked = false
  #greeted: Heard[] = []

  constructor(make: (world: DatagramWorld<T>) => T) {
    this.table = make(this)
  }

  // ---- what the table asks for ----

  now(): number {
    return this.time
  }

  randomBytes(length: number): Uint8Array {
    return this.random.bytes(length)
  }

  send(bytes: Uint8Array, start: number, end: number, ip: string, port: number): void {
    if (this.loses(bytes.subarray(start, end))) return
    add(this.bytesOut, `${ip} ${port}`, end - start)
    if (this.log.length < LOG_MAX) this.log.push(Buffer.from(bytes.subarray(start, end)).toString('hex'))
    this.#flying.push({ at: this.time + DELAY_MS, ip, port, isUp: false, bytes: bytes.slice(start, end) })
  }

  scheduleFlush(): void {
    this.#isFlushAsked = true
  }

  enter(): boolean {
    if (this.entered >= this.enteredMax) return false
    this.entered++
    return true
  }

  left(): void {
    this.entered--
  }

  accept(carrier: Carrier): CarrierEvents {
    const heard = new Heard(carrier)
    this.heard.push(heard)
    if (this.greeting !== '') this.#greeted.push(heard)
    return heard
  }

  // ---- what happens ----

  /** One datagram from anywhere, now. */
  inject(ip: string, port: number, bytes: Uint8Array): void {
    add(this.bytesIn, `${ip} ${port}`, bytes.length)
    this.table.receive(ip, port, bytes, 0, bytes.length, this.time)
  }

  fly(ip: string, port: number, bytes: Uint8Array): void {
    this.#flying.push({ at: this.time + DELAY_MS, ip, port, isUp: true, bytes })
  }

  turn(): void {
    for (const heard of this.#greeted.splice(0)) heard.say(this.greeting)
    if (!this.#isFlushAsked) return
    this.#isFlushAsked = false
    this.table.carriers.flush(this.time)
  }

  pass(ms: number): void {
    for (const end = this.time + ms; this.time < end; ) {
      this.time += STEP_MS
      this.wallTime += STEP_MS
      const due = this.#flying.filter(({ at }) => at <= this.time)
      this.#flying = this.#flying.filter(({ at }) => at > this.time)
      for (const { ip, port, isUp, bytes } of due) {
        if (isUp) this.inject(ip, port, bytes)
        else for (const client of this.clients) if (client.ip === ip && client.port === port) client.take(bytes)
      }
      for (const client of this.clients) client.line.pump(this.time)
      if (this.table.deadline() <= this.time) this.table.tick(this.time)
      this.turn()
    }
  }

  dropped(reason: DatagramDropReason | `kcp_${string}`): number {
    return this.counters.drops[datagramDropReasons.indexOf(reason)]
  }

  get droppedInAll(): number {
    return this.counters.drops.reduce((sum, count) => sum + count)
  }
}

/** A client of the SDK at an address. */
export class Client {
  ip: string
  port: number
  readonly line: KcpLine
  text = ''
  readonly bare: string[] = []
  binding: Uint8Array = new Uint8Array(0)
  isClosed = false
  /** Every datagram that it has sent. */
  readonly sent: Uint8Array[] = []
  readonly #world: DatagramWorld<Table>

  constructor(world: DatagramWorld<never>, ip: string, port: number, envelope: Envelope, conv: number) {
    this.#world = world
    this.ip = ip
    this.port = port
    const sink = {
      send: (datagram: Uint8Array) => {
        const bytes = datagram.slice()
        this.sent.push(bytes)
        this.#world.fly(this.ip, this.port, bytes)
      },
      opened: (binding: Uint8Array) => {
        this.binding = binding
      },
      received: (bytes: Uint8Array) => {
        this.text += Buffer.from(bytes).toString()
      },
      bare: (frame: Uint8Array) => void this.bare.push(Buffer.from(frame).toString()),
      drained() {},
      stalled() {},
      closed: () => {
        this.isClosed = true
      },
    }
    this.line = new KcpLine(conv, fast, envelope, sink, world.time)
    this.#world.clients.push(this)
    this.line.pump(world.time)
  }

  take(bytes: Uint8Array): void {
    this.line.receive(bytes, this.#world.time)
  }

  say(text: string): void {
    this.line.write(Buffer.from(text), this.#world.time)
  }
}

export const plainWorld = (settings: KcpSettings = fast, strangersMax?: number) =>
  new DatagramWorld<PlainKcp>((world) => new PlainKcp(world, world.counters, settings, strangersMax))

export const plainClient = (world: DatagramWorld<PlainKcp>, ip: string, port: number, conv = 77) =>
  new Client(world as never, ip, port, new PlainEnvelope(), conv)

export class Keys {
  pairs: KeyPair[]
  /** Other gateways have them, too. */
  isCluster = true
  #responder: Responder | undefined

  constructor(...letters: string[]) {
    this.pairs = letters.map((letter) => pairOf(native, letter))
  }

  change(...letters: string[]): void {
    this.pairs = letters.map((letter) => pairOf(native, letter))
    this.#responder = undefined
  }

  responder(): Responder | undefined {
    const [identity, previous] = this.pairs
    if (identity !== undefined)
      this.#responder ??= new Responder({ crypto: native, identity, previous, transport: 'udp' })
    return this.#responder
  }

  isShared(): boolean {
    return this.isCluster
  }

  secrets(): Uint8Array[] {
    return this.pairs.map(({ secret }) => secret)
  }
}

export const sealedWorld = (identity = new Keys('g'), gateway = 3, settings: KcpSettings = fast) =>
  new DatagramWorld<SealedKcp>(
    (world) =>
      new SealedKcp(world, world.counters, settings, {
        identity,
        wallNow: () => world.wallTime,
        limit: new HandshakeLimit(7),
        resets: new HandshakeLimit(11),
        gateway,
        worker: 0,
      }),
  )

export const sealedClient = (world: DatagramWorld<SealedKcp>, ip: string, port: number, letter = 'g') => {
  const random = (length: number) => world.random.bytes(length)
  const gatewayKey = pairOf(native, letter).publicKey
  const envelope = new SealedEnvelope({ crypto: native, gatewayKey, random }, world.time)
  return new Client(world as never, ip, port, envelope, SEALED_CONV)
}

function add(counts: Map<string, number>, address: string, bytes: number): void {
  counts.set(address, (counts.get(address) ?? 0) + bytes)
}
