// What the gateway knows of a session that has a connection here: soft state, gone with the last connection (S5). A
// session may have several connections at once (old and new of a client that changes networks); the newest is last.
import type { Labels } from '../protocols/link/frames.ts'
import { TokenBuckets } from '../policies/token-bucket.ts'
import type { Attachment } from './attachment.ts'
import type { ClientConnection } from './client-connection.ts'
import type { RouteTable } from './route-table.ts'

export class Session {
  readonly id: string
  /** The gateway's own number for it: small, and not for peers to choose. */
  readonly number: number
  readonly user: string
  labels: Labels
  readonly connections: ClientConnection[] = []
  /** The newest attachment of each channel, by `service/key`; each has a state of its own (A9). */
  readonly channels = new Map<string, Attachment>()
  #buckets: TokenBuckets | undefined = undefined
  #bucketsOf: RouteTable | undefined = undefined

  constructor(id: string, number: number, user: string, labels: Labels) {
    this.id = id
    this.number = number
    this.user = user
    this.labels = labels
  }

  /** The session's token buckets, one a rule; kept over re-attaches, connections and reloads. */
  buckets(table: RouteTable): TokenBuckets {
    if (this.#buckets === undefined || this.#bucketsOf !== table) {
      const buckets = new TokenBuckets(table.ruleCount)
      if (this.#buckets !== undefined) buckets.carry(this.#buckets, table.placesIn(this.#bucketsOf!))
      this.#buckets = buckets
      this.#bucketsOf = table
    }
    return this.#buckets
  }
}

/** Services have no slash in their names, so this is unambiguous. */
export const channelName = (service: string, key: string): string => `${service}/${key}`
