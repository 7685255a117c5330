// What is around KCP in a datagram: nothing (here, for gateways with `security: none`), or Noise (sealed-envelope.ts).
// Sans-IO. An envelope that is not ready yet takes its handshake's datagrams and has some of its own to send.
export type Opened =
  | { readonly kind: 'segments' | 'bare'; readonly bytes: Uint8Array }
  /** Nothing for us, but the gateway is there. */
  | { readonly kind: 'control' }
  | { readonly kind: 'dropped' }
  /** The gateway that answers does not know the conversation (DGM-9.3). */
  | { readonly kind: 'reset' }
  | { readonly kind: 'closed'; readonly text: string }

export interface Envelope {
  /** Whether KCP may be sent. */
  readonly isReady: boolean
  /** Handshake hash; empty where there is none. */
  readonly binding: Uint8Array
  /** The ticket that there was to show was shown in the handshake, and taken. */
  readonly isTicketTaken: boolean
  /** Most bytes that `wrap` takes. */
  readonly contentBytesMax: number
  /** Whether there are datagrams beside KCP (KCP-7.5). */
  readonly hasBare: boolean
  /** Whether the gateway knows the conversation from another address of ours, too. */
  readonly canMove: boolean
  /** Takes a datagram, lent for the call. Never throws, whatever it is. */
  receive(datagram: Uint8Array, now: number): Opened
  /** A datagram around the content, valid until the next call; undefined: it cannot be sent any more. */
  wrap(kind: 'segments' | 'bare', content: Uint8Array): Uint8Array | undefined
  /** The next datagram of the envelope itself. */
  next(now: number): Uint8Array | undefined
  /** Why it will not become ready; undefined as long as it may. */
  failure(now: number): string | undefined
  /** Our own address has changed. */
  moved(now: number): void
  /** The last thing to say comes by `next`. */
  close(): void
  tick(now: number): void
  deadline(): number
}

const NO_BYTES = new Uint8Array(0)
/** As the preset says; KCP's own check bounds what comes. */
const PLAIN_BYTES_MAX = 1400
const DROPPED: Opened = { kind: 'dropped' }

export class PlainEnvelope implements Envelope {
  readonly isReady = true
  readonly binding = NO_BYTES
  readonly isTicketTaken = false
  readonly contentBytesMax = PLAIN_BYTES_MAX
  readonly hasBare = false
  readonly canMove = false

  receive(datagram: Uint8Array): Opened {
    return datagram.length > 0 ? { kind: 'segments', bytes: datagram } : DROPPED
  }

  wrap(_kind: 'segments' | 'bare', content: Uint8Array): Uint8Array {
    return content
  }

  next(): undefined {
    return undefined
  }

  failure(): undefined {
    return undefined
  }

  moved(): void {}
  close(): void {}
  tick(): void {}

  deadline(): number {
    return Infinity
  }
}
