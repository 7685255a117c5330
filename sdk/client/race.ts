// Connections to one gateway over different ways at once: dialed in the order of preference, the next a moment behind the one
// before or as soon as that one fails; whoever is welcomed first wins, and the others are closed before they have attached
// anything (A2, CLI-1.5). One shows its ticket or token at a time, the next when that one fails or takes too long: a token may be
// good for one login only. While there is no connection and nobody greets, the next gateway is asked beside this one, and the
// ways that failed are tried again: over UDP a gateway that is gone is silent for as long as a handshake may take.
//
//   waiting -> token -> dialing -> hello -> (turn) login -> welcomed: the winner
import { code } from '../../protocols/codes.ts'
import type { ClientConnection } from './connection.ts'
import type { ClientCore } from './core.ts'
import type { Greeter } from './greeter.ts'

/** Time a token provider has. */
const TOKEN_MS = 30_000
/** A greeting that is not answered for so long lets the next connection greet beside it. */
const GREETING_MS = 1000
/** On average, behind the last dial of a gateway that has not greeted, until further ways are dialed beside it; then doubled. */
const FURTHER_MS = 1000

/**
 * move: there is no connection, or another gateway is wanted. rescue: the active connection hears nothing. probe: does a way
 * that is preferred to the active connection's work by now?
 */
export type Purpose = 'move' | 'rescue' | 'probe'

export interface RaceOwner {
  /** Where else the session could go meanwhile; nowhere while a connection carries it. */
  furtherWays(now: number): readonly number[]
  /** A connection that is not dialed yet. */
  connectionTo(address: number): ClientConnection
  /** It has ended; the race has forgotten it. */
  gone(connection: ClientConnection, why: number, text: string, retryMs: number, now: number): void
}

export class Race {
  purpose: Purpose
  /** Dialed and not welcomed. */
  readonly runners: ClientConnection[] = []
  /** Longest hint of those that have failed. */
  hintMs = 0
  /** The first that ends the session unless one of the others is welcomed. */
  refusal: { why: number; text: string } | undefined
  readonly #core: ClientCore
  readonly #greeter: Greeter
  readonly #owner: RaceOwner
  /** Addresses that are not dialed yet. */
  #waiting: number[]
  #nextAt = Infinity
  /** Further ways are looked for until then. */
  #furtherUntil = Infinity
  #furtherMs = FURTHER_MS
  #greetedAt = -Infinity
  #isFetching = false

  constructor(core: ClientCore, greeter: Greeter, owner: RaceOwner, addresses: readonly number[], purpose: Purpose) {
    this.#core = core
    this.#greeter = greeter
    this.#owner = owner
    this.#waiting = addresses.slice()
    this.purpose = purpose
  }

  get isOver(): boolean {
    return this.runners.length === 0 && this.#waiting.length === 0
  }

  /** A ticket was shown that is still to be answered (T1). */
  get showsTicket(): boolean {
    return this.runners.some((runner) => runner.shownGeneration > 0)
  }

