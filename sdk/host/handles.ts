// The handles of one link: even ones the gateway opens, odd ones we open (P6). A handle is used again only after both
// sides have sent and received CLOSE_HANDLE for it (L2); until then frames on it are dropped. Handles index arrays, so a
// number chosen by the peer is never hashed, and it may run ahead of those in use only so far.

/** Who is reached through a handle while it is open. */
export interface HandleOwner {
  /** The handle is gone: closed by the gateway, or its link was lost. */
  handleClosed(handle: Handle, code: number, retryMs: number, now: number): void
}

export class Handle {
  readonly number: number
  owner: HandleOwner | undefined
  closeSent = true
  closeReceived = true

  constructor(number: number) {
    this.number = number
  }

  get isFree(): boolean {
    return this.closeSent && this.closeReceived
  }
}

/** Each way (LNK-14). */
const HANDLES_MAX = 1 << 17
/** How far above the highest handle so far a gateway may choose. */
const AHEAD_MAX = 1024

export class Handles {
  #even: Handle[] = []
  #odd: Handle[] = []
  #freeOdd: Handle[] = []
  openCount = 0

  at(number: number): Handle | undefined {
    const list = number % 2 === 0 ? this.#even : this.#odd
    const index = Math.floor(number / 2)
    return index < list.length ? list[index] : undefined
  }

  /** Takes a handle that the gateway opens; undefined where it may not be used (again) yet. */
  openTheirs(number: number): Handle | undefined {
    const index = number / 2
    if (number % 2 !== 0 || index >= HANDLES_MAX || index > this.#even.length + AHEAD_MAX) return undefined
    while (this.#even.length <= index) this.#even.push(new Handle(this.#even.length * 2))
    const handle = this.#even[index]
    if (!handle.isFree) return undefined
    return this.#open(handle)
  }

  /** Opens a handle of ours. */
  openOurs(): Handle | undefined {
    let handle = this.#freeOdd.pop()
    if (handle === undefined) {
      if (this.#odd.length >= HANDLES_MAX) return undefined
      handle = new Handle(this.#odd.length * 2 + 1)
      this.#odd.push(handle)
    }
    return this.#open(handle)
  }

  /** To be called when CLOSE_HANDLE was sent or received. */
  noteClose(handle: Handle): void {
    if (!handle.isFree) return
    this.openCount--
    if (handle.number % 2 === 1) this.#freeOdd.push(handle)
  }

  forEachOpen(visit: (handle: Handle) => void): void {
    for (const handle of this.#even) if (!handle.isFree) visit(handle)
    for (const handle of this.#odd) if (!handle.isFree) visit(handle)
  }

  #open(handle: Handle): Handle {
    handle.closeSent = false
    handle.closeReceived = false
    handle.owner = undefined
    this.openCount++
    return handle
  }
}
