// Interned route names (L3). Three tables, all arrays indexed by the number:
//   RouteEntry   a name that a client announced on its connection, with what was looked up for it
//   LinkRoutes   upward: the gateway's numbers on one link, announced there by ROUTE before their first use
//   RoutesDown   downward: the gateway's numbers for all its client connections alike, so that a publication is encoded
//                once (G4); a bit set per connection says which were announced there
import { linkKind } from '../protocols/link/frames.ts'
import { clientKind, writeRoute } from '../protocols/client/frames.ts'
import type { Writer } from '../protocols/wire/writer.ts'
import type { Outlet } from './outlet.ts'
import type { RouteTable, Rule } from './route-table.ts'

/** Names that one connection, one direction, may announce (L3). */
export const ROUTES_MAX = 1024
/** Names that a host may announce on one link. */
export const HOST_ROUTES_MAX = 4096

export class RouteEntry {
  readonly name: string
  /** The gateway's number of this name on `link`; valid while that link's table still says so. */
  upNumber = -1
  upTable: LinkRoutes | undefined = undefined
  /** The gateway's downward number; -1 until the name first goes down. */
  downNumber = -1
  #table: RouteTable | undefined = undefined
  #service = ''
  #rule: Rule | undefined = undefined

  constructor(name: string) {
    this.name = name
  }

  /** The rule for this name on a channel of `service`, which stays that channel's (S6); looked up anew after a reload. */
  rule(table: RouteTable, service: string): Rule | undefined {
    if (this.#table === table && this.#service === service) return this.#rule
    this.#table = table
    this.#service = service
    this.#rule = table.ruleFor(service, this.name)
    return this.#rule
  }
}

/**
 * Numbers for names on one link. When a client may invent names (a wildcard), it must not be able to use the table up for
 * others: the oldest number of such a name is then announced anew for the new name. The stream is in order, so the host
 * resolves each frame by the announcement before it.
 */
export class LinkRoutes {
  readonly names: string[] = []
  readonly #numbers = new Map<string, number>()
  readonly #isFixed: boolean[] = []
  #hand = 0

  /** `match` is the rule that passed the name: one that says exactly it keeps its number for good. */
  numberOf(entry: RouteEntry, match: string, w: Writer): number {
    if (entry.upTable === this && this.names[entry.upNumber] === entry.name) return entry.upNumber
    entry.upTable = this
    entry.upNumber = this.#numbers.get(entry.name) ?? this.#announce(entry.name, match === entry.name, w)
    return entry.upNumber
  }

  #announce(name: string, isConfigured: boolean, w: Writer): number {
    let number = this.names.length
    if (number >= ROUTES_MAX) {
      number = this.#oldestInvented()
      this.#numbers.delete(this.names[number])
    }
    this.names[number] = name
    this.#isFixed[number] = isConfigured
    this.#numbers.set(name, number)
    writeRoute(w, linkKind.route, number, name)
    return number
  }

  #oldestInvented(): number {
    for (let i = 0; i < ROUTES_MAX; i++) {
      this.#hand = (this.#hand + 1) % ROUTES_MAX
      if (!this.#isFixed[this.#hand]) break
    }
    return this.#hand
  }
}

export class RoutesDown {
  readonly names: string[] = []
  readonly #numbers = new Map<string, number>()

  /** This gateway's number for a host's route; -1 when all are given out. */
  numberOf(entry: RouteEntry): number {
    if (entry.downNumber !== -1) return entry.downNumber
    let number = this.#numbers.get(entry.name)
    if (number === undefined) {
      if (this.names.length >= ROUTES_MAX) return -1
      number = this.names.length
      this.names.push(entry.name)
      this.#numbers.set(entry.name, number)
    }
    entry.downNumber = number
    return number
  }
}

/** Which downward numbers were announced on one connection. Few have more than the first 32, and an idle one costs little. */
export class Announced {
  #low = 0
  #bits: Uint32Array | undefined = undefined

  has(number: number): boolean {
    const bits = number < 32 ? this.#low : this.#bits === undefined ? 0 : this.#bits[number >>> 5]
    return (bits & (1 << (number & 31))) !== 0
  }

  announce(number: number, name: string, outlet: Outlet): void {
    const bit = 1 << (number & 31)
    if (number < 32) {
      this.#low |= bit
    } else {
      this.#bits ??= new Uint32Array(ROUTES_MAX / 32)
      this.#bits[number >>> 5] |= bit
    }
    writeRoute(outlet.writer, clientKind.route, number, name)
    outlet.holdDatagrams()
  }
}
