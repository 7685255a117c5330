// The gateway core, sans-IO: carriers, time, randomness and secrets are given (seams.ts), so that the process, the
// simulator and the benches run the same machine. Calling order:
//
//   accept(carrier) / linkOpened(host, carrier)   hand out CarrierEvents: receive, drained, closed
//   flush(now)       once for each env.scheduleFlush, at the end of the turn: one write a peer
//   tick(now)        at deadline() or earlier or later; a late one counts as a stall (O1)
//   setHosts, configure, drain, kick, call        from the operator's side
//
// The constructor dials the configured hosts; `env.dial` answers later, never within the call.
// One message: client-connection -> lanes -> outlet -> link, and back. Attaching: attaches, hosts, placement, parking.
// The gateway keeps soft state only (S5): it may die at any instruction, and the ends repair it by attaching again.
import type { HostSettings, LimitSettings, Settings, TimeSettings } from '../config/settings.ts'
import { writeInvite } from '../protocols/client/frames.ts'
import type { Verdict } from '../policies/pipeline.ts'
import { verdict } from '../policies/pipeline.ts'
import type { Subject } from '../policies/subject.ts'
import { code } from '../protocols/codes.ts'
import type { Labels, LinkInvite } from '../protocols/link/frames.ts'
import { linkKind, writeKick, writeLinkInvite } from '../protocols/link/frames.ts'
import { Attaches } from './attaches.ts'
import { ClientConnection } from './client-connection.ts'
import { Counters, cell } from './counters.ts'
import { Deadlines, STALL_MS } from './deadlines.ts'
import { Departures } from './departures.ts'
import { Drain } from './drain.ts'
import { Flow } from './flow.ts'
import { Groups } from './groups.ts'
import { Guards } from './guards.ts'
import { Hosts } from './hosts.ts'
import { Lanes } from './lanes.ts'
import { Link } from './link.ts'
import { Locates } from './locates.ts'
import type { LooseCall, LooseCaller } from './loose-calls.ts'
import { LooseCalls } from './loose-calls.ts'
import { Turn } from './outlet.ts'
import { Parking } from './parking.ts'
import { sealPin } from './pins.ts'
import { Policing } from './policing.ts'
import { RoutesDown } from './route-numbers.ts'
import { RouteTable } from './route-table.ts'
import type { Carrier, Entrance, GatewayEnvironment } from './seams.ts'
import { Session } from './session.ts'
import { SingleLogin } from './single-login.ts'
import type { HostSnapshot, SessionSnapshot } from './snapshots.ts'
import { hostSnapshot, sessionSnapshot } from './snapshots.ts'

const NOTHING = new Uint8Array(0)

export type GatewayOptions = {
  /** Width of lane numbers, 16 on the wire; the simulator turns smaller rings more often (N2). */
  numberBits?: number
  /** Number of this worker among those of one process. */
  worker?: number
}

type Service = Settings['services'][number]

export class Gateway {
  settings: Settings
  limits: LimitSettings
  times: TimeSettings
  services: Map<string, Service>
  routes: RouteTable
  linkKey: Uint8Array
  readonly env: GatewayEnvironment
  readonly worker: number
  /** L1: this start of this worker. */
  readonly instance: bigint
  readonly counters = new Counters()
  readonly deadlines = new Deadlines()
  readonly turn: Turn
  readonly flow: Flow
  readonly policing: Policing
  readonly lanes: Lanes
  readonly attaches: Attaches
  readonly parking: Parking
  readonly hostTable: Hosts
  readonly groups: Groups
  readonly locates: Locates
  readonly looseCalls: LooseCalls
  readonly guards: Guards
  readonly singleLogin: SingleLogin
  readonly routesDown = new RoutesDown()
  readonly connections = new Set<ClientConnection>()
  readonly links = new Set<Link>()
  readonly #sessions = new Map<string, Session>()
  #linkSerial = 0
  #lastSession = 0
  #drain: Drain | undefined = undefined

