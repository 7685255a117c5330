// What the listener of UDP sends and receives by. What is received is lent to the sink for the call; what is sent is
// copied, and leaves at the latest at `flush`, or, where the kernel has no room, not at all, as a network drops it.

/** Asked of the kernel, which may give less: a burst of all clients in one tick of a game waits here. */
export const SOCKET_BUFFER_BYTES = 4 * 1024 * 1024

/** Takes `bytes[start, end)`, lent for the call. */
export type DatagramSink = { datagram(bytes: Uint8Array, start: number, end: number, ip: string, port: number): void }
export type UdpPlace = { readonly name: string; readonly host: string; readonly port: number }

export interface UdpSocket {
  readonly kind: 'accelerator' | 'node:dgram'
  readonly port: number
  /** Something waits for `flush`. */
  readonly isHolding: boolean
  /** Sends `bytes[start, end)`, lent for the call. */
  send(bytes: Uint8Array, start: number, end: number, ip: string, port: number): void
  flush(): void
  /** What waits is sent; nothing is received any more. */
  close(): void
}
