// How many loose calls of a route may be sent again: each call that is made puts its share in, each retry takes a whole one
// out. So retries stay a share of the calls however many hosts fall, and cannot bring down what is left. A reload that changes the routes begins anew.

import type { Rule } from './route-table.ts'

/** What a budget may save up. */
const SAVED_MAX = 10

export class RetryBudget {
  readonly #saved = new WeakMap<Rule, number>()

  /** A call was made on the route; `share` is 0 to 1. */
  earn(route: Rule, share: number): void {
    this.#saved.set(route, Math.min(SAVED_MAX, (this.#saved.get(route) ?? 1) + share))
  }

  /** Takes one retry, or there is none. */
  take(route: Rule): boolean {
    const saved = this.#saved.get(route) ?? 1
    if (saved < 1) return false
    this.#saved.set(route, saved - 1)
    return true
  }
}
