// How often somebody may try to log in: by address before a token is looked at, by user once it has been found good (who it
// names is not known before). Attempts are counted by this gateway, and where there is a store by all (attempts.ts).
import { type AttemptRate, Attempts } from './attempts.ts'
import type { HashKey } from './key-hash.ts'

export type LoginLimitSettings = { readonly perAddress?: AttemptRate; readonly perUser?: AttemptRate }

export const loginKinds = ['address', 'user'] as const
export type LoginKind = (typeof loginKinds)[number]

/** Beyond that the addresses and users nearest to a full bucket are forgotten. */
const KEYS_MAX = 100_000

export class LoginLimits {
  settings: LoginLimitSettings = {}
  readonly #attempts: Attempts

  constructor(hashKey: HashKey) {
    this.#attempts = new Attempts(hashKey, KEYS_MAX)
  }

  rateOf(kind: LoginKind): AttemptRate | undefined {
    return kind === 'address' ? this.settings.perAddress : this.settings.perUser
  }

  /** Counts an attempt. 0: it may go on; else it may not, and may again in so many milliseconds. */
  attempt(kind: LoginKind, name: string, now: number): number {
    const rate = this.rateOf(kind)
    return rate === undefined ? 0 : this.#attempts.take(`${kind}:${name}`, rate, now)
  }

  /** Every attempt is refused for so long. */
  keepOut(kind: LoginKind, name: string, ms: number, now: number): void {
    this.#attempts.keepOut(`${kind}:${name}`, ms, now)
  }

  get memoryBytes(): number {
    return this.#attempts.memoryBytes
  }
}
