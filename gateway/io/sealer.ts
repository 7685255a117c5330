// Seals tickets and pins (T1, T3, P1): ChaCha20-Poly1305 with random nonces, under the cluster's current key; opens what
// the next, the current and the previous key have sealed. A key that this gateway does not have is told apart from bytes
// that nobody of ours sealed: the first comes back after a reload, the second never.
//
//   key id 4 | nonce 12 | sealed bytes | tag 16         associated data: the context
//
// node:crypto and not @noble/ciphers: 8 us against 14 to seal a record of 100 bytes, 4.5 against 12.5 to open it.
import { createCipheriv, createDecipheriv, randomFillSync } from 'node:crypto'
import { KEY_BYTES } from '../../config/keys.ts'
import type { KeySettings, Settings, TicketKeySettings } from '../../config/settings.ts'
import { code } from '../../protocols/codes.ts'
import type { Sealer } from '../seams.ts'
import { ownKeys } from './key-file.ts'

const CIPHER = 'chacha20-poly1305'
const ID_BYTES = 4
const NONCE_BYTES = 12
const TAG_BYTES = 16
const HEAD_BYTES = ID_BYTES + NONCE_BYTES
const tagLength = { authTagLength: TAG_BYTES }

type Key = { id: number; key: Uint8Array }
export type KeyRing = { current: Key; keys: Key[] }

export class KeyRingSealer implements Sealer {
  #current: Key
  #keys: Key[]

  constructor(settings: TicketKeySettings) {
    const { current, keys } = keyRing(settings)
    this.#current = current
    this.#keys = keys
  }

  /** Takes other keys; what the old ones sealed opens as long as they are among these. */
  reload({ current, keys }: KeyRing): void {
    this.#current = current
    this.#keys = keys
  }

  seal(context: string, plain: Uint8Array): Uint8Array {
    const { id, key } = this.#current
    const sealed = Buffer.allocUnsafeSlow(HEAD_BYTES + plain.length + TAG_BYTES)
    sealed.writeUInt32BE(id, 0)
    const nonce = randomFillSync(sealed.subarray(ID_BYTES, HEAD_BYTES))
    const cipher = createCipheriv(CIPHER, key, nonce, tagLength)
    cipher.setAAD(Buffer.from(context), { plaintextLength: plain.length })
    sealed.set(cipher.update(plain), HEAD_BYTES)
    cipher.final()
    sealed.set(cipher.getAuthTag(), HEAD_BYTES + plain.length)
    return new Uint8Array(sealed.buffer)
  }

  open(context: string, sealed: Uint8Array): { plain: Uint8Array } | { code: number } {
    if (sealed.length < HEAD_BYTES + TAG_BYTES) return { code: code.ticket_invalid }
    const id = ((sealed[0] << 24) | (sealed[1] << 16) | (sealed[2] << 8) | sealed[3]) >>> 0
    const key = this.#keys.find((k) => k.id === id)
    if (key === undefined) return { code: code.ticket_key_unknown }
    const end = sealed.length - TAG_BYTES
    const decipher = createDecipheriv(CIPHER, key.key, sealed.subarray(ID_BYTES, HEAD_BYTES), tagLength)
    decipher.setAAD(Buffer.from(context), { plaintextLength: end - HEAD_BYTES })
    decipher.setAuthTag(sealed.subarray(end))
    const plain = decipher.update(sealed.subarray(HEAD_BYTES, end))
    try {
      decipher.final()
    } catch {
      return { code: code.ticket_invalid }
    }
    return { plain: new Uint8Array(plain) }
  }
}

/** Throws where a key is not one. */
export function keyRing({ next, current, previous }: TicketKeySettings): KeyRing {
  const keys = [current, previous, next].filter((key) => key !== undefined).map(keyOf)
  return { current: keys[0], keys }
}

function keyOf({ id, key }: KeySettings): Key {
  if (!/^[0-9a-f]{8}$/i.test(id) || key.length !== KEY_BYTES) {
    throw new Error(`ticket key ${id}: expected ${KEY_BYTES} bytes and an id of 8 hexadecimal digits`)
  }
  return { id: Number.parseInt(id, 16), key }
}

/** T3: what tickets are sealed and opened with. Keys of the gateway's own open what they have sealed as long as it runs. */
export function ringOf({ ticketKeys, stateDir }: Settings, hasOwnKeys: boolean): KeyRing {
  if (ticketKeys === undefined) return keyRing(ownKeys(stateDir))
  const ring = keyRing(ticketKeys)
  return hasOwnKeys ? { current: ring.current, keys: [...ring.keys, ...keyRing(ownKeys(stateDir)).keys] } : ring
}
