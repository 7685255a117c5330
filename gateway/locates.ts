// LOCATE (P2): before a host activates a key for the first time it asks, through its gateways, whether another host has it.
// The gateway asks every other linked host of the service and says who answered HERE, or that all said no, or that nobody
// said so in time; a host that stays silent leaves the question open, and the asker tries again. Own numbers on the way out; the asker's on the way back.
import type { Locate, Located } from '../protocols/link/frames.ts'
import { writeLocate, writeLocated } from '../protocols/link/frames.ts'
import { cell, drop } from './counters.ts'
import type { Expiring } from './deadlines.ts'
import { Deadline } from './deadlines.ts'
import type { Gateway } from './gateway.ts'
import type { Link } from './link.ts'

/** How long hosts have to answer. */
export const LOCATE_MS = 500
const PENDING_MAX = 4096

class Question implements Expiring {
  readonly id: number
  readonly asker: Link
  readonly askersId: number
  readonly unanswered = new Set<Link>()
  readonly until = new Deadline(this)
  readonly #locates: Locates

  constructor(locates: Locates, id: number, asker: Link, askersId: number) {
    this.#locates = locates
    this.id = id
    this.asker = asker
    this.askersId = askersId
  }

  /** Silence is no answer: a host that does not say no may hold the actor. The asker's own time-out decides (P2). */
  expired(): void {
    this.#locates.giveUp(this)
  }
}

export class Locates {
  readonly #gateway: Gateway
  readonly #open = new Map<number, Question>()
  #lastId = 0

  constructor(gateway: Gateway) {
    this.#gateway = gateway
  }

  ask(link: Link, a: Locate, now: number): void {
    this.#gateway.counters.cells[cell.locates]++
    // Not answered when too many are open: the asker's own time-out decides, a guess would split an actor.
    if (this.#open.size >= PENDING_MAX) return
    const question = new Question(this, ++this.#lastId, link, a.id)
    for (const host of this.#gateway.hostTable.all()) {
      const other = host.current
      if (other === undefined || host === link.host || !host.offers?.has(a.service)) continue
      question.unanswered.add(other)
      writeLocate(other.outlet.writer, { id: question.id, service: a.service, key: a.key, asker: link.host.name })
      other.outlet.touch()
    }
    this.#open.set(question.id, question)
    if (question.unanswered.size === 0) this.settle(question, '')
    else this.#gateway.deadlines.set(question.until, now + LOCATE_MS)
  }

  answered(link: Link, a: Located): void {
    const question = this.#open.get(a.id)
    if (question === undefined || !question.unanswered.delete(link)) {
      this.#gateway.counters.drops[drop.lateReply]++
      return
    }
    if (a.here) this.settle(question, link.host.name)
    else if (question.unanswered.size === 0) this.settle(question, '')
  }

  giveUp(question: Question): void {
    this.#open.delete(question.id)
  }

  /** Answers the asker; an empty name: nobody has it. */
  settle(question: Question, host: string): void {
    this.#open.delete(question.id)
    this.#gateway.deadlines.clear(question.until)
    writeLocated(question.asker.outlet.writer, { id: question.askersId, here: host !== '', host })
    question.asker.outlet.touch()
  }

  /** A lost host has not said no: its questions wait for their time. Those it asked are dropped. */
  linkGone(link: Link): void {
    for (const question of this.#open.values()) {
      if (question.asker !== link) continue
      this.#open.delete(question.id)
      this.#gateway.deadlines.clear(question.until)
    }
  }
}
