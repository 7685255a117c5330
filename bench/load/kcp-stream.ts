// What a generator's client speaks over UDP: KCP in datagrams sealed with the gateway's key, as the SDK does it.
import { randomBytes } from 'node:crypto'
import { kcpSettings } from '../../protocols/kcp/settings.ts'
import { SEALED_CONV } from '../../protocols/secure/datagram-codec.ts'
import { DatagramCarrier } from '../../sdk/client/datagram-carrier.ts'
import { SealedEnvelope } from '../../sdk/client/sealed-envelope.ts'
import { nodeCryptoProvider } from '../../sdk/node-crypto.ts'
import type { OpenStream } from './stream.ts'

const OPEN_MS = 20_000
const settings = kcpSettings('fast', { stream: true, peerMtu: 1500, sendBytesMax: 4 * 1024 * 1024 })

/** `key`: the gateway's public key, in base64url. */
export function kcpOpener(key: string, localAddress?: string): OpenStream {
  const crypto = nodeCryptoProvider()
  const gatewayKey = new Uint8Array(Buffer.from(key, 'base64url'))
  const envelope = (now: number) => new SealedEnvelope({ crypto, gatewayKey, random: randomBytes }, now)
  return (port, events) => {
    const target = { host: '127.0.0.1', port, conv: SEALED_CONV, settings, openMs: OPEN_MS, localAddress, envelope }
    const carrier = new DatagramCarrier(target, {
      opened: () => events.opened(),
      received: (bytes) => events.received(bytes),
      drained() {},
      closed: (cause) => events.closed(cause),
    })
    return {
      write: (bytes) => carrier.write(bytes),
      queuedBytes: () => carrier.queuedBytes(),
      close: () => carrier.close(),
    }
  }
}

/** Players come from networks of their own, of each of which a gateway takes so many first messages a second and no more. */
export const addressOfPlayer = (i: number): string => `127.${1 + ((i >> 8) & 63)}.${i & 255}.1`
