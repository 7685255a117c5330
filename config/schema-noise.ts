// The `noise` block: the key by which this gateway is known where Noise is spoken (listeners with `security: noise`, and
// links to hosts with it).
import { z } from 'zod'
import { fileName } from './schema-values.ts'

export const noise = z.strictObject({
  keyFile: fileName(
    'The X25519 private key, PEM, as `skewer keygen noise` makes it; the same on all gateways of a cluster.',
  ),
  previousKeyFile: fileName(
    'The key before the last change: clients that know only its public key still connect.',
  ).optional(),
})
