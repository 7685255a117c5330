// The judge: knows every message from inside its payload, who accepted it, who handled it, and what its sender was told.
// Checked after every step (S1): handled at most once, in the order of its lane, by the right receiver under the right
// route, never after it was reported as refused, and reported at most once. At the end: nothing accepted is silent.

export type LaneKey = string

/** What must never happen. Handlers run inside mailboxes that catch what is thrown, so each violation is also kept here. */
export class Violation extends Error {
  static first: Violation | undefined
  constructor(text: string) {
    super(text)
    Violation.first ??= this
  }
}

type Entry = {
  id: string
  lane: LaneKey
  number: number
  route: string
  receiver: string
  kind: 'oneway' | 'request'
  handled: number
  refused: number
  unknown: number
  outcome: string
  /** Its sender died, so nobody is left to be told. */
  orphaned: boolean
}

export class Ledger {
  sent = 0
  handledCount = 0
  refusedCount = 0
  unknownCount = 0
  outcomes = 0
  unnumbered = 0
  #entries: Map<string, Entry> = new Map()
  #lastHandled: Map<LaneKey, { number: number; id: string }> = new Map()
  #byLane: Map<LaneKey, Entry[]> = new Map()
  #newest: Map<string, number> = new Map()
  #unreliable: Set<string> = new Set()

  accepted(
    id: string,
    lane: LaneKey,
    number: number,
    route: string,
    receiver: string,
    kind: 'oneway' | 'request',
  ): void {
    const entry: Entry = {
      id,
      lane,
      number,
      route,
      receiver,
      kind,
      handled: 0,
      refused: 0,
      unknown: 0,
      outcome: '',
      orphaned: false,
    }
    this.#entries.set(id, entry)
    const lanes = this.#byLane.get(lane)
    if (lanes === undefined) this.#byLane.set(lane, [entry])
    else lanes.push(entry)
    this.sent++
  }

  handled(id: string, route: string, receiver: string): void {
    const entry = this.#entries.get(id)
    if (entry === undefined) throw new Violation(`handled a message that nobody sent: ${id}`)
    if (entry.receiver !== receiver) throw new Violation(`${id} for ${entry.receiver} reached ${receiver}`)
    if (entry.route !== route) throw new Violation(`${id} sent on ${entry.route} was handled on ${route}`)
    if (++entry.handled > 1) throw new Violation(`${id} was handled twice`)
    if (entry.refused > 0) throw new Violation(`${id} was handled after it was told refused`)
    if (entry.outcome === 'no') throw new Violation(`${id} was handled after its sender was told that it did not run`)
    this.handledCount++
    // What was told unknown belongs to a life that is over, and may run at any time or never.
    if (entry.unknown > 0 || entry.outcome === 'unknown') return
    const last = this.#lastHandled.get(entry.lane)
    if (last !== undefined && last.number >= entry.number) {
      throw new Violation(`${id} (number ${entry.number}) was handled after ${last.id} (number ${last.number})`)
    }
    this.#lastHandled.set(entry.lane, { number: entry.number, id })
  }

  refused(id: string): void {
    const entry = this.#entries.get(id)
    if (entry === undefined) throw new Violation(`refusal of a message that nobody sent: ${id}`)
    if (entry.kind === 'request') throw new Violation(`${entry.id}: a request was told by refused, not by its outcome`)
    if (++entry.refused > 1) throw new Violation(`${entry.id} was told refused twice`)
    if (entry.handled > 0) throw new Violation(`${entry.id} was told refused, but it ran`)
    if (entry.unknown > 0) throw new Violation(`${entry.id} was told unknown and then refused`)
    this.refusedCount++
  }

  outcome(id: string, ran: string): void {
    const entry = this.#entries.get(id)
    if (entry === undefined) throw new Violation(`outcome of an unknown request ${id}`)
    if (entry.outcome !== '') throw new Violation(`${id} had two outcomes: ${entry.outcome} and ${ran}`)
    entry.outcome = ran
    if (ran === 'no' && entry.handled > 0) throw new Violation(`${id} was told not run, but it ran`)
    if (ran === 'yes' && entry.handled === 0) throw new Violation(`${id} was told run, but it did not`)
    this.outcomes++
  }

  unknown(id: string): void {
    const entry = this.#entries.get(id)
    if (entry === undefined) throw new Violation(`unknown outcome of a message that nobody sent: ${id}`)
    if (entry.refused > 0) throw new Violation(`${entry.id} was told refused and then unknown`)
    if (++entry.unknown > 1) throw new Violation(`${entry.id} was told unknown twice`)
    this.unknownCount++
  }

  /** The sender of a lane is gone: nobody is left to be told. */
  orphan(lane: LaneKey): void {
    for (const entry of this.#byLane.get(lane) ?? []) entry.orphaned = true
  }

  /** A `latest` value arrived: never older after newer for a key (C2). */
  latest(receiver: string, key: string, value: number): void {
    const name = `${receiver} ${key}`
    const newest = this.#newest.get(name)
    if (newest !== undefined && value < newest) throw new Violation(`${name}: ${value} after ${newest}`)
    this.#newest.set(name, value)
    this.unnumbered++
  }

  /** An unreliable message arrived: never doubled (C2). */
  unreliable(id: string): void {
    if (this.#unreliable.has(id)) throw new Violation(`unreliable ${id} arrived twice`)
    this.#unreliable.add(id)
    this.unnumbered++
  }

  /** At the end, with everything quiet: no message may be without a fate. */
  settle(): void {
    for (const entry of this.#entries.values()) {
      if (entry.orphaned || entry.handled > 0 || entry.refused > 0 || entry.unknown > 0) {
        if (entry.kind === 'request' && entry.outcome === '' && !entry.orphaned) {
          throw new Violation(`request ${entry.id} never had an outcome`)
        }
        continue
      }
      if (entry.kind === 'request' && entry.outcome !== '') continue
      throw new Violation(
        `${entry.id} (number ${entry.number}, lane ${entry.lane}) was accepted and is lost without a word`,
      )
    }
  }
}
