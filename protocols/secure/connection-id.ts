// Connection ids of datagrams: who serves a connection, readable for every gateway of the cluster and for nobody else
// (docs/spec/datagram.md, sections 3 and 9). One block of XTEA under a key made from the cluster's key: a permutation, so no two
// ids are alike and those of one connection look unrelated. It hides, it authenticates nothing: the AEAD does.
//
//   before sealing:   gateway u16 | worker u8 | slot u24 | serial u16      little-endian, 8 bytes
//
// Beside each id its token, which a client is given under the AEAD: whoever says it later knows the cluster's key.
//
// XTEA and not a Feistel network of HMACs: this is the first thing done for a stranger's datagram, 0.3 us against 20.
import { concat, deriveKey, type Hash } from './crypto.ts'

export const CONNECTION_ID_BYTES = 8
export const GATEWAY_MAX = 0xffff
export const WORKER_MAX = 0xff
export const SLOT_MAX = 0xffffff
/** Serials are counted in a slot, over all connections that it holds one after the other, and begin again after this. */
export const SERIALS = 0x10000
/** What proves a RESET of a connection id ([DGM-9.1]). */
export const RESET_TOKEN_BYTES = 16
/** An id and its token, as a client is given them. */
export const CREDENTIAL_BYTES = CONNECTION_ID_BYTES + RESET_TOKEN_BYTES
const LABEL = 'skewer/1 connection ids'
const RESET_LABEL = 'skewer/1 resets'
const CYCLES = 32
const DELTA = 0x9e3779b9
/** A power of two. */
const KNOWN = 4096
const KNOWN_WORDS = 4

export class ConnectionIdCipher {
  readonly #key: Uint32Array
  readonly #hash: Hash
  readonly #resetKey: Uint8Array
  /** Ids that were opened lately and what they are, each at the place of its first bits: what comes again costs a look. */
  readonly #known = new Int32Array(KNOWN * KNOWN_WORDS)
  /** What `open` has found. */
  gateway = 0
  worker = 0
  slot = 0
  serial = 0

  /** `clusterKey`: 32 bytes that all gateways of the cluster share. */
  constructor(hash: Hash, clusterKey: Uint8Array) {
    this.#key = wordsOf(deriveKey(hash, clusterKey, LABEL))
    this.#hash = hash
    this.#resetKey = deriveKey(hash, clusterKey, RESET_LABEL)
    // An empty place holds zeros. Only that of the id of zeros could be taken for one that is known.
    decipher(this.#key, scratch.fill(0))
    this.#known.set(scratch, 2)
  }

  seal(gateway: number, worker: number, slot: number, serial: number): Uint8Array {
    const words = Uint32Array.of(gateway | (worker << 16) | (slot << 24), (slot >>> 8) | (serial << 16))
    encipher(this.#key, words)
    const id = new Uint8Array(CONNECTION_ID_BYTES)
    writeWord(id, 0, words[0])
    writeWord(id, 4, words[1])
    return id
  }

  /** The token of the id that begins at `at`: its connection is not needed to make it. */
  resetToken(bytes: Uint8Array, at: number): Uint8Array {
    return this.#hash.hmac(this.#resetKey, bytes.subarray(at, at + CONNECTION_ID_BYTES)).subarray(0, RESET_TOKEN_BYTES)
  }

  /** A new id with its token. */
  issue(gateway: number, worker: number, slot: number, serial: number): Uint8Array {
    const id = this.seal(gateway, worker, slot, serial)
    return concat(id, this.resetToken(id, 0))
  }

  /** Reads the id at `at` into the fields; any eight bytes are some id. */
  open(bytes: Uint8Array, at: number): void {
    const first = readWord(bytes, at) | 0
    const second = readWord(bytes, at + 4) | 0
    const known = this.#known
    const place = (first & (KNOWN - 1)) * KNOWN_WORDS
    if (known[place] !== first || known[place + 1] !== second) {
      scratch[0] = first
      scratch[1] = second
      decipher(this.#key, scratch)
      known[place] = first
      known[place + 1] = second
      known[place + 2] = scratch[0]
      known[place + 3] = scratch[1]
    }
    const low = known[place + 2]
    const high = known[place + 3]
    this.gateway = low & 0xffff
    this.worker = (low >>> 16) & 0xff
    this.slot = (low >>> 24) | ((high & 0xffff) << 8)
    this.serial = high >>> 16
  }
}

/** XTEA (Needham and Wheeler, 1997), 64 rounds, on two words in place. */
export function encipher(key: Uint32Array, words: Uint32Array): void {
  let a = words[0] | 0
  let b = words[1] | 0
  let sum = 0
  for (let i = 0; i < CYCLES; i++) {
    a = (a + ((((b << 4) ^ (b >>> 5)) + b) ^ (sum + key[sum & 3]))) | 0
    sum = (sum + DELTA) | 0
    b = (b + ((((a << 4) ^ (a >>> 5)) + a) ^ (sum + key[(sum >>> 11) & 3]))) | 0
  }
  words[0] = a
  words[1] = b
}

export function decipher(key: Uint32Array, words: Uint32Array): void {
  let a = words[0] | 0
  let b = words[1] | 0
  let sum = Math.imul(DELTA, CYCLES)
  for (let i = 0; i < CYCLES; i++) {
    b = (b - ((((a << 4) ^ (a >>> 5)) + a) ^ (sum + key[(sum >>> 11) & 3]))) | 0
    sum = (sum - DELTA) | 0
    a = (a - ((((b << 4) ^ (b >>> 5)) + b) ^ (sum + key[sum & 3]))) | 0
  }
  words[0] = a
  words[1] = b
}

const scratch = new Uint32Array(2)

function wordsOf(key: Uint8Array): Uint32Array {
  return Uint32Array.of(readWord(key, 0), readWord(key, 4), readWord(key, 8), readWord(key, 12))
}

function readWord(bytes: Uint8Array, at: number): number {
  return (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)) >>> 0
}

function writeWord(bytes: Uint8Array, at: number, word: number): void {
  bytes[at] = word
  bytes[at + 1] = word >>> 8
  bytes[at + 2] = word >>> 16
  bytes[at + 3] = word >>> 24
}
