// A game server in the simulator: the real host core with actors that handle, push, call, publish and talk to each other,
// everything noted in the ledger. Killing it loses all of it (the actors are not durable), and their lanes with it.
import type { Outbox } from '../../protocols/session/outbox.ts'
import type { Context } from '../../sdk/host/context.ts'
import { HostCore } from '../../sdk/host/core.ts'
import type { Service } from '../../sdk/host/service.ts'
import { service } from '../../sdk/host/service.ts'
import type { Due } from './clock.ts'
import { Violation } from './ledger.ts'
import type { Connection } from './network.ts'
import { simHmac } from './sealing.ts'
import type { World } from './world.ts'

type Actor = { id: number; lanes: Map<string, { serial: number; sent: number }>; latest: number }
type Ctx = Context<Actor>

const decoder = new TextDecoder()
const encoder = new TextEncoder()
/** The id in front of a payload's filler. */
export const idOf = (payload: unknown): string => {
  const text = decoder.decode(payload as Uint8Array)
  const bar = text.indexOf('|')
  return bar < 0 ? text : text.slice(0, bar)
}
export const payloadOf = (id: string, filler = 0): Uint8Array => encoder.encode(`${id}|${'.'.repeat(filler)}`)

export class HostNode {
  readonly name: string
  core: HostCore | undefined
  isFrozen = false
  readonly #world: World
  #life = 0
  #nextLink = 1
  #links: Map<number, Connection> = new Map()
  #timer: Due | undefined
  #flushDue = false
  #waiting: (() => void)[] = []
  #lanesOpen: Set<string> = new Set()

  constructor(world: World, name: string) {
    this.#world = world
    this.name = name
  }

