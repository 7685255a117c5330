// Both sides of UDP as a seed has them: inside Noise or plain, under which settings of KCP. The cryptography is real; keys
// are the same in every seed.
import type { DatagramCounters } from '../../gateway/datagram-counters.ts'
import { cryptoProvider } from '../../gateway/io/crypto-provider.ts'
import type { DatagramEnvironment } from '../../gateway/kcp-carriers.ts'
import { PlainKcp } from '../../gateway/plain-kcp.ts'
import { SealedKcp } from '../../gateway/sealed-kcp.ts'
import { openTicket } from '../../gateway/tickets.ts'
import { HandshakeLimit } from '../../policies/handshake-limit.ts'
import { kcpSettings } from '../../protocols/kcp/settings.ts'
import { SEALED_CONV, SEALED_OVERHEAD_BYTES } from '../../protocols/secure/datagram-codec.ts'
import { Responder } from '../../protocols/secure/handshakes.ts'
import { PlainEnvelope } from '../../sdk/client/envelope.ts'
import type { SealedOptions } from '../../sdk/client/sealed-envelope.ts'
import { SealedEnvelope } from '../../sdk/client/sealed-envelope.ts'
import type { LineOptions } from './client-wire.ts'
import { open, seal } from './sealing.ts'
import type { UdpWorld } from './udp-faults.ts'

export const crypto = cryptoProvider()
const secret = new Uint8Array(32).fill(0x67)
const identity = crypto.dh.generateFrom(secret)
const sealer = { seal, open }
const DATAGRAM_BYTES_MAX = 1200
/** Room for what the core lets wait for one connection. */
const SEND_BYTES_MAX = 1024 * 1024
const SEND_COUNT_MAX = 4096

export const gatewayKey = identity.publicKey

/** The same key at all gateways. */
export const responderFor = (transport: string): Responder =>
  new Responder({ crypto, identity, transport, openTicket: (ticket) => openTicket(sealer, ticket) })

export function conversationsOf(
  world: UdpWorld,
  gateway: string,
  env: DatagramEnvironment,
  counters: DatagramCounters,
): PlainKcp | SealedKcp {
  const { preset, isSealed } = world.udp!
  const mtu = isSealed ? DATAGRAM_BYTES_MAX - SEALED_OVERHEAD_BYTES : DATAGRAM_BYTES_MAX
  const room = { sendBytesMax: SEND_BYTES_MAX, sendCountMax: SEND_COUNT_MAX }
  const settings = kcpSettings(preset, { mtu, peerMtu: 1500, stream: true, ...room })
  if (!isSealed) return new PlainKcp(env, counters, settings)
  const responder = responderFor('udp')
  return new SealedKcp(env, counters, settings, {
    identity: { responder: () => responder, secrets: () => [secret], isShared: () => true },
    wallNow: () => world.wallNow(),
    limit: new HandshakeLimit(world.random.u32()),
    resets: new HandshakeLimit(world.random.u32()),
    gateway: Number(gateway.slice(1)),
    worker: 0,
  })
}

/** What a player brings from earlier connections: a ticket for the first message, cookies. */
export type Luggage = Pick<SealedOptions, 'resume' | 'jar'>

export function lineOptionsOf(world: UdpWorld, gateway: string, luggage: Luggage = {}): LineOptions {
  const { preset, isSealed } = world.udp!
  const settings = kcpSettings(preset)
  if (!isSealed) return { gateway, conv: world.random.between(1, 0xffffffff), settings, envelope: new PlainEnvelope() }
  const random = (length: number) => world.random.bytes(length)
  const envelope = new SealedEnvelope({ crypto, gatewayKey, random, ...luggage }, world.clock.now)
  return { gateway, conv: SEALED_CONV, settings, envelope }
}
