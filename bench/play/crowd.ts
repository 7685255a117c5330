// The players of one process: as many as the plan wants at this moment, each on a seat of its own. Who is too many goes,
// who has stayed long enough goes and another comes, connections are cut at their rate. What was promised and not kept is
// counted here, since players go and their books stay.
import { monotonicUs } from '../clock.ts'
import { Book } from './book.ts'
import { type Moment, type Plan, type Range, transportOfSeat } from './plan.ts'
import { Player, type Seat } from './player.ts'

/** Where and as whom the players of a process sit down. */
export type Place = {
  /** Addresses by transport; several ones are shared out, and each player knows them all. */
  gateways: Partial<Record<string, string[]>>
  service: string
  prefix: string
  /** `{n}` becomes the number of the player. */
  token: string
  /** Distinguishes the processes of a run: number of this one, and how many there are. */
  at: number
  of: number
}

export type Broken = { lost: number; doubled: number; reordered: number; ended: number; why: string }

/** Dials under way: a thousand at once would be lost in a listener's backlog. */
const OPENING_MAX = 64
/** How long one who goes waits for what is under way. */
const LEAVE_MS = 20_000

export class Crowd {
  readonly books: Book[]
  readonly broken: Broken = { lost: 0, doubled: 0, reordered: 0, ended: 0, why: '' }
  readonly #plan: Plan
  readonly #place: Place
  readonly #players: Map<number, Player> = new Map()
  readonly #freeSeats: number[] = []
  readonly #leaving: Set<Promise<void>> = new Set()
  #seats = 0
  #came = 0
  #cutsDue = 0
  #phase = 0

  constructor(plan: Plan, place: Place) {
    this.#plan = plan
    this.#place = place
    this.books = plan.phases.map(() => new Book(plan.messages.length))
  }

  get size(): number {
    return this.#players.size
  }

  tick(moment: Moment, gridUs: number, elapsedMs: number): void {
    this.#phase = moment.phase
    const { stayMs, cuts } = this.#plan.phases[moment.phase]
    for (const [seat, player] of this.#players) {
      if (player.endedBy !== '' || gridUs >= player.leavesAtUs) this.#leave(seat, player)
      else player.tick(gridUs, moment.pace)
    }
    for (const seat of this.#players.keys()) {
      if (this.#players.size <= moment.clients) break
      this.#leave(seat, this.#players.get(seat)!)
    }
    let opening = 0
    for (const { attachedAtUs } of this.#players.values()) if (attachedAtUs === 0) opening++
    for (; this.#players.size < moment.clients && opening < OPENING_MAX; opening++) this.#come(stayMs)
    this.#cutsDue += (cuts * elapsedMs) / 1000
    for (; this.#cutsDue >= 1; this.#cutsDue--) this.#cutSomebody()
  }

  /** Everybody goes, and whoever is on the way out. */
  async end(): Promise<void> {
    for (const [seat, player] of this.#players) this.#leave(seat, player)
    while (this.#leaving.size > 0) await Promise.all(this.#leaving)
  }

  #come(stayMs: Range | undefined): void {
    const seat = this.#freeSeats.pop() ?? this.#seats++
    const player = new Player(this.#seatOf(seat), this.#plan.messages, () => this.books[this.#phase])
    if (stayMs !== undefined) {
      const ms = stayMs.min + Math.random() * (stayMs.max - stayMs.min)
      player.leavesAtUs = monotonicUs() + ms * 1000
    }
    this.#players.set(seat, player)
  }

  #seatOf(seat: number): Seat {
    const { gateways, service, prefix, token, at, of } = this.#place
    const transport = transportOfSeat(this.#plan, seat)
    const known = gateways[transport]!
    const number = seat * of + at
    const turn = number % known.length
    const name = token.replaceAll('{n}', `${at + 1}-${++this.#came}`)
    const { roomClients } = this.#plan
    const key = roomClients === 1 ? name : `room-${Math.floor(number / roomClients) + 1}`
    return { gateways: [...known.slice(turn), ...known.slice(0, turn)], token: name, service, key, prefix }
  }

  #cutSomebody(): void {
    const there = [...this.#players.values()].filter(({ attachedAtUs }) => attachedAtUs > 0)
    if (there.length > 0) there[Math.floor(Math.random() * there.length)].cut()
  }

  #leave(seat: number, player: Player): void {
    this.#players.delete(seat)
    this.#freeSeats.push(seat)
    const { broken } = this
    if (player.endedBy !== '') {
      broken.ended++
      broken.why ||= player.endedBy
    }
    const going = player.leave(LEAVE_MS).then((unheard) => {
      broken.lost += unheard
      broken.doubled += player.doubled
      broken.reordered += player.reordered
      this.#leaving.delete(going)
    })
    this.#leaving.add(going)
  }
}
