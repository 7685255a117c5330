// What a transport is to the client: a function that opens a carrier of bytes to an address. The table is keyed by the
// address's scheme (`tcp`, `ws` ...); an application adds to it with `connect({ transports: { ... } })`.

/** What a carrier tells its client. `received` lends the bytes for the call. After `closed` nothing more is told. */
export interface CarrierEvents {
  /** Ready for bytes; `binding` is what it is bound to (a handshake hash), empty where it has none. */
  opened(binding: Uint8Array): void
  received(bytes: Uint8Array): void
  /** There is room again after much was queued. */
  drained(): void
  /** It is gone, or could not be opened; once. */
  closed(cause?: unknown): void
}

export interface Carrier {
  /** The bytes are lent for the call: what cannot be passed on at once is copied. */
  write(bytes: Uint8Array): void
  /** Bytes that were written and not taken yet. */
  queuedBytes(): number
  /** Ends it behind what was written. */
  close(): void
  /** Ends it at once. */
  destroy(): void
}

export type TransportOptions = {
  /** Time until the carrier must stand, in milliseconds. */
  openMs: number
  /** For TLS on Node: what `tls.connect` takes (`ca`, `cert`, `key`, `servername`, `rejectUnauthorized` ...). */
  tls?: object
}

/** Opens a carrier; tells `closed` where that fails, and throws only for an address that cannot be one. */
export type Transport = (address: URL, events: CarrierEvents, options: TransportOptions) => Carrier

/** By scheme, without the colon. */
export type Transports = { readonly [scheme: string]: Transport }

/** The transport of an address; throws where it is malformed or its scheme is not in the table. */
export function transportOf(address: string, transports: Transports): { url: URL; transport: Transport } {
  let url: URL
  try {
    url = new URL(address)
  } catch {
    throw new RangeError(`the address of a gateway is a URL like tcp://host:7777, not ${address}`)
  }
  const scheme = url.protocol.slice(0, -1)
  if (!Object.hasOwn(transports, scheme)) {
    const known = Object.keys(transports).join(', ')
    throw new RangeError(`no transport for ${scheme}: in ${address}; there are ${known}`)
  }
  return { url, transport: transports[scheme] }
}
