// A cheap client of the gateway: LOGIN, ATTACH and then lane frames written by hand. It keeps the protocol (numbers in
// order, the window W1, acknowledgements as late as W3 allows, PING and PONG) and nothing else: it
// never comes back, so it keeps no copies. What breaks the order, or a gateway that refuses, fails the run.
// A sly one is refused and goes on, a rude one keeps to no window either.
import {
  clientKind,
  openFrame,
  PROTOCOL_VERSION,
  readAnswer,
  readAttached,
  readClose,
  readPair,
  readWelcome,
  writeAttach,
  writeLogin,
  writePair,
  writeRoute,
} from '../../protocols/client/frames.ts'
import { codeName } from '../../protocols/codes.ts'
import { endLimits } from '../../protocols/session/channel-end.ts'
import {
  KIND_MASK,
  LaneFrame,
  laneKind,
  readLaneBody,
  readLaneHeader,
  writeAck,
  writeOneway,
} from '../../protocols/wire/lane-frames.ts'
import { FrameSplitter } from '../../protocols/wire/splitter.ts'
import { Writer } from '../../protocols/wire/writer.ts'
import { type LoadClient, type LoadEvents, type Manners, readStamp, STAMP_BYTES, writeStamp } from './client.ts'
import type { OpenStream, Stream } from './stream.ts'

const FRAME_BYTES_MAX = 64 * 1024
const NUMBER_MASK = 0xffff
const ALIAS = 0
const ROUTE = 0
const EPOCH = 1
/** Longest time a number stays unacknowledged (W3), as in the SDK; who calls `tick` does it oftener than `TICK_MS`. */
const ACK_MS = endLimits.ackDelayMs
export const TICK_MS = 5
/** Group, route and offset stand before what was published. */
const PUBLISHED_FIELDS = 3
const NO_BYTES = new Uint8Array(0)
const encoder = new TextEncoder()

/** Which actor it talks to, and what it shows; what is left out is of the run's own echo. */
export type LaneSeat = { key?: string; token?: string; service?: string; route?: string }

export class LaneClient implements LoadClient {
  leftOut = 0
  readonly #manners: Manners
  readonly #seat: Required<LaneSeat>
  readonly #events: LoadEvents
  readonly #stream: Stream
  readonly #payload: Uint8Array
  readonly #splitter = new FrameSplitter(FRAME_BYTES_MAX)
  readonly #writer = new Writer()
  readonly #lane = new LaneFrame()
  #isAttached = false
  #isClosed = false
  #windowCount = 0
  #windowBytes = 0
  #sent = 0
  #acked = 0
  /** Refused numbers above the acknowledged ones, in the order of their refusal: a sly one sends others in their place. */
  #refused: number[] = []
  #received = 0
  #ackedOut = 0
  /** When an ACK is due, and when messages were last written. */
  #ackDueAt = Infinity
  #sentBefore = 0
  #wroteAt = -Infinity
  #pingDueAt = Infinity
  #heartbeatMs = Infinity

