// A host core in memory and gateways that say exactly what a test writes: time is a number, links are byte arrays, and
// what the host wrote is read back frame by frame.
import { createHmac } from 'node:crypto'
import {
  openFrame,
  readAnswer,
  readAttached,
  readClose,
  readJoin,
  readLooseReply,
  readPair,
  readReset,
  readRoute,
  readStale,
  writeAnswer,
  writePair,
  writeRoute,
} from '../../../protocols/client/frames.ts'
import type { LinkAttach } from '../../../protocols/link/frames.ts'
import {
  linkKind,
  readBroadcast,
  readCloseHandle,
  readKick,
  readLinkHello,
  readLinkInvite,
  readLinkLoose,
  readLinkProof,
  readLocate,
  readLocated,
  readNotHere,
  readOpen,
  readPublish,
  writeCloseHandle,
  writeLinkAttach,
  writeLinkHello,
  writeLinkProof,
  writeLocated,
} from '../../../protocols/link/frames.ts'
import { linkProof } from '../../../protocols/link/proof.ts'
import {
  KIND_MASK,
  LaneFrame,
  laneKind,
  readLaneBody,
  readLaneHeader,
  writeAck,
  writeFin,
  writeOneway,
  writeReply,
  writeRequest,
} from '../../../protocols/wire/lane-frames.ts'
import type { Reader } from '../../../protocols/wire/reader.ts'
import { FrameSplitter } from '../../../protocols/wire/splitter.ts'
import { Writer } from '../../../protocols/wire/writer.ts'
import { HostCore } from '../../../sdk/host/core.ts'
import type { HostOptions } from '../../../sdk/host/options.ts'
import type { Service } from '../../../sdk/host/service.ts'

export const hmac = (key: Uint8Array, ...parts: Uint8Array[]): Uint8Array => {
  const h = createHmac('sha256', key)
  for (const part of parts) h.update(part)
  return h.digest()
}

export const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)
export const text = (bytes: unknown): string => new TextDecoder().decode(bytes as Uint8Array)

/** A thenable that settles when the test says so, without a turn of the event loop in between. */
export class Later {
  #ok: (value: unknown) => void = () => {}
  #fail: (error: unknown) => void = () => {}

  // biome-ignore lint/suspicious/noThenProperty: what handlers return may be any thenable
  then(ok: (value: unknown) => void, fail: (error: unknown) => void): void {
    this.#ok = ok
    this.#fail = fail
  }

  resolve(value?: unknown): void {
    this.#ok(value)
  }

  reject(error: unknown): void {
    this.#fail(error)
  }
}

/** One frame that the host wrote, as plain data with its kind's name. */
export type Seen = { kind: string; [field: string]: unknown }

const laneNames = new Map<number, string>(Object.entries(laneKind).map(([name, kind]) => [kind, name]))
const linkNames = new Map<number, string>(Object.entries(linkKind).map(([name, kind]) => [kind, name]))

function decodeLane(bytes: Uint8Array, start: number, end: number, kind: number): Seen {
  const f = new LaneFrame()
  if (!readLaneHeader(f, bytes, start, end) || !readLaneBody(f))
    throw new Error('the host wrote a malformed lane frame')
  const seen: Seen = { kind: laneNames.get(kind)!, handle: f.channel, number: f.number, payload: text(f.payload()) }
  if (kind === laneKind.oneway || kind === laneKind.request || kind === laneKind.latest) seen.route = f.route
  if (kind === laneKind.request || kind === laneKind.reply) seen.request = f.request
  if (kind === laneKind.request) seen.deadlineMs = f.deadlineMs
  if (kind === laneKind.reply || kind === laneKind.fin || kind === laneKind.skip) seen.code = f.code
  if (kind === laneKind.replay) Object.assign(seen, { group: f.group, life: f.life, offset: f.offset, route: f.route })
  if (kind === laneKind.latest) Object.assign(seen, { key: f.key, stamp: f.stamp })
  return seen
}