  constructor(settings: Settings, env: GatewayEnvironment, options: GatewayOptions = {}) {
    this.settings = settings
    this.limits = settings.limits
    this.times = settings.times
    this.services = new Map(settings.services.map((service) => [service.name, service]))
    this.routes = new RouteTable(settings.routes)
    this.linkKey = new TextEncoder().encode(settings.linkKey ?? '')
    this.env = env
    this.worker = options.worker ?? 0
    const random = env.randomBytes(8)
    this.instance = new DataView(random.buffer, random.byteOffset, 8).getBigUint64(0, true)
    this.turn = new Turn(
      this.counters,
      () => env.scheduleFlush(),
      () => env.scheduleLinkFlush?.(),
    )
    this.turn.linksWait = this.#linksWait(settings)
    this.flow = new Flow(this)
    this.policing = new Policing(settings, env.randomBytes(8), env.now())
    this.lanes = new Lanes(this, options.numberBits ?? 16)
    this.attaches = new Attaches(this)
    this.parking = new Parking(this)
    this.groups = new Groups(this)
    this.locates = new Locates(this)
    this.looseCalls = new LooseCalls(this)
    this.guards = new Guards(this)
    this.singleLogin = new SingleLogin(this)
    this.singleLogin.mode = settings.singleLogin
    this.guards.configure(settings, env.now())
    this.hostTable = new Hosts(this, env.now())
    this.hostTable.set(settings.hosts, env.now())
  }

  // ---- carriers ----

  /** Takes a client's carrier, and where it came in; what is returned wants its events. */
  accept(carrier: Carrier, now: number, entrance?: Entrance): ClientConnection {
    const connection = new ClientConnection(this, carrier, now, entrance)
    this.connections.add(connection)
    this.counters.cells[cell.connectionsAccepted]++
    this.counters.cells[cell.connectionsOpen] = this.connections.size
    this.env.observe({ event: 'connection_opened', transport: carrier.transport, address: carrier.address })
    connection.begin()
    if (this.#drain !== undefined) connection.close(code.going_away, 'this gateway is draining')
    else if (this.connections.size > this.limits.connectionsMax)
      connection.close(code.admission, 'too many connections')
    else if (this.policing.isBanned(carrier.address, '', now)) connection.close(code.banned, 'this address is banned')
    else if (this.policing.pressure.refusesConnections) connection.close(code.overloaded, 'this gateway sheds load')
    return connection
  }

  /** Takes the carrier to a host that `env.dial` asked for. */
  linkOpened(hostName: string, carrier: Carrier, now: number): Link {
    const link = new Link(this, this.hostTable.forLink(hostName, now), carrier, now)
    this.links.add(link)
    return link
  }

  linkFailed(hostName: string, why: string, now: number): void {
    const host = this.hostTable.forLink(hostName, now)
    this.env.observe({ event: 'link_refused', host: hostName, code: code.host_away, text: why })
    this.hostTable.redial(host, now)
  }

  // ---- turns and time ----

  /** The end of an event-loop turn: every peer that has something waiting gets it in one write. */
  flush(_now: number): void {
    this.lanes.flushSkips()
    this.turn.begin()
    this.turn.flush()
    this.flow.afterFlush()
  }

  /**
   * How strained the process is, told a few times a second; with what waits on the links it may shed messages.
   * `readWaitMs`: how long what was read has waited to be taken.
   */
  strained(eventLoopDelayMs: number, memoryShare: number, readWaitMs: number, now: number): void {
    let queueAgeMs = readWaitMs
    for (const link of this.links) queueAgeMs = Math.max(queueAgeMs, link.queueAge.sample(now))
    const { pressure } = this.policing
    if (!pressure.sample({ eventLoopDelayMs, memoryShare, queueAgeMs }, now)) return
    this.env.observe({ event: 'shedding', level: pressure.level, eventLoopDelayMs, memoryShare, queueAgeMs })
  }

  /** Once for each env.scheduleLinkFlush: the links get what has gathered for them. */
  flushLinks(_now: number): void {
    this.turn.flushLinks()
    this.flow.afterFlush()
  }

  #linksWait({ times }: Settings): boolean {
    return times.linkFlushDelayMs > 0 && this.env.scheduleLinkFlush !== undefined
  }

  /** When `tick` is wanted next; Infinity: not before something else happens. */
  deadline(): number {
    return this.deadlines.next()
  }

