// When messages are sent. Closed loop: each client keeps `depth` messages under way and sends one for each that comes
// back. Open loop: messages have times of their own, however slow the answers are; what cannot be sent yet (the window or
// `depth` is full) waits and keeps its time, so that a latency is counted from when the message was due, not from when
// the load found the way free (coordinated omission).
import { monotonicUs } from '../clock.ts'
import type { LoadClient } from './client.ts'

export class Pace {
  readonly #clients: readonly LoadClient[]
  readonly #depth: number
  /** Messages a second of all clients; 0: closed loop. */
  readonly #rate: number
  readonly #underWay: Map<LoadClient, number> = new Map()
  readonly #waiting: Map<LoadClient, number[]> = new Map()
  #startUs = 0
  #next = 0

  constructor(clients: readonly LoadClient[], depth: number, rate: number) {
    this.#clients = clients
    this.#depth = depth
    this.#rate = rate
    for (const client of clients) {
      this.#underWay.set(client, 0)
      this.#waiting.set(client, [])
    }
  }

  begin(): void {
    this.#startUs = monotonicUs()
    if (this.#rate > 0) return
    for (const client of this.#clients) {
      this.turnEnded(client)
      client.flush()
    }
  }

  heard(client: LoadClient): void {
    this.#underWay.set(client, this.#underWay.get(client)! - 1)
  }

  /** Sends what there is room for; the caller flushes. */
  turnEnded(client: LoadClient): void {
    const underWay = this.#underWay.get(client)!
    let room = Math.min(client.room(), this.#depth - underWay)
    if (this.#rate > 0) {
      const waiting = this.#waiting.get(client)!
      room = Math.min(room, waiting.length)
      for (let i = 0; i < room; i++) client.send(waiting[i])
      if (room > 0) waiting.splice(0, room)
    } else if (room > 0) {
      const now = monotonicUs()
      for (let i = 0; i < room; i++) client.send(now)
    }
    if (room > 0) this.#underWay.set(client, underWay + room)
  }

  /** Open loop: everything whose time has come. */
  tick(): void {
    if (this.#rate === 0) return
    const now = monotonicUs()
    const touched: Set<LoadClient> = new Set()
    for (let dueUs = this.#dueUs(); dueUs <= now; dueUs = this.#dueUs()) {
      const client = this.#clients[this.#next++ % this.#clients.length]
      this.#waiting.get(client)!.push(dueUs)
      touched.add(client)
    }
    for (const client of touched) {
      this.turnEnded(client)
      client.flush()
    }
  }

  #dueUs(): number {
    return this.#startUs + (this.#next * 1e6) / this.#rate
  }
}
