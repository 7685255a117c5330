// The policies of a gateway: what the configuration compiled to, the state that outlives a reload (buckets, counts), and
// what is done to a connection whose message was refused for good. The frame path asks through `Pipeline.judge`
// (policies/pipeline.ts), with the pipelines of the connection's listener.
import type { Settings } from '../config/settings.ts'
import { Bans } from '../policies/bans.ts'
import { BucketTable } from '../policies/bucket-table.ts'
import { CompiledPolicies, CompileTools, PolicyCounts } from '../policies/compile.ts'
import type { HashKey } from '../policies/key-hash.ts'
import { Judgement } from '../policies/pipeline.ts'
import { SessionPlaces } from '../policies/session-places.ts'
import { Pressure } from '../policies/shedding.ts'
import { Subject } from '../policies/subject.ts'

export class Policing {
  readonly table: BucketTable
  readonly counts = new PolicyCounts()
  readonly bans = new Bans()
  readonly sessions = new SessionPlaces()
  /** The message that is being judged. */
  readonly judgement: Judgement
  compiled: CompiledPolicies
  readonly #hashKey: HashKey
  #connections = 0
  #written: Settings
  #tools: CompileTools | undefined = undefined
  readonly pressure: Pressure

  /** `seed`: 8 random bytes, the key of the hashes that limits count by. */
  constructor(settings: Settings, seed: Uint8Array, now: number) {
    const words = new DataView(seed.buffer, seed.byteOffset, 8)
    this.#hashKey = { lo: words.getInt32(0, true), hi: words.getInt32(4, true) }
    this.table = new BucketTable(settings.limits.rateKeysMax ?? RATE_KEYS_MAX)
    this.judgement = new Judgement(new Subject(this.#hashKey))
    this.pressure = new Pressure(settings.policies?.shedding)
    this.#written = settings
    this.compiled = this.#compile(settings, now)
  }

  /** Takes the policies of another configuration; where they are the same, nothing changes. */
  configure(settings: Settings, now: number): void {
    const isSame = policiesText(settings) === policiesText(this.#written)
    this.#written = settings
    if (isSame) return
    this.pressure.configure(settings.policies?.shedding)
    this.compiled = this.#compile(settings, now)
  }

  #compile(settings: Settings, now: number): CompiledPolicies {
    const { table, counts, pressure } = this
    const state = { table, counts, pressure, hashKey: this.#hashKey }
    this.#tools = new CompileTools(this.#tools, state, now)
    return new CompiledPolicies(settings, this.#tools)
  }

  /** Whether somebody is kept away; an empty user is nobody. */
  isBanned(address: string, user: string, now: number): boolean {
    return this.bans.has('address', Bans.network(address), now) || (user !== '' && this.bans.has('user', user, now))
  }

  /** Does what the last judgement said, `ban`. */
  ban(address: string, user: string, now: number): void {
    const { banOf, banMs, by } = this.judgement
    const name = banOf === 'user' ? user : Bans.network(address)
    this.bans.add(banOf, name, now + banMs, `${by!.policy} ${by!.scope} ${by!.name}`, now)
  }

  /** Who sends on a connection, from its login on. */
  subjectOf(address: string, place: number, user: string): Subject {
    const subject = this.#subject(address, user)
    subject.identify('connection', `${++this.#connections}`)
    subject.identify('session', `${place} ${user}`)
    return subject
  }

  /** Who calls without a session: counted by user and address, and as one session for each user and address. */
  callerOf(address: string, user: string): Subject {
    const subject = this.#subject(address, user)
    subject.identify('connection', `caller ${user} ${address}`)
    subject.identify('session', `caller ${user} ${address}`)
    return subject
  }

  #subject(address: string, user: string): Subject {
    const subject = new Subject(this.#hashKey)
    subject.cameFrom(address)
    subject.identify('user', user)
    return subject
  }
}

/** Where the configuration says nothing (tests): the default of `limits.rateKeysMax`. */
const RATE_KEYS_MAX = 1_000_000

/** Everything that pipelines are compiled from. */
function policiesText({ policies, listeners, services, routes }: Settings): string {
  const named = (all: readonly { name: string; policies?: unknown }[]) => all.map((one) => [one.name, one.policies])
  return JSON.stringify([policies, named(listeners), named(services), routes])
}
