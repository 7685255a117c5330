// The schema of `auth`: whom the gateway believes that a client is who it says. What holds between these keys is in
// auth-checks.ts.
import { z } from 'zod'
import { LABELS_MAX } from '../protocols/link/frames.ts'
import { count, duration, fileName, name, secret, text } from './schema-values.ts'

const JWT_ALGORITHMS = [
  ...['HS256', 'HS384', 'HS512', 'RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
  ...['ES256', 'ES384', 'ES512', 'EdDSA'],
] as const
export const LABEL_NAME = /^[\w./-]{1,64}$/
const JWKS_URL = /^https?:\/\/[^\s@#]+$/

const jwks = z.strictObject({
  file: fileName('The key set as a file; read again at each reload.').optional(),
  url: text(
    'Where the key set is fetched from: https, or http on this machine.',
    JWKS_URL,
    'an address as in https://accounts.example.com/jwks.json',
  ).optional(),
  timeout: duration('How long one fetch may take; what waits for it is refused then and comes back.', {
    min: '100ms',
    max: '30s',
  }).prefault('2s'),
  refresh: duration('How often it is fetched again. Keys that are known serve meanwhile.', {
    min: '10s',
    max: '24h',
  }).prefault('10m'),
  cooldown: duration('The shortest time between two fetches, however many tokens name a key that is not known.', {
    min: '1s',
    max: '1h',
  }).prefault('15s'),
})

const jwt = z.strictObject({
  algorithms: z
    .array(z.enum(JWT_ALGORITHMS))
    .min(1)
    .meta({ description: 'The accepted ones; never mix HS with others.' }),
  secret: secret('The key of HS algorithms, at least 32 bytes.').optional(),
  publicKeyFile: fileName(
    'The public key of the other algorithms, PEM; with `keys`, of tokens that name none of them.',
  ).optional(),
  keys: z
    .array(
      z.strictObject({
        kid: text('The `kid` that tokens name it by.'),
        file: fileName('The public key, PEM.'),
      }),
    )
    .min(1)
    .meta({ description: 'Several public keys, so that one can follow another.' })
    .optional(),
  jwks: jwks.meta({ description: 'Public keys as a JSON Web Key Set, from a file or a server.' }).optional(),
  issuer: text('The `iss` that is demanded.').optional(),
  audience: text('The `aud` that is demanded.').optional(),
  userClaim: text('The claim that holds the user.').default('sub'),
  labels: z
    .record(text('', LABEL_NAME, 'at most 64 letters, digits and _ . / -'), text('The name of a claim.'))
    .refine((labels) => Object.keys(labels).length <= LABELS_MAX, `at most ${LABELS_MAX} labels`)
    .default({})
    .meta({
      description:
        'Labels of the user from claims, as in `{track: release_track}`, beside those of the claim `labels`: text, numbers and true or false.',
    }),
  clockTolerance: duration('How far the clock of who made the token may be off, for `exp` and `nbf`.', {
    min: '0s',
    max: '5m',
  }).prefault('5s'),
})

const host = z.strictObject({
  service: name('The service whose actors know who players are. Players reach it by routes that are written only.'),
  route: text('The route of the calls to them. No client needs it: it goes without `routes`.'),
  key: name('The name of the actors, which are `login.0`, `login.1` and so on.').default('login'),
  actors: count('How many there are; one token is always taken to the same one.', 1, 1024).default(16),
  deadline: duration('How long an answer may take, below `times.handshake`. Without one the login comes back.', {
    min: '100ms',
    max: '30s',
  }).prefault('2s'),
  underWayMax: count('Logins that wait for an answer; what comes beyond is told to come back.', 1, 65_536).default(
    1024,
  ),
})

export const auth = z.strictObject({
  singleLogin: z.enum(['off', 'replace', 'reject']).default('off').meta({
    description:
      'Of a second session of one user on this gateway: off, both go on; replace, the older ends; reject, the newer is refused while the older is connected (T4).',
  }),
  development: z
    .literal(true)
    .meta({ description: 'Whoever connects is whom they say they are. For development only.' })
    .optional(),
  host: host
    .meta({ description: "Logins are answered by a host's actor, in whatever way it knows players." })
    .optional(),
  jwt: jwt.meta({ description: 'Logins are JSON Web Tokens.' }).optional(),
})
