// Views of the first bytes of one buffer, by length, made once: an array object for each datagram, on either side of the
// AEAD, costs more than copying the datagram into a buffer that has its views already. Lengths above the limit are as
// rare as they are long, and get a view of their own.

/** Longer than any datagram of a game. */
const CACHED_BYTES_MAX = 2048

export class ViewCache {
  readonly #bytes: Uint8Array
  readonly #start: number
  readonly #views: (Uint8Array | undefined)[] = new Array(CACHED_BYTES_MAX + 1).fill(undefined)

  /** Of what begins at `start` of `bytes`. */
  constructor(bytes: Uint8Array, start = 0) {
    this.#bytes = bytes
    this.#start = start
  }

  of(length: number): Uint8Array {
    if (length > CACHED_BYTES_MAX) return this.#view(length)
    return (this.#views[length] ??= this.#view(length))
  }

  #view(length: number): Uint8Array {
    return this.#bytes.subarray(this.#start, this.#start + length)
  }
}
