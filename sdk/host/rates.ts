// How many attaches a host takes (A11): each may replay a window and wake an actor, so that a storm of them after an
// outage is spread. One bucket for the host, one for each session that attached of late.
import type { Rate } from './options.ts'

const SESSIONS_MAX = 16_384

class Bucket {
  tokens: number
  at: number
  constructor(tokens: number, at: number) {
    this.tokens = tokens
    this.at = at
  }

  /** Takes a token; 0, or how many ms until there is one. */
  take(rate: Rate, now: number): number {
    this.tokens = Math.min(rate.burst, this.tokens + ((now - this.at) * rate.perSecond) / 1000)
    this.at = now
    if (this.tokens < 1) return Math.ceil(((1 - this.tokens) * 1000) / rate.perSecond)
    this.tokens--
    return 0
  }
}

export class AttachRates {
  readonly #perSession: Rate
  readonly #perHost: Rate
  #sessions: Map<string, Bucket> = new Map()
  #host: Bucket | undefined

  constructor(perSession: Rate, perHost: Rate) {
    this.#perSession = perSession
    this.#perHost = perHost
  }

  /** 0: go on; else in how many ms to come back. */
  admit(session: string, now: number): number {
    const name = `s${session}`
    let bucket = this.#sessions.get(name)
    if (bucket === undefined) {
      // The oldest has had the longest time to fill its bucket again.
      if (this.#sessions.size >= SESSIONS_MAX) this.#sessions.delete(this.#sessions.keys().next().value!)
      bucket = new Bucket(this.#perSession.burst, now)
      this.#sessions.set(name, bucket)
    }
    const waitMs = bucket.take(this.#perSession, now)
    if (waitMs > 0) return waitMs
    this.#host ??= new Bucket(this.#perHost.burst, now)
    return this.#host.take(this.#perHost, now)
  }
}
