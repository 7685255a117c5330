// The named handshakes and the record layer of streams (SEC-3, SEC-5).
import t from 'tap'
import { code } from '../../../protocols/codes.ts'
import { COUNTER_MAX, type CryptoProvider } from '../../../protocols/secure/crypto.ts'
import {
  answerKind,
  type Established,
  handshakeKind,
  Initiator,
  type InitiatorOptions,
  Responder,
  type ResponderOptions,
} from '../../../protocols/secure/handshakes.ts'
import {
  codeOfFailure,
  RECORD_PLAIN_BYTES_MAX,
  SecureStream,
  type SecureStreamSink,
} from '../../../protocols/secure/secure-stream.ts'
import { SymmetricState } from '../../../protocols/secure/symmetric-state.ts'
import { Random } from '../../sim/random.ts'
import { hexOf, native, noble, pairOf, providers, secretOf, textOf, utf8 } from './keys.ts'

const gateway = pairOf(native, 'g')
const ticket = utf8('a sealed ticket')
const secret = secretOf('s')

class Heard implements SecureStreamSink {
  established: Established | undefined
  isConfirmed = false
  received_: Uint8Array[] = []
  opened(established: Established): void {
    this.established = established
  }
  confirmed(): void {
    this.isConfirmed = true
  }
  received(plain: Uint8Array): void {
    this.received_.push(plain.slice())
  }
  get text(): string {
    return textOf(Buffer.concat(this.received_))
  }
}

const responderWith = (options: Partial<ResponderOptions> = {}, crypto: CryptoProvider = native) =>
  new Responder({
    crypto,
    identity: pairOf(crypto, 'g'),
    transport: 'tcp',
    openTicket: (shown) => (textOf(shown) === textOf(ticket) ? { secret } : { code: code.ticket_key_unknown }),
    ...options,
  })

const initiatorWith = (options: Partial<InitiatorOptions> = {}): InitiatorOptions => ({
  crypto: native,
  transport: 'tcp',
  gatewayKey: gateway.publicKey,
  ephemeralSecret: secretOf('c'),
  ...options,
})

const pairWith = (up: Partial<InitiatorOptions> = {}, down: Partial<ResponderOptions> = {}) => ({
  client: SecureStream.initiator(initiatorWith(up)),
  server: SecureStream.responder(responderWith(down), secretOf('r')),
  atClient: new Heard(),
  atServer: new Heard(),
})

/** Carries bytes both ways, `step` at a time, until nobody has any. */
const pump = ({ client, server, atClient, atServer }: ReturnType<typeof pairWith>, step = 1e9) => {
  for (let isBusy = true; isBusy; ) {
    isBusy = false
    for (const [from, to, sink] of [
      [client, server, atServer],
      [server, client, atClient],
    ] as const) {
      const bytes = from.drain().slice()
      for (let at = 0; at < bytes.length; at += step) to.receive(bytes.subarray(at, at + step), sink)
      isBusy ||= bytes.length > 0
    }
  }
}

t.test('first contact: both ends open, the client is confirmed without having said anything', async (t) => {
  for (const step of [1e9, 1, 7]) {
    const pair = pairWith()
    pump(pair, step)
    t.ok(pair.client.isOpen && pair.server.isOpen && pair.server.isConfirmed && pair.atServer.isConfirmed)
    t.notOk(pair.client.isConfirmed)
    t.strictSame(pair.atClient.established!.binding, pair.atServer.established!.binding)
    t.equal(pair.atServer.established!.ticket, undefined)
    pair.client.send(utf8('up'))
    pair.server.send(utf8('down'))
    pair.server.send(utf8(' and again'))
    pump(pair, step)
    t.equal(pair.atServer.text, 'up')
    t.equal(pair.atClient.text, 'down and again')
  }
})

t.test('re-attach: the ticket arrives sealed, and is proved by the first record (SEC-3.6)', async (t) => {
  const pair = pairWith({ resume: { ticket, secret } })
  const first = pair.client.drain().slice()
  t.notMatch(textOf(first), textOf(ticket))
  pair.server.receive(first, pair.atServer)
  t.equal(textOf(pair.atServer.established!.ticket!), textOf(ticket))
  t.notOk(pair.atServer.isConfirmed)
  pump(pair)
  t.ok(pair.atServer.isConfirmed)
  t.equal(pair.atClient.established!.code, code.ok)
})

