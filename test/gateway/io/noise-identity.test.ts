import fs from 'node:fs'
import path from 'node:path'
import t from 'tap'
import { newNoiseKeyFile, readNoiseKey } from '../../../config/noise-keys.ts'
import { cryptoProvider } from '../../../gateway/io/crypto-provider.ts'
import { NoiseIdentity } from '../../../gateway/io/noise-identity.ts'
import { Initiator } from '../../../protocols/secure/handshakes.ts'
import { scratchFolder, testSettings } from './started.ts'

const crypto = cryptoProvider()
const identity = () => new NoiseIdentity(cryptoProvider, () => ({ code: 1 }))
const publicKey = (pem: string): string => readNoiseKey(pem)!.publicKey

function keyFile(folder: string, name: string, pem: string): string {
  const file = path.join(folder, name)
  fs.writeFileSync(file, pem, { mode: 0o600 })
  return file
}

/** Whether a client that knows this public key is understood. */
function isUnderstood(noise: NoiseIdentity, key: string): boolean {
  const gatewayKey = new Uint8Array(Buffer.from(key, 'base64url'))
  const client = new Initiator({ crypto, transport: 'tcp', gatewayKey, ephemeralSecret: new Uint8Array(32).fill(5) })
  return noise.responder('tcp').read(client.kind, 1, 1, client.message).ok
}

t.test('a key of its own is made once, for its owner only, where Noise is spoken', async (t) => {
  const plain = testSettings(t, '127.0.0.1:1')
  const noise = identity()
  noise.prepare(plain)()
  t.equal(noise.publicKeyText, undefined)
  t.throws(() => noise.keys, /not spoken/)
  t.same(fs.readdirSync(plain.stateDir), [])
  const settings = structuredClone(plain)
  settings.listeners[0].security = 'noise'
  noise.prepare(settings)()
  const file = path.join(settings.stateDir, 'noise.key')
  t.equal(publicKey(fs.readFileSync(file, 'utf8')), noise.publicKeyText)
  t.equal(fs.statSync(file).mode & 0o777, 0o600)
  t.same(fs.readdirSync(settings.stateDir), ['noise.key'])
  const again = identity()
  again.prepare(settings)()
  t.equal(again.publicKeyText, noise.publicKeyText, 'a restart keeps it')
  t.ok(isUnderstood(again, noise.publicKeyText!))
})

t.test('another key takes effect by a reload, and the one before it still serves who knows it', async (t) => {
  const folder = scratchFolder(t)
  const [first, second, third] = [newNoiseKeyFile(), newNoiseKeyFile(), newNoiseKeyFile()]
  const settings = testSettings(t, '127.0.0.1:1')
  settings.noise = { keyFile: keyFile(folder, 'a.pem', first) }
  const noise = identity()
  noise.prepare(settings)()
  t.ok(isUnderstood(noise, publicKey(first)))
  t.notOk(isUnderstood(noise, publicKey(second)))
  settings.noise = { keyFile: keyFile(folder, 'b.pem', second), previousKeyFile: settings.noise.keyFile }
  const swap = noise.prepare(settings)
  t.equal(noise.publicKeyText, publicKey(first), 'not before it is swapped')
  swap()
  t.equal(noise.publicKeyText, publicKey(second))
  t.ok(isUnderstood(noise, publicKey(first)))
  t.ok(isUnderstood(noise, publicKey(second)))
  keyFile(folder, 'b.pem', third)
  noise.prepare(settings)()
  t.ok(isUnderstood(noise, publicKey(third)), 'the file is read again')
  t.notOk(isUnderstood(noise, publicKey(second)))
})

t.test('files that are not there, or hold no such key, are told by name, and change nothing', async (t) => {
  const folder = scratchFolder(t)
  const settings = testSettings(t, '127.0.0.1:1')
  const good = newNoiseKeyFile()
  settings.noise = { keyFile: keyFile(folder, 'good.pem', good) }
  const noise = identity()
  noise.prepare(settings)()
  settings.noise = { keyFile: path.join(folder, 'none.pem') }
  t.throws(() => noise.prepare(settings), /none\.pem cannot be read \(ENOENT\)/)
  settings.noise = { keyFile: keyFile(folder, 'junk.pem', 'junk') }
  t.throws(() => noise.prepare(settings), /junk\.pem does not hold an X25519 private key/)
  t.equal(noise.publicKeyText, publicKey(good))
  const own = testSettings(t, '127.0.0.1:1')
  own.listeners[0].security = 'noise'
  fs.writeFileSync(path.join(own.stateDir, 'noise.key'), '')
  t.throws(() => noise.prepare(own), /remove it to have a new one made/)
})
