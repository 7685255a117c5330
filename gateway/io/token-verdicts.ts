// What was found of tokens that come again and again: a caller over HTTP shows its token with every request, and a signature
// costs a hundred microseconds to check. A good verdict is kept for a minute or until the token ends, whichever is first;
// bad ones are not kept. Two generations bound it: what was not asked for while one filled up is forgotten with the other.
import type { Subject } from '../../policies/subject.ts'
import type { Authenticator, LoginResult } from '../seams.ts'

/** Who shows a token. */
export type Verdict = {
  readonly user: string
  readonly labels: Record<string, string>
  readonly untilWallMs: number
  /** What policies count it by, of the address that it came from last. */
  subject: { address: string; subject: Subject } | undefined
}

export type Refused = Extract<LoginResult, { ok: false }>

const GENERATION_MAX = 8192
const KEPT_MS = 60_000
/** Longer tokens are checked each time. */
const TOKEN_LENGTH_MAX = 4096
const encoder = new TextEncoder()

export class TokenVerdicts {
  readonly #authenticator: () => Authenticator
  #young = new Map<string, Verdict>()
  #old = new Map<string, Verdict>()
  /** A verdict that was asked for before one is not kept. */
  #changes = 0

  constructor(authenticator: () => Authenticator) {
    this.#authenticator = authenticator
  }

  /** The verdict where it is known. */
  known(token: string, wallNow: number): Verdict | undefined {
    let verdict = this.#young.get(token)
    if (verdict === undefined) {
      verdict = this.#old.get(token)
      if (verdict === undefined) return undefined
      this.#old.delete(token)
      if (verdict.untilWallMs > wallNow) this.#keep(token, verdict)
    }
    return verdict.untilWallMs > wallNow ? verdict : undefined
  }

  /** Checks a token; `done` is called once, now or later. */
  check(token: string, address: string, done: (verdict: Verdict | Refused) => void): void {
    const asked = this.#changes
    this.#authenticator().login(encoder.encode(token), address, (result) => {
      if (!result.ok) {
        done(result)
        return
      }
      const wallNow = Date.now()
      const untilWallMs = Math.min(wallNow + KEPT_MS, result.untilWallMs ?? Infinity)
      const verdict: Verdict = { user: result.user, labels: result.labels, untilWallMs, subject: undefined }
      const isKept = untilWallMs > wallNow && token.length <= TOKEN_LENGTH_MAX && asked === this.#changes
      if (isKept) this.#keep(token, verdict)
      done(verdict)
    })
  }

  /** The keys or claims that are asked for have changed. */
  forget(): void {
    this.#changes++
    this.#young = new Map()
    this.#old = new Map()
  }

  get size(): number {
    return this.#young.size + this.#old.size
  }

  #keep(token: string, verdict: Verdict): void {
    if (this.#young.size >= GENERATION_MAX) {
      this.#old = this.#young
      this.#young = new Map()
    }
    this.#young.set(token, verdict)
  }
}
