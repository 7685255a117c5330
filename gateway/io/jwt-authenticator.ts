// Login by JSON Web Token (RFC 7519), checked by jose: signature, algorithm, issuer, audience, `nbf` and `exp`. The user is
// a claim (`sub` unless configured); the claim `labels`, and claims that are named for it, give labels for policies; `exp`
// ends the authority of the session (T2). Symmetric and public keys are never mixed: with public keys, no HS is accepted.
import { createPublicKey, type KeyObject } from 'node:crypto'
import fs from 'node:fs'
import type { JWTPayload } from 'jose'
import * as errors from 'jose/errors'
import { createLocalJWKSet } from 'jose/jwks/local'
import { jwtVerify } from 'jose/jwt/verify'
import { readKeySet } from '../../config/key-sets.ts'
import type { JwtSettings } from '../../config/settings.ts'
import { LABELS_MAX } from '../../protocols/link/frames.ts'
import { NAME_BYTES_MAX } from '../../protocols/wire/lane-frames.ts'
import type { Authenticator, LoginResult } from '../seams.ts'
import { isUserName, labelsOf, loginFailed, tokenText, unauthenticated } from './login-token.ts'
import { type FindKey, KeysAway, RemoteKeySet, type Warn } from './remote-key-set.ts'

const required = unauthenticated('a token is required')

export class JwtAuthenticator implements Authenticator {
  readonly #settings: JwtSettings
  readonly #remote: RemoteKeySet | undefined
  readonly #keyOf: FindKey

  /** Throws where the settings do not make one, or name files that hold no keys. */
  constructor(settings: JwtSettings, warn: Warn) {
    this.#settings = settings
    this.#remote = settings.jwks?.url === undefined ? undefined : new RemoteKeySet(settings.jwks, warn)
    this.#keyOf = finder(settings, this.#remote)
  }

  begin(before?: Authenticator): void {
    this.#remote?.begin(before instanceof JwtAuthenticator ? before.#remote : undefined)
  }

  end(): void {
    this.#remote?.end()
  }

  login(token: Uint8Array, _address: string, done: (result: LoginResult) => void): void {
    const text = tokenText(token)
    const verified = text === undefined || text === '' ? Promise.resolve(required) : this.#verify(text)
    verified.then(done, () => done(loginFailed))
  }

  async #verify(text: string): Promise<LoginResult> {
    const { algorithms, issuer, audience, userClaim, clockToleranceMs } = this.#settings
    let payload: JWTPayload
    try {
      const options = { algorithms, issuer, audience, clockTolerance: clockToleranceMs / 1000 }
      payload = (await jwtVerify(text, this.#keyOf, options)).payload
    } catch (error) {
      if (error instanceof KeysAway) return loginFailed
      if (error instanceof errors.JOSEError) return unauthenticated(reasonOf(error))
      throw error
    }
    const user = payload[userClaim]
    if (!isUserName(user)) {
      return unauthenticated(`the token has no usable claim ${userClaim}`)
    }
    const labels = labelsOf(payload['labels'])
    if (labels === undefined) return unauthenticated('the claim labels of the token must be short strings by name')
    for (const [label, claim] of Object.entries(this.#settings.labels)) {
      const value = payload[claim]
      if (value === undefined || value === null) continue
      const isPlain = typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
      if (!isPlain || Buffer.byteLength(String(value)) > NAME_BYTES_MAX) {
        return unauthenticated(`the claim ${claim} of the token must be a short string`)
      }
      labels[label] = String(value)
    }
    if (Object.keys(labels).length > LABELS_MAX) return unauthenticated('the token gives too many labels')
    return payload.exp === undefined
      ? { ok: true, user, labels }
      : { ok: true, user, labels, untilWallMs: payload.exp * 1000 }
  }
}

/** Said to the owner of the token; never what was expected of it. */
function reasonOf(error: errors.JOSEError): string {
  if (error instanceof errors.JWTExpired) return 'the token has expired'
  if (error instanceof errors.JWTClaimValidationFailed) return `the claim ${error.claim} of the token is not accepted`
  return 'the token is not valid'
}

/** How the key of a token is found: the secret; or by its `kid`, in the key set, or the one that is for all others. */
function finder(settings: JwtSettings, remote: RemoteKeySet | undefined): FindKey {
  const { algorithms, secret, publicKeyFile, keys = [], jwks } = settings
  const isSymmetric = (algorithm: string) => algorithm.startsWith('HS')
  if (algorithms.length === 0) throw new Error('auth: no algorithms are named for tokens')
  if (secret !== undefined) {
    if (!algorithms.every(isSymmetric)) throw new Error('auth: with a secret only HS256, HS384 and HS512 can be used')
    const key = new TextEncoder().encode(secret)
    return async () => key
  }
  if (publicKeyFile === undefined && keys.length === 0 && jwks === undefined) {
    throw new Error('auth: tokens need a secret or a public key file')
  }
  if (algorithms.some(isSymmetric)) throw new Error('auth: HS algorithms cannot be used with a public key file')
  const byKid = new Map(keys.map(({ kid, file }) => [kid, publicKeyOf(file)]))
  const other = publicKeyFile === undefined ? undefined : publicKeyOf(publicKeyFile)
  const inSet = remote?.find ?? (jwks?.file === undefined ? undefined : keySetOf(jwks.file))
  return async (header, token) => {
    const named = header.kid === undefined ? undefined : byKid.get(header.kid)
    if (named !== undefined) return named
    if (inSet !== undefined) return inSet(header, token)
    if (other === undefined) throw new errors.JWKSNoMatchingKey()
    return other
  }
}

function publicKeyOf(file: string): KeyObject {
  const text = contentOf(file)
  try {
    return createPublicKey(text)
  } catch {
    throw new Error(`auth: ${file} does not hold a public key in PEM`)
  }
}

function keySetOf(file: string): FindKey {
  const read = readKeySet(contentOf(file))
  if ('what' in read) throw new Error(`auth: ${file} ${read.what}`)
  return createLocalJWKSet({ keys: read.keys })
}

function contentOf(file: string): string {
  try {
    return fs.readFileSync(file, 'utf8')
  } catch (error) {
    throw new Error(`auth: ${file} cannot be read (${(error as NodeJS.ErrnoException).code})`)
  }
}
