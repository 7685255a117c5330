// What the secure layer costs: a record sealed and opened, a handshake answered, a datagram of junk refused. Run it with
// `node bench/micro/secure.ts`.
import {
  acceleratedCryptoProvider,
  packagedCryptoProvider,
  plainCryptoProvider,
} from '../../gateway/io/crypto-provider.ts'
import { CONNECTION_ID_BYTES, ConnectionIdCipher } from '../../protocols/secure/connection-id.ts'
import { type CryptoProvider, NO_BYTES, TAG_BYTES } from '../../protocols/secure/crypto.ts'
import { datagramType, macKeyOf, SEALED_OVERHEAD_BYTES, writeInit } from '../../protocols/secure/datagram-codec.ts'
import { DatagramInitiator } from '../../protocols/secure/datagram-initiator.ts'
import { DatagramServer } from '../../protocols/secure/datagram-server.ts'
import { Initiator, Responder } from '../../protocols/secure/handshakes.ts'
import { nobleProvider } from '../../protocols/secure/noble-provider.ts'
import { type Case, measure, repeat } from './measure.ts'

const secret = (letter: number): Uint8Array => new Uint8Array(32).fill(letter)

function aead(crypto: CryptoProvider, length: number): Case {
  const [key, plain, out] = [secret(1), new Uint8Array(length), new Uint8Array(length + TAG_BYTES)]
  let counter = 0
  const run = repeat(() => {
    crypto.aead.seal(key, counter, NO_BYTES, plain, out)
    crypto.aead.open(key, counter++, NO_BYTES, out, plain)
  })
  return { what: `${length} bytes, ${crypto.name}`, run }
}

function handshake(crypto: CryptoProvider): Case {
  const identity = crypto.dh.generateFrom(secret(2))
  const options = { crypto, transport: 'tcp', gatewayKey: identity.publicKey, ephemeralSecret: secret(3) }
  const initiator = new Initiator(options)
  const responder = new Responder({ crypto, identity, transport: 'tcp' })
  const run = repeat(() => {
    const read = responder.read(initiator.kind, 1, 1, initiator.message)
    if (read.ok) read.first.answer(secret(4))
  })
  return { what: crypto.name, run }
}

async function measureDatagrams(crypto: CryptoProvider): Promise<void> {
  const identity = crypto.dh.generateFrom(secret(2))
  const server = new DatagramServer({
    responder: new Responder({ crypto, identity, transport: 'udp' }),
    random: (length) => globalThis.crypto.getRandomValues(new Uint8Array(length)),
    cookieSecret: secret(5),
    idCiphers: [new ConnectionIdCipher(crypto.hash, secret(6))],
    gateway: 1,
    worker: 0,
    admit: () => true,
    admitReset: () => true,
    isPeer: () => true,
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
  forged.set(connection.established.extra.subarray(0, CONNECTION_ID_BYTES), 1)
  forged.fill(0, 10, 13)
  const unkeyed = new Uint8Array(1200).fill(1)
  unkeyed.fill(0, 28, 30)
  const initiator = new Initiator({ ...common, transport: 'udp' })
  const init = writeInit(crypto.hash, macKeyOf(crypto, identity.publicKey), initiator, echo, undefined)
  const junk: [string, Uint8Array][] = [
    ['of no type', Uint8Array.of(99, 1, 2, 3)],
    ['with an id of nobody', noise],
    ['forged for a connection', forged],
    ['INIT with a wrong mac', unkeyed],
    ['INIT without a cookie, answered by one', init],
  ]
  const cases = junk.map(([what, bytes]) => ({
    what,
    run: repeat(() => void server.receive('198.51.100.1:1', bytes, 0)),
  }))
  // Before the others: what is old for a connection is refused more cheaply than what is forged for it.
  await measure(`junk, ${crypto.name}`, cases)
  const content = new Uint8Array(64)
  const out = new Uint8Array(content.length + SEALED_OVERHEAD_BYTES)
  const run = repeat(() => {
    connection.seal('data', content, out)
    server.receive('client', out, 0)
  })
  await measure(`datagrams, ${crypto.name}`, [{ what: 'DATA of 64 bytes sealed, and received by the server', run }])
}

const accelerated = acceleratedCryptoProvider()
const packaged = [packagedCryptoProvider(), plainCryptoProvider(), nobleProvider]
const providers = accelerated === undefined ? packaged : [accelerated, ...packaged]
await measure(
  'aead, sealed and opened',
  [64, 1200].flatMap((length) => providers.map((crypto) => aead(crypto, length))),
)
await measure('first message of a handshake (NK) answered', providers.map(handshake))
for (const crypto of [providers[0], nobleProvider]) await measureDatagrams(crypto)
