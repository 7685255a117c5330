// A gateway process in the simulator: the real core, with carriers over simulated connections. Killing it loses all of
// it; a restart is a new core with the same name and sealing keys (T3).
import type { Settings } from '../../config/settings.ts'
import { Gateway } from '../../gateway/gateway.ts'
import type { Carrier, CarrierEvents, GatewayEnvironment, GatewayEvent } from '../../gateway/seams.ts'
import type { Due } from './clock.ts'
import type { Connection, Pipe } from './network.ts'
import { open, seal, simHmac } from './sealing.ts'
import { sealed } from './sealed-streams.ts'
import { UdpPort } from './udp-port.ts'
import type { World } from './world.ts'

class SimCarrier implements Carrier {
  readonly transport: string
  readonly address: string
  readonly binding: Uint8Array = new Uint8Array(0)
  readonly connection: Connection
  readonly #out: Pipe
  readonly #in: Pipe

  constructor(transport: string, address: string, connection: Connection, out: Pipe, incoming: Pipe) {
    this.transport = transport
    this.address = address
    this.connection = connection
    this.#out = out
    this.#in = incoming
  }

  write(batch: Uint8Array): void {
    this.#out.write(batch)
  }
  queuedBytes(): number {
    return this.#out.queuedBytes()
  }
  pause(): void {
    this.#in.isPaused = true
  }
  resume(): void {
    this.#in.isPaused = false
    this.#in.wake()
  }
  close(): void {
    this.connection.end(this.#out, this.#in)
  }
  destroy(): void {
    this.connection.end(this.#out, this.#in)
  }
}

export class GatewayNode {
  readonly name: string
  core: Gateway | undefined
  isFrozen = false
  kills = 0
  events: Map<string, number> = new Map()
  readonly #world: World
  readonly #settings: Settings
  #connections: Set<Connection> = new Set()
  #udp: UdpPort | undefined
  #timer: Due | undefined
  #flushDue = false
  #life = 0

  constructor(world: World, name: string, settings: Settings) {
    this.#world = world
    this.name = name
    this.#settings = settings
  }

  start(): void {
    const life = ++this.#life
    const world = this.#world
    const env: GatewayEnvironment = {
      now: () => world.clock.now,
      wallNow: () => world.wallNow(),
      randomBytes: (length) => world.random.bytes(length),
      hmac: simHmac,
      sealer: { seal: (context, plain) => seal(context, plain), open: (context, sealed) => open(context, sealed) },
      authenticator: {
        login: (token, _address, done) => {
          const user = new TextDecoder().decode(token)
          const answer = () => {
            if (this.#life === life && this.core !== undefined) {
              done(user === 'nobody' ? { ok: false, code: 502, text: 'no' } : { ok: true, user, labels: {} })
              this.poke()
            }
          }
          if (world.random.chance(0.5)) answer()
          else world.clock.after(world.random.between(1, 30), answer)
        },
      },
      scheduleFlush: () => {
        if (this.#flushDue) return
        this.#flushDue = true
        world.clock.at(world.clock.now, () => {
          this.#flushDue = false
          this.#whenRunning(life, (core) => core.flush(world.clock.now))
        })
      },
      dial: (hostName) => {
        world.clock.after(1 + world.random.unit() * 10, () => {
          if (this.#life === life) this.#dialled(hostName)
        })
      },
      observe: (event: GatewayEvent) => {
        this.events.set(event.event, (this.events.get(event.event) ?? 0) + 1)
        world.trace(() => `${this.name} ${JSON.stringify(event)}`)
      },
    }
    this.#flushDue = false
    this.core = new Gateway(this.#settings, env, { numberBits: world.profile.numberBits })
    if (world.profile.udp !== undefined) this.#udp = this.#openUdp(life)
    world.trace(() => `${this.name} started`)
    this.poke()
  }

  #openUdp(life: number): UdpPort {
    return new UdpPort(this.#world, {
      name: this.name,
      whenRunning: (run) => this.#whenRunning(life, run),
      accept: (carrier, now) => this.core!.accept(carrier, now),
    })
  }

  /** Conversations over UDP that are open. */
  get udpConnections(): number {
    return this.#udp?.connections ?? 0
  }

  /** kill -9: whatever was in flight is delivered up to a random byte, peers learn of it late or never. */
  kill(): void {
    if (this.core === undefined) return
    this.kills++
    this.#life++
    this.core = undefined
    this.isFrozen = false
    this.#world.clock.cancel(this.#timer)
    this.#timer = undefined
    this.#udp?.kill()
    this.#udp = undefined
    for (const connection of this.#connections) connection.cut(0.1)
    this.#connections.clear()
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
  #waiting: (() => void)[] = []

  /** Runs now, or when the process goes on. */
  #whenRunning(life: number, run: (core: Gateway) => void): void {
    const step = () => {
      if (this.#life !== life || this.core === undefined) return
      run(this.core)
      this.poke()
    }
    if (this.isFrozen) this.#waiting.push(step)
    else step()
  }

  accept(connection: Connection, transport: string, address: string): void {
    const core = this.core
    if (core === undefined) return
    this.#connections.add(connection)
    const carrier = new SimCarrier(transport, address, connection, connection.toA, connection.toB)
    const peer =
      this.#world.profile.sealedStreams === undefined
        ? core.accept(carrier, this.#world.clock.now)
        : sealed(this.#world, carrier, (inside, now) => core.accept(inside, now))
    this.#attach(connection, connection.toB, peer)
    this.poke()
  }

  #dialled(hostName: string): void {
    const core = this.core
    if (core === undefined) return
    const connection = this.#world.connectToHost(this, hostName)
    if (connection === undefined) {
      core.linkFailed(hostName, 'refused', this.#world.clock.now)
      this.poke()
      return
    }
    this.#connections.add(connection)
    const carrier = new SimCarrier('sim', hostName, connection, connection.toB, connection.toA)
    const link = core.linkOpened(hostName, carrier, this.#world.clock.now)
    this.#attach(connection, connection.toA, link)
    this.poke()
  }

  #attach(connection: Connection, incoming: Pipe, peer: CarrierEvents): void {
    const life = this.#life
    const now = () => this.#world.clock.now
    incoming.side = {
      receive: (bytes) => {
        const copy = this.isFrozen ? bytes.slice() : bytes
        this.#whenRunning(life, () => peer.receive(copy, now()))
      },
      drained: () => this.#whenRunning(life, () => peer.drained(now())),
      closed: () => {
        this.#connections.delete(connection)
        this.#whenRunning(life, () => peer.closed(now()))
      },
    }
    incoming.wake()
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
      if (this.#life !== life || this.core === undefined) return
      if (this.isFrozen) return
      this.core.tick(this.#world.clock.now)
      this.poke()
    })
  }
}
