// Noise inside a carrier of bytes: what is written is sealed, once a turn, and what comes is opened
// (docs/spec/secure.md, section 5). With something to resume the first handshake is NKpsk2: the ticket travels in it, where
// nobody can read it. Nothing is told of a carrier before its gateway has proved that it holds the key.
import { type CryptoProvider, PUBLIC_KEY_BYTES } from '../../protocols/secure/crypto.ts'
import type { Established } from '../../protocols/secure/handshakes.ts'
import { SecureStream, type SecureStreamSink } from '../../protocols/secure/secure-stream.ts'
import { code } from '../../protocols/codes.ts'
import type { Carrier, CarrierEvents, Transport } from './transports.ts'

/** What comes from a gateway first, in each security: 1 or 2 is an answer of Noise. */
const ANSWER_KIND_MAX = 2
const TLS_ALERT = 0x15
const HTTP_FIRST = 0x48

/**
 * The same transport with Noise inside where the address has a key. `name` is the transport's in the handshake: `tcp`,
 * `websocket`. `provider` is asked when it is first needed.
 */
export function withNoise(name: string, plain: Transport, provider: () => CryptoProvider): Transport {
  return (address, events, options) => {
    const { gatewayKey, resume } = options
    if (gatewayKey === undefined) return plain(address, events, options)
    const ephemeralSecret = crypto.getRandomValues(new Uint8Array(PUBLIC_KEY_BYTES))
    const stream = SecureStream.initiator({ crypto: provider(), transport: name, gatewayKey, ephemeralSecret, resume })
    const carrier = new NoiseCarrier(stream, events)
    carrier.inner = plain(address, carrier, options)
    return carrier
  }
}

class NoiseCarrier implements Carrier, CarrierEvents {
  /** Set in the turn that made this. */
  inner!: Carrier
  readonly #stream: SecureStream
  readonly #events: CarrierEvents
  #isOpen = false
  #isOver = false
  #isAnswered = false
  /** What the stream tells. */
  readonly #inside: SecureStreamSink = {
    opened: (established) => this.#opened(established),
    confirmed: () => {},
    received: (plain) => {
      if (!this.#isOver) this.#events.received(plain)
    },
  }

  constructor(stream: SecureStream, events: CarrierEvents) {
    this.#stream = stream
    this.#events = events
  }

  // ---- what the carrier inside tells ----

  opened(): void {
    this.#drain()
  }

  received(bytes: Uint8Array): void {
    if (this.#isOver || bytes.length === 0) return
    if (!this.#isAnswered) {
      this.#isAnswered = true
      const spoken = otherThanNoise(bytes[0])
      if (spoken !== undefined) {
        this.#end(new Error(spoken))
        return
      }
    }
    const why = this.#stream.receive(bytes, this.#inside)
    this.#drain()
    if (why !== undefined)
      this.#end(
        new Error(`${this.#isOpen ? 'a Noise record' : "the gateway's answer to the Noise handshake"} is ${why}`),
      )
  }

  drained(): void {
    if (this.#isOpen && !this.#isOver) this.#events.drained()
  }

  closed(cause?: unknown): void {
    if (this.#isOver) return
    this.#isOver = true
    const isSilent = cause === undefined && !this.#isOpen
    this.#events.closed(isSilent ? new Error(NO_ANSWER) : cause)
  }

  // ---- what the client asks for ----

  write(bytes: Uint8Array): void {
    if (!this.#isOpen || this.#isOver) return
    this.#stream.send(bytes)
    this.#drain()
    if (this.#stream.failure !== undefined) this.#end(new Error(`the Noise stream is ${this.#stream.failure}`))
  }

  queuedBytes(): number {
    return this.inner.queuedBytes()
  }

  close(): void {
    this.#isOver = true
    this.inner.close()
  }

  destroy(): void {
    this.#isOver = true
    this.inner.destroy()
  }

  #opened({ binding, code: told }: Established): void {
    this.#isOpen = true
    this.#events.opened(binding, told === code.ok)
  }

  #drain(): void {
    if (this.#isOver) return
    const bytes = this.#stream.drain()
    if (bytes.length > 0) this.inner.write(bytes)
  }

  #end(cause: Error): void {
    if (this.#isOver) return
    this.#isOver = true
    this.inner.destroy()
    this.#events.closed(cause)
  }
}

const NO_ANSWER =
  "the gateway ended the Noise handshake without an answer: is it the gateway's public key, and a port with Noise?"

/** What speaks instead of Noise, by its first byte, in words for whoever runs the game. */
function otherThanNoise(first: number): string | undefined {
  if (first === TLS_ALERT) return 'the gateway speaks TLS on this port, not Noise: use tls:// or wss:// and no key'
  if (first === HTTP_FIRST) return 'HTTP is spoken on this port, not Noise'
  if (first > ANSWER_KIND_MAX) return 'the gateway does not speak Noise on this port: use its address without a key'
  return undefined
}
