// Stateless proof that an address receives what is sent to it (docs/spec/datagram.md, section 4): a MAC of the address
// under a secret that changes every few minutes. A cookie is good for the current and the previous secret; it may be used
// again by the same address, which spares a client that comes back the extra round trip.
import { sameBytes } from '../link/proof.ts'
import type { Hash } from './crypto.ts'
import { COOKIE_BYTES } from './datagram-codec.ts'

/**
 * How often a listener gives the jar a new secret, in ms.
 * @public
 */
export const COOKIE_ROTATION_MS = 120_000

export class CookieJar {
  readonly #hash: Hash
  #current: Uint8Array
  #previous: Uint8Array | undefined

  /** `secret`: 32 random bytes. */
  constructor(hash: Hash, secret: Uint8Array) {
    this.#hash = hash
    this.#current = secret
  }

  rotate(secret: Uint8Array): void {
    this.#previous = this.#current
    this.#current = secret
  }

  bake(address: string): Uint8Array {
    return this.#of(this.#current, address)
  }

  isGood(address: string, cookie: Uint8Array): boolean {
    if (sameBytes(this.#of(this.#current, address), cookie)) return true
    return this.#previous !== undefined && sameBytes(this.#of(this.#previous, address), cookie)
  }

  #of(secret: Uint8Array, address: string): Uint8Array {
    return this.#hash.hmac(secret, encoder.encode(address)).subarray(0, COOKIE_BYTES)
  }
}

const encoder = new TextEncoder()
