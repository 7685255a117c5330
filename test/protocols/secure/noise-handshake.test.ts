// The handshake machine: failed messages change nothing, misuse throws, keys of low order are refused (SEC-1, SEC-2).
import t from 'tap'
import { CipherState, rekeyed } from '../../../protocols/secure/cipher-state.ts'
import { COUNTER_MAX, type CryptoProvider, NO_BYTES, TAG_BYTES, writeNonce } from '../../../protocols/secure/crypto.ts'
import { NoiseHandshake } from '../../../protocols/secure/noise-handshake.ts'
import { Random } from '../../sim/random.ts'
import { hexOf, native, noble, pairOf, providers, secretOf, utf8 } from './keys.ts'

// Points whose product with any secret is zero (RFC 7748, section 6.1, and the list of the curve's author).
const lowOrder = [
  '00'.repeat(32),
  `01${'00'.repeat(31)}`,
  'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
  '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
  `ec${'ff'.repeat(30)}7f`,
  `ed${'ff'.repeat(30)}7f`,
  `ee${'ff'.repeat(30)}7f`,
].map((hex) => new Uint8Array(Buffer.from(hex, 'hex')))

const ends = (pattern: string, crypto: CryptoProvider = native, psk?: Uint8Array) => {
  const psks = psk === undefined ? undefined : [psk]
  const prologue = utf8('test')
  const [a, b] = [pairOf(crypto, 'a'), pairOf(crypto, 'b')]
  return {
    initiator: new NoiseHandshake({
      ...{ crypto, pattern, prologue, psks, isInitiator: true },
      staticPair: a,
      remoteStatic: b.publicKey,
    }),
    responder: new NoiseHandshake({
      ...{ crypto, pattern, prologue, psks, isInitiator: false },
      staticPair: b,
      remoteStatic: a.publicKey,
    }),
  }
}

t.test('all-zero shared secrets are refused by every provider (SEC-1.3)', async (t) => {
  for (const provider of providers) {
    const pair = pairOf(provider, 'k')
    for (const point of lowOrder) t.equal(provider.dh.sharedSecret(pair, point), undefined, provider.name)
    t.equal(provider.dh.sharedSecret(pair, new Uint8Array(31)), undefined)
    t.equal(provider.dh.sharedSecret(pair, NO_BYTES), undefined)
  }
})

t.test('a first message with an ephemeral key of low order fails, and the right one is still taken', async (t) => {
  for (const crypto of providers) {
    const { initiator, responder } = ends('NK', crypto)
    const message = initiator.write(utf8('hello'), secretOf('e'))
    for (const point of lowOrder) {
      const forged = message.slice()
      forged.set(point)
      t.strictSame(responder.read(forged), { ok: false, why: 'bad_key' })
    }
    t.ok(responder.read(message).ok)
  }
})

t.test('providers agree with each other on keys, hashes and sealed bytes', async (t) => {
  const random = new Random(7)
  for (let i = 0; i < 40; i++) {
    const [key, ad, plain] = [
      random.bytes(32),
      random.bytes(random.between(0, 40)),
      random.bytes(random.between(0, 300)),
    ]
    const counter = random.pick([0, 1, 255, 2 ** 32 - 1, 2 ** 32, 2 ** 45 + 3, COUNTER_MAX, -1])
    const results = providers.map((provider) => {
      const sealed = new Uint8Array(plain.length + TAG_BYTES)
      provider.aead.seal(key, counter, ad, plain, sealed)
      const opened = new Uint8Array(plain.length)
      if (!provider.aead.open(key, counter, ad, sealed, opened)) t.fail('does not open')
      const damaged = sealed.slice()
      damaged[random.between(0, damaged.length - 1)] ^= 1 << random.between(0, 7)
      if (provider.aead.open(key, counter, ad, damaged, new Uint8Array(plain.length))) t.fail('opens what is forged')
      const pair = provider.dh.generateFrom(key)
      const shared = provider.dh.sharedSecret(pair, provider.dh.generateFrom(secretOf('x')).publicKey)!
      return [sealed, pair.publicKey, shared, provider.hash.sha256(ad, plain), provider.hash.hmac(key, ad, plain)].map(
        hexOf,
      )
    })
    t.strictSame(results[1], results[0])
    t.strictSame(results[2], results[0])
  }
})

t.test('the nonce is four zeros and the counter, little-endian (SEC-1.1)', async (t) => {
  const nonce = new Uint8Array(12)
  writeNonce(nonce, 0x1f_4455_6677_8899 - 0x18_0000_0000_0000)
  t.equal(hexOf(nonce), '000000009988776655440700')
  writeNonce(nonce, -1)
  t.equal(hexOf(nonce), '00000000ffffffffffffffff')
})

