// Route names that this host sends on. A name gets one number for the whole host, announced once on each link before its
// first use there (L3); what the gateway announces to us is kept by the link.
import { code } from '../../protocols/codes.ts'
import { NAME_BYTES_MAX } from '../../protocols/wire/lane-frames.ts'
import { SkewerError } from '../error.ts'

/** Names one host may send on; the gateway gives out no more numbers than that (L3). */
export const ROUTES_MAX = 1024

const encoder = new TextEncoder()

export class Routes {
  readonly names: string[] = []
  #numbers: Map<string, number> = new Map()

  /** The number of a name that was admitted. */
  numberOf(name: string): number {
    return this.#numbers.get(name)!
  }

  /** Makes sure of a number for the name; throws `no_route` where there is none left or it cannot be one. */
  admit(name: string): void {
    if (this.#numbers.has(name)) return
    if (name.length === 0 || encoder.encode(name).length > NAME_BYTES_MAX)
      throw new SkewerError(code.no_route, `a route's name has 1 to ${NAME_BYTES_MAX} bytes`)
    if (this.names.length >= ROUTES_MAX)
      throw new SkewerError(code.no_route, `a host sends on at most ${ROUTES_MAX} routes`)
    this.#numbers.set(name, this.names.length)
    this.names.push(name)
  }
}
