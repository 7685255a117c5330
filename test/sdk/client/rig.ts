// A client core in virtual time against a gateway that is written by hand: the test reads what the client wrote, frame by
// frame, and says what the gateway answers. Nothing here shares code with a gateway.
import {
  clientKind,
  openFrame,
  readAttach,
  readClose,
  readLogin,
  readLoose,
  readNumber,
  readPair,
  readReauth,
  readResume,
  readRoute,
  resetReason,
  writeAnswer,
  writeAttached,
  writeHello,
  writeLooseReply,
  writePair,
  writeReset,
  writeRoute,
  writeWelcome,
} from '../../../protocols/client/frames.ts'
import type { Attach, Attached, Reset, Welcome } from '../../../protocols/client/frames.ts'
import type { ChannelEnd, Incoming, Outcome } from '../../../protocols/session/channel-end.ts'
import type { Ending } from '../../../protocols/session/client-channel.ts'
import type { Missed } from '../../../protocols/session/group-member.ts'
import type { Item } from '../../../protocols/session/outbox.ts'
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
import { FrameSplitter } from '../../../protocols/wire/splitter.ts'
import { Writer } from '../../../protocols/wire/writer.ts'
import { ClientCore } from '../../../sdk/client/core.ts'
import type { CoreChannel } from '../../../sdk/client/core-channel.ts'
import type { ClientOptions, ClientSink, ClientState } from '../../../sdk/client/options.ts'

export const text = (s: string) => new TextEncoder().encode(s)
export const string = (bytes: Uint8Array) => new TextDecoder().decode(bytes)
const NO_BYTES = new Uint8Array(0)

/** A frame of the client as the gateway reads it. */
export type Seen = { kind: string; [field: string]: unknown }

const kindNames = new Map<number, string>()
for (const [name, number] of Object.entries(clientKind)) kindNames.set(number, name)
for (const [name, number] of Object.entries(laneKind)) kindNames.set(number, name)

function seen(bytes: Uint8Array, start: number, end: number): Seen {
  const number = bytes[start] & KIND_MASK
  const kind = kindNames.get(number) ?? `unknown ${number}`
  if (number <= laneKind.unreliable) {
    const f = new LaneFrame()
    if (!readLaneHeader(f, bytes, start, end) || !readLaneBody(f)) throw new Error('unreadable lane frame')
    const { channel, number: n, route, request, deadlineMs, code, count, key, epoch } = f
    return {
      kind,
      channel,
      n,
      route,
      request,
      deadlineMs,
      code,
      count,
      key,
      epoch,
      payload: string(f.payload()),
      payloadBytes: f.payload(),
    }
  }
  const r = openFrame(bytes, start, end)!
  const fields = (value: object | undefined): Seen => {
    if (value === undefined) throw new Error(`unreadable ${kind}`)
    return { kind, ...value }
  }
  switch (number) {
    case clientKind.login:
      return fields(readLogin(r))
    case clientKind.resume:
      return fields(readResume(r))
    case clientKind.attach:
      return fields(readAttach(r))
    case clientKind.route:
      return fields(readRoute(r))
    case clientKind.ping:
    case clientKind.pong:
      return fields(readPair(r))
    case clientKind.detach:
      return fields({ alias: readNumber(r) })
    case clientKind.close:
      return fields(readClose(r))
    case clientKind.reauth:
      return fields({ token: readReauth(r) })
    case clientKind.loose:
      return fields(readLoose(r))
    default:
      throw new Error(`a client does not send ${kind}`)
  }
}

export class Rig implements ClientSink {
  now = 1000
  readonly core: ClientCore
  readonly dials: { id: number; address: string }[] = []
  readonly closed: number[] = []
  readonly log: string[] = []
  readonly delivered: { channel: CoreChannel; message: Incoming; end: ChannelEnd }[] = []
  readonly outcomes: { request: number; outcome: Outcome }[] = []
  readonly looseOutcomes: { request: number; outcome: Outcome }[] = []
  readonly refusals: { number: number; code: number; retryMs: number }[] = []
  readonly endings: Ending[] = []
  readonly publications: string[] = []
  readonly queued: Map<number, number> = new Map()
  readonly writes: number[] = []
  randomValue = 0.5
  hasRoom = true
  settlesAtOnce = true
  #frames: Map<number, Seen[]> = new Map()
  #splitters: Map<number, FrameSplitter> = new Map()
  #isFlushWanted = false
  #dueAt = Infinity

  constructor(options: Partial<ClientOptions> = {}) {
    this.core = new ClientCore(
      { addresses: ['a'], token: text('ana'), ...options },
      {
        random: () => this.randomValue,
        hmac: (key, ...parts) => {
          const proof = new Uint8Array(32)
          proof.set(text(`${string(key.subarray(0, 1))}|${parts.map(string).join('|')}`).subarray(0, 32))
          return proof
        },
        dial: (id, address) => this.dials.push({ id, address }),
        write: (id, bytes) => this.#written(id, bytes),
        closeConnection: (id) => this.closed.push(id),
        queuedBytes: (id) => this.queued.get(id) ?? 0,
        scheduleFlush: () => {
          this.#isFlushWanted = true
        },
      },
      this,
    )
  }