  start(): void {
    const world = this.#world
    const life = ++this.#life
    const { profile } = world
    const half = Math.ceil(profile.windowBytes)
    this.core = new HostCore(
      {
        name: this.name,
        linkKey: 'sim link key',
        window: { count: profile.windowCount, bytes: half },
        limits: { openRequestsMax: profile.openRequestsMax, numberMask: 2 ** profile.numberBits - 1 },
        keepMs: profile.keepMs,
        heartbeatMs: 2000,
        handlerDeadlineMs: 5000,
        onEvent: (event) =>
          world.trace(() => `${this.name} ${JSON.stringify(event, (_, v) => (typeof v === 'bigint' ? String(v) : v))}`),
      },
      {
        randomBytes: (length) => world.random.bytes(length),
        hmac: simHmac,
        write: (link, bytes) => this.#links.get(link)?.toA.write(bytes),
        closeLink: (link) => {
          const connection = this.#links.get(link)
          if (connection === undefined) return
          this.#links.delete(link)
          connection.end(connection.toA, connection.toB)
        },
        queuedBytes: (link) => this.#links.get(link)?.toA.queuedBytes() ?? 0,
        scheduleFlush: () => {
          if (this.#flushDue) return
          this.#flushDue = true
          world.clock.at(world.clock.now, () => {
            this.#flushDue = false
            if (this.#life !== life || this.core === undefined) return
            if (this.isFrozen) this.#waiting.push(() => this.#flush())
            else this.#flush()
          })
        },
        now: () => world.clock.now,
      },
    )
    this.#flushDue = false
    this.core.service(this.#arena())
    this.core.service(this.#self())
    world.trace(() => `${this.name} started`)
    this.poke()
  }

  #flush(): void {
    this.core?.flush(this.#world.clock.now)
    this.poke()
  }

  kill(): void {
    if (this.core === undefined) return
    this.#life++
    this.core = undefined
    this.isFrozen = false
    this.#waiting = []
    this.#world.clock.cancel(this.#timer)
    this.#timer = undefined
    for (const connection of this.#links.values()) connection.cut(0.1)
    this.#links.clear()
    for (const lane of this.#lanesOpen) this.#world.ledger.orphan(lane)
    this.#lanesOpen.clear()
    this.#world.trace(() => `${this.name} killed`)
  }

  freeze(ms: number): void {
    if (this.isFrozen || this.core === undefined) return
    const life = this.#life
    this.isFrozen = true
    this.#world.trace(() => `${this.name} frozen for ${Math.round(ms)} ms`)
    this.#world.clock.after(ms, () => {
      if (this.#life !== life) return
      this.isFrozen = false
      for (const resume of this.#waiting.splice(0)) resume()
      this.poke()
    })
  }

  accept(connection: Connection): void {
    const core = this.core
    if (core === undefined) return
    const life = this.#life
    const link = this.#nextLink++
    this.#links.set(link, connection)
    const when = (run: (core: HostCore) => void) => {
      const step = () => {
        if (this.#life !== life || this.core === undefined) return
        run(this.core)
        this.poke()
      }
      if (this.isFrozen) this.#waiting.push(step)
      else step()
    }
    const now = () => this.#world.clock.now
    when((c) => c.linkOpened(link, now()))
    connection.toB.side = {
      receive: (bytes) => {
        const copy = this.isFrozen ? bytes.slice() : bytes
        when((c) => c.receive(link, copy, now()))
      },
      drained: () => when((c) => c.drained(link, now())),
      closed: () => {
        this.#links.delete(link)
        when((c) => c.linkClosed(link, now()))
      },
    }
    connection.toB.wake()
  }

  poke(): void {
    const core = this.core
    if (core === undefined || this.isFrozen) return
    const at = core.deadline()
    if (this.#timer !== undefined && !this.#timer.dead && this.#timer.at <= at) return
    this.#world.clock.cancel(this.#timer)
    this.#timer = undefined
    if (at === Infinity) return
    const life = this.#life
    this.#timer = this.#world.clock.at(at, () => {
      this.#timer = undefined
      if (this.#life !== life || this.core === undefined || this.isFrozen) return
      this.core.tick(this.#world.clock.now)
      this.poke()
    })
  }

  /** A handler that takes its time, without promises: the mailbox waits for this thenable. */
  #later(value: Uint8Array | undefined): unknown {
    const world = this.#world
    if (!world.random.chance(world.profile.slowMailbox)) return value
    const life = this.#life
    return {
      // biome-ignore lint/suspicious/noThenProperty: the mailbox takes any thenable, so that virtual time stays exact
      then: (ok: (value: unknown) => void) => {
        world.clock.after(world.random.between(1, 800), () => {
          const done = () => {
            ok(value)
            this.poke()
          }
          if (this.#life !== life) return
          if (this.isFrozen) this.#waiting.push(done)
          else done()
        })
      },
    }
  }

  #arena(): Service {
    const world = this.#world
    const handle = (ctx: Ctx, payload: unknown): unknown => {
      const id = idOf(payload)
      world.trace(() => `${this.name} ${ctx.service}/${ctx.key} handles ${id}`)
      world.ledger.handled(id, ctx.route, `${ctx.user || ctx.session}>${ctx.service}/${ctx.key}`)
      return this.#later(ctx.isRequest ? payloadOf(id) : undefined)
    }
    return service<Actor>('arena', {
      keys: 'any',
      idleMs: 5000,
      state: () => ({ id: world.nextActor++, lanes: new Map(), latest: 0 }),
      onStart: (ctx) => {
        world.actorStarted(this.name, `${ctx.service}/${ctx.key}`)
        ctx.every(Math.max(5, world.random.between(world.profile.pushMs / 2, world.profile.pushMs * 2)), (c) =>
          this.#act(c as Ctx),
        )
      },
      onStop: (ctx) => world.actorStopped(this.name, `${ctx.service}/${ctx.key}`),
      onAttached: (ctx) => {
        if (ctx.session.startsWith('a:')) return
        ctx.group('room').join(ctx.session)
        if (world.profile.recoverableGroups) ctx.group('log', { recoverable: true, historyCount: 40 }).join(ctx.session)
      },
      onEnd: (ctx, ending) => {
        const state = ctx.state
        const lane = state.lanes.get(ctx.session)
        if (lane !== undefined) lane.serial++
        for (const message of ending.unknown) world.ledger.unknown(idOf(message.payload))
        for (const message of ending.undelivered) world.ledger.refused(idOf(message.payload))
      },
      onRefused: (_ctx, refused) => world.ledger.refused(idOf(refused.payload)),
      routes: {
        'arena.move': handle,
        'arena.limited': handle,
        'arena.ask': handle,
        'arena.peer': handle,
        'arena.look': (ctx, payload) => {
          world.ledger.unreliable(`${idOf(payload)}`)
          void ctx
        },
        'arena.aim': (ctx, payload) => {
          const [lane, value] = idOf(payload).split('=')
          world.ledger.latest(`${ctx.state.id}`, `${lane} ${ctx.latestKey}`, Number(value))
        },
      },
    })
  }

  #self(): Service {
    const world = this.#world
    return service<Actor>('self', {
      keys: 'user',
      idleMs: 5000,
      state: () => ({ id: world.nextActor++, lanes: new Map(), latest: 0 }),
      onEnd: (_ctx, ending) => {
        for (const message of ending.unknown) world.ledger.unknown(idOf(message.payload))
      },
      routes: {
        'self.note': (ctx, payload) => {
          world.ledger.handled(idOf(payload), ctx.route, `${ctx.user}>${ctx.service}/${ctx.key}`)
          return this.#later(ctx.isRequest ? (payload as Uint8Array) : undefined)
        },
      },
    })
  }

  #lane(ctx: Ctx, to: string): { key: string; next: number; serial: { sent: number } } {
    let lane = ctx.state.lanes.get(to)
    if (lane === undefined) {
      lane = { serial: 0, sent: 0 }
      ctx.state.lanes.set(to, lane)
    }
    const key = `a${ctx.state.id}/${ctx.key}>${to}#${lane.serial}`
    this.#lanesOpen.add(key)
    return { key, next: lane.sent + 1, serial: lane }
  }

  /** What an actor does now and then: pushes, calls, publishes, talks to other rooms, reaches for strangers. */
  #act(ctx: Ctx): void {
    const world = this.#world
    if (world.isQuiet) return
    const { random, ledger, profile } = world
    for (const session of ctx.sessions) {
      if (session.startsWith('a:')) continue
      this.#push(ctx, session)
      if (random.chance(0.3)) {
        ctx.latest(session, 'arena.seen', random.pick(['x', 'y']), payloadOf(`${ctx.state.id}=${++ctx.state.latest}`))
      }
      if (random.chance(0.2)) ctx.unreliable(session, 'arena.blink', payloadOf(`b${world.nextId++}`))
      if (random.chance(0.05)) ctx.group('room').publish('arena.said', payloadOf(`g${world.nextId++}`))
      if (profile.recoverableGroups && random.chance(0.1)) {
        const log = ctx.group('log', { recoverable: true, historyCount: 40 })
        log.publish('arena.logged', payloadOf(`${ctx.state.id}`))
      }
      if (random.chance(0.1)) this.#callClient(ctx, session)
    }
    if (random.chance(0.02)) {
      const stranger = world.someSession()
      if (stranger !== undefined) this.#push(ctx, stranger)
    }
    if (profile.rooms > 1 && random.chance(0.1)) {
      const key = `room${random.between(1, profile.rooms)}`
      if (key !== ctx.key) {
        const id = `m${world.nextId++}`
        const to = `a:arena/${key}`
        const lane = this.#lane(ctx, to)
        try {
          ctx.actor('arena', key).send('arena.peer', payloadOf(id))
        } catch {
          return
        }
        lane.serial.sent = lane.next
        ledger.accepted(id, lane.key, lane.next, 'arena.peer', `a:arena/${ctx.key}>arena/${key}`, 'oneway')
      }
    }
  }

  #push(ctx: Ctx, session: string): void {
    const world = this.#world
    const id = `p${world.nextId++}`
    const lane = this.#lane(ctx, session)
    const before = this.#outOf(ctx, session)?.bytesHeld ?? 0
    try {
      ctx.push(session, 'arena.event', payloadOf(id, world.random.between(0, 60)))
    } catch {
      return
    }
    const out = this.#outOf(ctx, session)
    if (before > 0 && out !== undefined && out.bytesHeld > out.grantedBytes) {
      throw new Violation(`${this.name} keeps ${out.bytesHeld} bytes for ${session}, granted ${out.grantedBytes}`)
    }
    lane.serial.sent = lane.next
    world.ledger.accepted(id, lane.key, lane.next, 'arena.event', world.userOf(session), 'oneway')
  }

  #outOf(ctx: Ctx, session: string): Outbox | undefined {
    return this.core?.actor('arena', ctx.key)?.bindingOf(session)?.lanes.out
  }

  #callClient(ctx: Ctx, session: string): void {
    const world = this.#world
    const id = `c${world.nextId++}`
    const lane = this.#lane(ctx, session)
    let isAccepted = true
    try {
      ctx.requestClient(
        session,
        'arena.query',
        payloadOf(id),
        (_c, error, value) => {
          if (!isAccepted) return
          if (error === undefined && idOf(value) !== id) throw new Error(`${id} was answered with ${idOf(value)}`)
          world.ledger.outcome(id, error === undefined ? 'yes' : error.ran)
        },
        { timeoutMs: world.random.between(100, 8000) },
      )
    } catch {
      isAccepted = false
      return
    }
    lane.serial.sent = lane.next
    world.ledger.accepted(id, lane.key, lane.next, 'arena.query', world.userOf(session), 'request')
  }
}
