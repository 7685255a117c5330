// What an address of a gateway says: where it is, by which transport, and with what security. The gateway's public key
// stands in the address (`tcp://host:7777?key=<43 characters of base64url>`) or is given for all of them (`gatewayKey`);
// with a key, Noise is spoken inside tcp://, ws:// and kcp://. tls://, wss:// and https:// have certificates instead.
// `?security=none` asks for no Noise, also where a key is given for all; kcp:// without a key demands that it is said.
import { PUBLIC_KEY_BYTES } from '../../protocols/secure/crypto.ts'

export type GatewayAddress = {
  /** As it is dialed: without the key and the security. */
  readonly url: URL
  /** `tcp`, `tls`, `ws`, `wss`, `kcp` ... */
  readonly scheme: string
  /** The gateway's public key, 32 bytes: Noise is spoken inside. Absent: no Noise. */
  readonly gatewayKey?: Uint8Array
}

/** Transports that Noise can be spoken in. */
const noiseSchemes: readonly string[] = ['tcp', 'ws', 'kcp']
const certificateSchemes: readonly string[] = ['tls', 'wss', 'https']
/** 32 bytes: the last character stands for four bits. */
const KEY_TEXT = /^[\w-]{42}[AEIMQUYcgkosw048]$/

/**
 * @param gatewayKey for addresses that name no key themselves.
 * @throws RangeError where the address is no URL, its key is not one, or what it asks of security cannot be.
 */
export function readAddress(address: string, gatewayKey?: string | Uint8Array): GatewayAddress {
  let url: URL
  try {
    url = new URL(address)
  } catch {
    throw new RangeError(`the address of a gateway is a URL like tcp://host:7777, not ${address}`)
  }
  const scheme = url.protocol.slice(0, -1)
  if (certificateSchemes.includes(scheme)) {
    if (!url.searchParams.has('key')) return { url, scheme }
    throw new RangeError(
      `${address}: ${scheme}:// proves the gateway by its certificate; a key goes with tcp, ws and kcp`,
    )
  }
  if (!noiseSchemes.includes(scheme)) return { url, scheme }
  const written = url.searchParams.get('key') ?? undefined
  const security = url.searchParams.get('security') ?? undefined
  const bare = withoutSecurity(url)
  if (security !== undefined && security !== 'none') {
    throw new RangeError(`${address}: the security of an address is none, or its key says that it is Noise`)
  }
  if (security === 'none') {
    if (written !== undefined) throw new RangeError(`${address}: there is a key, and security=none`)
    return { url: bare, scheme }
  }
  const key = written ?? gatewayKey
  if (key !== undefined) return { url: bare, scheme, gatewayKey: readGatewayKey(key) }
  if (scheme !== 'kcp') return { url: bare, scheme }
  const ways =
    "?key=<the gateway's public key>, the option gatewayKey, or ?security=none for a gateway without encryption"
  throw new RangeError(`${address}: kcp:// needs ${ways}`)
}

/**
 * A gateway's public key as the gateway logs it and `skewer keygen noise` prints it: 43 characters of base64url.
 * @throws RangeError where it is not one.
 */
export function readGatewayKey(key: string | Uint8Array): Uint8Array {
  if (typeof key !== 'string') {
    if (key.length === PUBLIC_KEY_BYTES) return key.slice()
    throw new RangeError(`a gateway's public key has ${PUBLIC_KEY_BYTES} bytes, not ${key.length}`)
  }
  if (!KEY_TEXT.test(key)) {
    throw new RangeError(`a gateway's public key is 43 characters of base64url, as the gateway logs it, not ${key}`)
  }
  const text = atob(key.replaceAll('-', '+').replaceAll('_', '/'))
  return Uint8Array.from(text, (character) => character.charCodeAt(0))
}

function withoutSecurity(url: URL): URL {
  if (!url.searchParams.has('key') && !url.searchParams.has('security')) return url
  const bare = new URL(url)
  bare.searchParams.delete('key')
  bare.searchParams.delete('security')
  return bare
}