t.test('a failed message changes nothing, wherever it is damaged (SEC-2.2)', async (t) => {
  for (const pattern of ['NK', 'NKpsk2', 'KK', 'XX', 'IKpsk1', 'XXpsk3']) {
    const psk = pattern.includes('psk') ? secretOf('p') : undefined
    const damagedEnds = ends(pattern, native, psk)
    const cleanEnds = ends(pattern, native, psk)
    for (let turn = 0; !cleanEnds.initiator.isFinished || !cleanEnds.responder.isFinished; turn++) {
      const ephemeral = turn < 2 ? secretOf(String(turn)) : undefined
      const [from, to] = turn % 2 === 0 ? (['initiator', 'responder'] as const) : (['responder', 'initiator'] as const)
      const message = damagedEnds[from].write(utf8('payload'), ephemeral)
      t.equal(hexOf(cleanEnds[from].write(utf8('payload'), ephemeral)), hexOf(message))
      const before = hexOf(damagedEnds[to].hash)
      for (let at = 0; at < message.length; at++) {
        const damaged = message.slice()
        damaged[at] ^= 0x10
        const read = damagedEnds[to].read(damaged)
        // The first message of XX is in the clear: nothing of it can fail before the second.
        if (read.ok) {
          t.match(pattern, /^XX/)
          t.equal(turn, 0)
          damagedEnds[to] = ends(pattern, native, psk)[to]
        } else if (hexOf(damagedEnds[to].hash) !== before) t.fail(`${pattern}: byte ${at} left a trace`)
      }
      for (let length = 0; length < message.length; length++) {
        const read = damagedEnds[to].read(message.subarray(0, length))
        if (read.ok) damagedEnds[to] = ends(pattern, native, psk)[to]
      }
      t.ok(damagedEnds[to].read(message).ok, `${pattern}: message ${turn} is taken in the end`)
      t.ok(cleanEnds[to].read(message).ok)
    }
    t.strictSame(hexOf(damagedEnds.responder.hash), hexOf(cleanEnds.initiator.hash))
  }
})

t.test('random bytes are failures and never exceptions', async (t) => {
  const random = new Random(11)
  const failures = new Set<string>()
  for (const crypto of [native, noble]) {
    for (let i = 0; i < 2000; i++) {
      const { responder } = ends(random.pick(['NK', 'KK', 'IK']), crypto)
      const read = responder.read(random.bytes(random.between(0, crypto === noble && i > 50 ? 31 : 200)))
      if (read.ok) t.fail('taken')
      else failures.add(read.why)
    }
  }
  t.ok(failures.has('truncated') && failures.has('forged'))
  t.strictSame(ends('NK').responder.read(new Uint8Array(65_536)), { ok: false, why: 'too_large' })
})

t.test('misuse throws and leaves the handshake usable', async (t) => {
  const { initiator, responder } = ends('NK')
  t.throws(() => responder.write(NO_BYTES, secretOf('r')), /turn/)
  t.throws(() => initiator.read(NO_BYTES), /turn/)
  t.throws(() => initiator.write(NO_BYTES), /32 random bytes/)
  t.throws(() => initiator.split(), /not finished/)
  t.throws(() => ends('NOPE'), /no Noise pattern/)
  t.throws(() => ends('NKpsk3'), /no message 3/)
  t.throws(() => initiator.setPsk(0, new Uint8Array(5)), /32 bytes/)
  t.throws(() => initiator.write(new Uint8Array(65_535), secretOf('e')), /65535/)
  t.ok(responder.read(initiator.write(NO_BYTES, secretOf('e'))).ok)
  const psk = ends('NKpsk2')
  t.ok(psk.responder.read(psk.initiator.write(NO_BYTES, secretOf('e'))).ok)
  t.throws(() => psk.responder.write(NO_BYTES, secretOf('r')), /psk 0 is missing/)
  psk.responder.setPsk(0, secretOf('p'))
  psk.initiator.setPsk(0, secretOf('p'))
  t.ok(psk.initiator.read(psk.responder.write(NO_BYTES, secretOf('r'))).ok)
})

t.test('payloads over the limit of either end are refused (SEC-2.1)', async (t) => {
  const crypto = native
  const [a, b] = [pairOf(crypto, 'a'), pairOf(crypto, 'b')]
  const common = { crypto, pattern: 'NK', prologue: NO_BYTES }
  const initiator = new NoiseHandshake({ ...common, isInitiator: true, remoteStatic: b.publicKey })
  const responder = new NoiseHandshake({ ...common, isInitiator: false, staticPair: b, payloadBytesMax: 10 })
  t.strictSame(responder.read(initiator.write(new Uint8Array(11), a.secret)), { ok: false, why: 'too_large' })
})

t.test('both ends renew the key at the same record, by count and by bytes (SEC-4.1)', async (t) => {
  const key = secretOf('k')
  const limits = { records: 5, bytes: 400 }
  const [send, receive] = [new CipherState(native.aead, key, limits), new CipherState(noble.aead, key, limits)]
  const lengths = [0, 1, 2, 3, 4, 350, 50, 10, 10, 400, 0]
  const rekeys: number[] = []
  for (const length of lengths) {
    const sealed = new Uint8Array(length + TAG_BYTES)
    send.seal(NO_BYTES, new Uint8Array(length).fill(7), sealed)
    t.notOk(receive.open(NO_BYTES, sealed.slice().fill(1, 0, 1), new Uint8Array(length)))
    t.ok(receive.open(NO_BYTES, sealed, new Uint8Array(length)))
    rekeys.push(send.rekeys)
    t.equal(receive.rekeys, send.rekeys)
    t.equal(hexOf(receive.key), hexOf(send.key))
  }
  t.strictSame(rekeys, [0, 0, 0, 0, 1, 1, 2, 2, 2, 3, 3])
  t.equal(hexOf(send.key), hexOf(rekeyed(noble.aead, rekeyed(noble.aead, rekeyed(noble.aead, key)))))
})

t.test('a used-up counter closes the cipher (SEC-4.2)', async (t) => {
  const cipher = new CipherState(native.aead, secretOf('k'))
  cipher.skipTo(COUNTER_MAX)
  cipher.seal(NO_BYTES, NO_BYTES, new Uint8Array(16))
  t.ok(cipher.isExhausted)
  t.throws(() => cipher.seal(NO_BYTES, NO_BYTES, new Uint8Array(16)), /used up/)
  t.notOk(cipher.open(NO_BYTES, new Uint8Array(16), NO_BYTES))
  t.throws(() => cipher.skipTo(1), /never goes back/)
})
