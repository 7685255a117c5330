// Sealing and proofs for the simulator: quick stand-ins with the same answers (a wrong context, a changed byte or a wrong
// secret is refused), since real cryptography proves nothing about sessions and would eat the time of most seeds.
import { code } from '../../protocols/codes.ts'

function digest(seed: number, ...parts: Uint8Array[]): Uint8Array {
  const out = new Uint8Array(32)
  const lanes = [0x811c9dc5 ^ seed, 0x9e3779b1, 0x85ebca6b, 0xc2b2ae35, 0x27d4eb2f, 0x165667b1, 0xd3a2646c, 0xfd7046c5]
  for (const part of parts) {
    for (let i = 0; i <= part.length; i++) {
      const byte = i < part.length ? part[i] : 0x100
      for (let l = 0; l < 8; l++)
        lanes[l] = Math.imul(lanes[l] ^ (byte + l), 0x01000193 + 2 * l) ^ (lanes[(l + 1) & 7] >>> 13)
    }
  }
  for (let i = 0; i < 32; i++) out[i] = lanes[i >> 2] >>> ((i & 3) * 8)
  return out
}

export const simHmac = (key: Uint8Array, ...parts: Uint8Array[]): Uint8Array => digest(1, key, ...parts)

const tag = (context: string, plain: Uint8Array) => digest(7, new TextEncoder().encode(context), plain).subarray(0, 16)

export function seal(context: string, plain: Uint8Array): Uint8Array {
  const sealed = new Uint8Array(16 + plain.length)
  sealed.set(tag(context, plain))
  sealed.set(plain, 16)
  return sealed
}

export function open(context: string, sealed: Uint8Array): { plain: Uint8Array } | { code: number } {
  if (sealed.length < 16) return { code: code.ticket_invalid }
  const plain = sealed.slice(16)
  const expected = tag(context, plain)
  for (let i = 0; i < 16; i++) if (expected[i] !== sealed[i]) return { code: code.ticket_invalid }
  return { plain }
}
