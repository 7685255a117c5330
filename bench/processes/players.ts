// A process of players who play a plan, or its share of one: first one of them tries each transport and what the host
// does; then all of it from a moment on that is the same in all processes; then everybody goes.
import process from 'node:process'
import { monotonicUs } from '../clock.ts'
import { Book, type BookCounts } from '../play/book.ts'
import { type Broken, Crowd, type Place } from '../play/crowd.ts'
import { momentOf, type Plan } from '../play/plan.ts'
import { Player } from '../play/player.ts'
import { answerWith } from '../worker.ts'

export type ToPlayers =
  | { kind: 'try' | 'prepare'; plan: Plan; place: Place }
  | { kind: 'begin'; atUs: number }
  | { kind: 'look' | 'end' }
export type PlayersState = { clients: number; books: BookCounts[]; broken: Broken; cpuUs: number }

/** The grid on which messages are due. */
const TICK_MS = 5
const TRY_MS = 8000
const LOOK_MS = 10
let crowd: Crowd | undefined
let plan: Plan | undefined
let timer: NodeJS.Timeout | undefined

/** One player over each transport says something to its actor and hears it again. */
async function tryOut(given: Plan, place: Place): Promise<object> {
  for (const [transport, gateways] of Object.entries(place.gateways)) {
    const book = new Book(1)
    const probe = { name: 'probe', kind: 'reliable' as const, payloadBytes: { min: 16, max: 16 }, rate: 1000 / LOOK_MS }
    for (const gateway of gateways!) {
      const token = place.token.replaceAll('{n}', 'probe')
      const { service, prefix } = place
      const key = given.roomClients === 1 ? token : 'probe'
      const player = new Player({ gateways: [gateway], token, service, key, prefix }, [probe], () => book)
      const heardBefore = book.messages[0].heard
      const end = performance.now() + TRY_MS
      const isOver = (): boolean => player.endedBy !== '' || player.lastRefusal !== '' || performance.now() >= end
      while (book.messages[0].heard === heardBefore && !isOver()) {
        player.tick(monotonicUs(), 1)
        await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
      }
      const isHeard = book.messages[0].heard > heardBefore
      const silence = player.attachedAtUs > 0 ? 'attached, but nothing comes back' : player.lastLoss
      const why = player.endedBy || player.lastRefusal || silence
      await player.leave(isHeard ? TRY_MS : 0)
      if (!isHeard) {
        const hint = player.attachedAtUs > 0 ? `; the host must answer ${prefix}.say with ${prefix}.said` : ''
        throw new Error(`${transport} to ${gateway}: ${why || 'no answer'}${hint}`)
      }
    }
  }
  return {}
}

function begin(atUs: number): void {
  let grid = atUs
  const look = (): void => {
    const now = monotonicUs()
    // Late looks make up for the times that they missed: what was due then is due since then.
    for (; grid <= now; grid += TICK_MS * 1000) {
      const moment = momentOf(plan!, (grid - atUs) / 1000)
      if (moment === undefined) {
        clearInterval(timer)
        return
      }
      crowd!.tick(moment, grid, TICK_MS)
    }
  }
  timer = setInterval(look, 1)
}

function state(): PlayersState {
  const { user, system } = process.cpuUsage()
  const { size, books, broken } = crowd!
  return { clients: size, books: books.map((book) => book.counts()), broken, cpuUs: user + system }
}

answerWith<ToPlayers>(async (message) => {
  switch (message.kind) {
    case 'try':
      return tryOut(message.plan, message.place)
    case 'prepare':
      plan = message.plan
      crowd = new Crowd(message.plan, message.place)
      return {}
    case 'begin':
      begin(message.atUs)
      return {}
    case 'end':
      clearInterval(timer)
      await crowd!.end()
      return state()
    case 'look':
      return state()
  }
})