  /** There is no connection any more: what was a look at better ways is all there is. */
  becomeMove(now: number): void {
    this.purpose = 'move'
    this.#furtherUntil = now + this.#core.settings.handshakeMs
    if (this.#nextAt === Infinity) this.#arm(now)
  }

  /** Dials the next address, after a token was fetched where one is needed. */
  start(now: number): void {
    const address = this.#waiting.shift()
    if (address === undefined) return
    const runner = this.#owner.connectionTo(address)
    this.runners.push(runner)
    if (this.#greeter.isReady) {
      this.#dial(runner, now)
      return
    }
    runner.lostAt = now + TOKEN_MS
    this.#nextAt = Infinity
    this.#greeter.prepare((isReady, at) => {
      if (runner.state !== 'token' || !this.runners.includes(runner)) return
      if (isReady) {
        this.#dial(runner, at)
        return
      }
      runner.state = 'closed'
      // No other way needs less of a token.
      this.#waiting = []
      this.#owner.gone(runner, code.login_failed, 'there is no token', 0, at)
    }, now)
  }

  /** Further addresses, dialed behind the others. */
  add(addresses: readonly number[], now: number): void {
    this.#enter(addresses)
    if (this.runners.length === 0) this.start(now)
    else if (this.runners.some((it) => it.state !== 'token'))
      this.#nextAt = Math.min(this.#nextAt, now + this.#core.settings.raceMs)
  }

  /** No address twice at a time. */
  #enter(addresses: readonly number[]): void {
    for (const address of addresses) {
      const isIn = this.#waiting.includes(address) || this.runners.some((runner) => runner.address === address)
      if (!isIn) this.#waiting.push(address)
    }
  }

  /** HELLO came: its turn to greet comes. */
  hello(runner: ClientConnection, nonce: Uint8Array, now: number): void {
    runner.nonce = nonce
    this.#greetNext(now)
  }

  /** One has ended: the next one's turn. */
  lost(runner: ClientConnection, now: number): void {
    const at = this.runners.indexOf(runner)
    if (at < 0) return
    this.runners.splice(at, 1)
    this.start(now)
    this.#greetNext(now)
  }

  /** Ends it, behind a winner or without one. */
  end(winner: ClientConnection | undefined, text: string): void {
    this.#waiting = []
    this.#nextAt = Infinity
    for (const runner of this.runners.splice(0)) if (runner !== winner) runner.close(code.ok, text)
  }

  deadline(): number {
    if (this.#isFetching) return this.#nextAt
    const isTurnWanted = this.runners.some((runner) => runner.state === 'hello' && runner.nonce !== undefined)
    return isTurnWanted ? Math.min(this.#nextAt, this.#greetedAt + GREETING_MS) : this.#nextAt
  }

  tick(now: number): void {
    if (this.#nextAt <= now) {
      if (this.#waiting.length === 0) this.#lookFurther(now)
      this.start(now)
    }
    this.#greetNext(now)
  }

  #dial(runner: ClientConnection, now: number): void {
    const { settings, env } = this.#core
    runner.state = 'dialing'
    runner.lostAt = now + settings.handshakeMs
    if (this.#furtherUntil === Infinity) this.#furtherUntil = runner.lostAt
    env.dial(runner.id, settings.addresses[runner.address])
    this.#arm(now)
  }

  #arm(now: number): void {
    const { settings, env } = this.#core
    if (this.#waiting.length > 0) this.#nextAt = now + settings.raceMs
    // Not all clients of a gateway that is gone at one time.
    else this.#nextAt = this.purpose === 'move' ? now + this.#furtherMs * (0.5 + env.random()) : Infinity
  }

  #lookFurther(now: number): void {
    // A gateway that greets is there; one that gave a hint wants to be left alone, one that refused has been asked; and a race
    // must end for the back-off's sake.
    this.#nextAt = Infinity
    const isAnswered = this.hintMs > 0 || this.refusal !== undefined
    if (this.purpose !== 'move' || isAnswered || now >= this.#furtherUntil) return
    // The pauses double: the gateway may be there and have more to do than it can.
    this.#furtherMs *= 2
    if (!this.runners.some((runner) => runner.nonce !== undefined)) this.#enter(this.#owner.furtherWays(now))
    this.#arm(now)
  }

  #greetNext(now: number): void {
    const isBusy = this.runners.some((runner) => runner.state === 'login')
    if (isBusy && now < this.#greetedAt + GREETING_MS) return
    const runner = this.runners.find((it) => it.state === 'hello' && it.nonce !== undefined)
    if (runner === undefined || this.#isFetching) return
    this.#greetedAt = now
    if (this.#greeter.isReady) {
      this.#greeter.greet(runner)
      return
    }
    // The token was shown by another one.
    this.#isFetching = true
    this.#greeter.prepare((isReady, at) => {
      this.#isFetching = false
      if (!isReady || runner.state !== 'hello' || !this.runners.includes(runner)) return
      this.#greetedAt = at
      this.#greeter.greet(runner)
    }, now)
  }
}
