// A gateway core with everything around it in memory: carriers that keep what is written, clients and hosts that speak in
// hand-written frames, time that moves when told. Nothing here waits.
import { createHash, createHmac } from 'node:crypto'
import type { Settings } from '../../config/settings.ts'
import type { GatewayEvent } from '../../gateway/events.ts'
import { Gateway } from '../../gateway/gateway.ts'
import type { Carrier, CarrierEvents, Entrance, GatewayEnvironment, LoginResult } from '../../gateway/seams.ts'
import { resumeProof } from '../../gateway/tickets.ts'
import type { Attach, Attached, Welcome } from '../../protocols/client/frames.ts'
import * as client from '../../protocols/client/frames.ts'
import type { LinkAttach, LinkHello, Open, ServiceOffer } from '../../protocols/link/frames.ts'
import * as link from '../../protocols/link/frames.ts'
import { linkProof } from '../../protocols/link/proof.ts'
import { KIND_MASK, LaneFrame, laneKind, readLaneBody, readLaneHeader } from '../../protocols/wire/lane-frames.ts'
import { FrameSplitter } from '../../protocols/wire/splitter.ts'
import { Writer } from '../../protocols/wire/writer.ts'

export const { clientKind } = client
export const { linkKind } = link
export const EMPTY: Uint8Array = new Uint8Array(0)
export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
export const text = (data: Uint8Array): string => new TextDecoder().decode(data)

export function testSettings(change: Partial<Settings> = {}): Settings {
  return {
    name: 'g1',
    listeners: [],
    hosts: [host('h1')],
    services: [
      { name: 'arena', keys: 'any', whenAway: 'park' },
      { name: 'chat', keys: 'user', whenAway: 'reject' },
    ],
    routes: [
      { match: 'arena.slow', service: 'arena', rate: { perSecond: 10, burst: 2 } },
      { match: 'arena.small', service: 'arena', payloadBytesMax: 8 },
      { match: 'arena.*', service: 'arena' },
      { match: 'chat.*', service: 'chat' },
    ],
    auth: { kind: 'development' },
    stateDir: '',
    linkKey: 'between us',
    limits: {
      windowCount: 256,
      windowBytes: 65_536,
      channelsPerSession: 16,
      connectionBytesMax: 524_288,
      grantedBytesMax: 262_144,
      replyBytesMax: 65_536,
      queueBytesMax: 64 * 1024 * 1024,
      linkBytesMax: 1024 * 1024,
      connectionsMax: 1000,
      frameBytesMax: 65_536,
      handshakeFrameBytesMax: 12_288,
      parkedMax: 100,
      looseReplyBytesMax: 1024 * 1024,
    },
    times: {
      handshakeMs: 5000,
      heartbeatMs: 10_000,
      keepMs: 120_000,
      parkMaxMs: 30_000,
      backoffMaxMs: 5000,
      drainMs: 10_000,
      authUntilMs: 12 * 3_600_000,
      linkHeartbeatMs: 5000,
      linkFlushDelayMs: 0,
      goneAfterMs: 120_000,
    },
    admin: { enabled: false, host: '127.0.0.1', port: 0 },
    log: { level: 'info', format: 'json' },
    reload: { watch: false, rollbackWithinMs: 0 },
    ...change,
  }
}

export function host(name: string, weight = 1): Settings['hosts'][number] {
  return { name, address: `${name}:1`, security: 'none', weight, labels: {} }
}

/** Bytes out of a counter and a seed: every run the same. */
function randomness(seed: string): (length: number) => Uint8Array {
  let count = 0
  return (length) => {
    const parts: Buffer[] = []
    for (let got = 0; got < length; got += 32) {
      parts.push(createHash('sha256').update(`${seed} ${count++}`).digest())
    }
    return new Uint8Array(Buffer.concat(parts).subarray(0, length))
  }
}

export const hmac = (key: Uint8Array, ...parts: Uint8Array[]): Uint8Array => {
  const mac = createHmac('sha256', key)
  for (const part of parts) mac.update(part)
  return new Uint8Array(mac.digest())
}

/** Seals by a MAC under a key with a one-byte id; hides nothing, which no test needs. */
export class TestSealer {
  keyId = 1

  seal(context: string, plain: Uint8Array): Uint8Array {
    const mac = this.#mac(this.keyId, context, plain)
    return new Uint8Array([this.keyId, ...mac, ...plain])
  }

