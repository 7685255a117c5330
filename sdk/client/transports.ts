// What a transport is to the client: a function that opens a carrier of bytes to an address. The table is keyed by the
// address's scheme (`tcp`, `ws` ...); an application adds to it with `connect({ transports: { ... } })`.

import type { KcpPreset, KcpSettings } from '../../protocols/kcp/settings.ts'
import { type GatewayAddress, readAddress } from './address.ts'

/** What a carrier tells its client. `received` lends the bytes for the call. After `closed` nothing more is told. */
export interface CarrierEvents {
  /**
   * Ready for bytes; `binding` is what it is bound to (a handshake hash), empty where it has none. `isTicketTaken`: what
   * there was to resume was shown in its handshake, and taken.
   */
  opened(binding: Uint8Array, isTicketTaken?: boolean): void
  received(bytes: Uint8Array): void
  /** One frame that came beside the stream, without a length, lent for the call. */
  receivedDatagram?(frame: Uint8Array): void
  /** Something is unconfirmed and nothing was heard for a while: another way may be better. May be told again. */
  stalled?(): void
  /** There is room again after much was queued. */
  drained(): void
  /** It is gone, or could not be opened; once. */
  closed(cause?: unknown): void
}

export interface Carrier {
  /** The bytes are lent for the call: what cannot be passed on at once is copied. */
  write(bytes: Uint8Array): void
  /** Sends one frame, lent for the call, beside the stream; false, or no such method: it goes in the stream. */
  writeDatagram?(frame: Uint8Array): boolean
  /** Bytes that were written and not taken yet. */
  queuedBytes(): number
  /** For tests and demonstrations: goes on from another address of ours, where the transport can. */
  rebind?(): void
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
  /** The gateway's public key, of the address or given for all: Noise is spoken inside. */
  gatewayKey?: Uint8Array
  /** What the session is resumed with, for handshakes that can carry it. */
  resume?: { readonly ticket: Uint8Array; readonly secret: Uint8Array }
  /** For kcp://: a preset (default `fast`) and changes to it. */
  kcp?: KcpOptions
}

export type KcpOptions = Partial<KcpSettings> & { preset?: KcpPreset }

/** Opens a carrier; `address` is without key and security. Tells `closed` where that fails, and throws only for an address that cannot be one. */
export type Transport = (address: URL, events: CarrierEvents, options: TransportOptions) => Carrier

/** By scheme, without the colon. */
export type Transports = { readonly [scheme: string]: Transport }

/**
 * An address and its transport; `gatewayKey` is for addresses that name no key themselves.
 * @throws RangeError where the address is malformed or its scheme is not in the table.
 */
export function transportOf(
  address: string,
  transports: Transports,
  gatewayKey?: string | Uint8Array,
): GatewayAddress & { transport: Transport } {
  const read = readAddress(address, gatewayKey)
  if (!Object.hasOwn(transports, read.scheme)) {
    const known = Object.keys(transports).join(', ')
    throw new RangeError(`no transport for ${read.scheme}: in ${address}; there are ${known}`)
  }
  return { ...read, transport: transports[read.scheme] }
}
