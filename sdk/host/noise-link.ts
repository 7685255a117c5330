// Noise on a link (KK, docs/spec/secure.md): the host knows the public keys of its gateways and has a key of its own, so
// each end has proved itself when the handshake is done (L4). Between a socket and the host's core: bytes of the socket go
// in, what was inside comes out.
import { createPrivateKey, randomBytes } from 'node:crypto'
import type { Socket } from 'node:net'
import type { KeyPair } from '../../protocols/secure/crypto.ts'
import { Responder } from '../../protocols/secure/handshakes.ts'
import { SecureStream } from '../../protocols/secure/secure-stream.ts'
import { readGatewayKey } from '../client/address.ts'
import { nodeCryptoProvider } from '../node-crypto.ts'

/** Noise on the host's port. */
export type HostNoise = {
  /** The host's private key, PEM, as `skewer keygen noise` writes it. */
  key: string
  /** The public keys of the gateways that may link: 43 characters of base64url each, at most 8. */
  gateways: readonly string[]
}

const EPHEMERAL_BYTES = 32

/** Throws where a key is not one. */
export function noiseResponder({ key, gateways }: HostNoise): Responder {
  if (gateways.length === 0) throw new TypeError('noise.gateways names no gateway: nobody could link')
  return new Responder({
    crypto: nodeCryptoProvider(),
    identity: pairOf(key),
    transport: 'link',
    peers: gateways.map((gateway) => readGatewayKey(gateway)),
  })
}

function pairOf(pem: string): KeyPair {
  const key = createPrivateKey(pem)
  if (key.asymmetricKeyType !== 'x25519') throw new TypeError('noise.key is not an X25519 private key')
  return nodeCryptoProvider().dh.generateFrom(
    new Uint8Array(Buffer.from(key.export({ format: 'jwk' }).d!, 'base64url')),
  )
}

/** Whom a link tells. */
export interface NoiseLinkSink {
  opened(): void
  /** Lent for the call. */
  received(bytes: Uint8Array): void
}

export class NoiseLink {
  readonly #socket: Socket
  readonly #sink: NoiseLinkSink
  readonly #stream: SecureStream
  readonly #late: NodeJS.Timeout

  /** A handshake that takes longer than `handshakeMs` is the end of the socket. */
  constructor(socket: Socket, responder: Responder, handshakeMs: number, sink: NoiseLinkSink) {
    this.#socket = socket
    this.#sink = sink
    this.#stream = SecureStream.responder(responder, randomBytes(EPHEMERAL_BYTES))
    this.#late = setTimeout(() => socket.destroy(), handshakeMs)
    socket.once('close', () => clearTimeout(this.#late))
  }

  /** Bytes of the socket. What is not authentic ends it, without an answer. */
  take(bytes: Uint8Array): void {
    const failure = this.#stream.receive(bytes, this)
    this.#drain()
    if (failure !== undefined) this.#socket.destroy()
  }

  /** Seals what is lent, and sends it. */
  write(bytes: Uint8Array): void {
    this.#stream.send(bytes)
    this.#drain()
    if (this.#stream.failure !== undefined) this.#socket.destroy()
  }

  opened(): void {
    clearTimeout(this.#late)
    this.#sink.opened()
  }

  confirmed(): void {}

  received(plain: Uint8Array): void {
    if (!this.#socket.destroyed) this.#sink.received(plain)
  }

  /** A copy: the stream uses its buffer again. */
  #drain(): void {
    const bytes = this.#stream.drain()
    if (bytes.length > 0 && this.#socket.writable) this.#socket.write(Buffer.from(bytes))
  }
}
