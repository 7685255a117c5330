import t from 'tap'
import fs from 'node:fs'
import path from 'node:path'
import { generateKeyPairSync } from 'node:crypto'
import { newKey } from '../../config/keys.ts'
import { newNoiseKeyFile } from '../../config/noise-keys.ts'
import { problemText } from '../../config/problems.ts'
import { loadSettingsText } from '../../config/settings-from-yaml.ts'
import { makeCertificate } from './certificate.ts'

const folder = t.testdir({ 'junk.pem': 'not a certificate' })
makeCertificate(path.join(folder, 'a.crt'), path.join(folder, 'a.key'))
makeCertificate(path.join(folder, 'b.crt'), path.join(folder, 'b.key'))
const pair = generateKeyPairSync('ed25519')
fs.writeFileSync(path.join(folder, 'public.pem'), pair.publicKey.export({ type: 'spki', format: 'pem' }))
fs.writeFileSync(path.join(folder, 'private.pem'), pair.privateKey.export({ type: 'pkcs8', format: 'pem' }))
const keySet = (...keys: object[]) => JSON.stringify({ keys })
fs.writeFileSync(path.join(folder, 'keys.json'), keySet(pair.publicKey.export({ format: 'jwk' })))
fs.writeFileSync(path.join(folder, 'secret.json'), keySet(pair.privateKey.export({ format: 'jwk' })))

function complaints(text: string): string[] {
  const loaded = loadSettingsText(`services: { arena: {} }\n${text}`, { file: 'f', directory: folder }, {})
  return (loaded.problems ?? loaded.warnings).map((problem) => problemText(problem).replaceAll(`${folder}/`, ''))
}
const listener = (keys: string) => complaints(`listeners: [{ transport: tcp, ${keys} }]`)

t.test('a listener with tls needs certificates that exist, parse and belong together', async (t) => {
  t.same(listener('tls: { certFile: a.crt, keyFile: a.key, clientCaFile: b.crt }'), [])
  t.match(listener('security: tls'), [
    /^f:2:41: listeners\[0\].security: tls needs certificates; expected a `tls` block/,
  ])
  t.match(listener('security: none, tls: { certFile: a.crt, keyFile: a.key }'), [
    /there is a `tls` block; got none; expected tls/,
  ])
  t.same(listener('tls: { certFile: no.crt, keyFile: no.key }'), [
    'f:2:48: listeners[0].tls.certFile: the file cannot be read (ENOENT); got no.crt',
    'f:2:65: listeners[0].tls.keyFile: the file cannot be read (ENOENT); got no.key',
  ])
  t.match(listener('tls: { certFile: junk.pem, keyFile: junk.pem, clientCaFile: junk.pem }'), [
    /certFile: does not hold a certificate; got junk.pem; expected PEM/,
    /keyFile: does not hold a private key; got junk.pem; expected PEM without a password/,
    /clientCaFile: does not hold a certificate/,
  ])
  t.match(listener('tls: { certFile: a.crt, keyFile: b.key }'), [
    /keyFile: the key does not belong to the certificate; got b.key/,
  ])
})

t.test('a certificate that has expired is warned of', async (t) => {
  makeCertificate(path.join(folder, 'old.crt'), path.join(folder, 'old.key'), 1)
  const { Date: RealDate } = globalThis
  t.teardown(() => (globalThis.Date = RealDate))
  const later = RealDate.now() + 3 * 86_400_000
  globalThis.Date = class extends RealDate {
    static override now(): number {
      return later
    }
  } as DateConstructor
  t.match(listener('tls: { certFile: old.crt, keyFile: old.key }'), [/warning: .*the certificate expired on/])
})

t.test('plain listeners beyond this machine say so, or are warned of', async (t) => {
  const development = 'auth: { development: true }'
  t.match(complaints(`listeners: [{ transport: tcp, host: 0.0.0.0, security: none }]\n${development}`), [
    /^f:2:37: warning: .*whoever reaches this address can be any user; got 0.0.0.0/,
  ])
  t.match(complaints(`listeners: [{ transport: tcp, host: 0.0.0.0 }]\n${development}`)[0], /warning: .*not encrypted/)
  const implied = complaints('listeners: [{ transport: tcp, host: 0.0.0.0, security: none }]')
  t.match(implied, [/^f:2:37: listeners\[0\].host: with development authentication/], 'an error where nobody wrote it')
})

t.test('L4: a host beyond this machine needs a link key or certificates', async (t) => {
  const host = (address: string, more = '') => complaints(`hosts: [{ name: a, address: "${address}"${more} }]`)
  t.match(host('10.0.0.1:1'), [
    /hosts\[0\].address: a host that is not on this machine needs proof.*\(L4\); got 10.0.0.1:1/,
  ])
  t.match(host('game.internal:1'), [/L4/])
  t.match(host('[2001:db8::1]:1'), [/L4/])
  for (const here of ['127.0.0.1:1', '[::1]:1', 'localhost:1', 'unix:/run/game']) t.same(host(here), [], here)
  t.same(host('10.0.0.1:1', ', tls: { certFile: a.crt, keyFile: a.key }'), [])
  t.same(complaints(`hosts: [{ name: a, address: "10.0.0.1:1" }]\nlinkKey: ${newKey()}`), [])
  t.match(complaints('linkKey: short'), [/linkKey: is too short; expected at least 32 characters/])
})