const readers: Record<string, (r: Reader) => object | undefined> = {
  hello: readLinkHello,
  proof: (r) => ({ proof: readLinkProof(r) }),
  attached: readAttached,
  reset: readReset,
  stale: readStale,
  spent: readStale,
  refused: readAnswer,
  closeHandle: readCloseHandle,
  notHere: readNotHere,
  locate: readLocate,
  located: readLocated,
  invite: readLinkInvite,
  open: readOpen,
  kick: readKick,
  loose: readLinkLoose,
  looseReply: readLooseReply,
  broadcast: readBroadcast,
  join: readJoin,
  leave: readPair,
  ping: readPair,
  pong: readPair,
  load: readPair,
  route: readRoute,
  close: readClose,
  drain: readClose,
  goodbye: readClose,
}

function decode(bytes: Uint8Array, start: number, end: number): Seen {
  const kind = bytes[start] & KIND_MASK
  if (kind <= laneKind.unreliable) return decodeLane(bytes, start, end, kind)
  const name = linkNames.get(kind) ?? `unknown ${kind}`
  const r = openFrame(bytes, start, end)!
  if (name === 'publish') {
    const publish = readPublish(r)!
    return { kind: name, ...publish, payload: text(bytes.subarray(publish.payloadStart, end)) }
  }
  const fields = readers[name]?.(r)
  if (fields === undefined) throw new Error(`the host wrote a frame that cannot be read: ${name}`)
  const seen: Seen = { ...fields, kind: name }
  if (seen.payload instanceof Uint8Array) seen.payload = text(seen.payload)
  return seen
}

export const attachDefaults: LinkAttach = {
  handle: 0,
  epoch: 1,
  ticketGeneration: 1,
  session: 'S',
  user: 'ann',
  address: '10.0.0.1',
  labels: {},
  service: 'echo',
  key: 'ann',
  pinned: false,
  pinnedGone: false,
  grantedBytes: 65_536,
  end: 77n,
  life: 0n,
  received: 0,
  settled: 0,
  acked: 0,
  sent: 0,
  groups: [],
}

/** A gateway at the other end of one link. */
export class ScriptedGateway {
  readonly link: number
  readonly bed: Bed
  readonly name: string
  readonly w = new Writer()
  readonly nonce = new Uint8Array(16).fill(7)
  isClosed = false
  queuedBytes = 0
  writes = 0
  hello: Seen | undefined
  #splitter = new FrameSplitter(1 << 24)
  #seen: Seen[] = []
  #routes = new Map<string, number>()
  /** LOCATE is answered at once with "not here" unless a test wants to do that. */
  answersLocate = true

  constructor(bed: Bed, link: number, name: string) {
    this.bed = bed
    this.link = link
    this.name = name
  }