  tick(now: number): void {
    const late = now - this.deadlines.next()
    if (late > STALL_MS) {
      // O1: the process stood still; what peers sent meanwhile must be read before anybody is declared silent.
      this.deadlines.shift(late, now + STALL_MS)
      this.counters.cells[cell.stalls]++
      this.env.observe({ event: 'stalled', ms: late })
    }
    this.deadlines.expire(now)
  }

  // ---- sessions ----

  joinSession(connection: ClientConnection, id: string, user: string, labels: Labels): void {
    let session = this.#sessions.get(id)
    if (session === undefined) {
      session = new Session(id, ++this.#lastSession, user, this.policing.sessions.take(user), labels, connection)
      this.#sessions.set(id, session)
      this.counters.cells[cell.sessionsOpen] = this.#sessions.size
    } else {
      session.connections.push(connection)
    }
    connection.session = session
    connection.subject = this.policing.subjectOf(connection.outlet.carrier.address, session.place, user)
    connection.subject.labels = session.labels
  }

  connectionEnded(connection: ClientConnection, why: number): void {
    this.connections.delete(connection)
    this.counters.cells[cell.connectionsOpen] = this.connections.size
    this.counters.closedByCode[Math.min(why, 1023)]++
    const session = connection.session
    if (session !== undefined) {
      session.connections.splice(session.connections.indexOf(connection), 1)
      if (session.connections.length === 0) {
        this.#sessions.delete(session.id)
        this.policing.sessions.giveBack(session.user, session.place)
        this.singleLogin.left(session, this.env.now())
      }
      this.counters.cells[cell.sessionsOpen] = this.#sessions.size
    }
    const { transport, address } = connection.outlet.carrier
    this.env.observe({
      event: 'connection_closed',
      transport,
      address,
      code: why,
      session: session?.id,
      user: session?.user,
    })
    this.#drain?.connectionEnded()
  }

  /** P5: a host has something for a session: its newest connection is invited, with a pin to that host. */
  invite(link: Link, a: LinkInvite): void {
    this.counters.cells[cell.invites]++
    const session = this.#sessions.get(a.session)
    if (session === undefined || !this.services.has(a.service)) {
      writeLinkInvite(link.outlet.writer, linkKind.noSession, a)
      link.outlet.touch()
      return
    }
    const connection = session.connections[session.connections.length - 1]
    const pin = sealPin(this.env, a.session, a.service, a.key, link.host.name)
    writeInvite(connection.outlet.writer, { service: a.service, key: a.key, life: a.life, pin })
    connection.outlet.touch()
  }

  /**
   * Ends a session (X4): its connections here are closed with a code that does not come back unless told otherwise, and
   * every linked host but the one it came from is told, so that it marks what it holds of the session.
   */
  kick(session: string, why: number, from?: Link): boolean {
    const reason = why === code.ok ? code.kicked : why
    for (const host of this.hostTable.all()) {
      const link = host.current
      if (link === undefined || host === from?.host) continue
      writeKick(link.outlet.writer, { session, code: reason })
      link.outlet.touch()
    }
    const found = this.#sessions.get(session)
    if (found === undefined) return false
    for (const connection of found.connections.slice()) connection.close(reason, 'the session was ended')
    return true
  }

  /** Ends all sessions of a user that are connected here (X4); how many. */
  kickUser(user: string, why: number): number {
    const theirs = [...this.#sessions.values()].filter((session) => session.user === user)
    for (const { id } of theirs) this.kick(id, why)
    return theirs.length
  }

  /** Closes the connections from certain addresses; their sessions live, and may come back from elsewhere. How many. */
  closeFrom(isTheirs: (address: string) => boolean, why: number): number {
    const theirs = [...this.connections].filter(({ outlet }) => isTheirs(outlet.carrier.address))
    for (const connection of theirs) connection.close(why, 'the address is banned')
    return theirs.length
  }

  /**
   * A loose call from outside any connection: HTTP (H1). `subject` is of `policing.callerOf`, and may be used again for the
   * same caller. Returns what the policies said: after `close` and `ban` the caller's connection is to be ended.
   */
  call(call: LooseCall, caller: LooseCaller, subject: Subject, now: number): Verdict {
    if (this.policing.isBanned(call.address, call.user, now)) {
      caller.looseReplied(call.request, code.banned, NOTHING, 0)
      return verdict.close
    }
    const pipelines = this.policing.compiled.pipelines(call.listener ?? '')
    const said = this.looseCalls.call(call, caller, subject, pipelines, now)
    if (said === verdict.ban) this.banned(call.address, call.user, now)
    return said
  }

  /** A policy has said `ban` of a message: its address or user is kept away, and every connection of it here ends. */
  banned(address: string, user: string, now: number): void {
    const { policing } = this
    policing.ban(address, user, now)
    const { banOf, banMs } = policing.judgement
    this.env.observe({ event: 'banned', of: banOf, address, user, ms: banMs })
    for (const connection of [...this.connections]) {
      const { address: from } = connection.outlet.carrier
      if (policing.isBanned(from, connection.session?.user ?? '', now))
        connection.close(code.banned, 'banned for a time')
    }
  }

  // ---- the operator ----

  /** The list of configuration or discovery has changed. */
  setHosts(list: readonly HostSettings[], now: number): void {
    this.hostTable.set(list, now)
  }

  /** Swaps in a checked configuration: routes, services, limits and times from the next frame on, hosts as `setHosts`. */
  configure(settings: Settings, now: number): void {
    this.settings = settings
    this.limits = settings.limits
    this.times = settings.times
    this.turn.linksWait = this.#linksWait(settings)
    this.services = new Map(settings.services.map((service) => [service.name, service]))
    if (!this.routes.isMadeOf(settings.routes)) this.routes = new RouteTable(settings.routes)
    this.policing.configure(settings, now)
    this.linkKey = new TextEncoder().encode(settings.linkKey ?? '')
    this.guards.configure(settings, now)
    this.singleLogin.mode = settings.singleLogin
    this.hostTable.set(settings.hosts, now)
  }

  /** Stops being ready and lets every client go within this time; `drain_finished` tells when none is left. */
  drain(withinMs: number, now: number): void {
    this.#drain ??= new Drain(this, withinMs, now)
  }

  /** Lets the clients go within this time that came in by a listener which is there no longer. */
  drainEntrance(entrance: Entrance, withinMs: number, now: number): void {
    const leaving = [...this.connections].filter((connection) => connection.entrance === entrance)
    if (leaving.length === 0 || this.#drain !== undefined) return
    new Departures(this, leaving, withinMs, 'the listener is there no longer', () => {}, now)
  }

  /** Takes a drain back; clients that were told to go may go all the same. */
  undrain(): void {
    this.#drain?.cancel()
    this.#drain = undefined
  }

  /** Keeps new actors off a host, or lets them on again; what is attached goes on. False: no such host. */
  setAside(hostName: string, isAside: boolean): boolean {
    return this.hostTable.setAside(hostName, isAside)
  }

  readiness(): { ready: boolean; reasons: string[] } {
    const reasons: string[] = []
    if (this.#drain !== undefined) reasons.push('draining')
    if (this.counters.cells[cell.linksOpen] === 0) reasons.push('no host is linked')
    return { ready: reasons.length === 0, reasons }
  }

  /** The sessions connected here, at most `max`. */
  sessions(max = 1000): SessionSnapshot[] {
    const found: SessionSnapshot[] = []
    for (const session of this.#sessions.values()) {
      if (found.length >= max) break
      found.push(sessionSnapshot(session, this.env.now()))
    }
    return found
  }

  session(id: string): SessionSnapshot | undefined {
    const session = this.#sessions.get(id)
    return session === undefined ? undefined : sessionSnapshot(session, this.env.now())
  }

  hosts(): HostSnapshot[] {
    return Array.from(this.hostTable.all(), hostSnapshot)
  }

  takeLinkSerial(): number {
    return ++this.#linkSerial
  }

  /** In [0, 1), for jitter. */
  random(): number {
    const bytes = this.env.randomBytes(4)
    return (bytes[0] + bytes[1] * 256 + bytes[2] * 65_536) / 2 ** 24
  }
}
