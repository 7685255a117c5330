// Where the player wants to go: arrow keys, WASD, or a pointer held on the field.
import type { Field } from './field.ts'

const keys: Record<string, [number, number]> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
  KeyA: [-1, 0],
  KeyD: [1, 0],
  KeyW: [0, -1],
  KeyS: [0, 1],
}
/** Nearer than this to the pointer is there. */
const THERE = 8
/** Full speed from this far on. */
const FULL_SPEED_AT = 60

export class Steering {
  readonly #held: Set<string> = new Set()
  #pointer: { x: number; y: number } | undefined

  constructor(canvas: HTMLCanvasElement, field: Field) {
    addEventListener('keydown', (event) => {
      if (!(event.code in keys) || document.activeElement instanceof HTMLInputElement) return
      if (event.ctrlKey || event.metaKey || event.altKey) return
      this.#held.add(event.code)
      event.preventDefault()
    })
    addEventListener('keyup', (event) => this.#held.delete(event.code))
    addEventListener('blur', () => this.#held.clear())
    canvas.addEventListener('pointerdown', (event) => {
      this.#pointer = field.pointAt(event.clientX, event.clientY)
      canvas.setPointerCapture(event.pointerId)
    })
    canvas.addEventListener('pointermove', (event) => {
      if (this.#pointer !== undefined) this.#pointer = field.pointAt(event.clientX, event.clientY)
    })
    for (const end of ['pointerup', 'pointercancel'] as const) {
      canvas.addEventListener(end, () => {
        this.#pointer = undefined
      })
    }
  }

  /** At most a step of length 1, from where the player is. */
  direction(own: { x: number; y: number } | undefined): [number, number] {
    if (this.#pointer !== undefined && own !== undefined) {
      const dx = this.#pointer.x - own.x
      const dy = this.#pointer.y - own.y
      return Math.hypot(dx, dy) < THERE ? [0, 0] : [dx / FULL_SPEED_AT, dy / FULL_SPEED_AT]
    }
    let dx = 0
    let dy = 0
    for (const key of this.#held) {
      dx += keys[key][0]
      dy += keys[key][1]
    }
    return [dx, dy]
  }
}
