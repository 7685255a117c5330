// The three handshakes of skewer, each two messages of Noise (docs/spec/secure.md, section 3): NK for first contact,
// NKpsk2 to re-attach with a ticket (A1), KK between gateway and host. Bytes of streams and datagrams around them are in
// secure-stream.ts and datagram-codec.ts. Who reads here makes no state that a failed message could leave behind.
//
//   initiator                                       responder
//     | -- kind, versions, e, es, sealed{ticket} --> |  opens the ticket: psk from its secret
//     | <-- accepted, e, ee, psk, sealed{answer} --- |     or, when it cannot:
//     | <-- refused, e, ee, REFUSAL_PSK, {code} ---- |  the same message with a key that everybody knows
//     | -- the first record: proof of the secret --> |  nothing is resumed before it ([SEC-3.6])
import { TICKET_BYTES_MAX } from '../client/frames.ts'
import { code } from '../codes.ts'
import type { CipherState } from './cipher-state.ts'
import { type CryptoProvider, concat, deriveKey, type KeyPair, NO_BYTES } from './crypto.ts'
import { type NoiseFailure, NoiseHandshake } from './noise-handshake.ts'

/** Version of the secure layer; what is inside negotiates its own. */
export const SECURE_VERSION = 1
export const handshakeKind = { nk: 1, nkpsk2: 2, kk: 3 } as const
export const answerKind = { accepted: 1, refused: 2 } as const
/** Bytes that a responder may add to its answer. */
export const EXTRA_BYTES_MAX = 64
/** How many static keys a responder of KK tries. */
export const PEERS_MAX = 8

const PROTOCOL_LABEL = 'skewer/1'
const PSK_LABEL = 'skewer/1 nkpsk2 psk'
const REFUSAL_LABEL = 'skewer/1 nkpsk2 refused'
const patternByKind = ['', 'NK', 'NKpsk2', 'KK']
/** version u8 | code u16 little-endian */
const ANSWER_HEAD_BYTES = 3

export type HandshakeFailure = NoiseFailure | 'version' | 'unknown_kind'

/** Opens a ticket without doing anything with it: its secret, or the code that the client is told. */
export type TicketOpener = (ticket: Uint8Array) => { readonly secret: Uint8Array } | { readonly code: number }

/** What both ends have after a handshake. */
export type Established = {
  readonly send: CipherState
  readonly receive: CipherState
  /** The handshake hash: the same at both ends of this connection and nowhere else. */
  readonly binding: Uint8Array
  /** `code.ok`, or why the ticket was not taken: the connection is then one of first contact. */
  readonly code: number
  /** What the responder added to its answer. */
  readonly extra: Uint8Array
  /** At the responder, the ticket that it accepted. */
  readonly ticket?: Uint8Array
  /** At the responder of KK, the initiator's static key. */
  readonly peer?: Uint8Array
}

export type InitiatorOptions = {
  readonly crypto: CryptoProvider
  /** 'tcp', 'websocket', 'udp', 'link': both ends have to say the same. */
  readonly transport: string
  /** The responder's static key. */
  readonly gatewayKey: Uint8Array
  /** 32 random bytes for this handshake alone. */
  readonly ephemeralSecret: Uint8Array
  /** With a ticket: NKpsk2. */
  readonly resume?: { readonly ticket: Uint8Array; readonly secret: Uint8Array }
  /** With a static pair of our own: KK. */
  readonly identity?: KeyPair
}

export class Initiator {
  readonly kind: number
  readonly versionMin = SECURE_VERSION
  readonly versionMax = SECURE_VERSION
  /** The first message; the same bytes however often they are sent. */
  readonly message: Uint8Array
  readonly #noise: NoiseHandshake
  readonly #psk: Uint8Array | undefined
  readonly #refusalPsk: Uint8Array | undefined

