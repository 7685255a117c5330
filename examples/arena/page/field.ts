// Draws the field: what the host published last, moved smoothly between two publications. Knows nothing of the network.
import { FIELD } from '../world.ts'
import type { View } from '../world.ts'

type Place = { x: number; y: number }
type Pop = Place & { since: number }

const RADIUS = 15
const COIN_RADIUS = 7
const POP_MS = 350
/** Share of the way to the published place that is left after a millisecond. */
const EASE = 0.984
/** Below so many CSS pixels for a unit of the field names are for people only. */
const SMALL = 0.6

export class Field {
  readonly #canvas: HTMLCanvasElement
  readonly #ctx: CanvasRenderingContext2D
  #view: View = { t: 0, players: [], coins: [] }
  #me = ''
  #places: Map<string, Place> = new Map()
  #pops: Pop[] = []
  #last = 0

  constructor(canvas: HTMLCanvasElement) {
    this.#canvas = canvas
    this.#ctx = canvas.getContext('2d')!
    new ResizeObserver(() => this.#resize()).observe(canvas)
    requestAnimationFrame((now) => this.#draw(now))
  }

  show(view: View, me: string): void {
    const coins = new Set(view.coins.map(([id]) => id))
    const since = performance.now()
    for (const [id, x, y] of this.#view.coins) if (!coins.has(id)) this.#pops.push({ x, y, since })
    this.#view = view
    this.#me = me
    const players = new Set(view.players.map(([id]) => id))
    for (const id of this.#places.keys()) if (!players.has(id)) this.#places.delete(id)
  }

  /** The point of the field under the pointer. */
  pointAt(clientX: number, clientY: number): Place {
    const box = this.#canvas.getBoundingClientRect()
    return {
      x: ((clientX - box.left) * FIELD.width) / box.width,
      y: ((clientY - box.top) * FIELD.height) / box.height,
    }
  }

  #resize(): void {
    const width = Math.round(this.#canvas.clientWidth * devicePixelRatio)
    this.#canvas.width = Math.max(1, width)
    this.#canvas.height = Math.max(1, Math.round((width * FIELD.height) / FIELD.width))
  }

  #draw(now: number): void {
    requestAnimationFrame((next) => this.#draw(next))
    const elapsedMs = Math.min(100, now - this.#last)
    this.#last = now
    const ctx = this.#ctx
    const scale = this.#canvas.width / FIELD.width
    /** Units of the field for a CSS pixel. */
    const pixel = devicePixelRatio / scale
    ctx.setTransform(scale, 0, 0, scale, 0, 0)
    ctx.clearRect(0, 0, FIELD.width, FIELD.height)
    this.#grid()
    for (const [, x, y] of this.#view.coins) this.#circle(x, y, COIN_RADIUS, '#ffd166')
    this.#popped(now)
    this.#players(1 - EASE ** elapsedMs, pixel)
  }

  #grid(): void {
    const ctx = this.#ctx
    ctx.strokeStyle = '#1a2232'
    ctx.lineWidth = 1
    ctx.beginPath()
    for (let x = 60; x < FIELD.width; x += 60) {
      ctx.moveTo(x, 0)
      ctx.lineTo(x, FIELD.height)
    }
    for (let y = 60; y < FIELD.height; y += 60) {
      ctx.moveTo(0, y)
      ctx.lineTo(FIELD.width, y)
    }
    ctx.stroke()
  }

  #popped(now: number): void {
    this.#pops = this.#pops.filter((pop) => now - pop.since < POP_MS)
    for (const { x, y, since } of this.#pops) {
      const age = Math.max(0, now - since) / POP_MS
      this.#ring(x, y, COIN_RADIUS + 16 * age, `rgb(255 209 102 / ${1 - age})`)
    }
  }

  #players(share: number, pixel: number): void {
    const ctx = this.#ctx
    const isSmall = 1 / pixel < SMALL
    for (const [id, , x, y, score, hue, bot] of this.#view.players) {
      let place = this.#places.get(id)
      if (place === undefined) {
        place = { x, y }
        this.#places.set(id, place)
      }
      place.x += (x - place.x) * share
      place.y += (y - place.y) * share
      this.#circle(place.x, place.y, RADIUS, `hsl(${hue} ${bot ? '30% 48%' : '85% 64%'})`)
      if (id === this.#me) this.#ring(place.x, place.y, RADIUS + 4, '#fff')
      if (!isSmall) this.#text(String(score), place.x, place.y, 12 * pixel, bot ? '#fff' : '#0b0f17', false)
    }
    // Names last, so that nothing covers them.
    ctx.lineJoin = 'round'
    for (const [id, name, , , , , bot] of this.#view.players) {
      const place = this.#places.get(id)!
      if (bot && isSmall) continue
      const size = (bot ? 12 : 14) * pixel
      const above = place.y - RADIUS - 6 - size / 2
      const y = above < size ? place.y + RADIUS + 6 + size / 2 : above
      this.#text(name, place.x, y, size, bot ? '#aab4c8' : '#fff', true)
    }
  }

  #circle(x: number, y: number, radius: number, color: string): void {
    this.#ctx.fillStyle = color
    this.#ctx.beginPath()
    this.#ctx.arc(x, y, radius, 0, Math.PI * 2)
    this.#ctx.fill()
  }

  #ring(x: number, y: number, radius: number, color: string): void {
    this.#ctx.strokeStyle = color
    this.#ctx.lineWidth = 2
    this.#ctx.beginPath()
    this.#ctx.arc(x, y, radius, 0, Math.PI * 2)
    this.#ctx.stroke()
  }

  #text(text: string, x: number, y: number, size: number, color: string, isOutlined: boolean): void {
    const ctx = this.#ctx
    ctx.font = `${isOutlined ? '' : '600 '}${size}px system-ui, sans-serif`
    ctx.textAlign = 'center'
    ctx.textBaseline = 'middle'
    const inside = Math.min(
      Math.max(x, ctx.measureText(text).width / 2 + 4),
      FIELD.width - ctx.measureText(text).width / 2 - 4,
    )
    if (isOutlined) {
      ctx.strokeStyle = '#0b0f17'
      ctx.lineWidth = size / 3
      ctx.strokeText(text, inside, y)
    }
    ctx.fillStyle = color
    ctx.fillText(text, inside, y)
  }
}
