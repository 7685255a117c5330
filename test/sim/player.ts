// A player in the simulator: the real client core, with channels to rooms and to its own actor. What it sends and what
// reaches its handlers goes into the ledger; its slow handlers settle later.
import { code } from '../../protocols/codes.ts'
import type { ChannelEnd, Incoming, Outcome } from '../../protocols/session/channel-end.ts'
import type { Ending } from '../../protocols/session/client-channel.ts'
import type { Item } from '../../protocols/session/outbox.ts'
import { laneKind } from '../../protocols/wire/lane-frames.ts'
import { ClientCore } from '../../sdk/client/core.ts'
import type { CoreChannel } from '../../sdk/client/core-channel.ts'
import type { ClientSink } from '../../sdk/client/options.ts'
import type { ClientWire, WireEvents } from './client-wire.ts'
import { DatagramWire, StreamWire } from './client-wire.ts'
import type { Due } from './clock.ts'
import { idOf, payloadOf } from './host-node.ts'
import { Violation } from './ledger.ts'
import { simHmac } from './sealing.ts'
import type { Luggage } from './udp-sides.ts'
import type { World } from './world.ts'

const encoder = new TextEncoder()
const NO_BINDING = new Uint8Array(0)

export class Player implements ClientSink {
  readonly user: string
  readonly name: string
  readonly core: ClientCore
  isDead = false
  hadSecondProcess = false
  readonly rooms: Map<string, CoreChannel> = new Map()
  readonly #world: World
  #wires: Map<number, ClientWire> = new Map()
  readonly #jars: Map<string, NonNullable<Luggage['jar']>> = new Map()
  readonly #ticketKeepers: Set<string> = new Set()
  #timer: Due | undefined
  #flushDue = false
  #lanes: WeakMap<ChannelEnd, { key: string; sent: number }> = new WeakMap()
  #laneKeys: string[] = []
  #requests: WeakMap<ChannelEnd, Map<number, string>> = new WeakMap()
  #closing: Set<CoreChannel> = new Set()
  #latest = 0
  #log: Map<string, number> = new Map()

