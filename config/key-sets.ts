// A JSON Web Key Set (RFC 7517) as text, from a file or a server: what of it can check signatures. Secret and private keys
// are never used: a set that publishes one publishes the means to make tokens.

/** One key as it is written; jose reads the rest of it. */
export type PublicJwk = { kty: string; [member: string]: unknown }
export type KeySet = { keys: PublicJwk[]; secretCount: number }

const PUBLIC_TYPES = new Set(['RSA', 'EC', 'OKP'])

/** The public keys of a set and how many others it has, or what is wrong with it. */
export function readKeySet(text: string): KeySet | { what: string } {
  let set: unknown
  try {
    set = JSON.parse(text)
  } catch {
    return { what: 'does not hold JSON' }
  }
  const written = isMapping(set) ? set['keys'] : undefined
  if (!Array.isArray(written)) return { what: 'holds no list `keys`' }
  const keys: PublicJwk[] = []
  let secretCount = 0
  for (const key of written) {
    if (!isMapping(key) || typeof key['kty'] !== 'string') return { what: 'has something among `keys` that is no key' }
    if (key['kty'] === 'oct' || key['d'] !== undefined) secretCount++
    else if (PUBLIC_TYPES.has(key['kty'])) keys.push(key as PublicJwk)
  }
  return keys.length === 0 && secretCount === 0 ? { what: 'holds no public key' } : { keys, secretCount }
}

const isMapping = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
