// Names that this client sends on. A name gets one number for the whole session, announced on each connection before its
// first use there (L3), so that whatever was accepted by `send` can be sent again on any later connection.
import { RECOVER_ROUTE } from '../../protocols/session/group-member.ts'
import { NAME_BYTES_MAX } from '../../protocols/wire/lane-frames.ts'

/** Names one client may send on: a gateway takes no more on one connection (L3). */
export const ROUTES_MAX = 1024

const encoder = new TextEncoder()

export class Routes {
  /** The SDK's own route has its number from the beginning: what is missing can always be asked for. */
  #numbers: Map<string, number> = new Map([[RECOVER_ROUTE, 0]])

  /** Makes sure of a number for the name; false where it is none or all numbers are given out. */
  admit(name: string): boolean {
    if (this.#numbers.has(name)) return true
    if (name.length === 0 || name.length > NAME_BYTES_MAX || this.#numbers.size >= ROUTES_MAX) return false
    if (encoder.encode(name).length > NAME_BYTES_MAX) return false
    this.#numbers.set(name, this.#numbers.size)
    return true
  }

  /** The number of a name that was admitted. */
  numberOf(name: string): number {
    return this.#numbers.get(name)!
  }
}
