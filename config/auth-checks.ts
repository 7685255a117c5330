// What holds between the keys of `auth`: one kind of login, the keys that its algorithms need and no others, files that
// hold them. Symmetric and public keys never serve together: a public key, which anybody has, would pass as a secret.
import { checkKeySet, checkPublicKey } from './check-files.ts'
import type { Checked } from './checks.ts'
import { nearest } from './nearest.ts'
import { isLoopback } from './networks.ts'
import { formatDuration } from './quantities.ts'

export const authChecks = [checkKind, checkHostLogin, checkSecret, checkKeysNamed, checkKeyFiles, checkJwks]

const JWT = ['auth', 'jwt']
const isSymmetric = (algorithm: string) => algorithm.startsWith('HS')

function checkKind({ config: { auth }, complain }: Checked): void {
  if (!auth) return
  const [first, ...others] = (['jwt', 'host', 'development'] as const).filter((kind) => auth[kind] !== undefined)
  if (first === undefined) {
    complain(['auth'], { what: 'names no kind of login', expected: '`jwt`, `host` or `development: true`' })
  }
  for (const other of others) {
    complain(['auth', other], { what: `there is a \`${first}\` block as well`, expected: 'one kind of login' }, 'key')
  }
}

function checkHostLogin({ settings: { auth, services, routes, times }, complain }: Checked): void {
  if (auth.kind !== 'host') return
  const path = ['auth', 'host']
  const names = services.map((service) => service.name)
  if (!names.includes(auth.service)) {
    const suggestion = nearest(auth.service, names)
    complain([...path, 'service'], { what: 'no such service is declared', got: auth.service, suggestion })
  }
  if (auth.deadlineMs >= times.handshakeMs) {
    const what = 'the handshake would end before the answer is there'
    const [got, expected] = [formatDuration(auth.deadlineMs), `below ${formatDuration(times.handshakeMs)}`]
    complain([...path, 'deadline'], { what, got, expected: `${expected}, which is \`times.handshake\`` })
  }
  const open = routes.find(({ match, service }) => service === auth.service && matches(match, auth.route))
  if (open === undefined) return
  const what = `players can call it too, by the route \`${open.match}\``
  complain([...path, 'route'], { severity: 'warning', what, got: auth.route, expected: 'a route of its own' })
}

const matches = (match: string, route: string): boolean =>
  match === '*' || match === route || (match.endsWith('.*') && route.startsWith(match.slice(0, -1)))

function checkSecret({ config: { auth }, complain }: Checked): void {
  if (!auth?.jwt) return
  const { algorithms, secret } = auth.jwt
  const symmetric = algorithms.filter(isSymmetric)
  if (symmetric.length === 0) {
    if (secret === undefined) return
    complain([...JWT, 'secret'], { what: `means nothing for ${algorithms.join(', ')}` }, 'key')
  } else if (symmetric.length < algorithms.length) {
    const what = 'HS algorithms beside others let a public key pass as a secret'
    complain([...JWT, 'algorithms'], { what, got: algorithms.join(', '), expected: 'HS only, or none of them' })
  } else if (secret === undefined) {
    complain([...JWT, 'secret'], { what: 'is missing', expected: `a secret for ${symmetric.join(', ')}` })
  } else if (Buffer.byteLength(secret) < 32) {
    const [what, expected] = ['is short enough to be guessed', 'at least 32 bytes']
    complain([...JWT, 'secret'], { severity: 'warning', what, expected })
  }
}

function checkKeysNamed({ config: { auth }, complain }: Checked): void {
  if (!auth?.jwt) return
  const { algorithms, publicKeyFile, keys, jwks } = auth.jwt
  if (algorithms.some(isSymmetric)) {
    if (!algorithms.every(isSymmetric)) return
    for (const key of ['publicKeyFile', 'keys', 'jwks'] as const) {
      if (auth.jwt[key] === undefined) continue
      complain([...JWT, key], { what: `means nothing for ${algorithms.join(', ')}` }, 'key')
    }
  } else if (publicKeyFile === undefined && keys === undefined && jwks === undefined) {
    const expected = `the public key for ${algorithms.join(', ')}, or \`keys\` or \`jwks\``
    complain([...JWT, 'publicKeyFile'], { what: 'is missing', expected })
  } else if (publicKeyFile !== undefined && jwks !== undefined) {
    complain([...JWT, 'publicKeyFile'], { what: 'there is `jwks` as well', expected: '`keys` beside it' }, 'key')
  }
}

function checkKeyFiles({ settings: { auth }, complain }: Checked): void {
  if (auth.kind !== 'jwt' || auth.algorithms.some(isSymmetric)) return
  const { publicKeyFile, keys = [], algorithms } = auth
  if (publicKeyFile !== undefined) {
    checkPublicKey(publicKeyFile, algorithms, (complaint) => complain([...JWT, 'publicKeyFile'], complaint))
  }
  for (const [i, { kid, file }] of keys.entries()) {
    const same = keys.findIndex((key) => key.kid === kid)
    if (same < i) complain([...JWT, 'keys', i, 'kid'], { what: `keys[${same}] has this kid`, got: kid })
    checkPublicKey(file, algorithms, (complaint) => complain([...JWT, 'keys', i, 'file'], complaint))
  }
}

function checkJwks({ settings: { auth }, complain }: Checked): void {
  if (auth.kind !== 'jwt' || auth.jwks === undefined || auth.algorithms.some(isSymmetric)) return
  const { file, url } = auth.jwks
  const path = [...JWT, 'jwks']
  if (file === undefined && url === undefined) {
    complain(path, { what: 'names no key set', expected: 'a `file` or a `url`' })
  } else if (file !== undefined && url !== undefined) {
    complain([...path, 'file'], { what: 'there is a `url` as well', expected: 'one of them' }, 'key')
  }
  if (file !== undefined) checkKeySet(file, (complaint) => complain([...path, 'file'], complaint))
  if (url === undefined) return
  if (!URL.canParse(url)) {
    complain([...path, 'url'], { what: 'is not an address', got: url })
    return
  }
  const { protocol, hostname } = new URL(url)
  if (protocol === 'https:' || isLoopback(hostname.replace(/^\[|\]$/g, ''))) return
  const what = 'whoever is on the way could give the gateway keys of their own'
  complain([...path, 'url'], { what, got: url, expected: 'https' })
}
