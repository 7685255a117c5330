// The handles of one link: numbers of channels. Even ones are opened by the gateway, odd ones by the host (P6). A handle
// is used again only after both sides have sent and received CLOSE_HANDLE for it on that link (L2): until then it is a
// slot without an attachment, whose frames are dropped, so that no player ever gets another one's frames.
import type { Attachment } from './attachment.ts'

/** Channels on one link, each way; what a host may reserve by choosing numbers is bounded by it too. */
export const HANDLES_MAX = 1 << 17
/** How far above the highest one a host may number its next handle. */
const OPEN_AHEAD_MAX = 1024

export class HandleSlot {
  readonly handle: number
  attachment: Attachment | undefined = undefined
  isOpen = false
  closeSent = false
  closeReceived = false
  /** Marks the members that a publication leaves out. */
  excludeMark = 0

  constructor(handle: number) {
    this.handle = handle
  }

  open(attachment: Attachment): void {
    this.attachment = attachment
    this.isOpen = true
    this.closeSent = false
    this.closeReceived = false
  }
}

export class Handles {
  readonly #even: HandleSlot[] = []
  readonly #odd: HandleSlot[] = []
  readonly #free: HandleSlot[] = []
  openCount = 0

  /** The slot of a handle that is or was open; undefined: never used. */
  at(handle: number): HandleSlot | undefined {
    const slots = handle & 1 ? this.#odd : this.#even
    const index = Math.floor(handle / 2)
    return index < slots.length ? slots[index] : undefined
  }

  /** A free even handle; undefined when the link has as many as it may. */
  allocate(attachment: Attachment): HandleSlot | undefined {
    let slot = this.#free.pop()
    if (slot === undefined) {
      if (this.#even.length >= HANDLES_MAX) return undefined
      slot = new HandleSlot(2 * this.#even.length)
      this.#even.push(slot)
    }
    slot.open(attachment)
    this.openCount++
    return slot
  }

  /** Takes an odd handle into use that the host chose; undefined: it may not (in use, not closed by both, far ahead). */
  adopt(handle: number, attachment: Attachment): HandleSlot | undefined {
    const index = (handle - 1) / 2
    if (handle % 2 !== 1 || index >= HANDLES_MAX || index >= this.#odd.length + OPEN_AHEAD_MAX) return undefined
    while (this.#odd.length <= index) this.#odd.push(new HandleSlot(2 * this.#odd.length + 1))
    const slot = this.#odd[index]
    if (slot.isOpen) return undefined
    slot.open(attachment)
    this.openCount++
    return slot
  }

  /** To be called after CLOSE_HANDLE was sent or received: frees the handle after both (L2). */
  settle(slot: HandleSlot): void {
    if (!slot.isOpen || !slot.closeSent || !slot.closeReceived) return
    slot.isOpen = false
    this.openCount--
    if ((slot.handle & 1) === 0) this.#free.push(slot)
  }

  /** Every attachment, for the end of a link. */
  attachments(): Attachment[] {
    const found: Attachment[] = []
    for (const slots of [this.#even, this.#odd])
      for (const slot of slots) if (slot.attachment !== undefined) found.push(slot.attachment)
    return found
  }
}