  open(context: string, sealed: Uint8Array): { plain: Uint8Array } | { code: number } {
    if (sealed.length < 9) return { code: 503 }
    if (sealed[0] !== this.keyId) return { code: 11 }
    const plain = sealed.slice(9)
    const mac = this.#mac(sealed[0], context, plain)
    return mac.every((byte, i) => byte === sealed[i + 1]) ? { plain } : { code: 503 }
  }

  #mac(id: number, context: string, plain: Uint8Array): Uint8Array {
    return hmac(new Uint8Array([id]), bytes(context), plain).subarray(0, 8)
  }
}

export class TestCarrier implements Carrier {
  readonly transport = 'test'
  readonly address: string
  binding: Uint8Array = EMPTY
  events: CarrierEvents | undefined
  /** What the peer has got, and what waits while it does not read. */
  readonly got: Uint8Array[] = []
  queued: Uint8Array[] = []
  isReading = true
  isPaused = false
  writes = 0
  closedWith: number | undefined
  isDestroyed = false
  datagrams: Uint8Array[] | undefined
  datagram: ((frame: Uint8Array) => boolean) | undefined

  constructor(address: string) {
    this.address = address
  }

  write(batch: Uint8Array): void {
    if (this.closedWith !== undefined || this.isDestroyed) throw new Error('written to after its end')
    this.writes++
    if (this.isReading) this.got.push(batch.slice())
    else this.queued.push(batch.slice())
  }
  queuedBytes(): number {
    return this.queued.reduce((sum, batch) => sum + batch.length, 0)
  }
  pause(): void {
    this.isPaused = true
  }
  resume(): void {
    this.isPaused = false
  }
  close(code: number): void {
    this.closedWith = code
  }
  destroy(): void {
    this.isDestroyed = true
    this.queued = []
  }
  read(now: number): void {
    this.isReading = true
    this.got.push(...this.queued.splice(0))
    this.events?.drained(now)
  }
}

export type Frame = { kind: number; raw: Uint8Array; lane?: LaneFrame; payload?: string }

/** One side of a carrier: decodes what the gateway wrote, sends frames by a writer. */
class Peer {
  readonly world: World
  readonly carrier: TestCarrier
  readonly w = new Writer()
  readonly frames: Frame[] = []
  readonly #splitter = new FrameSplitter(1 << 24)

  constructor(world: World, address: string) {
    this.world = world
    this.carrier = new TestCarrier(address)
  }

  /** Sends what was written to `w`, and lets the gateway finish its turn. */
  send(): this {
    this.raw(this.w.drain())
    return this
  }

  raw(data: Uint8Array): void {
    this.carrier.events!.receive(data, this.world.now)
    this.world.turn()
  }

  /** The frames that came since the last call. */
  take(): Frame[] {
    for (const batch of this.carrier.got.splice(0)) {
      this.#splitter.receive(batch, {
        frame: (data, start, end) => {
          this.frames.push(decode(data.slice(start, end)))
          return true
        },
      })
    }
    return this.frames.splice(0)
  }

  /** The frames of one kind that came since the last call; all others are forgotten. */
  only(kind: number): Frame[] {
    return this.take().filter((frame) => frame.kind === kind)
  }

  kinds(): number[] {
    return this.take().map((frame) => frame.kind)
  }
}

function decode(raw: Uint8Array): Frame {
  const kind = raw[0] & KIND_MASK
  if (kind < laneKind.oneway || kind > laneKind.unreliable) return { kind, raw }
  const lane = new LaneFrame()
  if (!readLaneHeader(lane, raw, 0, raw.length) || !readLaneBody(lane)) throw new Error('malformed lane frame')
  return { kind, raw, lane, payload: text(lane.payload()) }
}

const reader = (frame: Frame) => client.openFrame(frame.raw, 0, frame.raw.length)!

