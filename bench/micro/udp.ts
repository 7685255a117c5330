// What a datagram costs the gateway's UDP edge before the core hears of it: junk that is refused, and a segment of a player.
// Tables of conversations as the listener drives them, without a socket; `node bench/micro/udp.ts`.
import { cryptoProvider } from '../../gateway/io/crypto-provider.ts'
import { DatagramCounters } from '../../gateway/datagram-counters.ts'
import type { DatagramEnvironment } from '../../gateway/kcp-carriers.ts'
import { PlainKcp } from '../../gateway/plain-kcp.ts'
import { SealedKcp } from '../../gateway/sealed-kcp.ts'
import { HandshakeLimit } from '../../policies/handshake-limit.ts'
import { kcpSettings } from '../../protocols/kcp/settings.ts'
import { Responder } from '../../protocols/secure/handshakes.ts'
import { PlainEnvelope } from '../../sdk/client/envelope.ts'
import type { Envelope } from '../../sdk/client/envelope.ts'
import { KcpLine } from '../../sdk/client/kcp-line.ts'
import { SealedEnvelope } from '../../sdk/client/sealed-envelope.ts'
import { type Case, measure, repeat } from './measure.ts'

const settings = kcpSettings('fast', { mtu: 1170, stream: true, peerMtu: 1500 })
const crypto = cryptoProvider()
const identity = crypto.dh.generateFrom(new Uint8Array(32).fill(2))
const random = (length: number): Uint8Array => globalThis.crypto.getRandomValues(new Uint8Array(length))
const responder = new Responder({ crypto, identity, transport: 'udp' })

type Table = PlainKcp | SealedKcp
let now = 1000
const down: Uint8Array[] = []

const environment: DatagramEnvironment = {
  now: () => now,
  randomBytes: random,
  send: (bytes, start, end) => void down.push(bytes.slice(start, end)),
  scheduleFlush() {},
  enter: () => true,
  left() {},
  accept: () => ({ receive() {}, drained() {}, closed() {}, isLoggedIn: true }),
}
const sealed = () =>
  new SealedKcp(environment, new DatagramCounters(), settings, {
    identity: { responder: () => responder, isShared: () => false, secrets: () => [identity.secret] },
    wallNow: Date.now,
    limit: new HandshakeLimit(1),
    resets: new HandshakeLimit(2),
    gateway: 1,
    worker: 0,
  })
const plain = () => new PlainKcp(environment, new DatagramCounters(), settings)

/** A client that is in, and what it sends from then on. */
function join(table: Table, conv: number, envelope: Envelope): { line: KcpLine; up: Uint8Array[] } {
  const up: Uint8Array[] = []
  const sink = { opened() {}, received() {}, bare() {}, drained() {}, stalled() {}, closed() {} }
  const line = new KcpLine(conv, settings, envelope, { ...sink, send: (bytes) => void up.push(bytes.slice()) }, now)
  for (let i = 0; i < 20; i++) {
    line.pump(now)
    for (const bytes of up.splice(0)) table.receive('192.0.2.1', 4000, bytes, 0, bytes.length, now)
    table.carriers.flush(now)
    for (const carrier of table.carriers.open) if (i === 5) carrier.write(Uint8Array.of(1))
    for (const bytes of down.splice(0)) line.receive(bytes, now)
    now += 10
  }
  return { line, up }
}

/** One message of 64 bytes from the client to the core, and its acknowledgement back. */
function player(table: Table, conv: number, envelope: Envelope): { last: () => Uint8Array; it: Case } {
  const { line, up } = join(table, conv, envelope)
  const payload = new Uint8Array(64)
  let last: Uint8Array = payload
  const turn = (isServed: boolean) => {
    now += 6
    line.write(payload, now)
    line.pump(now)
    for (const bytes of up.splice(0)) {
      if (isServed) table.receive('192.0.2.1', 4000, bytes, 0, bytes.length, now)
      last = bytes
    }
    table.carriers.flush(now)
    table.tick(now)
    for (const bytes of down.splice(0)) line.receive(bytes, now)
  }
  turn(true)
  return { last: () => last, it: { what: '64 bytes up, both ends', run: repeat(() => turn(true)) } }
}

/** As spoofed ones are: each another network. */
const addresses = Array.from({ length: 65_536 }, (_, i) => `10.7.${i >>> 8}.${i & 255}`)

function junk(what: string, table: Table, bytes: Uint8Array): Case {
  let i = 0
  const run = repeat(() => {
    i = (i + 1) % addresses.length
    table.receive(addresses[i], 20_000, bytes, 0, bytes.length, now)
    down.length = 0
  })
  return { what, run }
}

const table = sealed()
const envelope = new SealedEnvelope({ crypto, gatewayKey: identity.publicKey, random }, now)
const known = player(table, 1, envelope)
await measure('datagrams of a player', [known.it])
// Behind it: what is old for a connection is refused more cheaply than what is forged for it.
const last = known.last()
const noise = random(100)
noise[0] = 0x10
const forged = last.slice()
forged[forged.length - 1] ^= 1
forged[9] += 1
const init = random(1200)
init[0] = 1
init.fill(0, 28, 30)
const asks = new SealedEnvelope({ crypto, gatewayKey: identity.publicKey, random }, now).next(now)!
await measure('junk at the sealed edge', [
  junk('of no type', table, Uint8Array.of(99, 1, 2, 3)),
  junk('with an id of nobody', table, noise),
  junk('a replay', table, last),
  junk('forged for a connection', table, forged),
  junk('INIT with a wrong mac', table, init),
  junk('INIT without a cookie, answered by one', table, asks),
])

const open = plain()
const stranger = player(open, 77, new PlainEnvelope())
const segment = new Uint8Array(48)
segment[4] = 81
segment[20] = 24
const late = segment.slice()
late[12] = 5
await measure('datagrams of a player without security', [stranger.it])
await measure('junk at the plain edge', [
  junk('begins nothing', open, late),
  junk('begins a conversation, and an older stranger goes', open, segment),
])