t.test('certificates of a link come in pairs', async (t) => {
  const host = (tls: string) => complaints(`hosts: [{ name: a, address: "127.0.0.1:1", ${tls} }]`)
  t.match(host('tls: { certFile: a.crt }'), [/certFile: needs its `keyFile`/])
  t.match(host('tls: { keyFile: a.key }'), [/keyFile: needs its `certFile`/])
  t.match(host('tls: { caFile: junk.pem }'), [/caFile: does not hold a certificate/])
  t.match(host('security: none, tls: { caFile: a.crt }'), [/there is a `tls` block/])
})

t.test('one kind of login, and what it needs', async (t) => {
  const jwt = (keys: string) => complaints(`auth: { jwt: { ${keys} } }`)
  const secret = 's'.repeat(32)
  t.same(jwt(`algorithms: [HS256], secret: ${secret}`), [])
  t.same(jwt('algorithms: [EdDSA], publicKeyFile: public.pem'), [])
  t.match(complaints('auth: {}'), [/auth: names no kind of login/])
  t.match(complaints(`auth: { development: true, jwt: { algorithms: [HS256], secret: ${secret} } }`), [
    /there is a `jwt` block as well/,
  ])
  t.match(jwt('algorithms: [HS256]'), [/secret: is missing; expected a secret for HS256/])
  t.match(jwt('algorithms: [HS256], secret: short'), [/warning: .*short enough to be guessed/])
  t.match(jwt(`algorithms: [HS256], secret: ${secret}, publicKeyFile: public.pem`), [
    /publicKeyFile: means nothing for HS256/,
  ])
  t.match(jwt('algorithms: [ES256]'), [/publicKeyFile: is missing/])
  t.match(jwt(`algorithms: [EdDSA], publicKeyFile: public.pem, secret: ${secret}`), [/secret: means nothing for EdDSA/])
  t.match(jwt(`algorithms: [HS256, RS256], secret: ${secret}`), [
    /HS algorithms beside others let a public key pass as a secret/,
  ])
  t.match(jwt('algorithms: [EdDSA], publicKeyFile: private.pem'), [/does not hold a public key/])
  t.match(jwt('algorithms: [EdDSA], publicKeyFile: no.pem'), [/the file cannot be read \(ENOENT\); got no.pem/])
  t.match(jwt('algorithms: [none]'), [/algorithms\[0\]: is not a value that may stand here/])
})

t.test('logins by a host: a service that is there, in time, by a route of its own', async (t) => {
  const host = (keys: string, more = '') => complaints(`auth: { host: { ${keys} } }\n${more}`)
  t.same(host('service: arena, route: accounts.login'), [])
  t.match(host('service: arema, route: accounts.login'), [
    /^f:2:\d+: auth\.host\.service: no such service is declared; got arema.*arena/,
  ])
  t.match(host('service: arena'), [/auth\.host\.route: is missing/])
  t.match(host('service: arena, route: a.b, deadline: 10s'), [
    /auth\.host\.deadline: the handshake would end before the answer is there; got 10s; expected below 10s/,
  ])
  t.match(host('service: arena, route: arena.login', 'routes: [{ match: arena.*, service: arena }]'), [
    /warning: .*auth\.host\.route: players can call it too, by the route `arena\.\*`/,
  ])
  t.match(complaints('auth: { development: true, host: { service: arena, route: a.b } }'), [
    /auth\.development: there is a `host` block as well; expected one kind of login/,
  ])
})