export const read = {
  hello: (f: Frame) => client.readHello(reader(f))!,
  welcome: (f: Frame) => client.readWelcome(reader(f))!,
  ticket: (f: Frame) => client.readTicket(reader(f))!,
  attached: (f: Frame) => client.readAttached(reader(f))!,
  reset: (f: Frame) => client.readReset(reader(f))!,
  stale: (f: Frame) => client.readStale(reader(f))!,
  answer: (f: Frame) => client.readAnswer(reader(f))!,
  detached: (f: Frame) => client.readDetached(reader(f))!,
  close: (f: Frame) => client.readClose(reader(f))!,
  route: (f: Frame) => client.readRoute(reader(f))!,
  pair: (f: Frame) => client.readPair(reader(f))!,
  number: (f: Frame) => client.readNumber(reader(f))!,
  join: (f: Frame) => client.readJoin(reader(f))!,
  invite: (f: Frame) => client.readInvite(reader(f))!,
  published: (f: Frame) => client.readPublished(reader(f))!,
  looseReply: (f: Frame) => client.readLooseReply(reader(f))!,
  linkHello: (f: Frame) => link.readLinkHello(reader(f))!,
  linkProof: (f: Frame) => link.readLinkProof(reader(f))!,
  linkAttach: (f: Frame) => link.readLinkAttach(reader(f))!,
  closeHandle: (f: Frame) => link.readCloseHandle(reader(f))!,
  locate: (f: Frame) => link.readLocate(reader(f))!,
  located: (f: Frame) => link.readLocated(reader(f))!,
  linkInvite: (f: Frame) => link.readLinkInvite(reader(f))!,
  linkLoose: (f: Frame) => link.readLinkLoose(reader(f))!,
  kick: (f: Frame) => link.readKick(reader(f))!,
  broadcast: (f: Frame) => link.readBroadcast(reader(f))!,
}

export class TestClient extends Peer {
  nonce: Uint8Array = EMPTY
  welcome: Welcome | undefined
  readonly pins = new Map<number, Uint8Array>()

  hello(): this {
    this.nonce = read.hello(this.only(clientKind.hello)[0]).nonce
    return this
  }

  login(user: string): this {
    this.hello()
    client.writeLogin(this.w, { version: 1, token: bytes(user), agent: 'test' })
    this.send()
    this.welcome = read.welcome(this.only(clientKind.welcome)[0])
    return this
  }

  resume(ticket: Uint8Array, secret: Uint8Array): this {
    this.hello()
    const proof = resumeProof(hmac, secret, this.nonce, this.carrier.binding)
    client.writeResume(this.w, { version: 1, proof, ticket, agent: 'test' })
    return this.send()
  }

  route(number: number, name: string): this {
    client.writeRoute(this.w, clientKind.route, number, name)
    return this.send()
  }

  attach(change: Partial<Attach> = {}): this {
    client.writeAttach(this.w, {
      alias: 0,
      epoch: 1,
      ticketGeneration: this.welcome?.generation ?? 1,
      service: 'arena',
      key: 'room',
      pin: EMPTY,
      end: 77n,
      life: 0n,
      received: 0,
      settled: 0,
      acked: 0,
      sent: 0,
      groups: [],
      ...change,
    })
    return this.send()
  }
}

export class TestHost extends Peer {
  name: string
  routes = 0
  hello: LinkHello | undefined
  nonce: Uint8Array = bytes('0123456789abcdef')

  constructor(world: World, name: string) {
    super(world, name)
    this.name = name
  }

  open(offers: ServiceOffer[], key: string, instance: bigint, serial: number): this {
    this.hello = read.linkHello(this.only(linkKind.hello)[0])
    const services = offers
    const { name, nonce } = this
    link.writeLinkHello(this.w, { versionMin: 1, versionMax: 1, nonce, name, instance, serial, services, labels: {} })
    const own = { nonce, name }
    const theirs = { nonce: this.hello.nonce, name: this.hello.name }
    link.writeLinkProof(this.w, linkProof(hmac, bytes(key), 'host', own, theirs))
    return this.send()
  }

  /** The LINK_ATTACHes that came. */
  attaches(): LinkAttach[] {
    return this.only(linkKind.attach).map(read.linkAttach)
  }

  attached(a: LinkAttach, change: Partial<Attached> = {}): this {
    client.writeAttached(this.w, {
      channel: a.handle,
      epoch: a.epoch,
      life: a.life === 0n ? 7n : a.life,
      received: 0,
      settled: 0,
      refused: [],
      quietForMs: 0,
      windowCount: 256,
      windowBytes: 65_536,
      pin: EMPTY,
      ...change,
    })
    return this.send()
  }

  route(number: number, name: string): this {
    client.writeRoute(this.w, linkKind.route, number, name)
    return this.send()
  }

