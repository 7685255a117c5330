// What an actor has answered to calls with an idempotency key (H1): a repeated key gets the first answer, and never a
// second execution, for as long as the actor keeps it. Kept by (user, route, key) with a hash of the body:
//
//   running -> answered -> forgotten, `answersKeptMs` after the answer       repeated: joins, or gets the answer
//      \-> forgotten at once, where no handler was reached: the next one runs
//
// Bounded by refusing new keys (`busy`), never by forgetting early; an answer for which there is no room is kept without
// its bytes, and its repetition is told `unknown`. An actor that keeps answers is not idle.
import { code } from '../../protocols/codes.ts'
import type { LinkLoose } from '../../protocols/link/frames.ts'
import { sameBytes } from '../../protocols/link/proof.ts'
import type { Actor } from './actor.ts'
import type { Timed } from './schedule.ts'

export type Answer = (code: number, payload: Uint8Array) => void

/** Keys of one actor. */
const KEYS_MAX = 4096
/** And of one user among them, so that nobody takes those of all. */
const KEYS_PER_USER_MAX = 256
/** Replies that one actor keeps, in bytes. */
const BYTES_MAX = 4 * 1024 * 1024
/** Calls that wait for one answer. */
const WAITING_MAX = 64
const EMPTY = new Uint8Array(0)

class KeptCall {
  readonly name: string
  readonly caller: string
  readonly body: Uint8Array
  waiting: Answer[]
  code: number = code.unknown
  payload: Uint8Array = EMPTY
  forgetAt = Infinity
  /** Its handler was reached: it must not be a second time. */
  hasRun = false

  constructor(name: string, caller: string, body: Uint8Array, answer: Answer) {
    this.name = name
    this.caller = caller
    this.body = body
    this.waiting = [answer]
  }
}

export class KeptAnswers implements Timed {
  dueAt = Infinity
  place = -1
  readonly #actor: Actor
  readonly #running = new Map<string, KeptCall>()
  /** In the order of their answers: the first is the next one to be forgotten. */
  readonly #answered = new Map<string, KeptCall>()
  readonly #perCaller = new Map<string, number>()
  #bytes = 0

  constructor(actor: Actor) {
    this.#actor = actor
  }

  get isEmpty(): boolean {
    return this.#running.size === 0 && this.#answered.size === 0
  }

  /** Takes a call with a key. What is returned is to run, and told what became of it; undefined: it is answered already, or will be. */
  take(a: LinkLoose, answer: Answer): KeptCall | undefined {
    // Two names never meet: the lengths say where each ends.
    const caller = a.user === '' ? `a${a.session}` : `u${a.user}`
    const name = `${caller.length} ${a.route.length} ${caller}${a.route}${a.idempotencyKey}`
    const body = this.#actor.host.env.hmac(EMPTY, a.payload)
    const known = this.#running.get(name) ?? this.#answered.get(name)
    if (known !== undefined) {
      if (!sameBytes(known.body, body)) answer(code.key_reused, EMPTY)
      else if (known.forgetAt !== Infinity) answer(known.code, known.payload)
      else if (known.waiting.length >= WAITING_MAX) answer(code.busy, EMPTY)
      else known.waiting.push(answer)
      return undefined
    }
    const ofCaller = this.#perCaller.get(caller) ?? 0
    if (this.#running.size + this.#answered.size >= KEYS_MAX || ofCaller >= KEYS_PER_USER_MAX) {
      answer(code.busy, EMPTY)
      return undefined
    }
    const call = new KeptCall(name, caller, body, answer)
    this.#running.set(name, call)
    this.#perCaller.set(caller, ofCaller + 1)
    return call
  }

  settle(call: KeptCall, why: number, payload: Uint8Array, now: number): void {
    const { waiting } = call
    call.waiting = []
    this.#running.delete(call.name)
    if (call.hasRun) {
      call.forgetAt = now + this.#actor.host.settings.answersKeptMs
      if (this.#bytes + payload.length <= BYTES_MAX) {
        call.code = why
        call.payload = payload
        this.#bytes += payload.length
      }
      this.#answered.set(call.name, call)
      if (this.#answered.size === 1) this.#actor.host.schedule.set(this, call.forgetAt)
    } else {
      this.#release(call)
    }
    for (const answer of waiting) answer(why, payload)
  }

  due(now: number): void {
    for (const call of this.#answered.values()) {
      if (call.forgetAt > now) {
        this.#actor.host.schedule.set(this, call.forgetAt)
        return
      }
      this.#answered.delete(call.name)
      this.#bytes -= call.payload.length
      this.#release(call)
    }
    this.#actor.considerIdle(now)
  }

  /** The actor is gone, and what it has kept with it. */
  end(): void {
    this.#actor.host.schedule.remove(this)
    this.#answered.clear()
  }

  #release(call: KeptCall): void {
    const left = this.#perCaller.get(call.caller)! - 1
    if (left === 0) this.#perCaller.delete(call.caller)
    else this.#perCaller.set(call.caller, left)
  }
}
