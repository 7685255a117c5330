// Login by JSON Web Token (RFC 7519), checked by jose: signature, algorithm, issuer, audience, expiry. The user is a claim
// (`sub` unless configured), the claim `labels` gives labels for policies, `exp` ends the authority of the session (T2).
// Symmetric and public keys are never mixed: with a public key configured, no HS algorithm is accepted.
import { createPublicKey, type KeyObject } from 'node:crypto'
import fs from 'node:fs'
import type { JWTPayload } from 'jose'
import * as errors from 'jose/errors'
import { jwtVerify } from 'jose/jwt/verify'
import type { AuthSettings } from '../../config/settings.ts'
import { code } from '../../protocols/codes.ts'
import { LABELS_MAX, type Labels } from '../../protocols/link/frames.ts'
import { NAME_BYTES_MAX } from '../../protocols/wire/lane-frames.ts'
import type { Authenticator, LoginResult } from '../seams.ts'
import { tokenText, unauthenticated } from './login-token.ts'

type JwtSettings = Extract<AuthSettings, { kind: 'jwt' }>
const required = unauthenticated('a token is required')
const CLOCK_TOLERANCE_SECONDS = 5

export class JwtAuthenticator implements Authenticator {
  readonly #settings: JwtSettings
  readonly #key: KeyObject | Uint8Array

  constructor(settings: JwtSettings) {
    this.#settings = settings
    this.#key = keyOf(settings)
  }

  login(token: Uint8Array, _address: string, done: (result: LoginResult) => void): void {
    const text = tokenText(token)
    const verified = text === undefined || text === '' ? Promise.resolve(required) : this.#verify(text)
    verified.then(done, () => done({ ok: false, code: code.login_failed, text: 'the login failed; try again' }))
  }

  async #verify(text: string): Promise<LoginResult> {
    const { algorithms, issuer, audience, userClaim } = this.#settings
    let payload: JWTPayload
    try {
      const options = { algorithms, issuer, audience, clockTolerance: CLOCK_TOLERANCE_SECONDS }
      payload = (await jwtVerify(text, this.#key, options)).payload
    } catch (error) {
      if (error instanceof errors.JOSEError) return unauthenticated(reasonOf(error))
      throw error
    }
    const user = payload[userClaim]
    if (typeof user !== 'string' || user === '' || Buffer.byteLength(user) > NAME_BYTES_MAX) {
      return unauthenticated(`the token has no usable claim ${userClaim}`)
    }
    const labels = labelsOf(payload['labels'])
    if (labels === undefined) return unauthenticated('the claim labels of the token must be short strings by name')
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

function labelsOf(claim: unknown): Labels | undefined {
  const labels: Labels = Object.create(null)
  if (claim === undefined) return labels
  if (typeof claim !== 'object' || claim === null || Array.isArray(claim)) return undefined
  const entries = Object.entries(claim)
  if (entries.length > LABELS_MAX) return undefined
  for (const [name, value] of entries) {
    if (typeof value !== 'string') return undefined
    if (Buffer.byteLength(name) > NAME_BYTES_MAX || Buffer.byteLength(value) > NAME_BYTES_MAX) return undefined
    labels[name] = value
  }
  return labels
}

function keyOf({ secret, publicKeyFile, algorithms }: JwtSettings): KeyObject | Uint8Array {
  const isSymmetric = (algorithm: string) => algorithm.startsWith('HS')
  if (algorithms.length === 0) throw new Error('auth: no algorithms are named for tokens')
  if (secret !== undefined) {
    if (!algorithms.every(isSymmetric)) throw new Error('auth: with a secret only HS256, HS384 and HS512 can be used')
    return new TextEncoder().encode(secret)
  }
  if (publicKeyFile === undefined) throw new Error('auth: tokens need a secret or a public key file')
  if (algorithms.some(isSymmetric)) throw new Error('auth: HS algorithms cannot be used with a public key file')
  let text: Buffer
  try {
    text = fs.readFileSync(publicKeyFile)
  } catch (error) {
    throw new Error(`auth: ${publicKeyFile} cannot be read (${(error as NodeJS.ErrnoException).code})`)
  }
  try {
    return createPublicKey(text)
  } catch {
    throw new Error(`auth: ${publicKeyFile} does not hold a public key in PEM`)
  }
}