  constructor(world: World, name: string, user: string) {
    this.#world = world
    this.name = name
    this.user = user
    const { profile } = world
    this.core = new ClientCore(
      {
        addresses: world.addresses(),
        token: encoder.encode(user),
        window: { count: profile.windowCount, bytes: profile.windowBytes },
        limits: { openRequestsMax: profile.openRequestsMax, numberMask: 2 ** profile.numberBits - 1 },
        keepMs: profile.keepMs,
        backoffMaxMs: 2000,
      },
      {
        random: () => world.random.unit(),
        hmac: simHmac,
        dial: (connection, address) => this.#dial(connection, address),
        write: (connection, bytes) => this.#wires.get(connection)?.write(bytes),
        writeDatagram: (connection, frame) => this.#wires.get(connection)?.writeDatagram(frame) ?? false,
        closeConnection: (connection) => {
          this.#wires.get(connection)?.close()
          this.#wires.delete(connection)
        },
        queuedBytes: (connection) => this.#wires.get(connection)?.queuedBytes() ?? 0,
        scheduleFlush: () => {
          if (this.#flushDue) return
          this.#flushDue = true
          world.clock.at(world.clock.now, () => {
            this.#flushDue = false
            if (this.isDead) return
            this.core.flush(world.clock.now)
            this.poke()
          })
        },
      },
      this,
    )
  }

  start(): void {
    this.core.connect(this.#now)
    this.poke()
  }

  get #now(): number {
    return this.#world.clock.now
  }

  #dial(connection: number, address: string): void {
    const world = this.#world
    world.clock.after(1 + world.random.unit() * world.profile.latencyMs, () => {
      if (this.isDead) return
      const luggage = this.#luggageFor(address)
      const wire = world.connectToGateway(this, address, this.#eventsOf(connection, address, luggage.resume), luggage)
      if (wire === undefined) this.core.lost(connection, this.#now)
      else this.#wires.set(connection, wire)
      // A stream stands at once; a line over datagrams says when it does.
      if (wire instanceof StreamWire) this.core.opened(connection, NO_BINDING, this.#now)
      this.poke()
    })
  }

  /** As the SDK's driver has it: a handshake with a ticket that came to nothing is followed by one without. */
  #luggageFor(address: string): Luggage & { resume: ClientCore['ticket'] } {
    let jar = this.#jars.get(address)
    if (jar === undefined) this.#jars.set(address, (jar = {}))
    return { resume: this.#ticketKeepers.delete(address) ? undefined : this.core.ticket, jar }
  }

  #eventsOf(connection: number, address: string, resume: ClientCore['ticket']): WireEvents {
    let isOpened = false
    const isOurs = () => this.#wires.has(connection)
    const tell = (run: () => void) => this.#step(() => isOurs() && run())
    return {
      opened: (binding, isTicketTaken) => {
        isOpened = true
        tell(() => this.core.opened(connection, binding, this.#now, isTicketTaken ? resume : undefined))
      },
      receive: (bytes) => tell(() => this.core.receive(connection, bytes, this.#now)),
      receiveDatagram: (frame) => tell(() => this.core.receiveDatagram(connection, frame, this.#now)),
      drained: () => tell(() => this.core.drained(connection, this.#now)),
      stalled: () => tell(() => this.core.stalled(connection, this.#now)),
      closed: () =>
        tell(() => {
          this.#wires.delete(connection)
          if (!isOpened && resume !== undefined) this.#ticketKeepers.add(address)
          this.core.lost(connection, this.#now)
        }),
    }
  }

  #step(run: () => void): void {
    if (this.isDead) return
    run()
    this.poke()
  }

  poke(): void {
    if (this.isDead) return
    const at = this.core.deadline()
    if (this.#timer !== undefined && !this.#timer.dead && this.#timer.at <= at) return
    this.#world.clock.cancel(this.#timer)
    this.#timer = undefined
    if (at === Infinity) return
    this.#timer = this.#world.clock.at(at, () => {
      this.#timer = undefined
      this.#step(() => this.core.tick(this.#now))
    })
  }

  /** The process dies: nobody is left to be told of what it sent. */
  die(): void {
    this.isDead = true
    for (const key of this.#laneKeys) this.#world.ledger.orphan(key)
    for (const wire of this.#wires.values()) wire.cut(1)
    this.#wires.clear()
    this.#world.clock.cancel(this.#timer)
  }

  /** Breaks the connections under it. */
  cut(lostClose: number): void {
    for (const wire of this.#wires.values()) wire.cut(lostClose)
  }

  wires(): ClientWire[] {
    return [...this.#wires.values()]
  }

  /** Its address changes under its datagrams; half of the time it knows. */
  rebind(): void {
    for (const wire of this.#wires.values()) {
      if (!(wire instanceof DatagramWire)) continue
      if (this.#world.random.chance(0.5)) wire.rebind()
      else wire.move()
    }
  }

  /** Another way is chosen, or the one in use is believed to be silent. */
  hop(): void {
    const { random } = this.#world
    const { active } = this.core.dialer
    this.#step(() => {
      if (active !== undefined && random.chance(0.3)) this.core.stalled(active.id, this.#now)
      else this.core.switchTo(random.between(0, this.core.settings.addresses.length - 1), this.#now)
    })
  }

  // ---- doing things ----

  open(service: string, key: string): void {
    const channel = this.core.channel(service, key, this.#now)
    if (typeof channel !== 'number') this.rooms.set(`${service}/${key}`, channel)
    this.poke()
  }

  act(): void {
    if (this.isDead) return
    const world = this.#world
    const { random } = world
    if (this.rooms.size === 0 || random.chance(0.02)) {
      if (random.chance(0.3)) this.open('self', '')
      else this.open('arena', `room${random.between(1, world.profile.rooms)}`)
      return
    }
    const [name, channel] = random.pick([...this.rooms])
    const luck = random.unit()
    if (name === 'self/') this.#send(channel, 'self.note')
    else if (luck < 0.15) this.#ask(channel)
    else if (luck < 0.25) this.#aim(channel)
    else if (luck < 0.32) channel.unreliable('arena.look', payloadOf(`l${world.nextId++}`), this.#now)
    else if (luck < 0.33 && !world.isQuiet) {
      this.#closing.add(channel)
      channel.close(this.#now)
    } else this.#send(channel, random.chance(world.profile.refusedShare) ? 'arena.limited' : 'arena.move')
    if (random.chance(0.02)) {
      const end = channel.end
      if (end.out.sent > 0) channel.withdraw(end.out.sent, this.#now)
    }
    this.poke()
  }

  #lane(channel: CoreChannel): { key: string; sent: number } {
    let lane = this.#lanes.get(channel.end)
    if (lane === undefined) {
      lane = { key: `${this.name}/${channel.service}/${channel.key}#${this.#world.nextId++}`, sent: 0 }
      this.#lanes.set(channel.end, lane)
      this.#laneKeys.push(lane.key)
    }
    return lane
  }

  #receiver(channel: CoreChannel): string {
    return `${this.user}>${channel.service}/${channel.key === '' ? this.user : channel.key}`
  }

  #send(channel: CoreChannel, route: string): void {
    const id = `${this.name}.${this.#world.nextId++}`
    const result = channel.send(route, payloadOf(id, this.#world.random.between(0, 80)), this.#now)
    if (result < 0) return
    const lane = this.#lane(channel)
    this.#world.ledger.accepted(id, lane.key, ++lane.sent, route, this.#receiver(channel), 'oneway')
  }

  #ask(channel: CoreChannel): void {
    const id = `${this.name}.q${this.#world.nextId++}`
    const deadline = this.#now + this.#world.random.between(50, 10_000)
    const request = channel.request('arena.ask', payloadOf(id), deadline, this.#now)
    if (request < 0) return
    const lane = this.#lane(channel)
    let open = this.#requests.get(channel.end)
    if (open === undefined) this.#requests.set(channel.end, (open = new Map()))
    open.set(request, id)
    this.#world.ledger.accepted(id, lane.key, ++lane.sent, 'arena.ask', this.#receiver(channel), 'request')
  }

  #aim(channel: CoreChannel): void {
    channel.latest(
      'arena.aim',
      this.#world.random.pick(['a', 'b']),
      payloadOf(`${this.name}=${++this.#latest}`),
      Infinity,
      this.#now,
    )
  }

  // ---- what the core tells ----

  state(): void {}
  welcomed(session: string): void {
    this.#world.sessionKnown(session, this.user)
  }
  connectionEnded(address: number, why: number, text: string): void {
    this.#world.trace(() => `${this.name} connection to ${address} ended: ${why} ${text}`)
    if (why === code.protocol) throw new Violation(`${this.name}: a connection ended by a protocol violation: ${text}`)
  }
  sessionEnded(why: number, text: string): void {
    this.#world.trace(() => `${this.name} session ended: ${why} ${text}`)
    if (!this.#world.isClosing && why !== code.taken_over)
      throw new Violation(`${this.name}: the session ended with ${why} ${text}`)
  }
  tokenFailed(): void {}
  rtt(): void {}
  invited(channel: CoreChannel): void {
    this.rooms.set(`${channel.service}/${channel.key}`, channel)
  }
  attached(channel: CoreChannel): void {
    this.#world.trace(() => `${this.name} ${channel.service}/${channel.key} attached, epoch ${channel.line.epoch}`)
  }
  parked(): void {}
  detached(channel: CoreChannel, why: number): void {
    this.#world.trace(() => `${this.name} ${channel.service}/${channel.key} detached: ${why}`)
  }
  reset(channel: CoreChannel, ending: Ending): void {
    this.#world.trace(() => `${this.name} ${channel.service}/${channel.key} reset`)
    if (!this.#world.mayReset)
      throw new Violation(`${this.name}: a reset, although no host died and no second process came`)
    this.#unknown(ending)
  }
  finished(): void {}
  ended(channel: CoreChannel, ending: Ending): void {
    this.#world.trace(() => `${this.name} ${channel.service}/${channel.key} ended: ${ending.code}`)
    this.#unknown(ending)
    this.#forgetLog(channel)
    this.rooms.delete(`${channel.service}/${channel.key}`)
    if (this.#world.isClosing) return
    const expected =
      (ending.code === code.closed && this.#closing.delete(channel)) ||
      (ending.code === code.taken_over && this.hadSecondProcess) ||
      (ending.code === code.expired && this.#now - channel.line.apartSince >= this.#world.profile.keepMs)
    if (!expected) throw new Violation(`${this.name} ${channel.service}/${channel.key} ended with ${ending.code}`)
  }
  #unknown(ending: Ending): void {
    for (const item of ending.unknown) this.#world.ledger.unknown(idOf(item.payload))
  }

  deliver(channel: CoreChannel, message: Incoming, end: ChannelEnd): void {
    const world = this.#world
    const id = idOf(message.payload)
    if (message.kind === laneKind.latest) {
      const [actor, value] = id.split('=')
      world.ledger.latest(this.name, `${actor} ${message.key}`, Number(value))
      return
    }
    if (message.kind === laneKind.unreliable) {
      world.ledger.unreliable(id)
      return
    }
    if (message.kind === laneKind.replay) {
      this.#logged(channel, message)
    } else {
      world.trace(() => `${this.name} handles ${id}`)
      world.ledger.handled(id, message.route, this.user)
    }
    const settle = () => {
      if (this.isDead) return
      if (message.kind === laneKind.request) channel.reply(end, message.request, code.ok, message.payload, this.#now)
      channel.settle(end, message.number, message.payload.length, this.#now)
      this.poke()
    }
    if (world.random.chance(world.profile.slowMailbox)) world.clock.after(world.random.between(1, 500), settle)
    else settle()
  }

  published(channel: CoreChannel, message: Incoming): boolean {
    if (message.group === 'log') this.#logged(channel, message)
    return true
  }

  /** A recoverable group delivers offsets without a gap, or has told what was missed (G3). */
  #logged(channel: CoreChannel, message: Incoming): void {
    const name = `${channel.service}/${channel.key} ${message.life}`
    const last = this.#log.get(name)
    if (last !== undefined && message.offset !== last + 1) {
      throw new Violation(`${this.name}: offset ${message.offset} after ${last} in ${name}`)
    }
    this.#log.set(name, message.offset)
    this.#world.trace(() => `${this.name} logs ${message.offset} of ${name}`)
    this.#world.ledger.unnumbered++
  }

  missed(channel: CoreChannel, group: string): void {
    if (group === 'log') this.#forgetLog(channel)
  }
  #forgetLog(channel: CoreChannel): void {
    for (const name of [...this.#log.keys()])
      if (name.startsWith(`${channel.service}/${channel.key} `)) this.#log.delete(name)
  }
  joined(channel: CoreChannel, group: string): void {
    this.#world.trace(() => `${this.name} joined ${group} of ${channel.key}`)
  }
  left(channel: CoreChannel, group: string): void {
    if (group === 'log') this.#forgetLog(channel)
  }

  refused(_channel: CoreChannel, item: Item): void {
    this.#world.ledger.refused(idOf(item.payload))
  }

  outcome(channel: CoreChannel, request: number, outcome: Outcome): void {
    const id = this.#requests.get(channel.end)?.get(request)
    // The core asks for itself too (RECOVER), and tells what it no longer waits for.
    if (id === undefined) return
    this.#requests.get(channel.end)!.delete(request)
    if (outcome.ran === 'yes' && outcome.code === code.ok && idOf(outcome.payload) !== id) {
      throw new Violation(`${id} was answered with ${idOf(outcome.payload)}`)
    }
    // A reply that says `expired` or `not_found` certainly says that the handler did not run.
    const ran =
      outcome.ran === 'yes' && (outcome.code === code.expired || outcome.code === code.not_found) ? 'no' : outcome.ran
    this.#world.ledger.outcome(id, ran)
  }
  looseOutcome(): void {}

  /** Bounds that hold at every moment, and what is not yet settled. */
  check(): number {
    let open = 0
    for (const channel of this.core.attacher.channels) {
      const { out, in: intake } = channel.end
      const { profile } = this.#world
      if (out.countHeld > profile.windowCount) throw new Violation(`${this.name}: window of ${out.countHeld} messages`)
      if (out.bytesHeld > profile.windowBytes) throw new Violation(`${this.name}: window of ${out.bytesHeld} bytes`)
      if (intake.received - intake.settled > profile.windowCount + 65)
        throw new Violation(`${this.name}: unbounded intake`)
      open += out.sent - out.acked + (intake.received - intake.settled) + channel.end.openRequests
      if (channel.state !== 'attached') open++
    }
    return open
  }
}
