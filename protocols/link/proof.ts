// What each end of a link proves to the other (L4): that it knows the shared link key, over both nonces and both names,
// so that a proof fits one handshake, one direction and one pair of ends.
//
//   proof = HMAC-SHA256(key, "skewer-link-1 " role 0x00 | nonce of the prover | nonce of the other
//                            | length u8, name of the prover | length u8, name of the other)
//   role: "gateway" or "host", the prover's. key: the UTF-8 bytes of the configured key, empty when there is none: two
//   ends without a key accept each other, an end without one and an end with one do not.
const encoder = new TextEncoder()

export type Hmac = (key: Uint8Array, ...parts: Uint8Array[]) => Uint8Array
export type LinkEnd = { nonce: Uint8Array; name: string }

export function linkProof(
  hmac: Hmac,
  key: Uint8Array,
  role: 'gateway' | 'host',
  prover: LinkEnd,
  other: LinkEnd,
): Uint8Array {
  const context = encoder.encode(`skewer-link-1 ${role}\0`)
  return hmac(key, context, prover.nonce, other.nonce, sized(prover.name), sized(other.name))
}

function sized(name: string): Uint8Array {
  const bytes = encoder.encode(name)
  const out = new Uint8Array(bytes.length + 1)
  out[0] = bytes.length
  out.set(bytes, 1)
  return out
}

/** Equality that takes the same time wherever two proofs differ. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  let difference = 0
  for (let i = 0; i < a.length; i++) difference |= a[i] ^ b[i]
  return difference === 0
}
