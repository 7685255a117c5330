// What the secure layer costs: a record sealed and opened, a handshake answered, a datagram of junk refused. Run it with
// `node bench/micro/secure.ts`. It is the process's CPU time that counts, since others share the cores: +-30 %.
import { cryptoProvider, plainCryptoProvider } from '../../gateway/io/crypto-provider.ts'
import { ConnectionIdCipher } from '../../protocols/secure/connection-id.ts'
import { type CryptoProvider, NO_BYTES, TAG_BYTES } from '../../protocols/secure/crypto.ts'
import { datagramType, macKeyOf, SEALED_OVERHEAD_BYTES, writeInit } from '../../protocols/secure/datagram-codec.ts'
import { DatagramInitiator } from '../../protocols/secure/datagram-initiator.ts'
import { DatagramServer } from '../../protocols/secure/datagram-server.ts'
import { Initiator, Responder } from '../../protocols/secure/handshakes.ts'
import { nobleProvider } from '../../protocols/secure/noble-provider.ts'

const RUN_MS = 300
const secret = (letter: number): Uint8Array => new Uint8Array(32).fill(letter)

/** Microseconds of CPU a call, the best of three runs after a warm-up. */
function measure(what: () => void): number {
  let best = Infinity
  for (let run = 0; run < 4; run++) {
    const start = performance.now()
    const before = process.cpuUsage()
    let calls = 0
    while (performance.now() - start < RUN_MS) {
      for (let i = 0; i < 50; i++) what()
      calls += 50
    }
    const { user, system } = process.cpuUsage(before)
    if (run > 0) best = Math.min(best, (user + system) / calls)
  }
  return best
}

const print = (what: string, us: number): void => {
  process.stdout.write(`${what.padEnd(64)} ${us.toFixed(2).padStart(9)} us\n`)
}

function benchAead(crypto: CryptoProvider, length: number): void {
  const [key, plain, out] = [secret(1), new Uint8Array(length), new Uint8Array(length + TAG_BYTES)]
  let counter = 0
  const us = measure(() => {
    crypto.aead.seal(key, counter, NO_BYTES, plain, out)
    crypto.aead.open(key, counter++, NO_BYTES, out, plain)
  })
  print(`seal and open ${length} bytes, ${crypto.name}`, us)
}

function benchHandshake(crypto: CryptoProvider): void {
  const identity = crypto.dh.generateFrom(secret(2))
  const options = { crypto, transport: 'tcp', gatewayKey: identity.publicKey, ephemeralSecret: secret(3) }
  const initiator = new Initiator(options)
  const responder = new Responder({ crypto, identity, transport: 'tcp' })
  const us = measure(() => {
    const read = responder.read(initiator.kind, 1, 1, initiator.message)
    if (read.ok) read.first.answer(secret(4))
  })
  print(`NK answered (${Math.round(1e6 / us)}/s), ${crypto.name}`, us)
}

function benchJunk(crypto: CryptoProvider): void {
  const identity = crypto.dh.generateFrom(secret(2))
  const server = new DatagramServer({
    responder: new Responder({ crypto, identity, transport: 'udp' }),
    random: (length) => globalThis.crypto.getRandomValues(new Uint8Array(length)),
    cookieSecret: secret(5),
    idCiphers: [new ConnectionIdCipher(crypto.hash, secret(6))],
    gateway: 1,
    worker: 0,
    admit: () => true,
    connectionsMax: 10,
    unconfirmedMax: 10,
  })
  const echo = new Uint8Array(8)
  const common = { crypto, gatewayKey: identity.publicKey, ephemeralSecret: secret(3), echo, address: 'gateway' }
  const client = new DatagramInitiator(common, 0)
  const reply = server.receive('client', client.nextDatagram(0)!, 0)
  if (reply.kind !== 'reply') throw new Error(reply.kind)
  client.receive(reply.bytes, 0)
  const accepted = server.receive('client', client.nextDatagram(0)!, 0)
  if (accepted.kind !== 'accepted') throw new Error(accepted.kind)
  const connection = client.receive(accepted.bytes, 0)!

  const noise = new Uint8Array(100).fill(7)
  noise[0] = datagramType.sealed
  const forged = new Uint8Array(100).fill(7)
  forged[0] = datagramType.sealed
  forged.set(connection.established.extra, 1)
  forged.fill(0, 10, 13)
  const unkeyed = new Uint8Array(1200).fill(1)
  unkeyed.fill(0, 28, 30)
  const initiator = new Initiator({ ...common, transport: 'udp' })
  const init = writeInit(crypto.hash, macKeyOf(crypto, identity.publicKey), initiator, echo, undefined)
  const cases: [string, Uint8Array][] = [
    ['of no type', Uint8Array.of(99, 1, 2, 3)],
    ['with an id of nobody', noise],
    ['forged for a connection', forged],
    ['INIT with a wrong mac', unkeyed],
    ['INIT without a cookie, answered by one', init],
  ]
  for (const [what, bytes] of cases) {
    print(
      `junk: ${what}, ${crypto.name}`,
      measure(() => void server.receive('198.51.100.1:1', bytes, 0)),
    )
  }
  const content = new Uint8Array(64)
  const out = new Uint8Array(content.length + SEALED_OVERHEAD_BYTES)
  const us = measure(() => {
    connection.seal('data', content, out)
    server.receive('client', out, 0)
  })
  print(`DATA of 64 bytes sealed, and received by the server, ${crypto.name}`, us)
}

const providers = [cryptoProvider(), plainCryptoProvider(), nobleProvider]
for (const crypto of providers) for (const length of [64, 1200]) benchAead(crypto, length)
for (const crypto of providers) benchHandshake(crypto)
benchJunk(providers[0])
benchJunk(nobleProvider)
