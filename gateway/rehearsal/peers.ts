// The clients and hosts of a rehearsal: both ends of the two protocols in as few lines as a policy needs to be seen at work.
// A client logs in, attaches, sends, and notes what was refused; a host takes every attach, answers every request, and
// counts whose messages came. Carriers are memory. What real ends keep (numbers sent again, windows) is in sdk.
import {
  clientKind,
  openFrame,
  readAnswer,
  readAttached,
  readClose,
  readHello,
  readPair,
  readRoute,
  readWelcome,
  writeAttach,
  writeAttached,
  writeLogin,
  writePair,
  writeRoute,
} from '../../protocols/client/frames.ts'
import { code } from '../../protocols/codes.ts'
import { LINK_VERSION, linkKind, readLinkAttach, readLinkHello } from '../../protocols/link/frames.ts'
import { writeLinkHello, writeLinkProof } from '../../protocols/link/frames.ts'
import { type Hmac, linkProof } from '../../protocols/link/proof.ts'
import {
  KIND_MASK,
  LaneFrame,
  laneKind,
  readLaneBody,
  readLaneHeader,
  writeOneway,
  writeReply,
  writeRequest,
  writeUnreliable,
} from '../../protocols/wire/lane-frames.ts'
import { type FrameSink, FrameSplitter } from '../../protocols/wire/splitter.ts'
import { Writer } from '../../protocols/wire/writer.ts'
import type { Carrier, CarrierEvents } from '../seams.ts'

const EMPTY = new Uint8Array(0)
const FRAME_BYTES_MAX = 64 * 1024 * 1024
const ALIAS = 0
const END = 1n
const DEADLINE_MS = 10_000

/** One end of a rehearsal: what the gateway writes is read when `read` is called, what is written goes there by `flush`. */
abstract class Peer implements Carrier, FrameSink {
  readonly transport = 'rehearsal'
  readonly address: string
  readonly binding = EMPTY
  events: CarrierEvents | undefined
  isOpen = true
  protected readonly writer = new Writer(256)
  protected readonly lane = new LaneFrame()
  readonly #splitter = new FrameSplitter(FRAME_BYTES_MAX)
  #waiting: Uint8Array[] = []

  constructor(address: string) {
    this.address = address
  }

  write(batch: Uint8Array): void {
    this.#waiting.push(Uint8Array.from(batch))
  }
  queuedBytes(): number {
    return 0
  }
  pause(): void {}
  resume(): void {}
  close(): void {
    this.isOpen = false
  }
  destroy(): void {
    this.isOpen = false
  }

  /** Takes what the gateway has written; true where there was something. */
  read(): boolean {
    const batches = this.#waiting
    this.#waiting = []
    for (const batch of batches) this.#splitter.receive(batch, this)
    return batches.length > 0
  }

  /** Gives the gateway what this end has to say. */
  flush(now: number): boolean {
    if (this.writer.at === 0 || !this.isOpen) return false
    this.events!.receive(this.writer.drain(), now)
    return true
  }

  abstract frame(bytes: Uint8Array, start: number, end: number): boolean

  protected isLane(bytes: Uint8Array, start: number, end: number): boolean {
    const kind = bytes[start] & KIND_MASK
    return kind >= laneKind.oneway && kind <= laneKind.unreliable && readLaneHeader(this.lane, bytes, start, end)
  }
}

type Rejection = { code: number; retryMs: number }
export type SendKind = 'send' | 'call' | 'unreliable'

export class RehearsalClient extends Peer {
  readonly name: string
  readonly rejections: Rejection[] = []
  isGreeted = false
  isWelcome = false
  /** Of the answer to its attach; undefined until there is one. */
  attachedAs: number | undefined
  closedWith: number | undefined
  session = ''
  #sent = 0
  readonly #routes: string[] = []

  constructor(name: string, address: string) {
    super(address)
    this.name = name
  }

  login(token: string): void {
    writeLogin(this.writer, { version: 1, token: new TextEncoder().encode(token), agent: 'rehearsal' })
  }

  attach(service: string, key: string): void {
    const counters = { end: END, life: 0n, received: 0, settled: 0, acked: 0, sent: 0 }
    writeAttach(this.writer, {
      ...counters,
      ...{ alias: ALIAS, epoch: 1, ticketGeneration: 1, service, key, pin: EMPTY, groups: [] },
    })
  }