  closeHandle(handle: number, code = 0, hostName = ''): this {
    link.writeCloseHandle(this.w, { handle, code, retryMs: 0, host: hostName })
    return this.send()
  }

  openTo(change: Partial<Open>): this {
    link.writeOpen(this.w, {
      handle: 1,
      epoch: 1,
      from: 'arena/a',
      service: 'arena',
      key: 'b',
      pin: EMPTY,
      end: 77n,
      life: 0n,
      received: 0,
      settled: 0,
      acked: 0,
      sent: 0,
      ...change,
    })
    return this.send()
  }
}

export const offers: ServiceOffer[] = [
  { name: 'arena', weight: 1, keys: 1, park: true },
  { name: 'chat', weight: 1, keys: 0, park: false },
]

export class World {
  now = 1000
  wall = 1_700_000_000_000
  readonly sealer = new TestSealer()
  readonly events: GatewayEvent[] = []
  readonly dialled: string[] = []
  logins: ((token: string, done: (result: LoginResult) => void) => void) | undefined
  readonly gateway: Gateway
  #flushDue = false
  flushesAsked = 0
  linkFlushesAsked = 0

  constructor(change: Partial<Settings> = {}, numberBits?: number) {
    const settings = testSettings(change)
    const env: GatewayEnvironment = {
      now: () => this.now,
      wallNow: () => this.wall,
      randomBytes: randomness('world'),
      hmac,
      sealer: this.sealer,
      authenticator: {
        login: (token, _address, done) => {
          if (this.logins !== undefined) this.logins(text(token), done)
          else if (text(token) === 'nobody') done({ ok: false, code: 502, text: 'unknown user' })
          else done({ ok: true, user: text(token), labels: { group: 'blue' } })
        },
      },
      scheduleFlush: () => {
        this.flushesAsked++
        this.#flushDue = true
      },
      scheduleLinkFlush: () => void this.linkFlushesAsked++,
      dial: (name) => this.dialled.push(name),
      observe: (event) => this.events.push(event),
    }
    this.gateway = new Gateway(settings, env, { numberBits })
  }

  /** Ends turns until nothing asks for another. */
  turn(): void {
    while (this.#flushDue) {
      this.#flushDue = false
      this.gateway.flush(this.now)
    }
  }

  /** Lets time pass, ticking exactly when the gateway wants it. */
  pass(ms: number): void {
    const until = this.now + ms
    while (this.gateway.deadline() <= until) {
      this.#advance(Math.max(this.now, this.gateway.deadline()))
      this.gateway.tick(this.now)
      this.turn()
    }
    this.#advance(until)
  }

  /** Time passes without a tick: the process stands still. */
  stall(ms: number): void {
    this.#advance(this.now + ms)
    this.gateway.tick(this.now)
    this.turn()
  }

  #advance(to: number): void {
    this.wall += to - this.now
    this.now = to
  }

  client(address = '192.0.2.1', entrance?: Entrance): TestClient {
    const peer = new TestClient(this, address)
    peer.carrier.events = this.gateway.accept(peer.carrier, this.now, entrance)
    this.turn()
    return peer
  }

  /** A host's link before its handshake. */
  dial(name: string): TestHost {
    const peer = new TestHost(this, name)
    peer.carrier.events = this.gateway.linkOpened(name, peer.carrier, this.now)
    this.turn()
    return peer
  }

  host(name = 'h1', instance = 1n, serial = 1, services = offers): TestHost {
    const peer = this.dial(name).open(services, this.gateway.settings.linkKey ?? '', instance, serial)
    peer.take()
    return peer
  }

  event<T extends GatewayEvent['event']>(name: T): Extract<GatewayEvent, { event: T }>[] {
    return this.events.filter((event) => event.event === name) as Extract<GatewayEvent, { event: T }>[]
  }
}

/** A client whose channel on alias 0 is attached to the host, routes 0 `arena.move` and 1 `arena.slow` announced. */
export function attachedPair(world: World, key = 'room', h: TestHost = world.host()) {
  const c = world.client().login('ann')
  c.attach({ key })
  const a = h.attaches()[0]
  h.attached(a)
  const answer = read.attached(c.take().find((frame) => frame.kind === clientKind.attached)!)
  c.route(0, 'arena.move').route(1, 'arena.slow').route(2, 'arena.small')
  return { client: c, host: h, handle: a.handle, attach: a, pin: answer.pin }
}
