// A gateway and its host in one small object, for tests of the facade and the transports: it takes byte pipes of any kind,
// keeps sessions over connections, checks proofs with node:crypto, and its one host echoes. Built from the protocol rooms
// alone; nothing of a gateway or of the host SDK is in it.
import { createHmac } from 'node:crypto'
import {
  clientKind,
  openFrame,
  readAttach,
  readLogin,
  readLoose,
  readPair,
  readResume,
  readRoute,
  writeAttached,
  writeClose,
  writeHello,
  writeInvite,
  writeJoin,
  writeLooseReply,
  writePair,
  writePublished,
  writeReset,
  writeRoute,
  writeWelcome,
} from '../../../protocols/client/frames.ts'
import type { Attach } from '../../../protocols/client/frames.ts'
import { code } from '../../../protocols/codes.ts'
import type { ChannelSink, Incoming, Outcome } from '../../../protocols/session/channel-end.ts'
import { endLimits } from '../../../protocols/session/channel-end.ts'
import { answerAttach, HostRecord, judgeAttach } from '../../../protocols/session/host-record.ts'
import { hasRoute, KIND_MASK, LaneFrame, laneKind, readLaneHeader } from '../../../protocols/wire/lane-frames.ts'
import { writeReject } from '../../../protocols/wire/lane-frames.ts'
import { FrameSplitter } from '../../../protocols/wire/splitter.ts'
import { Writer } from '../../../protocols/wire/writer.ts'

export type Pipe = {
  write(bytes: Uint8Array): void
  close(): void
  /** What proofs are bound to on this pipe. */
  binding?: Uint8Array
}

const NO_BYTES = new Uint8Array(0)
const NONCE = new TextEncoder().encode('nonce-of-16bytes')
const SECRET = new TextEncoder().encode('s'.repeat(32))
const WINDOW = { count: 32, bytes: 8192 }
/** A time at which every ACK is due. */
const LATER = 1e15
const ROUTES = ['echo.said', 'ui.ask', 'chat.said']

export class EchoGateway {
  readonly connections: Set<EchoConnection> = new Set()
  readonly records: Map<string, EchoRecord> = new Map()
  readonly unnumbered: string[] = []
  /** Frames that came beside a stream. */
  datagrams = 0
  sessions = 0
  resumes = 0
  lives = 0n

  accept(pipe: Pipe): EchoConnection {
    const connection = new EchoConnection(this, pipe)
    this.connections.add(connection)
    return connection
  }

  /** All connections break without a word. */
  cut(): void {
    for (const connection of [...this.connections]) connection.cut()
  }

  /** The host forgets everything. */
  forget(): void {
    this.records.clear()
  }
}

/** The host's side of a channel: what comes is echoed. */
class EchoRecord implements ChannelSink {
  readonly record: HostRecord
  readonly gateway: EchoGateway
  on: EchoConnection | undefined
  alias = 0
  readonly #waiting: Incoming[] = []
  #asked: Map<number, number> = new Map()

  constructor(gateway: EchoGateway, session: string, a: Attach) {
    this.gateway = gateway
    this.record = new HostRecord(session, a.service, a.key, ++gateway.lives, WINDOW, endLimits, this, 0)
  }

  deliver(message: Incoming): void {
    const { end } = this.record
    const { route, payload, request } = message
    if (message.number === 0) {
      this.gateway.unnumbered.push(`${route} ${message.key} ${new TextDecoder().decode(payload)}`)
      return
    }
    if (route === 'echo.say' && message.kind === laneKind.oneway) {
      this.#waiting.push(message)
      this.echo()
      return
    }
    if (route === 'echo.ask' || route === 'echo.say') end.reply(request, code.ok, payload)
    else if (route === 'echo.fail') end.reply(request, code.handler_failed, new TextEncoder().encode('it did'))
    else if (route === 'echo.call') this.#asked.set(end.request('ui.ask', payload, Infinity), request)
    else if (route === 'echo.close') end.fin(code.closed)
    else if (route === 'echo.publish') this.on?.publish(this.alias, payload)
    // What nobody answers stays open; everything is settled.
    end.settle(message.number, payload.length, 0)
  }

  /** What has no room in the window waits, unsettled, and so does its sender (W2). */
  echo(): void {
    for (let message = this.#waiting[0]; message !== undefined; message = this.#waiting[0]) {
      if (this.record.end.send('echo.said', message.payload) < 0) return
      this.#waiting.shift()
      this.record.end.settle(message.number, message.payload.length, 0)
    }
  }

  refused(): void {}
  finished(): void {
    this.record.end.fin(code.closed)
  }
  outcome(request: number, outcome: Outcome): void {
    const asked = this.#asked.get(request)
    if (asked !== undefined) this.record.end.reply(asked, outcome.code, outcome.payload)
  }
}

export class EchoConnection {
  readonly #gateway: EchoGateway
  readonly #pipe: Pipe
  readonly #splitter = new FrameSplitter(1 << 20)
  readonly #writer = new Writer()
  readonly #routes: string[] = []
  readonly #channels: (EchoRecord | undefined)[] = []
  readonly #frame = new LaneFrame()
  #offset = 0
  #isClosed = false
  session = ''

  constructor(gateway: EchoGateway, pipe: Pipe) {
    this.#gateway = gateway
    this.#pipe = pipe
    writeHello(this.#writer, { versionMin: 1, versionMax: 1, nonce: NONCE })
    ROUTES.forEach((name, number) => {
      this.#early.push(() => writeRoute(this.#writer, clientKind.route, number, name))
    })
    this.#flush()
  }

  /** Written behind WELCOME. */
  readonly #early: (() => void)[] = []

  receive(bytes: Uint8Array): void {
    if (this.#isClosed) return
    this.#splitter.receive(bytes, {
      frame: (b, start, end) => {
        this.#take(b, start, end)
        return !this.#isClosed
      },
    })
    this.#flush()
  }

