// Before a key is activated here for the first time, the other hosts are asked, through every gateway, whether they hold
// it (P2): a host that joins must not split actors that live elsewhere. What wants the actor waits for the answers, at
// most a second: gateways answer within half of that. Silence is no answer: then nothing is activated, and what wants the
// actor comes again; a gateway that stays silent is lost with its heartbeat and no longer asked.
import type { Locate, Located } from '../../protocols/link/frames.ts'
import { writeLocate, writeLocated } from '../../protocols/link/frames.ts'
import type { HostCore } from './core.ts'
import type { HostLink } from './link.ts'
import type { Timed } from './schedule.ts'

/** Where the actor is: '' nowhere yet, so it may be activated here; the name of its host; undefined: nobody could say. */
export type Waiter = (host: string | undefined, now: number) => void

const QUESTIONS_MAX = 16_384
const WAITERS_MAX = 65_536

class Question implements Timed {
  dueAt = Infinity
  place = -1
  readonly id: number
  readonly service: string
  readonly key: string
  readonly waiters: Waiter[] = []
  readonly asked: Set<HostLink>
  answers = 0
  readonly #locates: Locates

  constructor(locates: Locates, id: number, service: string, key: string, asked: Set<HostLink>) {
    this.#locates = locates
    this.id = id
    this.service = service
    this.key = key
    this.asked = asked
  }

  due(now: number): void {
    this.#locates.settle(this, undefined, now)
  }
}

export class Locates {
  readonly #host: HostCore
  #byName: Map<string, Question> = new Map()
  #byId: Map<number, Question> = new Map()
  #nextId = 1
  #waiters = 0

  constructor(host: HostCore) {
    this.#host = host
  }

  /** Asks where the actor is; false: too many wait already. */
  ask(service: string, key: string, waiter: Waiter, now: number): boolean {
    const name = `${service}/${key}`
    let question = this.#byName.get(name)
    if (this.#waiters >= WAITERS_MAX || (question === undefined && this.#byName.size >= QUESTIONS_MAX)) return false
    if (question === undefined) {
      const links = this.#host.askedLinks()
      question = new Question(this, this.#nextId++, service, key, new Set(links))
      this.#byName.set(name, question)
      this.#byId.set(question.id, question)
      const asker = this.#host.settings.name
      for (const link of links) writeLocate(link.writer, { id: question.id, service, key, asker })
      this.#host.schedule.set(question, now + this.#host.settings.locateMs)
      this.#host.wake()
    }
    this.#waiters++
    question.waiters.push(waiter)
    return true
  }

  /** A gateway says who holds it, as far as it knows. */
  located(link: HostLink, a: Located, now: number): void {
    const question = this.#byId.get(a.id)
    if (question === undefined || !question.asked.delete(link)) return
    question.answers++
    if (a.here && a.host !== this.#host.settings.name) this.settle(question, a.host, now)
    else if (question.asked.size === 0) this.settle(question, '', now)
  }

  linkGone(link: HostLink, now: number): void {
    for (const question of [...this.#byId.values()]) {
      if (!question.asked.delete(link) || question.asked.size > 0) continue
      // The others have all said no; with none left but the lost one there is nobody to rely on.
      this.settle(question, question.answers > 0 ? '' : undefined, now)
    }
  }

  /**
   * Answers a gateway that asks for another host. Where we ask for the same actor ourselves, both would hear that nobody
   * has it: the lower name goes on, and the other one yields to it (LNK-10.2).
   */
  answer(link: HostLink, a: Locate, now: number): void {
    let here = this.#host.actor(a.service, a.key) !== undefined
    const question = this.#byName.get(`${a.service}/${a.key}`)
    if (!here && question !== undefined) {
      here = this.#host.settings.name < a.asker
      if (!here && a.asker !== this.#host.settings.name) this.settle(question, a.asker, now)
    }
    writeLocated(link.writer, { id: a.id, here, host: here ? this.#host.settings.name : '' })
    this.#host.wake()
  }

  settle(question: Question, host: string | undefined, now: number): void {
    this.#byName.delete(`${question.service}/${question.key}`)
    this.#byId.delete(question.id)
    this.#host.schedule.remove(question)
    this.#waiters -= question.waiters.length
    for (const waiter of question.waiters) waiter(host, now)
  }
}