  constructor(
    open: OpenStream,
    port: number,
    name: string,
    payloadBytes: number,
    events: LoadEvents,
    { key = name, token = name, service = 'echo', route = 'echo.say' }: LaneSeat = {},
    manners: Manners = 'honest',
  ) {
    this.#manners = manners
    this.#seat = { key, token, service, route }
    this.#events = events
    this.#payload = new Uint8Array(payloadBytes)
    this.#stream = open(port, {
      opened: () => {},
      received: (bytes) => this.#receive(bytes),
      closed: (cause) =>
        this.#fail(cause instanceof Error ? `a connection ended: ${cause.message}` : 'the gateway closed a connection'),
    })
  }

  room(): number {
    if (!this.#isAttached || this.#isClosed) return 0
    if (this.#manners === 'rude') return Infinity
    const unacked = this.#sent - this.#acked - this.#refused.length
    const byBytes = Math.floor(this.#windowBytes / this.#payload.length) - unacked
    return Math.max(0, Math.min(this.#windowCount - unacked, byBytes))
  }

  queuedBytes(): number {
    return this.#stream.queuedBytes()
  }

  send(stampUs: number): void {
    writeStamp(this.#payload, stampUs)
    writeOneway(this.#writer, ALIAS, ++this.#sent, ROUTE, this.#payload)
  }

  flush(): void {
    if (this.#writer.at === 0) return
    if (this.#sent > this.#sentBefore) {
      this.#sentBefore = this.#sent
      this.#ride()
    }
    this.#stream.write(this.#writer.view())
    this.#writer.clear()
  }

  tick(now: number): void {
    if (!this.#isAttached) return
    if (this.#ackDueAt < now + TICK_MS) this.#acknowledge()
    if (now >= this.#pingDueAt) {
      this.#pingDueAt = now + this.#heartbeatMs
      writePair(this.#writer, clientKind.ping, Math.floor(now), 0)
    }
    this.flush()
  }

  close(): void {
    this.#isClosed = true
    this.#stream.close()
  }

  #receive(bytes: Uint8Array): void {
    this.#splitter.receive(bytes, this)
    if (this.#isClosed) return
    const unacked = this.#received - this.#ackedOut
    if (unacked > 0 && unacked >= this.#windowCount >>> 2) this.#acknowledge()
    else if (unacked > 0 && this.#ackDueAt === Infinity) this.#ackDueAt = performance.now() + ACK_MS
    if (this.#isAttached) this.#events.turnEnded(this)
    this.flush()
  }

  /** As the SDK does: an ACK rides along that would be due before the next write (protocols/session/channel-end.ts). */
  #ride(): void {
    const now = performance.now()
    const leftMs = this.#ackDueAt - now
    if (leftMs < ACK_MS / 2 || (leftMs < Infinity && leftMs < now - this.#wroteAt)) this.#acknowledge()
    this.#wroteAt = now
  }

  #acknowledge(): void {
    this.#ackedOut = this.#received
    this.#ackDueAt = Infinity
    writeAck(this.#writer, ALIAS, this.#received)
  }

  frame(bytes: Uint8Array, start: number, end: number): boolean {
    const kind = bytes[start] & KIND_MASK
    if (kind <= laneKind.unreliable) this.#lanes(bytes, start, end)
    else this.#control(kind, bytes, start, end)
    return !this.#isClosed
  }

  #lanes(bytes: Uint8Array, start: number, end: number): void {
    const lane = this.#lane
    if (!readLaneHeader(lane, bytes, start, end)) {
      this.#fail('a lane frame is malformed')
    } else if (lane.kind === laneKind.oneway) {
      this.#hear(lane.number, bytes, lane.bodyStart, end)
    } else if (lane.kind === laneKind.ack) {
      this.#acked += (lane.number - this.#acked) & NUMBER_MASK
      if (this.#refused.length > 0) this.#refused = this.#refused.filter((number) => number > this.#acked)
    } else if (lane.kind === laneKind.reject && this.#manners !== 'honest') {
      const number = this.#sent - ((this.#sent - lane.number) & NUMBER_MASK)
      if (number > this.#acked) this.#refused.push(number)
    } else if (lane.kind === laneKind.reject) {
      const why = readLaneBody(lane) ? codeName(lane.code) : 'no reason'
      this.#fail(`a message was refused (${why}): what is allowed to a client is below this load`)
    } else {
      this.#fail(`a lane frame of kind ${lane.kind} was not expected`)
    }
  }

  #hear(number: number, bytes: Uint8Array, start: number, end: number): void {
    if (number !== ((this.#received + 1) & NUMBER_MASK)) {
      this.#fail('a message was lost or doubled')
    } else if (end - start < STAMP_BYTES) {
      this.#fail('a message was cut')
    } else {
      this.#received++
      this.#events.heard(this, readStamp(bytes, start))
    }
  }

  #control(kind: number, bytes: Uint8Array, start: number, end: number): void {
    const r = openFrame(bytes, start, end)
    if (r === undefined) {
      this.#fail('a frame is malformed')
      return
    }
    const w = this.#writer
    switch (kind) {
      case clientKind.hello:
        writeLogin(w, { version: PROTOCOL_VERSION, token: encoder.encode(this.#seat.token), agent: 'skewer-bench' })
        break
      case clientKind.welcome: {
        const welcome = readWelcome(r)!
        this.#heartbeatMs = welcome.heartbeatMs
        this.#attach(welcome.generation)
        break
      }
      case clientKind.attached: {
        const attached = readAttached(r)!
        this.#windowCount = attached.windowCount
        this.#windowBytes = attached.windowBytes
        this.#isAttached = true
        this.#pingDueAt = performance.now() + this.#heartbeatMs
        writeRoute(w, clientKind.route, ROUTE, this.#seat.route)
        this.#events.ready(this)
        break
      }
      case clientKind.published:
        for (let i = 0; i < PUBLISHED_FIELDS; i++) r.varint()
        this.#events.heard(this, readStamp(bytes, r.at))
        break
      case clientKind.lag:
        this.leftOut++
        break
      case clientKind.ping:
        writePair(w, clientKind.pong, readPair(r)!.first, Math.floor(performance.now()))
        break
      case clientKind.close:
        this.#fail(`the gateway said ${codeName(readClose(r)?.code ?? 0)}`)
        break
      case clientKind.refused:
        this.#fail(`an attach was refused: ${codeName(readAnswer(r)?.code ?? 0)}`)
        break
      case clientKind.reset:
      case clientKind.stale:
      case clientKind.spent:
      case clientKind.detached:
        this.#fail('the channel was detached')
        break
    }
  }

  #attach(ticketGeneration: number): void {
    const end = crypto.getRandomValues(new BigUint64Array(1))[0]
    const counters = { end, life: 0n, received: 0, settled: 0, acked: 0, sent: 0 }
    const where = { alias: ALIAS, epoch: EPOCH, ticketGeneration, service: this.#seat.service, key: this.#seat.key }
    writeAttach(this.#writer, { ...where, ...counters, pin: NO_BYTES, groups: [] })
  }

  #fail(why: string): void {
    if (this.#isClosed) return
    this.close()
    this.#events.failed(why)
  }
}