  receiveDatagram(frame: Uint8Array): void {
    if (this.#isClosed) return
    this.#gateway.datagrams++
    this.#lane(frame, 0, frame.length)
    this.#flush()
  }

  cut(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#gateway.connections.delete(this)
    for (const channel of this.#channels) if (channel?.on === this) channel.record.end.detached()
    this.#pipe.close()
  }

  invite(service: string, key: string): void {
    writeInvite(this.#writer, { service, key, life: 1n, pin: NO_BYTES })
    this.#flush()
  }

  /** Says CLOSE and goes. */
  dismiss(why: number): void {
    writeClose(this.#writer, clientKind.close, { code: why, retryMs: 0, text: 'dismissed' })
    this.#flush()
    this.cut()
  }

  publish(alias: number, payload: Uint8Array): void {
    const w = this.#writer
    if (this.#offset === 0) {
      const join = { channel: alias, group: 9, recoverable: true, name: 'chat', life: 5n, offset: 0 }
      writeJoin(w, clientKind.join, join)
    }
    writePublished(w, 9, 2, ++this.#offset, payload, 0, payload.length)
  }

  #flush(): void {
    for (const channel of this.#channels) {
      if (channel?.on !== this) continue
      channel.echo()
      const routes = { numberOf: (route: string) => ROUTES.indexOf(route) }
      channel.record.end.transmit(this.#writer, channel.alias, routes, LATER)
    }
    if (this.#writer.at > 0 && !this.#isClosed) this.#pipe.write(this.#writer.drain())
  }

  #welcome(session: string, user: string): void {
    this.session = session
    writeWelcome(this.#writer, {
      session,
      user,
      generation: 1,
      secret: SECRET,
      ticket: new TextEncoder().encode(`${session} ${user}`),
      keepMs: 60_000,
      heartbeatMs: 5000,
      windowCount: WINDOW.count,
      windowBytes: WINDOW.bytes,
      channelsMax: 16,
      serverTimeMs: Date.now(),
    })
    for (const write of this.#early.splice(0)) write()
  }

  #take(bytes: Uint8Array, start: number, end: number): void {
    const kind = bytes[start] & KIND_MASK
    if (kind <= laneKind.unreliable) {
      this.#lane(bytes, start, end)
      return
    }
    const w = this.#writer
    const r = openFrame(bytes, start, end)!
    if (kind === clientKind.login) {
      const user = new TextDecoder().decode(readLogin(r)!.token)
      if (user === 'bad') this.dismiss(code.unauthenticated)
      else this.#welcome(`s${++this.#gateway.sessions}`, user)
    } else if (kind === clientKind.resume) {
      const resume = readResume(r)!
      const binding = this.#pipe.binding ?? NO_BYTES
      const proof = createHmac('sha256', SECRET).update('skewer-resume-1').update(NONCE).update(binding).digest()
      const [session, user] = new TextDecoder().decode(resume.ticket).split(' ')
      this.#gateway.resumes++
      if (proof.equals(resume.proof)) this.#welcome(session, user)
      else this.dismiss(code.ticket_invalid)
    } else if (kind === clientKind.attach) {
      this.#attach(readAttach(r)!)
    } else if (kind === clientKind.route) {
      const a = readRoute(r)!
      this.#routes[a.number] = a.name
    } else if (kind === clientKind.ping) {
      writePair(w, clientKind.pong, readPair(r)!.first, Date.now())
    } else if (kind === clientKind.loose) {
      const { request, payload } = readLoose(r)!
      writeLooseReply(w, clientKind.looseReply, { request, code: code.ok, payload })
    } else if (kind === clientKind.close) {
      this.cut()
    }
  }

  #attach(a: Attach): void {
    const name = `${this.session} ${a.service}/${a.key}`
    const link = { ...a, handle: a.alias, session: this.session, user: '', address: '', labels: {} }
    const attach = { ...link, pinned: true, pinnedGone: false, grantedBytes: 65_536 }
    const known = this.#gateway.records.get(name)
    const verdict = judgeAttach(known?.record, attach)
    const channel = verdict.verdict === 'continue' ? known! : new EchoRecord(this.#gateway, this.session, a)
    const isReset = 'isReset' in verdict && verdict.isReset
    this.#gateway.records.set(name, channel)
    channel.record.end.detached()
    channel.on = this
    channel.alias = a.alias
    this.#channels[a.alias] = channel
    const answer = answerAttach(channel.record, attach, isReset, 0)
    if (answer.isReset) writeReset(this.#writer, answer.frame)
    else writeAttached(this.#writer, answer.frame)
  }

  #lane(bytes: Uint8Array, start: number, end: number): void {
    const frame = this.#frame
    readLaneHeader(frame, bytes, start, end)
    const channel = this.#channels[frame.channel]
    if (channel?.on !== this) return
    const route = hasRoute(frame.kind) ? this.#routes[frame.route] : ''
    const lane = channel.record.end
    if (route === 'echo.limited' && lane.in.take(lane.in.received + 1, 0) === 0) {
      // R1: the number is consumed, by a SKIP to the host.
      lane.in.settle(lane.in.received)
      writeReject(this.#writer, channel.alias, frame.number, code.rate_limited, 250)
      return
    }
    channel.record.isConfirmed = true
    if (lane.receive(frame, route, 0) !== code.ok) throw new Error(`the client broke the protocol: kind ${frame.kind}`)
  }
}