t.test('who has the ticket and not its secret opens nothing and confirms nothing', async (t) => {
  const pair = pairWith({ resume: { ticket, secret: secretOf('x') } })
  pump(pair)
  t.equal(pair.client.failure, 'forged')
  t.notOk(pair.server.isConfirmed)
})

t.test(
  'a ticket that does not open is refused with its code, on a connection as good as first contact (SEC-3.5)',
  async (t) => {
    const pair = pairWith({ resume: { ticket: utf8('of another cluster'), secret } })
    pump(pair)
    t.equal(pair.atClient.established!.code, code.ticket_key_unknown)
    t.equal(pair.atServer.established!.code, code.ticket_key_unknown)
    t.equal(pair.atServer.established!.ticket, undefined)
    pair.client.send(utf8('a token then'))
    pump(pair)
    t.equal(pair.atServer.text, 'a token then')
  },
)

t.test('an acceptance is not taken for a refusal nor the other way round (SEC-3.5)', async (t) => {
  for (const shown of [ticket, utf8('another')]) {
    const initiator = new Initiator(initiatorWith({ resume: { ticket: shown, secret } }))
    const read = responderWith().read(initiator.kind, 1, 1, initiator.message)
    if (!read.ok) return t.fail(read.why)
    const answer = read.first.answer(secretOf('r'))
    const other = answer.kind === answerKind.accepted ? answerKind.refused : answerKind.accepted
    t.strictSame(initiator.readAnswer(other, answer.message), { ok: false, why: 'forged' })
    t.strictSame(initiator.readAnswer(9, answer.message), { ok: false, why: 'unknown_kind' })
    t.ok(initiator.readAnswer(answer.kind, answer.message).ok, 'the right one still counts')
  }
})

t.test('only the gateway can refuse: without its static key a refusal is forged (SEC-3.5)', async (t) => {
  const initiator = new Initiator(initiatorWith({ resume: { ticket, secret } }))
  // Somebody in between knows all that is public and makes everything of the answer but `es`, which he has to guess.
  const impostor = new SymmetricState(native, 'Noise_NKpsk2_25519_ChaChaPoly_SHA256')
  const theirs = initiator.message.subarray(0, 32)
  const mine = pairOf(native, 'm')
  impostor.mixHash(Buffer.concat([utf8('skewer/1'), Uint8Array.of(0, handshakeKind.nkpsk2, 1, 1), utf8('tcp')]))
  impostor.mixHash(gateway.publicKey)
  impostor.mixHash(theirs)
  impostor.mixKey(theirs)
  impostor.mixKey(new Uint8Array(32))
  impostor.mixHash(initiator.message.subarray(32))
  impostor.mixHash(mine.publicKey)
  impostor.mixKey(mine.publicKey)
  impostor.mixKey(native.dh.sharedSecret(mine, theirs)!)
  impostor.mixKeyAndHash(native.hash.sha256(utf8('skewer/1 nkpsk2 refused')))
  const answer = new Uint8Array(32 + 3 + 16)
  answer.set(mine.publicKey)
  impostor.encryptAndHash(Uint8Array.of(1, 0, 0), answer, 32)
  t.strictSame(initiator.readAnswer(answerKind.refused, answer), { ok: false, why: 'forged' })
  // Nor does a true refusal of somebody else's ticket.
  const other = new Initiator(initiatorWith({ resume: { ticket: utf8('x'), secret }, ephemeralSecret: secretOf('o') }))
  const read = responderWith().read(other.kind, 1, 1, other.message)
  if (!read.ok) return t.fail(read.why)
  const refusal = read.first.answer(secretOf('r'))
  t.equal(refusal.kind, answerKind.refused)
  t.strictSame(initiator.readAnswer(refusal.kind, refusal.message), { ok: false, why: 'forged' })
  const first = new Initiator(initiatorWith())
  t.strictSame(first.readAnswer(answerKind.refused, answer), { ok: false, why: 'unknown_kind' })
})

t.test('a link: KK with one of the keys that the responder knows', async (t) => {
  const [mine, old, stranger] = [pairOf(native, 'l'), pairOf(native, 'o'), pairOf(native, 'z')]
  const down = { peers: [old.publicKey, mine.publicKey] }
  const pair = pairWith({ identity: mine }, down)
  pump(pair)
  t.ok(pair.client.isOpen && pair.server.isConfirmed)
  t.strictSame(pair.atServer.established!.peer, mine.publicKey)
  const refused = pairWith({ identity: stranger }, down)
  pump(refused)
  t.equal(refused.server.failure, 'forged')
  const unwanted = pairWith({ identity: mine })
  pump(unwanted)
  t.equal(unwanted.server.failure, 'unknown_kind')
})

