// The rules of the arena: a field, players who steer, coins that they collect. Pure: no network, no clock; the host's
// actor calls `step` twenty times a second and sends what `view` returns.

export const FIELD = { width: 960, height: 600 }
export const STEP_MS = 50
const SPEED = 220
const REACH = 22
const COINS = 14
const APART = 34
const EDGE = 16

export type Player = {
  id: string
  name: string
  bot: boolean
  x: number
  y: number
  dx: number
  dy: number
  score: number
  hue: number
}
export type Coin = { id: number; x: number; y: number }
export type Collected = { player: string; coin: number; score: number }
export type View = {
  t: number
  players: [string, string, number, number, number, number, number][]
  coins: [number, number, number][]
}

export class World {
  readonly players: Map<string, Player> = new Map()
  readonly coins: Map<number, Coin> = new Map()
  #ticks = 0
  #nextCoin = 1
  readonly #random: () => number

  constructor(random: () => number) {
    this.#random = random
    while (this.coins.size < COINS) this.#drop()
  }

  join(id: string, name: string, bot: boolean): Player {
    const known = this.players.get(id)
    if (known !== undefined) return known
    const player: Player = {
      id,
      name: name.slice(0, 16),
      bot,
      x: 40 + this.#random() * (FIELD.width - 80),
      y: 40 + this.#random() * (FIELD.height - 80),
      dx: 0,
      dy: 0,
      score: 0,
      hue: Math.floor(this.#random() * 360),
    }
    this.players.set(id, player)
    return player
  }

  leave(id: string): void {
    this.players.delete(id)
  }

  /** Any direction is taken as one of at most unit length; what is no number is standing still. */
  steer(id: string, dx: number, dy: number): void {
    const player = this.players.get(id)
    if (player === undefined) return
    const length = Math.hypot(dx, dy)
    const scale = length > 1 ? 1 / length : 1
    player.dx = Number.isFinite(dx) ? dx * scale : 0
    player.dy = Number.isFinite(dy) ? dy * scale : 0
  }

  /** Moves everybody on by one step; returns who collected what. */
  step(): Collected[] {
    this.#ticks++
    const seconds = STEP_MS / 1000
    const collected: Collected[] = []
    for (const player of this.players.values()) {
      player.x += player.dx * SPEED * seconds
      player.y += player.dy * SPEED * seconds
    }
    this.#separate()
    for (const player of this.players.values()) {
      for (const coin of this.coins.values()) {
        if (Math.hypot(coin.x - player.x, coin.y - player.y) > REACH) continue
        this.coins.delete(coin.id)
        player.score++
        collected.push({ player: player.id, coin: coin.id, score: player.score })
        this.#drop()
        break
      }
    }
    return collected
  }

  view(): View {
    const players: View['players'] = []
    for (const p of this.players.values()) {
      players.push([p.id, p.name, Math.round(p.x), Math.round(p.y), p.score, p.hue, p.bot ? 1 : 0])
    }
    const coins: View['coins'] = []
    for (const coin of this.coins.values()) coins.push([coin.id, Math.round(coin.x), Math.round(coin.y)])
    return { t: this.#ticks, players, coins }
  }

  /** Players push each other aside, as far as the walls let them. */
  #separate(): void {
    const players = [...this.players.values()]
    for (let i = 0; i < players.length; i++) {
      for (let j = i + 1; j < players.length; j++) {
        const a = players[i]
        const b = players[j]
        const dx = b.x - a.x || 0.01 * (j - i)
        const dy = b.y - a.y
        const distance = Math.hypot(dx, dy)
        if (distance >= APART) continue
        const push = (APART - distance) / distance / 2
        a.x -= dx * push
        a.y -= dy * push
        b.x += dx * push
        b.y += dy * push
      }
    }
    for (const player of players) {
      player.x = clamp(player.x, EDGE, FIELD.width - EDGE)
      player.y = clamp(player.y, EDGE, FIELD.height - EDGE)
    }
  }

  #drop(): void {
    const id = this.#nextCoin++
    this.coins.set(id, {
      id,
      x: 30 + this.#random() * (FIELD.width - 60),
      y: 30 + this.#random() * (FIELD.height - 60),
    })
  }
}

const clamp = (value: number, low: number, high: number) => Math.min(high, Math.max(low, value))