  /** Bytes that the host wrote. */
  take(bytes: Uint8Array): void {
    this.writes++
    this.#splitter.receive(bytes, {
      frame: (b, start, end) => {
        const seen = decode(b, start, end)
        if (seen.kind === 'locate' && this.answersLocate) {
          writeLocated(this.w, { id: seen.id as number, here: false, host: '' })
          this.bed.locatesToAnswer.push(this)
        } else this.#seen.push(seen)
        return true
      },
    })
  }

  shake(key: string, serial: number, instance: bigint): void {
    writeLinkHello(this.w, {
      versionMin: 1,
      versionMax: 1,
      nonce: this.nonce,
      name: this.name,
      instance,
      serial,
      services: [],
      labels: {},
    })
    this.deliver()
    this.hello = this.#seen.shift()
    const ours = { nonce: this.nonce, name: this.name }
    const theirs = { nonce: this.hello!.nonce as Uint8Array, name: this.hello!.name as string }
    writeLinkProof(this.w, linkProof(hmac, utf8(key), 'gateway', ours, theirs))
    this.deliver()
  }

  /** Sends what was written with `w`, and lets the host have its turn. */
  deliver(): void {
    const bytes = this.w.drain()
    this.bed.core.receive(this.link, bytes, this.bed.now)
    this.bed.turn()
  }

  /** The frames written since the last call, without pings. */
  seen(): Seen[] {
    return this.#seen.splice(0).filter(({ kind }) => kind !== 'ping' && kind !== 'load')
  }

  kinds(): string[] {
    return this.seen().map(({ kind }) => kind)
  }

  /** The only frame of its kind since the last call. */
  one(kind: string): Seen {
    const found = this.seen().filter((seen) => seen.kind === kind)
    if (found.length !== 1) throw new Error(`${found.length} frames of kind ${kind}`)
    return found[0]
  }

  attach(a: Partial<LinkAttach>): void {
    writeLinkAttach(this.w, { ...attachDefaults, ...a })
    this.deliver()
  }

  closeHandle(handle: number, code = 0): void {
    writeCloseHandle(this.w, { handle, code, retryMs: 0, host: '' })
    this.deliver()
  }

  route(name: string): number {
    let number = this.#routes.get(name)
    if (number === undefined) {
      number = this.#routes.size
      this.#routes.set(name, number)
      writeRoute(this.w, linkKind.route, number, name)
    }
    return number
  }

  oneway(handle: number, number: number, route: string, payload: string): void {
    writeOneway(this.w, handle, number, this.route(route), utf8(payload))
    this.deliver()
  }

  request(handle: number, number: number, route: string, request: number, payload: string, deadlineMs = 0): void {
    writeRequest(this.w, handle, number, this.route(route), request, deadlineMs, utf8(payload))
    this.deliver()
  }

  reply(handle: number, number: number, request: number, code: number, payload: string): void {
    writeReply(this.w, handle, number, request, code, utf8(payload))
    this.deliver()
  }

  ack(handle: number, number: number): void {
    writeAck(this.w, handle, number)
    this.deliver()
  }

  fin(handle: number, number: number, code: number): void {
    writeFin(this.w, handle, number, code)
    this.deliver()
  }

  answer(kind: number, channel: number, epoch: number, code: number, retryMs = 0): void {
    writeAnswer(this.w, kind, { channel, epoch, code, retryMs })
    this.deliver()
  }

  ping(): void {
    writePair(this.w, linkKind.ping, 1, 0)
    this.deliver()
  }

  lose(): void {
    this.isClosed = true
    this.bed.core.linkClosed(this.link, this.bed.now)
    this.bed.turn()
  }
}

/** The host core under test, its clock and its links. */
export class Bed {
  readonly core: HostCore
  now = 1000
  ticks = 0
  events: { event: string; [field: string]: unknown }[] = []
  readonly gateways: Map<number, ScriptedGateway> = new Map()
  locatesToAnswer: ScriptedGateway[] = []
  #nextLink = 1
  #random = 1
  #isFlushAsked = false

  constructor(services: Service[], options: Partial<HostOptions> = {}) {
    const events = (event: { event: string }) => this.events.push(event)
    this.core = new HostCore(
      { name: 'h1', onEvent: events, ...options },
      {
        randomBytes: (length) => new Uint8Array(length).fill(this.#random++),
        hmac,
        write: (link, bytes) => this.gateways.get(link)?.take(bytes),
        closeLink: (link) => {
          const gateway = this.gateways.get(link)
          if (gateway !== undefined) gateway.isClosed = true
        },
        queuedBytes: (link) => this.gateways.get(link)?.queuedBytes ?? 0,
        scheduleFlush: () => {
          this.#isFlushAsked = true
        },
        now: () => this.now,
      },
    )
    for (const service of services) this.core.service(service)
  }

  /** A gateway links and proves itself. */
  gateway(name = 'g1', key = '', serial = 1, instance = 100n): ScriptedGateway {
    const gateway = this.dial(name)
    gateway.shake(key, serial, instance)
    gateway.seen()
    return gateway
  }

  dial(name = 'g1'): ScriptedGateway {
    const gateway = new ScriptedGateway(this, this.#nextLink++, name)
    this.gateways.set(gateway.link, gateway)
    this.core.linkOpened(gateway.link, this.now)
    return gateway
  }

  /** The ends of turns, until the host has nothing more to write. */
  turn(): void {
    for (let i = 0; i < 100 && (this.#isFlushAsked || this.locatesToAnswer.length > 0); i++) {
      this.#isFlushAsked = false
      this.core.flush(this.now)
      for (const gateway of this.locatesToAnswer.splice(0)) this.core.receive(gateway.link, gateway.w.drain(), this.now)
    }
  }

  /** Lets time pass, with a tick whenever one is due. */
  pass(ms: number): void {
    const until = this.now + ms
    while (this.core.deadline() <= until) {
      this.now = Math.max(this.now, this.core.deadline())
      this.core.tick(this.now)
      this.ticks++
      this.turn()
    }
    this.now = until
  }
}