  constructor(options: InitiatorOptions) {
    const { crypto, resume, identity } = options
    this.kind = identity ? handshakeKind.kk : resume ? handshakeKind.nkpsk2 : handshakeKind.nk
    this.#noise = new NoiseHandshake({
      crypto,
      pattern: patternByKind[this.kind],
      isInitiator: true,
      prologue: prologueOf(options.transport, this.kind, this.versionMin, this.versionMax),
      staticPair: identity,
      remoteStatic: options.gatewayKey,
    })
    if (this.kind === handshakeKind.nkpsk2) {
      if (resume!.ticket.length > TICKET_BYTES_MAX) throw new Error(`a ticket has at most ${TICKET_BYTES_MAX} bytes`)
      this.#psk = pskOf(crypto, resume!.secret)
      this.#refusalPsk = refusalPsk(crypto)
    }
    this.message = this.#noise.write(resume?.ticket ?? NO_BYTES, options.ephemeralSecret)
  }

  /** Takes the answer. A failure changes nothing: the right answer may still come. */
  readAnswer(
    kind: number,
    message: Uint8Array,
  ): { readonly ok: true; readonly established: Established } | { readonly ok: false; readonly why: HandshakeFailure } {
    const isRefused = kind === answerKind.refused
    if (kind !== answerKind.accepted && !(isRefused && this.#refusalPsk)) return { ok: false, why: 'unknown_kind' }
    if (message.length > MESSAGE_BYTES_MAX) return { ok: false, why: 'too_large' }
    if (this.#psk !== undefined) this.#noise.setPsk(0, isRefused ? this.#refusalPsk! : this.#psk)
    const read = this.#noise.read(message)
    if (!read.ok) return read
    // Authentic from here on: what is malformed now was made so by the gateway itself.
    const { payload } = read
    if (payload.length < ANSWER_HEAD_BYTES) return { ok: false, why: 'truncated' }
    if (payload[0] !== SECURE_VERSION) return { ok: false, why: 'version' }
    const told = payload[1] | (payload[2] << 8)
    const established: Established = {
      ...this.#noise.split(),
      binding: this.#noise.hash,
      // A gateway that refuses without saying why has refused all the same.
      code: isRefused && told === code.ok ? code.ticket_invalid : isRefused ? told : code.ok,
      extra: payload.subarray(ANSWER_HEAD_BYTES),
    }
    return { ok: true, established }
  }
}

export type ResponderOptions = {
  readonly crypto: CryptoProvider
  /** Our static pair. */
  readonly identity: KeyPair
  /** The pair before it: tried for those who know only that one, which costs a forged message a second X25519. */
  readonly previous?: KeyPair
  readonly transport: string
  /** Without it there is no NKpsk2 here. */
  readonly openTicket?: TicketOpener
  /** The static keys of who may come by KK; without them there is no KK here. At most PEERS_MAX. */
  readonly peers?: readonly Uint8Array[]
}

export type FirstRead =
  | { readonly ok: true; readonly first: FirstMessage }
  | { readonly ok: false; readonly why: HandshakeFailure }

/** Reads first messages; one for a listener, without state. */
export class Responder {
  readonly #options: ResponderOptions

  constructor(options: ResponderOptions) {
    if ((options.peers?.length ?? 0) > PEERS_MAX) throw new Error(`at most ${PEERS_MAX} peers`)
    this.#options = options
  }

  get crypto(): CryptoProvider {
    return this.#options.crypto
  }

  get publicKey(): Uint8Array {
    return this.#options.identity.publicKey
  }

  /** Ours, and the one before it where that is still served. */
  get publicKeys(): readonly Uint8Array[] {
    const { identity, previous } = this.#options
    return previous === undefined ? [identity.publicKey] : [identity.publicKey, previous.publicKey]
  }

  read(kind: number, versionMin: number, versionMax: number, message: Uint8Array): FirstRead {
    const { crypto, identity, previous, transport, openTicket, peers } = this.#options
    if (versionMin > SECURE_VERSION || versionMax < SECURE_VERSION) return { ok: false, why: 'version' }
    if (message.length > MESSAGE_BYTES_MAX) return { ok: false, why: 'too_large' }
    const isKnown =
      kind === handshakeKind.nk ||
      (kind === handshakeKind.nkpsk2 && openTicket !== undefined) ||
      (kind === handshakeKind.kk && peers !== undefined && peers.length > 0)
    if (!isKnown) return { ok: false, why: 'unknown_kind' }
    const prologue = prologueOf(transport, kind, versionMin, versionMax)
    let why: HandshakeFailure = 'forged'
    for (const staticPair of previous === undefined ? [identity] : [identity, previous]) {
      for (const peer of kind === handshakeKind.kk ? peers! : [undefined]) {
        const pattern = patternByKind[kind]
        const noise = new NoiseHandshake({
          crypto,
          pattern,
          isInitiator: false,
          prologue,
          staticPair,
          remoteStatic: peer,
        })
        const read = noise.read(message)
        if (read.ok) return { ok: true, first: firstMessage(crypto, noise, kind, read.payload, openTicket, peer) }
        why = read.why
      }
    }
    return { ok: false, why }
  }
}

/** A first message that was authentic, not answered yet. */
export class FirstMessage {
  /** What the client is told of its ticket; `code.ok` also where there is none. */
  readonly code: number
  readonly ticket: Uint8Array | undefined
  readonly #noise: NoiseHandshake
  readonly #isRefused: boolean
  readonly #peer: Uint8Array | undefined

  constructor(noise: NoiseHandshake, told: number, ticket: Uint8Array | undefined, peer: Uint8Array | undefined) {
    this.#noise = noise
    this.code = told
    this.ticket = ticket
    this.#isRefused = told !== code.ok
    this.#peer = peer
  }

  /** Makes the second message, once. `ephemeralSecret`: 32 random bytes; `extra`: at most EXTRA_BYTES_MAX for the client. */
  answer(
    ephemeralSecret: Uint8Array,
    extra: Uint8Array = NO_BYTES,
  ): { readonly kind: number; readonly message: Uint8Array; readonly established: Established } {
    if (extra.length > EXTRA_BYTES_MAX) throw new Error(`at most ${EXTRA_BYTES_MAX} extra bytes`)
    const head = Uint8Array.of(SECURE_VERSION, this.code, this.code >>> 8)
    const message = this.#noise.write(concat(head, extra), ephemeralSecret)
    const established: Established = {
      ...this.#noise.split(),
      binding: this.#noise.hash,
      code: this.code,
      extra,
      ticket: this.ticket,
      peer: this.#peer,
    }
    return { kind: this.#isRefused ? answerKind.refused : answerKind.accepted, message, established }
  }
}

/** Longest message of a handshake: its keys and tags around a ticket, rounded up. */
export const MESSAGE_BYTES_MAX = TICKET_BYTES_MAX + 128

function firstMessage(
  crypto: CryptoProvider,
  noise: NoiseHandshake,
  kind: number,
  payload: Uint8Array,
  openTicket: TicketOpener | undefined,
  peer: Uint8Array | undefined,
): FirstMessage {
  if (kind !== handshakeKind.nkpsk2) return new FirstMessage(noise, code.ok, undefined, peer)
  const opened =
    payload.length === 0 || payload.length > TICKET_BYTES_MAX ? { code: code.ticket_invalid } : openTicket!(payload)
  if ('code' in opened) {
    noise.setPsk(0, refusalPsk(crypto))
    return new FirstMessage(noise, opened.code === code.ok ? code.ticket_invalid : opened.code, undefined, peer)
  }
  noise.setPsk(0, pskOf(crypto, opened.secret))
  return new FirstMessage(noise, code.ok, payload, peer)
}

/** `skewer/1` 00 | kind | versionMin | versionMax | the transport's name */
function prologueOf(transport: string, kind: number, versionMin: number, versionMax: number): Uint8Array {
  const head = Uint8Array.of(0, kind, versionMin, versionMax)
  return concat(encoder.encode(PROTOCOL_LABEL), head, encoder.encode(transport))
}

/** The secret itself is never a key of Noise: plain transports prove it in other ways. */
const pskOf = (crypto: CryptoProvider, secret: Uint8Array): Uint8Array => deriveKey(crypto.hash, secret, PSK_LABEL)

/** Known to everybody: what it seals is as strong as NK, and cannot be taken for an acceptance. */
const refusalPsk = (crypto: CryptoProvider): Uint8Array => crypto.hash.sha256(encoder.encode(REFUSAL_LABEL))

const encoder = new TextEncoder()
