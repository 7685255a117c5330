// The handshakes of skewer with flynn/noise, a library of other people: NK, NKpsk2 and KK, in both roles, a thousand times
// each, with payloads, the same handshake hash at both ends, and records both ways behind it. The peer is a program in Go
// (noise-peer/main.go) that is built for the test and told by lines of JSON what to do.
// needs: go, flynn-noise
import { execFileSync, spawn } from 'node:child_process'
import { randomBytes, randomInt } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import t from 'tap'
import { deriveKey, NO_BYTES, TAG_BYTES } from '../../protocols/secure/crypto.ts'
import { answerKind, handshakeKind, Initiator, Responder } from '../../protocols/secure/handshakes.ts'
import { providers } from '../protocols/secure/keys.ts'
import { goEnvironment } from '../../bench/go.ts'

const ROUNDS = 1000
const folder = mkdtempSync(join(tmpdir(), 'skewer-noise-'))
const program = join(folder, 'peer')
execFileSync('go', ['build', '-o', program, '.'], {
  cwd: new URL('noise-peer/', import.meta.url).pathname,
  env: goEnvironment(),
})
const peer = spawn(program, { stdio: ['pipe', 'pipe', 'inherit'] })
const lines = createInterface({ input: peer.stdout })[Symbol.asyncIterator]()
t.teardown(() => {
  peer.kill()
  rmSync(folder, { recursive: true })
})

type Fields = Record<string, string | boolean | undefined>