t.test('public keys of tokens: by kid, from a key set, and for the algorithms that are accepted', async (t) => {
  const jwt = (keys: string, algorithms = 'EdDSA') =>
    complaints(`auth: { jwt: { algorithms: [${algorithms}], ${keys} } }`)
  t.same(jwt('keys: [{ kid: a, file: public.pem }], publicKeyFile: public.pem'), [])
  t.same(jwt('jwks: { file: keys.json }, keys: [{ kid: a, file: public.pem }]'), [])
  t.same(jwt('jwks: { url: "https://accounts.example/jwks.json", timeout: 1s }, labels: { track: t }'), [])
  for (const host of ['127.0.0.1:1', 'localhost', '[::1]:1']) t.same(jwt(`jwks: { url: "http://${host}/x" }`), [])
  t.match(jwt('jwks: { url: "http://accounts.example/x" }'), [
    /jwks\.url: whoever is on the way could give .*; expected https/,
  ])
  t.match(jwt('jwks: { url: "https://me:secret@accounts.example/x" }'), [/jwks\.url: has not the form/])
  t.match(jwt('jwks: { url: "ftp://accounts.example/x" }'), [/jwks\.url: has not the form/])
  t.match(jwt('jwks: { url: "https://[/" }'), [/jwks\.url: is not an address/])
  t.match(jwt('jwks: {}'), [/^f:2:.*auth\.jwt\.jwks: names no key set; expected a `file` or a `url`/])
  t.match(jwt('jwks: { url: "https://a.example/", file: keys.json }'), [/jwks\.file: there is a `url` as well/])
  t.match(jwt('jwks: { file: none.json }'), [/jwks\.file: the file cannot be read \(ENOENT\)/])
  t.match(jwt('jwks: { file: public.pem }'), [/jwks\.file: does not hold JSON; .*expected a JSON Web Key Set/])
  t.match(jwt('jwks: { file: secret.json }'), [/jwks\.file: holds private or secret keys/])
  t.match(jwt('jwks: { file: keys.json }, publicKeyFile: public.pem'), [/publicKeyFile: there is `jwks` as well/])
  t.match(jwt('keys: [{ kid: a, file: public.pem }, { kid: a, file: none.pem }]'), [
    /keys\[1\]\.kid: keys\[0\] has this kid; got a/,
    /keys\[1\]\.file: the file cannot be read \(ENOENT\)/,
  ])
  t.match(jwt('keys: [{ kid: a, file: public.pem }]', 'ES256, RS256'), [
    /keys\[0\]\.file: the key is for none of the algorithms; got ES256, RS256; expected EdDSA in `algorithms`/,
  ])
  const secret = `secret: ${'s'.repeat(32)}`
  t.match(jwt(`${secret}, jwks: { file: keys.json }, keys: [{ kid: a, file: public.pem }]`, 'HS256'), [
    /jwt\.jwks: means nothing for HS256/,
    /jwt\.keys: means nothing for HS256/,
  ])
  t.match(jwt('publicKeyFile: public.pem, clockTolerance: 1h'), [/clockTolerance: is too large; .*at most 5m/])
  t.match(jwt('publicKeyFile: public.pem, labels: { "a b": c }'), [/labels/])
})

t.test('T3: ticket keys are 32 bytes, one for each role', async (t) => {
  const key = newKey()
  t.same(complaints(`ticketKeys: { current: ${key}, previous: ${newKey()} }`), [])
  t.same(complaints(`ticketKeys: { current: ${'ab'.repeat(32)} }`), [])
  t.match(complaints(`ticketKeys: { current: ${key}, previous: ${key} }`), [/previous: is the same key as `current`/])
  t.match(complaints(`ticketKeys: { next: ${key} }`), [/current: is missing/])
  t.match(complaints(`ticketKeys: { current: ${key.slice(4)} }`), [/is not a key; expected 32 bytes/])
})

t.test('an admin port beyond this machine needs a token', async (t) => {
  t.match(complaints('admin: { host: 0.0.0.0 }'), [/^f:2:16: admin.host: whoever reaches this address could operate/])
  t.same(complaints(`admin: { host: 0.0.0.0, token: ${newKey()} }`), [])
  t.match(complaints('admin: { token: short }'), [/admin.token: is too short; expected at least 16 characters/])
  t.same(complaints('admin: { host: 0.0.0.0, enabled: false }'), [])
})

t.test('keys of Noise have to be X25519, different, and for their owner only', async (t) => {
  const write = (name: string, text: string, mode = 0o600) => {
    fs.writeFileSync(path.join(folder, name), text)
    fs.chmodSync(path.join(folder, name), mode)
  }
  write('x.key', newNoiseKeyFile())
  write('y.key', newNoiseKeyFile())
  write('open.key', newNoiseKeyFile(), 0o644)
  t.same(complaints('listeners: [{ transport: tcp, security: noise }]'), [])
  t.same(complaints('noise: { keyFile: x.key, previousKeyFile: y.key }'), [])
  t.match(complaints('noise: { keyFile: x.key, previousKeyFile: x.key }'), [/previousKeyFile: is the same key as/])
  t.match(complaints('noise: { keyFile: open.key }'), [/warning: .*others on this machine can read this private key/])
  t.match(complaints('noise: { keyFile: private.pem, previousKeyFile: none.key }'), [
    /noise\.keyFile: does not hold an X25519 private key; got private\.pem; expected PEM, as `skewer keygen noise`/,
    /noise\.previousKeyFile: the file cannot be read \(ENOENT\); got none\.key/,
  ])
})

t.test('a link by Noise needs the key of its host, and needs no other proof', async (t) => {
  const host = (keys: string) => complaints(`hosts: [{ name: h, address: 10.0.0.1:7800, ${keys} }]`)
  const key = Buffer.alloc(32, 7).toString('base64url')
  t.same(host(`publicKey: ${key}`), [])
  t.same(host(`security: noise, publicKey: ${key}`), [])
  t.match(host('security: noise')[0], /security: noise needs the host's key; expected a `publicKey`, as `skewer keygen/)
  t.match(host(`security: none, publicKey: ${key}`), [/\(L4\)/, /there is a `publicKey`; got none; expected noise/])
  t.match(host(`security: noise, publicKey: ${key}, tls: {}`), [/there is a `tls` block; got noise; expected tls/])
  t.match(host(`publicKey: ${key}x`), [/publicKey: has not the form .*expected 43 characters of base64url/])
  t.match(host('weight: 1'), [/a `linkKey`.*, `tls` with certFile and keyFile, or a `publicKey`/])
})