t.test(
  'what was negotiated in the clear is bound: kind, versions, transport, the gateway’s key (SEC-3.2)',
  async (t) => {
    const initiator = new Initiator(initiatorWith())
    const { message, kind } = initiator
    t.ok(responderWith().read(kind, 1, 1, message).ok)
    t.strictSame(responderWith().read(handshakeKind.nkpsk2, 1, 1, message), { ok: false, why: 'forged' })
    t.strictSame(responderWith().read(kind, 0, 1, message), { ok: false, why: 'forged' })
    t.strictSame(responderWith().read(kind, 1, 2, message), { ok: false, why: 'forged' })
    t.strictSame(responderWith().read(kind, 2, 3, message), { ok: false, why: 'version' })
    t.strictSame(responderWith({ transport: 'udp' }).read(kind, 1, 1, message), { ok: false, why: 'forged' })
    t.strictSame(responderWith({ identity: pairOf(native, 'h') }).read(kind, 1, 1, message), {
      ok: false,
      why: 'forged',
    })
  },
)

t.test('batches larger than a record are cut, and every length arrives (SEC-5.3)', async (t) => {
  const random = new Random(3)
  const pair = pairWith({ crypto: noble })
  pump(pair)
  const sent: Uint8Array[] = []
  for (const length of [1, 2, 100, RECORD_PLAIN_BYTES_MAX, RECORD_PLAIN_BYTES_MAX + 1, 200_000, 3]) {
    const bytes = random.bytes(length)
    sent.push(bytes)
    pair.client.send(bytes)
  }
  pump(pair, 1400)
  t.equal(hexOf(Buffer.concat(pair.atServer.received_)), hexOf(Buffer.concat(sent)))
  t.equal(pair.server.heldBytes, 0)
})

for (const crypto of providers) {
  t.test(`what is sealed to be written at once is what send and drain give: ${crypto.name}`, async (t) => {
    const drained = (end: SecureStream, batch: Uint8Array) => {
      end.send(batch)
      return end.drain().slice()
    }
    const down = { crypto, identity: pairOf(crypto, 'g') }
    const [once, twice] = [pairWith({ crypto }, down), pairWith({ crypto }, down)]
    pump(once)
    pump(twice)
    const random = new Random(11)
    for (const length of [1, 64, 2047, 2048, 2049, RECORD_PLAIN_BYTES_MAX, RECORD_PLAIN_BYTES_MAX + 1, 64, 0]) {
      const batch = random.bytes(length)
      const records = once.client.sealed(batch).slice()
      t.equal(hexOf(records), hexOf(drained(twice.client, batch)), `${length} bytes`)
      const before = once.atServer.received_.length
      t.equal(once.server.receive(records, once.atServer), undefined)
      t.equal(hexOf(Buffer.concat(once.atServer.received_.slice(before))), hexOf(batch))
      // Where it lies in what was read makes no difference.
      const shifted = Buffer.concat([Buffer.alloc(100), records]).subarray(100)
      t.equal(twice.server.receive(shifted, twice.atServer), undefined)
    }
  })
}

t.test('of two batches the first is written first, and none before the stream is open', async (t) => {
  const pair = pairWith()
  t.throws(() => pair.client.sealed(utf8('too early')), /not open/)
  pump(pair)
  pair.client.send(utf8('one '))
  const records = pair.client.sealed(utf8('two')).slice()
  t.equal(pair.client.hasOutput, false)
  pair.server.receive(records, pair.atServer)
  t.equal(pair.atServer.text, 'one two')
})

t.test('without a counter left nothing more is sent, either way (SEC-4.2)', async (t) => {
  for (const isAtOnce of [false, true]) {
    const pair = pairWith()
    pump(pair)
    const { send } = pair.atClient.established!
    send.skipTo(COUNTER_MAX)
    t.equal(pair.client.sealed(utf8('the last')).length, 2 + 8 + 16)
    if (isAtOnce) t.equal(pair.client.sealed(utf8('one more')).length, 0)
    else pair.client.send(utf8('one more'))
    t.equal(pair.client.failure, 'exhausted')
    t.equal(pair.client.drain().length, 0)
  }
})

