// Where batches wait until the kernel has them. A batch is lent to a carrier for the length of `write` only, so it is
// copied here and the copy is given to the stream. On a socket whose peer reads, the kernel takes all of it at once and
// the same bytes serve the next write; what a stream still holds is never touched again: the slab goes on behind it, and
// a new slab is taken when this one is used up. The old one lives exactly as long as a stream refers to it.
//
// Invariant: bytes[0, at) belong to streams, bytes[at, ...) to nobody.
import type { ByteSocket } from './onread-socket.ts'

const BYTES_MAX = 1024 * 1024
const CLIENT_BYTES = 64 * 1024
const VIEWS_MAX = 2048

/** One for all sockets of clients. */
export const clientSlab = (): WriteSlab => new WriteSlab(CLIENT_BYTES)

export class WriteSlab {
  bytes: Buffer
  at = 0
  readonly #firstBytes: number
  #views = noViews()

  constructor(firstBytes: number) {
    this.#firstBytes = firstBytes
    this.bytes = Buffer.allocUnsafeSlow(firstBytes)
  }

  /** Makes `length` bytes at `at` free to be written until `send`. */
  reserve(length: number): void {
    if (length <= this.bytes.length - this.at) return
    let capacity = this.bytes.length
    while (capacity < length) capacity *= 2
    this.#take(capacity)
  }

  /** Writes the `length` bytes at `at`. They are free again if the kernel took them at once. */
  send(socket: ByteSocket, length: number): void {
    const end = this.at + length
    socket.write(this.at === 0 && length < VIEWS_MAX ? this.#viewOf(length) : this.bytes.subarray(this.at, end))
    if (socket.writableLength !== 0) this.at = end
    // One huge batch does not make the slab huge for good.
    if (this.bytes.length > BYTES_MAX) this.#take(this.#firstBytes)
  }

  /** Copies what is lent and writes the copy. */
  write(socket: ByteSocket, lent: Uint8Array): void {
    const length = lent.length
    this.reserve(length)
    this.bytes.set(lent, this.at)
    this.send(socket, length)
  }

  /** Most writes are short and go out at once: the view of the first n bytes serves again for the next of that length. */
  #viewOf(length: number): Buffer {
    let view = this.#views[length]
    if (view === undefined) {
      view = this.bytes.subarray(0, length)
      this.#views[length] = view
    }
    return view
  }

  #take(capacityBytes: number): void {
    this.bytes = Buffer.allocUnsafeSlow(capacityBytes)
    this.#views = noViews()
    this.at = 0
  }
}

const noViews = (): (Buffer | undefined)[] => new Array(VIEWS_MAX).fill(undefined)
