// The `noise` block: the key by which this gateway is known where Noise is spoken (listeners with `security: noise`, and
// links to hosts with it).
import { z } from 'zod'
import { fileName, text } from './schema-values.ts'

/** 32 bytes: the last of 43 characters stands for four bits. */
const PUBLIC_KEY = /^[\w-]{42}[AEIMQUYcgkosw048]$/

export const noise = z.strictObject({
  keyFile: fileName(
    'The X25519 private key, PEM, as `skewer keygen noise` makes it; the same on all gateways of a cluster.',
  ),
  previousKeyFile: fileName(
    'The key before the last change: clients that know only its public key still connect.',
  ).optional(),
})

/** Of a host, in its entry. */
export const hostPublicKey = text(
  "The host's public key, with `security: noise`: as `skewer keygen noise` prints it. The host knows this gateway's.",
  PUBLIC_KEY,
  '43 characters of base64url',
)
