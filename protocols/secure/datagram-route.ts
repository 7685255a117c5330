// Which way a datagram conversation takes, seen from one of its ends: the seam between the connection, which seals and
// opens, and what the gateway (gateway-paths.ts) and the client (client-path.ts) each do about addresses and ids.

/** A sealed datagram that the layer itself wants to send. */
export type ControlDatagram = {
  readonly address: string
  readonly id: Uint8Array
  readonly kind: number
  readonly content: Uint8Array
}

export interface DatagramRoute {
  /** Where what is sealed now is to be sent. */
  readonly address: string
  /** The connection id that it carries. */
  readonly id: Uint8Array
  /** An authentic datagram has come, bytes[start, end), lent; `isHighest`: with the highest counter until now. */
  arrived(address: string, bytes: Uint8Array, start: number, end: number, isHighest: boolean, now: number): void
  /** What one of the layer's own kinds held; false when it is malformed or not for this end. The bytes are lent. */
  control(kind: number, content: Uint8Array, address: string, now: number): boolean
  /** Whether bytes[start, end), lent, proves that the other end does not know this conversation ([DGM-9.3]). */
  isReset(bytes: Uint8Array, start: number, end: number): boolean
  /** Nothing is to be sent, and nothing is waited for. */
  readonly isQuiet: boolean
  /** What is to be sent next, in order. */
  next(): ControlDatagram | undefined
  /** When `tick` wants to be called; Infinity for never. */
  deadline(): number
  tick(now: number): void
}