/** One line to the peer, one line back; bytes travel in hex. */
async function ask(what: Fields): Promise<Record<string, Uint8Array>> {
  peer.stdin.write(`${JSON.stringify(what)}\n`)
  const { value } = await lines.next()
  const answer = JSON.parse(String(value)) as Record<string, string>
  if (answer['error'] !== undefined) throw new Error(answer['error'])
  return Object.fromEntries(
    Object.entries(answer).map(([key, text]) => [key, new Uint8Array(Buffer.from(text, 'hex'))]),
  )
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
const transports = ['tcp', 'websocket', 'udp', 'link']
const patternOfKind = { NK: handshakeKind.nk, NKpsk2: handshakeKind.nkpsk2, KK: handshakeKind.kk }
type Pattern = keyof typeof patternOfKind

/** What a round is made of. */
function round(pattern: Pattern, index: number) {
  const provider = providers[index % providers.length]
  const transport = transports[index % transports.length]
  const kind = patternOfKind[pattern]
  const pair = () => provider.dh.generateFrom(randomBytes(32))
  const prologue = hex(Buffer.from(`skewer/1\0${String.fromCharCode(kind, 1, 1)}${transport}`, 'latin1'))
  const secret = randomBytes(32)
  const psk = pattern === 'NKpsk2' ? hex(deriveKey(provider.hash, secret, 'skewer/1 nkpsk2 psk')) : undefined
  const ticket = randomBytes(randomInt(1, 1024))
  return { provider, transport, kind, pair, prologue, secret, psk, ticket }
}

const text = (length: number) => new Uint8Array(randomBytes(length))

/** Records both ways, each read by the other; a changed one by neither. */
async function talk(
  send: { seal(ad: Uint8Array, plain: Uint8Array, out: Uint8Array): void },
  receive: { open(ad: Uint8Array, sealed: Uint8Array, out: Uint8Array): boolean },
): Promise<boolean> {
  for (let i = 0; i < 3; i++) {
    const plain = text(randomInt(0, 200))
    const sealed = new Uint8Array(plain.length + TAG_BYTES)
    send.seal(NO_BYTES, plain, sealed)
    const { plain: read, sealed: back } = await ask({ do: 'echo', message: hex(sealed) })
    if (hex(read) !== hex(plain)) return false
    const opened = new Uint8Array(back.length - TAG_BYTES)
    if (!receive.open(NO_BYTES, back, opened) || hex(opened) !== hex(plain)) return false
  }
  return true
}

for (const pattern of ['NK', 'NKpsk2', 'KK'] as const) {
  t.test(`${pattern}: ours begins, flynn/noise answers, ${ROUNDS} times`, async (t) => {
    let good = 0
    for (let i = 0; i < ROUNDS; i++) {
      const { provider, transport, kind, pair, prologue, secret, psk, ticket } = round(pattern, i)
      const [gateway, own] = [pair(), pair()]
      const initiator = new Initiator({
        crypto: provider,
        transport,
        gatewayKey: gateway.publicKey,
        ephemeralSecret: randomBytes(32),
        resume: pattern === 'NKpsk2' ? { ticket, secret } : undefined,
        identity: pattern === 'KK' ? own : undefined,
      })
      const extra = text(randomInt(0, 64))
      const answer = await ask({
        do: 'answer',
        pattern,
        prologue,
        psk,
        secret: hex(gateway.secret),
        public: hex(gateway.publicKey),
        peer: pattern === 'KK' ? hex(own.publicKey) : undefined,
        message: hex(initiator.message),
        payload: `010000${hex(extra)}`,
      })
      const read = initiator.readAnswer(answerKind.accepted, answer.message)
      if (!read.ok) throw new Error(`round ${i}: ${read.why}`)
      const { established } = read
      const isSame = hex(answer.hash) === hex(established.binding) && hex(established.extra) === hex(extra)
      const isPayload = hex(answer.payload) === (pattern === 'NKpsk2' ? hex(ticket) : '')
      if (kind === initiator.kind && isSame && isPayload && (await talk(established.send, established.receive))) good++
    }
    t.equal(good, ROUNDS)
  })

  t.test(`${pattern}: flynn/noise begins, ours answers, ${ROUNDS} times`, async (t) => {
    let good = 0
    for (let i = 0; i < ROUNDS; i++) {
      const { provider, transport, kind, pair, prologue, secret, psk, ticket } = round(pattern, i)
      const [gateway, client] = [pair(), pair()]
      const responder = new Responder({
        crypto: provider,
        identity: gateway,
        transport,
        openTicket: (shown) => (hex(shown) === hex(ticket) ? { secret } : { code: 1 }),
        peers: [pair().publicKey, client.publicKey],
      })
      const { message } = await ask({
        do: 'begin',
        pattern,
        prologue,
        psk,
        secret: hex(client.secret),
        public: hex(client.publicKey),
        peer: hex(gateway.publicKey),
        payload: pattern === 'NKpsk2' ? hex(ticket) : '',
      })
      const read = responder.read(kind, 1, 1, message)
      if (!read.ok) throw new Error(`round ${i}: ${read.why}`)
      const extra = text(randomInt(0, 64))
      const made = read.first.answer(randomBytes(32), extra)
      const { hash, payload } = await ask({ do: 'finish', message: hex(made.message) })
      const { established } = made
      const isSame = hex(hash) === hex(established.binding) && hex(payload) === `010000${hex(extra)}`
      const isPeer = pattern !== 'KK' || hex(established.peer!) === hex(client.publicKey)
      if (isSame && isPeer && (await talk(established.send, established.receive))) good++
    }
    t.equal(good, ROUNDS)
  })
}

t.test('what was changed on the way is read by neither', async (t) => {
  const { provider, transport, pair, prologue } = round('NK', 1)
  const gateway = pair()
  const responder = new Responder({ crypto: provider, identity: gateway, transport })
  const begin = { do: 'begin', pattern: 'NK', prologue, peer: hex(gateway.publicKey), payload: '' }
  const { message } = await ask({ ...begin, secret: hex(gateway.secret), public: hex(gateway.publicKey) })
  message[40] ^= 1
  t.match(responder.read(handshakeKind.nk, 1, 1, message), { ok: false, why: 'forged' })
  const initiator = new Initiator({
    crypto: provider,
    transport,
    gatewayKey: gateway.publicKey,
    ephemeralSecret: randomBytes(32),
  })
  const changed = Uint8Array.from(initiator.message)
  changed[40] ^= 1
  const keys = { secret: hex(gateway.secret), public: hex(gateway.publicKey) }
  await t.rejects(ask({ do: 'answer', pattern: 'NK', prologue, ...keys, message: hex(changed), payload: '' }))
})