  send(kind: SendKind, route: string, payload: Uint8Array): void {
    let number = this.#routes.indexOf(route)
    if (number === -1) {
      number = this.#routes.push(route) - 1
      writeRoute(this.writer, clientKind.route, number, route)
    }
    if (kind === 'unreliable') {
      writeUnreliable(this.writer, ALIAS, 1, number, payload)
      return
    }
    this.#sent++
    const low = this.#sent & 0xffff
    if (kind === 'send') writeOneway(this.writer, ALIAS, low, number, payload)
    else writeRequest(this.writer, ALIAS, low, number, this.#sent, DEADLINE_MS, payload)
  }

  ping(): void {
    writePair(this.writer, clientKind.ping, 0, 0)
  }

  override frame(bytes: Uint8Array, start: number, end: number): boolean {
    if (this.isLane(bytes, start, end)) {
      if (this.lane.kind === laneKind.reject && readLaneBody(this.lane)) {
        this.rejections.push({ code: this.lane.code, retryMs: this.lane.retryMs })
      }
      return true
    }
    const r = openFrame(bytes, start, end)!
    const kind = bytes[start] & KIND_MASK
    if (kind === clientKind.hello) this.isGreeted = readHello(r) !== undefined
    else if (kind === clientKind.welcome) {
      this.session = readWelcome(r)!.session
      this.isWelcome = true
    } else if (kind === clientKind.attached) this.attachedAs = readAttached(r) === undefined ? undefined : code.ok
    else if (kind === clientKind.refused) this.attachedAs = readAnswer(r)!.code
    else if (kind === clientKind.close) this.closedWith = readClose(r)!.code
    return true
  }
}

export class RehearsalHost extends Peer {
  readonly name: string
  /** Messages that came, by the session that sent them. */
  readonly got = new Map<string, number>()
  readonly #services: readonly string[]
  readonly #linkKey: Uint8Array
  readonly #hmac: Hmac
  readonly #nonce = new Uint8Array(16)
  /** By handle: whose it is, and the last number sent to it. */
  readonly #channels = new Map<number, { session: string; sent: number }>()

  constructor(name: string, services: readonly string[], linkKey: Uint8Array, hmac: Hmac) {
    super(name)
    this.name = name
    this.#services = services
    this.#linkKey = linkKey
    this.#hmac = hmac
    writeLinkHello(this.writer, {
      ...{ versionMin: LINK_VERSION, versionMax: LINK_VERSION, nonce: this.#nonce, name, instance: 1n, serial: 1 },
      services: this.#services.map((service) => ({ name: service, weight: 100, keys: 1, park: true })),
      labels: {},
    })
  }

  override frame(bytes: Uint8Array, start: number, end: number): boolean {
    if (this.isLane(bytes, start, end)) {
      this.#message()
      return true
    }
    const kind = bytes[start] & KIND_MASK
    const r = openFrame(bytes, start, end)!
    if (kind === linkKind.hello) {
      const own = { nonce: this.#nonce, name: this.name }
      writeLinkProof(this.writer, linkProof(this.#hmac, this.#linkKey, 'host', own, readLinkHello(r)!))
    } else if (kind === linkKind.attach) {
      const a = readLinkAttach(r)!
      this.#channels.set(a.handle, { session: a.session, sent: 0 })
      writeAttached(this.writer, {
        ...{
          channel: a.handle,
          epoch: a.epoch,
          life: END,
          received: a.sent,
          settled: a.sent,
          refused: [],
          quietForMs: 0,
        },
        ...{ windowCount: 16_384, windowBytes: 1024 * 1024, pin: EMPTY },
      })
    } else if (kind === linkKind.ping) {
      writePair(this.writer, linkKind.pong, readPair(r)!.first, 0)
    } else if (kind === linkKind.route) {
      readRoute(r)
    }
    return true
  }

  #message(): void {
    const { lane } = this
    const channel = this.#channels.get(lane.channel)
    if (channel === undefined || (lane.kind > laneKind.request && lane.kind < laneKind.latest)) return
    this.got.set(channel.session, (this.got.get(channel.session) ?? 0) + 1)
    if (lane.kind !== laneKind.request || !readLaneBody(lane)) return
    writeReply(this.writer, lane.channel, ++channel.sent & 0xffff, lane.request, code.ok, EMPTY)
  }
}
