// `skewer token --user ana`: a login for trying things out. A JSON Web Token by the secret that is given, or by what the
// configuration says; where that has development logins, the token is the user's name.
import fs from 'node:fs'
import process from 'node:process'
import { readDuration } from '../../config/quantities.ts'
import type { AuthSettings } from '../../config/settings.ts'
import { Failure, exitCode } from '../failure.ts'
import { loadConfig } from '../load.ts'
import { printJson, printLine } from '../output.ts'

export type TokenFlags = {
  user: string
  secretEnv?: string
  secretFile?: string
  algorithm?: string
  expires: string
  claim: string[]
  issuer?: string
  audience?: string
  userClaim?: string
  config?: string
  json?: boolean
}

type Signing = { algorithm: string; secret: string; issuer?: string; audience?: string; userClaim: string }

export async function token(flags: TokenFlags): Promise<number> {
  const auth = flags.secretEnv || flags.secretFile ? undefined : loadConfig(flags).settings.auth
  if (auth?.kind === 'development') print(flags.user, { kind: 'development', user: flags.user }, flags)
  else {
    const expires = readDuration(flags.expires)
    if (expires.misread) throw usage(`--expires is not a duration: expected ${expires.misread.expected}`)
    const signing = auth ? configuredSigning(auth) : givenSigning(flags)
    const until = Math.floor((Date.now() + expires.value) / 1000)
    const claims = { ...readClaims(flags.claim), [signing.userClaim]: flags.user }
    const { SignJWT } = await import('jose')
    const jwt = new SignJWT(claims)
      .setProtectedHeader({ alg: signing.algorithm, typ: 'JWT' })
      .setIssuedAt()
      .setExpirationTime(until)
    if (flags.issuer ?? signing.issuer) jwt.setIssuer((flags.issuer ?? signing.issuer)!)
    if (flags.audience ?? signing.audience) jwt.setAudience((flags.audience ?? signing.audience)!)
    const signed = await jwt.sign(new TextEncoder().encode(signing.secret))
    print(signed, { kind: 'jwt', user: flags.user, expires: new Date(until * 1000).toISOString() }, flags)
  }
  return exitCode.ok
}

function print(text: string, about: object, flags: TokenFlags): void {
  if (flags.json) printJson({ token: text, ...about })
  else printLine(text)
}

function configuredSigning(auth: Exclude<AuthSettings, { kind: 'development' }>): Signing {
  if (auth.kind === 'host') throw usage(`tokens are what the service ${auth.service} accepts: only it can make one`)
  const algorithm = auth.algorithms.find((algorithm) => algorithm.startsWith('HS'))
  if (auth.secret === undefined || algorithm === undefined) {
    throw usage('the configuration accepts public-key tokens only: whoever holds the private key has to sign')
  }
  return { algorithm, secret: auth.secret, issuer: auth.issuer, audience: auth.audience, userClaim: auth.userClaim }
}

function givenSigning(flags: TokenFlags): Signing {
  return { algorithm: flags.algorithm ?? 'HS256', secret: givenSecret(flags), userClaim: flags.userClaim ?? 'sub' }
}

function givenSecret({ secretEnv, secretFile }: TokenFlags): string {
  if (secretEnv) {
    const secret = process.env[secretEnv]
    if (secret) return secret
    throw usage(`the environment variable ${secretEnv} is not set`)
  }
  try {
    return fs.readFileSync(secretFile!, 'utf8').replace(/\r?\n$/, '')
  } catch (error) {
    throw usage(`${secretFile} cannot be read (${(error as NodeJS.ErrnoException).code})`)
  }
}

/** `level=7` is the number 7, `vip=true` a flag, everything else text. */
function readClaims(written: string[]): Record<string, string | number | boolean> {
  const claims: Record<string, string | number | boolean> = {}
  for (const claim of written) {
    const at = claim.indexOf('=')
    if (at < 1) throw usage(`--claim takes name=value, not ${claim}`)
    const value = claim.slice(at + 1)
    const isFlag = value === 'true' || value === 'false'
    claims[claim.slice(0, at)] = isFlag ? value === 'true' : /^-?\d{1,15}$/.test(value) ? Number(value) : value
  }
  return claims
}

const usage = (message: string) => new Failure(message, exitCode.usage)