  // ---- time ----

  /** Flushes while somebody wants it: the end of a turn. */
  turn(): void {
    for (let i = 0; this.#isFlushWanted; i++) {
      if (i > 100) throw new Error('a flush wants a flush for ever')
      this.#isFlushWanted = false
      this.core.flush(this.now)
      this.#dueAt = this.core.deadline()
    }
  }

  /** Lets time pass, with every tick at its deadline. */
  pass(ms: number): void {
    this.turn()
    const until = this.now + ms
    for (let i = 0; ; i++) {
      if (i > 10_000) throw new Error('time stands still')
      // As a driver does: the deadline is read behind a flush and a tick, and not at any other time.
      if (this.#dueAt > until) break
      this.now = Math.max(this.now, this.#dueAt)
      this.core.tick(this.now)
      this.#dueAt = this.core.deadline()
      this.turn()
    }
    this.now = until
  }

  // ---- the client's side of the wire ----

  #written(id: number, bytes: Uint8Array): void {
    this.writes.push(id)
    let splitter = this.#splitters.get(id)
    if (splitter === undefined) this.#splitters.set(id, (splitter = new FrameSplitter(1 << 20)))
    splitter.receive(bytes, {
      frame: (b, start, end) => {
        const frames = this.#frames.get(id)
        const frame = seen(b, start, end)
        if (frames === undefined) this.#frames.set(id, [frame])
        else frames.push(frame)
        return true
      },
    })
  }

  /** What the client has written on a connection since the last call; PING is left out unless asked for. */
  frames(id: number, withPings = false): Seen[] {
    this.turn()
    const frames = this.#frames.get(id) ?? []
    this.#frames.set(id, [])
    return withPings ? frames : frames.filter((frame) => frame.kind !== 'ping')
  }

  get lastDial(): number {
    return this.dials[this.dials.length - 1].id
  }

  // ---- the gateway's side ----

  send(id: number, ...writes: ((w: Writer) => void)[]): void {
    const w = new Writer()
    for (const write of writes) write(w)
    this.bytes(id, w.drain())
  }

  bytes(id: number, bytes: Uint8Array): void {
    this.core.receive(id, bytes, this.now)
    this.turn()
  }

  hello(id: number): void {
    this.core.opened(id, NO_BYTES, this.now)
    this.send(id, (w) => writeHello(w, { versionMin: 1, versionMax: 1, nonce: text('0123456789abcdef') }))
  }

  welcome(id: number, changes: Partial<Welcome> = {}): void {
    this.send(id, (w) => writeWelcome(w, welcomeOf(changes)))
  }

  /** Carrier, HELLO and WELCOME. */
  greet(id: number, changes: Partial<Welcome> = {}): void {
    this.hello(id)
    this.welcome(id, changes)
  }

  /** HELLO and WELCOME, by whatever brings them. */
  feedHandshake(feed: (write: (w: Writer) => void) => void): void {
    feed((w) => writeHello(w, { versionMin: 1, versionMax: 1, nonce: text('0123456789abcdef') }))
    feed((w) => writeWelcome(w, welcomeOf()))
  }

  writeAccept(w: Writer, attach: Attach): void {
    writeAttached(w, attachedOf(attach))
  }

  /** Connects; what was written behind WELCOME is still to be read. Returns the connection. */
  online(changes: Partial<Welcome> = {}): number {
    this.core.connect(this.now)
    const id = this.lastDial
    this.hello(id)
    this.frames(id)
    this.welcome(id, changes)
    return id
  }

  /** Lets time pass on a connection that answers every PING. */
  keepAlive(id: number, ms: number): void {
    const until = this.now + ms
    while (this.now < until) {
      this.pass(Math.min(1000, until - this.now))
      this.send(id, (w) => writePair(w, clientKind.pong, Math.floor(this.now), 1_700_000_000_000 + this.now))
    }
  }

  route(id: number, number: number, name: string): void {
    this.send(id, (w) => writeRoute(w, clientKind.route, number, name))
  }

  oneway(id: number, channel: number, number: number, route: number, payload: string): void {
    this.send(id, (w) => writeOneway(w, channel, number, route, text(payload)))
  }

  request(id: number, channel: number, number: number, route: number, request: number, deadlineMs = 0): void {
    this.send(id, (w) => writeRequest(w, channel, number, route, request, deadlineMs, NO_BYTES))
  }

  reply(id: number, channel: number, number: number, request: number, why: number, payload: string): void {
    this.send(id, (w) => writeReply(w, channel, number, request, why, text(payload)))
  }

  looseReply(id: number, request: number, why: number, payload: string): void {
    this.send(id, (w) => writeLooseReply(w, clientKind.looseReply, { request, code: why, payload: text(payload) }))
  }

  /** Reads the ATTACH that the client has just written and answers with another life. */
  answerReset(id: number, changes: Partial<Reset> = {}): Attach {
    const attach = this.frames(id).find((frame) => frame.kind === 'attach') as unknown as Attach
    const reset = { reason: resetReason.recordLost, hadReceived: 0, windowCount: 8, windowBytes: 4096, pin: NO_BYTES }
    this.send(id, (w) => writeReset(w, { channel: attach.alias, epoch: attach.epoch, life: 8n, ...reset, ...changes }))
    return attach
  }

  lane(id: number, kind: 'ack' | 'fin', channel: number, number: number): void {
    this.send(id, (w) => (kind === 'ack' ? writeAck(w, channel, number) : writeFin(w, channel, number, 0)))
  }

  channel(service = 'arena', key = 'room'): CoreChannel {
    const channel = this.core.channel(service, key, this.now)
    if (typeof channel === 'number') throw new Error(`refused: ${channel}`)
    return channel
  }

  /** Reads the ATTACH that the client has just written and answers it. */
  accept(id: number, changes: Partial<Attached> = {}): Attach {
    const attach = this.frames(id).find((frame) => frame.kind === 'attach') as unknown as Attach
    if (attach === undefined) throw new Error('the client wrote no ATTACH')
    this.send(id, (w) => writeAttached(w, attachedOf(attach, changes)))
    return attach
  }

  answer(id: number, kind: number, attach: Attach, code: number, retryMs: number): void {
    this.send(id, (w) => writeAnswer(w, kind, { channel: attach.alias, epoch: attach.epoch, code, retryMs }))
  }

  // ---- what the client tells ----

  state(state: ClientState): void {
    this.log.push(`state ${state}`)
  }
  welcomed(session: string, user: string, resumed: boolean, address: number): void {
    this.log.push(`welcomed ${session} ${user} ${resumed ? 'resumed' : 'new'} ${address}`)
  }
  connectionEnded(address: number, code: number, why: string): void {
    this.log.push(`connection ${address} ended ${code}${why === '' ? '' : `: ${why}`}`)
  }
  sessionEnded(code: number): void {
    this.log.push(`session ended ${code}`)
  }
  tokenFailed(address: number, error: unknown, retryMs: number): void {
    this.log.push(`token failed ${address} ${error} ${retryMs}`)
  }
  rtt(): void {}
  invited(channel: CoreChannel): void {
    this.log.push(`invited ${channel.service}/${channel.key}`)
  }
  attached(channel: CoreChannel): void {
    this.log.push(`attached ${channel.service}/${channel.key}`)
  }
  parked(channel: CoreChannel, maxMs: number): void {
    this.log.push(`parked ${channel.key} ${maxMs}`)
  }
  detached(channel: CoreChannel, code: number): void {
    this.log.push(`detached ${channel.key} ${code}`)
  }
  reset(channel: CoreChannel, ending: Ending): void {
    this.log.push(`reset ${channel.key}`)
    this.endings.push(ending)
  }
  finished(channel: CoreChannel, code: number): void {
    this.log.push(`finished ${channel.key} ${code}`)
  }
  ended(channel: CoreChannel, ending: Ending): void {
    this.log.push(`ended ${channel.key} ${ending.code}`)
    this.endings.push(ending)
  }
  deliver(channel: CoreChannel, message: Incoming, end: ChannelEnd): void {
    this.delivered.push({ channel, message, end })
    if (this.settlesAtOnce && message.number > 0) {
      channel.settle(end, message.number, message.payload.length, this.now)
    }
  }
  published(_channel: CoreChannel, message: Incoming): boolean {
    if (this.hasRoom) this.publications.push(`${message.group} ${message.offset} ${string(message.payload)}`)
    return this.hasRoom
  }
  missed(_channel: CoreChannel, group: string, missed: Missed | undefined): void {
    this.log.push(`missed ${group} ${missed === undefined ? 'some' : `${missed.from}-${missed.to}`}`)
  }
  joined(_channel: CoreChannel, group: string): void {
    this.log.push(`joined ${group}`)
  }
  left(_channel: CoreChannel, group: string): void {
    this.log.push(`left ${group}`)
  }
  refused(_channel: CoreChannel, _item: Item, number: number, code: number, retryMs: number): void {
    this.refusals.push({ number, code, retryMs })
  }
  outcome(_channel: CoreChannel, request: number, outcome: Outcome): void {
    this.outcomes.push({ request, outcome })
  }
  looseOutcome(request: number, outcome: Outcome): void {
    this.looseOutcomes.push({ request, outcome })
  }
}

export function welcomeOf(changes: Partial<Welcome> = {}): Welcome {
  return {
    session: 's1',
    user: 'ana',
    generation: 1,
    secret: text('S'.repeat(32)),
    ticket: text('ticket-1'),
    keepMs: 120_000,
    heartbeatMs: 10_000,
    windowCount: 8,
    windowBytes: 4096,
    channelsMax: 4,
    serverTimeMs: 1_700_000_000_000,
    ...changes,
  }
}

export function attachedOf(attach: Attach, changes: Partial<Attached> = {}): Attached {
  return {
    channel: attach.alias,
    epoch: attach.epoch,
    life: 7n,
    received: 0,
    settled: 0,
    refused: [],
    quietForMs: 0,
    windowCount: 8,
    windowBytes: 4096,
    pin: text('pin-a'),
    ...changes,
  }
}