t.test('a changed, lost, doubled or swapped record ends the stream (SEC-5.4)', async (t) => {
  for (const damage of ['flip', 'lose', 'double', 'swap', 'short'] as const) {
    const pair = pairWith()
    pump(pair)
    const records = ['one', 'two', 'three'].map((text) => {
      pair.client.send(utf8(text))
      return pair.client.drain().slice()
    })
    if (damage === 'flip') records[1][5] ^= 1
    if (damage === 'lose') records.splice(1, 1)
    if (damage === 'double') records.splice(1, 0, records[0])
    if (damage === 'swap') records.reverse()
    if (damage === 'short') records[1].set([15, 0])
    const failure = pair.server.receive(Buffer.concat(records), pair.atServer)
    t.equal(failure, damage === 'short' ? 'truncated' : 'forged', damage)
    t.equal(pair.server.receive(records[0], pair.atServer), failure, 'for good')
    t.equal(pair.atServer.text, damage === 'swap' ? '' : 'one')
    t.equal(codeOfFailure(failure!), code.protocol)
  }
})

t.test('an unfinished record holds at most twice what came of it', async (t) => {
  const pair = pairWith()
  pump(pair)
  pair.server.receive(Uint8Array.of(0xff, 0xff), pair.atServer)
  t.equal(pair.server.heldBytes, 2)
  for (let i = 0; i < 100; i++) pair.server.receive(new Uint8Array(10), pair.atServer)
  t.equal(pair.server.heldBytes, 1002)
})

t.test(
  'another protocol is told at its first wrong byte, a first message over the limit before it is read',
  async (t) => {
    for (const bytes of [utf8('GET / HTTP/1.1'), Uint8Array.of(0x16, 3, 1), Uint8Array.of(0, 0x53, 0x4c)]) {
      const { server, atServer } = pairWith()
      t.equal(server.receive(bytes, atServer), 'wrong_security')
      t.equal(codeOfFailure('wrong_security'), code.wrong_security)
    }
    const { server, atServer } = pairWith()
    t.equal(server.receive(Uint8Array.of(0, 0x53, 0x4b, 1, 1, 1, 0xff, 0xff), atServer), 'too_large')
    t.equal(
      pairWith().server.receive(Uint8Array.of(0, 0x53, 0x4b, 1, 2, 2, 48, 0, ...Buffer.alloc(48)), atServer),
      'version',
    )
    t.equal(codeOfFailure('version'), code.version)
  },
)

t.test('random bytes never make a stream throw, at any point of its life', async (t) => {
  const random = new Random(5)
  const first = SecureStream.initiator(initiatorWith()).drain().slice()
  const responder = responderWith()
  const sink = new Heard()
  let failures = 0
  for (let i = 0; i < 6000; i++) {
    const stream = i % 2 === 0 ? SecureStream.responder(responder, secret) : undefined
    const target = stream ?? SecureStream.initiator(initiatorWith({ crypto: i < 40 ? noble : native }))
    if (i > 200 && stream === undefined) continue
    const bytes = random.bytes(random.between(0, 60))
    if (random.chance(0.5)) bytes.set(first.subarray(0, Math.min(bytes.length, random.between(0, 8))))
    if (target.receive(bytes, sink) !== undefined) failures++
  }
  t.ok(failures > 1500)
  const pair = pairWith()
  pump(pair)
  for (let i = 0; i < 5000 && pair.server.failure === undefined; i++) {
    pair.server.receive(random.bytes(random.between(0, 100)), pair.atServer)
  }
  t.ok(pair.server.failure)
})

t.test('a sink that sends at once, and two ends in one call, do not disturb what is lent', async (t) => {
  const pair = pairWith()
  pump(pair)
  const heard: string[] = []
  const back = {
    opened: () => {},
    confirmed: () => {},
    received: (plain: Uint8Array) => void heard.push(textOf(plain)),
  }
  pair.client.send(utf8('ping'))
  pair.server.receive(pair.client.drain().slice(), {
    ...back,
    received: (plain) => {
      pair.server.send(utf8('pong'))
      pair.client.receive(pair.server.drain().slice(), back)
      heard.push(textOf(plain))
    },
  })
  t.strictSame(heard, ['pong', 'ping'])
})

t.test('misuse throws: sending before the stream is open, or without draining', async (t) => {
  const pair = pairWith()
  t.throws(() => pair.client.send(utf8('x')), /not open/)
  pump(pair)
  const large = new Uint8Array(1024 * 1024)
  pair.client.send(large)
  pair.client.send(large)
  t.throws(() => pair.client.send(large), /drained/)
  t.throws(() => new Initiator(initiatorWith({ resume: { ticket: new Uint8Array(1025), secret } })), /1024/)
  t.throws(() => responderWith({ peers: new Array(9).fill(gateway.publicKey) }), /at most 8/)
})
