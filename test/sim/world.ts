// The simulated system: gateways, hosts and players on one clock, and the weather of a seed.
import { cell } from '../../gateway/counters.ts'
import type { ClientWire, WireEvents } from './client-wire.ts'
import { DatagramWire, StreamWire } from './client-wire.ts'
import { Clock } from './clock.ts'
import { DatagramNetwork } from './datagram-network.ts'
import { GatewayNode } from './gateway-node.ts'
import { HostNode } from './host-node.ts'
import { Ledger, Violation } from './ledger.ts'
import type { Conditions } from './network.ts'
import { Connection } from './network.ts'
import { Player } from './player.ts'
import type { Profile, UdpProfile } from './profile.ts'
import type { Random } from './random.ts'
import { SealedWire } from './sealed-streams.ts'
import type { UdpWorld } from './udp-faults.ts'
import { startUdpFaults } from './udp-faults.ts'
import type { Luggage } from './udp-sides.ts'
import { lineOptionsOf } from './udp-sides.ts'
import { defaultSettings } from './settings.ts'

const QUIET_WITHIN_MS = 90_000
const CHECK_MS = 250
/** Far more than any honest quarter of a second holds. */
const EVENTS_MAX = 100_000
/** Timers that a link, an actor or a lingering record may have at rest. */
const TIMERS_PER_HOST = 6

const CALM = { loss: 0, twice: 0, corrupt: 0, latencyMs: 1, jitterMs: 0 }

export class World implements UdpWorld {
  readonly clock = new Clock()
  readonly ledger = new Ledger()
  readonly profile: Profile
  readonly random: Random
  readonly datagrams: DatagramNetwork
  readonly faults: Record<string, number> = {}
  /** Nobody sends any more. */
  isQuiet = false
  isClosing = false
  /** A host died or a second process came: lives may end. */
  mayReset = false
  nextId = 1
  nextActor = 1
  readonly #trace: ((line: string) => void) | undefined
  readonly #gateways: GatewayNode[] = []
  readonly #hosts: HostNode[] = []
  readonly #players: Player[] = []
  readonly #users: Map<string, string> = new Map()
  readonly #clientLinks: Set<Connection> = new Set()
  readonly #hostLinks: Set<Connection> = new Set()

  constructor(profile: Profile, random: Random, trace: ((line: string) => void) | undefined) {
    this.profile = profile
    this.random = random
    this.#trace = trace
    this.datagrams = new DatagramNetwork(this.clock, random, this.udp?.weather ?? CALM, this.udp?.isSealed ?? true)
  }

  get udp(): UdpProfile | undefined {
    return this.profile.udp
  }

  trace(line: () => string): void {
    this.#trace?.(`${this.clock.now.toFixed(1).padStart(9)} ${line()}`)
  }

  wallNow(): number {
    return 1_700_000_000_000 + Math.floor(this.clock.now)
  }

  // ---- who is where ----

  /** Each gateway's ways by themselves, or as one gateway whose ways run a race. */
  addresses(): (string | string[])[] {
    const isRacing = this.random.chance(0.5)
    const first = this.random.between(0, this.profile.gateways - 1)
    const all: (string | string[])[] = []
    for (let i = 0; i < this.profile.gateways; i++) {
      const name = `g${((first + i) % this.profile.gateways) + 1}`
      const { udp } = this
      const ways = udp === undefined ? [] : [`kcp:${name}`]
      if (udp?.isAlone !== true) ways.push(`tcp:${name}`, `ws:${name}`)
      if (isRacing) all.push(ways)
      else all.push(...ways)
    }
    return all
  }

