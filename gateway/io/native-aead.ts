// The AEAD of the accelerator (native/aead.c) behind the interface of protocols/secure. A call is a few numbers and the
// memory that they are offsets in; key and nonce lie where both sides see them. What comes as separate arrays is laid side by
// side first, which costs less than handing those over.
import {
  type Aead,
  NO_BYTES,
  NONCE_BYTES,
  type PlacedAead,
  TAG_BYTES,
  writeNonce,
} from '../../protocols/secure/crypto.ts'

/** What native/aead.c exports; it says what lies where. Throws RangeErrors for offsets that do not fit. */
export interface NativeAead {
  /** False where this Node lacks what it is made of: nothing is to be called then. */
  readonly isUsable: boolean
  readonly control: ArrayBuffer
  seal(memory: ArrayBuffer, start: number, at: number, end: number): void
  /** `end`: where the tag begins. */
  open(memory: ArrayBuffer, start: number, at: number, end: number, out: ArrayBuffer, outAt: number): boolean
}

const KEY_BYTES = 32
/** With so much memory before it, a text is sealed or opened in one run of the cipher instead of two. */
const BLOCK_BYTES = 64
const AD_BYTES_MAX = 256
const TEXT_BYTES_MAX = 65_535

export function nativeAead(native: NativeAead): Aead {
  const placed = nativePlacedAead(native)
  const bytes = new Uint8Array(BLOCK_BYTES + AD_BYTES_MAX + TEXT_BYTES_MAX + TAG_BYTES)
  const text = new Uint8Array(TEXT_BYTES_MAX)
  const start = BLOCK_BYTES
  return {
    placed,
    seal(key, counter, ad, plain, out) {
      const at = start + ad.length
      const end = at + plain.length
      if (ad.length > 0) bytes.set(ad, start)
      bytes.set(plain, at)
      placed.seal(key, counter, bytes, start, at, end)
      out.set(bytes.subarray(at, end + TAG_BYTES))
    },
    open(key, counter, ad, sealed, out) {
      const at = start + ad.length
      if (ad.length > 0) bytes.set(ad, start)
      bytes.set(sealed, at)
      const end = at + sealed.length
      if (!placed.open(key, counter, bytes, start, at, end, text)) return false
      out.set(text.subarray(0, end - TAG_BYTES - at))
      return true
    },
  }
}

function nativePlacedAead(native: NativeAead): PlacedAead {
  const keyOfCall = new Uint8Array(native.control, 0, KEY_BYTES)
  const nonce = new Uint8Array(native.control, KEY_BYTES, NONCE_BYTES)
  // The memory of an array is asked for once: few are used, many times each.
  let source: Uint8Array = NO_BYTES
  let target: Uint8Array = NO_BYTES
  let sourceMemory = new ArrayBuffer(0)
  let targetMemory = sourceMemory

  const prepare = (key: Uint8Array, counter: number, bytes: Uint8Array): void => {
    if (bytes !== source) {
      sourceMemory = memoryOf(bytes)
      source = bytes
    }
    keyOfCall.set(key)
    writeNonce(nonce, counter)
  }

  return {
    seal(key, counter, bytes, start, at, end) {
      prepare(key, counter, bytes)
      const from = bytes.byteOffset
      native.seal(sourceMemory, from + start, from + at, from + end)
    },
    open(key, counter, bytes, start, at, end, out) {
      prepare(key, counter, bytes)
      if (out !== target) {
        targetMemory = memoryOf(out)
        target = out
      }
      const from = bytes.byteOffset
      return native.open(sourceMemory, from + start, from + at, from + end - TAG_BYTES, targetMemory, out.byteOffset)
    },
  }
}

function memoryOf({ buffer }: Uint8Array): ArrayBuffer {
  if (buffer instanceof ArrayBuffer) return buffer
  throw new TypeError('memory that threads share is not sealed')
}