  sessionKnown(session: string, user: string): void {
    this.#users.set(session, user)
  }
  userOf(session: string): string {
    return this.#users.get(session) ?? '?'
  }
  someSession(): string | undefined {
    const sessions = [...this.#users.keys()]
    return sessions.length === 0 ? undefined : this.random.pick(sessions)
  }

  /** Two copies of an actor without a dead host and without a partition beyond goneAfter: forbidden (P2). */
  readonly #active: Map<string, string> = new Map()
  actorStarted(host: string, address: string): void {
    const elsewhere = this.#active.get(address)
    if (elsewhere !== undefined && elsewhere !== host && !this.mayReset) {
      throw new Violation(`${address} runs on ${elsewhere} and on ${host}`)
    }
    this.#active.set(address, host)
  }
  actorStopped(host: string, address: string): void {
    if (this.#active.get(address) === host) this.#active.delete(address)
  }

  #conditions(): Conditions {
    const { latencyMs, jitterMs, fragmentation } = this.profile
    return { latencyMs, jitterMs, fragmentation, bytesPerSecond: Infinity }
  }

  connectToGateway(player: Player, address: string, events: WireEvents, luggage: Luggage): ClientWire | undefined {
    const [transport, name] = address.split(':')
    // Nobody says that nobody is there.
    if (transport === 'kcp') return new DatagramWire(this, lineOptionsOf(this, name, luggage), events)
    const gateway = this.#gateways.find((g) => g.name === name)
    if (gateway?.core === undefined) return undefined
    const { sealedStreams } = this.profile
    const conditions = { ...this.#conditions(), corrupt: this.isQuiet ? 0 : sealedStreams?.corrupt }
    const connection = new Connection(this.clock, this.random, conditions)
    this.#clientLinks.add(connection)
    gateway.accept(connection, transport, player.name)
    if (sealedStreams !== undefined) return new SealedWire(this.clock, connection, luggage, events)
    return new StreamWire(this, connection, events)
  }

  connectToHost(_gateway: GatewayNode, name: string): Connection | undefined {
    const host = this.#hosts.find((h) => h.name === name)
    if (host?.core === undefined) return undefined
    const connection = new Connection(this.clock, this.random, this.#conditions())
    this.#hostLinks.add(connection)
    host.accept(connection)
    return connection
  }

  // ---- a seed's course ----

  run(): void {
    const { profile } = this
    for (let i = 1; i <= profile.hosts; i++) this.#hosts.push(new HostNode(this, `h${i}`))
    for (let i = 1; i <= profile.gateways; i++) {
      this.#gateways.push(new GatewayNode(this, `g${i}`, defaultSettings(profile, `g${i}`)))
    }
    for (const host of this.#hosts) host.start()
    for (const gateway of this.#gateways) gateway.start()
    for (let i = 1; i <= profile.clients; i++) this.#join(`c${i}`, `u${i}`)
    this.#startFaults()
    this.#steps(profile.troubleMs)
    this.#heal()
    this.#settle()
    // A link whose end was told to one side only is found out by its heartbeat.
    this.#steps(8000)
    this.#settle()
    this.#checkPresence()
    this.#close()
    this.ledger.settle()
  }

  #steps(ms: number): void {
    const until = this.clock.now + ms
    while (this.clock.now < until) {
      let events = 0
      this.clock.run(Math.min(until, this.clock.now + CHECK_MS), () => {
        if (Violation.first !== undefined) throw Violation.first
        if (++events > EVENTS_MAX) throw new Violation(`${EVENTS_MAX} events within ${CHECK_MS} ms: somebody spins`)
      })
      for (const player of this.#players) if (!player.isDead) player.check()
      for (const gateway of this.#gateways) this.#checkBounds(gateway)
      if (Violation.first !== undefined) throw Violation.first
    }
  }

  /** W5: what a gateway holds is bounded, by connection and in all. */
  #checkBounds(gateway: GatewayNode): void {
    const { core } = gateway
    if (core === undefined) return
    const { limits } = core
    for (const connection of core.connections) {
      // The frame that finds the cap reached is the last one.
      if (connection.outlet.held > limits.connectionBytesMax + limits.frameBytesMax) {
        throw new Violation(`${gateway.name} holds ${connection.outlet.held} bytes for one connection`)
      }
      if (connection.grants.bytes > limits.grantedBytesMax) {
        throw new Violation(`${gateway.name} has granted ${connection.grants.bytes} bytes for one connection`)
      }
    }
    if (core.counters.cells[cell.parked] > limits.parkedMax) throw new Violation(`${gateway.name}: too many parked`)
  }

  #join(name: string, user: string): Player {
    const player = new Player(this, name, user)
    this.#players.push(player)
    player.start()
    player.open('arena', `room${this.random.between(1, this.profile.rooms)}`)
    const act = () => {
      if (player.isDead || this.isQuiet) return
      player.act()
      this.clock.after(this.random.unit() * 2 * this.profile.sendMs, act)
    }
    this.clock.after(this.random.between(0, 500), act)
    return player
  }

  #alive(): Player[] {
    return this.#players.filter((player) => !player.isDead)
  }

  #every(meanMs: number, name: string, fault: () => void): void {
    if (meanMs === Infinity) return
    const again = () => {
      this.clock.after(meanMs * (0.2 + 1.6 * this.random.unit()), () => {
        if (this.isQuiet) return
        this.faults[name] = (this.faults[name] ?? 0) + 1
        this.trace(() => `-- ${name}`)
        fault()
        again()
      })
    }
    again()
  }

  #startFaults(): void {
    const { random, clock } = this
    const f = this.profile.faults
    this.#every(f.cut, 'cut', () => random.pick(this.#alive()).cut(0.15))
    this.#every(f.hop, 'hop', () => random.pick(this.#alive()).hop())
    this.#every(f.flap, 'flap', () => {
      const player = random.pick(this.#alive())
      let afterMs = 0
      for (let i = random.between(2, 8); i > 0; i--) {
        afterMs += random.unit() * 8 * (this.profile.latencyMs + this.profile.jitterMs) + random.between(0, 250)
        clock.after(afterMs, () => player.isDead || player.cut(0))
      }
    })
    this.#every(f.gatewayKill, 'gatewayKill', () => {
      const gateway = random.pick(this.#gateways)
      gateway.kill()
      clock.after(random.between(10, 3000), () => gateway.core === undefined && gateway.start())
    })
    this.#every(f.hostKill, 'hostKill', () => {
      const host = random.pick(this.#hosts)
      this.mayReset = true
      host.kill()
      for (const [address, name] of this.#active) if (name === host.name) this.#active.delete(address)
      clock.after(random.between(10, 4000), () => host.core === undefined && host.start())
    })
    this.#every(f.linkCut, 'linkCut', () => this.#openOf(this.#hostLinks, (c) => c.cut(0.2)))
    this.#every(f.partition, 'partition', () => {
      this.#openOf(random.chance(0.6) ? this.#hostLinks : this.#clientLinks, (connection) => {
        const way = random.between(1, 3)
        connection.hold((way & 1) !== 0, (way & 2) !== 0)
        clock.after(random.between(500, 9000), () => connection.hold(false, false))
      })
    })
    this.#every(f.freeze, 'freeze', () =>
      random.pick([...this.#hosts, ...this.#gateways]).freeze(random.between(200, 6000)),
    )
    this.#every(f.slowReader, 'slowReader', () => {
      const player = random.pick(this.#alive())
      for (const wire of player.wires()) wire.stall(random.between(500, 6000))
    })
    this.#every(f.secondProcess, 'secondProcess', () => {
      const first = random.pick(this.#alive())
      if (first.core.ticket === undefined) return
      this.mayReset = true
      const second = new Player(this, `${first.name}x${this.nextId++}`, first.user)
      first.hadSecondProcess = second.hadSecondProcess = true
      second.core.ticket = first.core.ticket
      second.core.session = first.core.session
      this.#players.push(second)
      second.start()
      for (const channel of first.rooms.values()) second.open(channel.service, channel.key)
      const act = () => {
        if (second.isDead || this.isQuiet) return
        second.act()
        clock.after(random.unit() * 2 * this.profile.sendMs, act)
      }
      act()
      clock.after(random.between(100, 4000), () => {
        if (random.chance(0.7)) first.die()
      })
    })
    if (this.udp !== undefined) {
      startUdpFaults(this, {
        gateways: () => this.#gateways.map(({ name }) => name),
        rebind: () => random.pick(this.#alive()).rebind(),
      })
    }
    this.#every(f.garbage, 'garbage', () => {
      const gateway = random.pick(this.#gateways)
      if (gateway.core === undefined) return
      const connection = new Connection(clock, random, this.#conditions())
      gateway.accept(connection, 'tcp', 'stranger')
      for (let i = 0; i < 5; i++) connection.toB.write(random.bytes(random.between(1, 200)))
    })
  }

  #openOf(from: Set<Connection>, fault: (connection: Connection) => void): void {
    for (const connection of from) if (!connection.isOpen) from.delete(connection)
    if (from.size > 0) fault(this.random.pick([...from]))
  }

  #heal(): void {
    this.trace(() => '-- heal')
    this.isQuiet = true
    for (const connection of [...this.#hostLinks, ...this.#clientLinks]) {
      if (!connection.isOpen) continue
      connection.hold(false, false)
      connection.toA.isPaused = false
      connection.toA.wake()
    }
    this.datagrams.weather = CALM
    for (const gateway of this.#gateways) if (gateway.core === undefined) gateway.start()
    for (const host of this.#hosts) if (host.core === undefined) host.start()
  }

  /** Liveness: once the faults have stopped, everything comes back and falls quiet. */
  #settle(): void {
    const until = this.clock.now + QUIET_WITHIN_MS
    let open: number
    do {
      this.#steps(500)
      open = 0
      for (const player of this.#alive()) open += player.check()
      for (const host of this.#hosts) open += this.#unsettledAt(host)
      if (open === 0) return
    } while (this.clock.now < until)
    const stuck = this.#alive().flatMap((player) =>
      player.core.attacher.channels
        .filter((c) => c.state !== 'attached' || c.end.out.acked < c.end.out.sent || c.end.openRequests > 0)
        .map(
          (c) =>
            `${player.name} ${c.service}/${c.key} ${c.state} acked ${c.end.out.acked} sent ${c.end.out.sent} requests ${c.end.openRequests}`,
        ),
    )
    const hosts = this.#hosts.flatMap((host) =>
      (host.core?.actors() ?? []).flatMap((actor) =>
        [...actor.bindings.values()]
          .filter((binding) => binding.isAttached && !binding.isOver)
          .map((binding) => {
            const { out, in: intake } = binding.record.end
            return `${host.name} ${actor.address} of ${this.userOf(binding.session) || binding.session} received ${intake.received} settled ${intake.settled} acked ${out.acked} transmitted ${out.transmitted} sent ${out.sent} mailbox ${actor.mailbox.length} busy ${actor.mailbox.isBusy}`
          }),
      ),
    )
    this.trace(() => hosts.join('; '))
    throw new Violation(`not quiet ${QUIET_WITHIN_MS / 1000} s after the last fault: ${open} open; ${stuck.join('; ')}`)
  }

  #unsettledAt(host: HostNode): number {
    let open = 0
    for (const actor of host.core?.actors() ?? []) {
      for (const binding of actor.bindings.values()) {
        if (binding.isOver) continue
        const { out, in: intake } = binding.record.end
        // A record whose client is gone for good waits for `keep`; only attached ones have to be quiet.
        if (binding.isAttached) open += out.sent - out.acked + (intake.received - intake.settled)
      }
    }
    return open
  }

  /** Presence follows the fence: who is attached at the client is attached at the host, and only there. */
  #checkPresence(): void {
    for (const player of this.#alive()) {
      for (const channel of player.core.attacher.channels) {
        if (channel.state !== 'attached') continue
        const key = channel.key === '' ? player.user : channel.key
        const holders = this.#hosts.filter((host) => {
          const binding = host.core?.actor(channel.service, key)?.bindingOf(player.core.session)
          return binding?.isAttached === true && binding.record.life === channel.line.life
        })
        if (holders.length !== 1)
          throw new Violation(`${player.name} ${channel.service}/${key} is attached at ${holders.length} hosts`)
      }
    }
  }

  /** Everybody leaves; after `keep` nothing may be left over. */
  #close(): void {
    this.isClosing = true
    for (const player of this.#alive()) {
      player.core.close(this.clock.now)
      player.poke()
    }
    this.#steps(this.profile.keepMs + 15_000)
    for (const gateway of this.#gateways) {
      const sessions = gateway.core?.sessions() ?? []
      if (sessions.length > 0) throw new Violation(`${gateway.name} still has ${sessions.length} sessions`)
      if (gateway.udpConnections > 0)
        throw new Violation(`${gateway.name} still has ${gateway.udpConnections} conversations`)
      const { core } = gateway
      if (core === undefined) continue
      const { cells } = core.counters
      for (const name of ['connectionsOpen', 'clientQueueBytes'] as const) {
        if (cells[cell[name]] !== 0)
          throw new Violation(`${gateway.name}: ${name} is ${cells[cell[name]]} with nobody there`)
      }
      // Heartbeats and dials of the links are all that may still wait for a time.
      const most = TIMERS_PER_HOST * this.profile.hosts
      if (core.deadlines.size > most)
        throw new Violation(`${gateway.name}: ${core.deadlines.size} timers are left over`)
    }
    for (const host of this.#hosts) {
      const timers = host.core?.schedule.size ?? 0
      const most = TIMERS_PER_HOST * (this.profile.gateways + this.profile.rooms + this.#players.length)
      if (timers > most) throw new Violation(`${host.name}: ${timers} timers are left over`)
      for (const actor of host.core?.actors() ?? []) {
        for (const binding of actor.bindings.values()) {
          if (!binding.isOver && !binding.session.startsWith('a:')) {
            throw new Violation(`${host.name} still has a record of ${binding.session} at ${actor.address}`)
          }
        }
      }
    }
  }
}
