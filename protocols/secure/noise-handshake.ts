// One Noise handshake of any pattern, driven message by message (section 5.3; docs/spec/secure.md, section 2). The token
// list of the pattern is the program. What the peer sends never throws: a bad message is a named failure and changes
// nothing, so that the right one may still come. Misuse by the caller (out of turn, a key missing) throws.
//
//   new NoiseHandshake -> write / read in turns -> isFinished -> split
import type { CipherState, RekeyLimits } from './cipher-state.ts'
import { type CryptoProvider, KEY_BYTES, type KeyPair, PUBLIC_KEY_BYTES, TAG_BYTES } from './crypto.ts'
import { type Pattern, patternOf, protocolName, type Token } from './noise-patterns.ts'
import { SymmetricState } from './symmetric-state.ts'

/** Noise messages are at most this long ([SEC-2.1]). */
export const NOISE_MESSAGE_BYTES_MAX = 65_535

/** truncated: shorter than its tokens; too_large: over a limit; bad_key: of low order; forged: a tag was wrong. */
export type NoiseFailure = 'truncated' | 'too_large' | 'bad_key' | 'forged'
export type NoiseRead =
  | { readonly ok: true; readonly payload: Uint8Array }
  | { readonly ok: false; readonly why: NoiseFailure }

export type NoiseOptions = {
  readonly crypto: CryptoProvider
  /** The pattern's name without suite: 'NK', 'NKpsk2'. */
  readonly pattern: string
  readonly isInitiator: boolean
  readonly prologue: Uint8Array
  /** Our static pair, where the pattern has one. */
  readonly staticPair?: KeyPair
  /** The other's static key, where it is known beforehand. */
  readonly remoteStatic?: Uint8Array
  /** In the order of the pattern's modifiers; one that is learned on the way is set with `setPsk`. */
  readonly psks?: readonly Uint8Array[]
  /** Largest payload taken and given, for all messages of the handshake. */
  readonly payloadBytesMax?: number
}

export class NoiseHandshake {
  readonly #crypto: CryptoProvider
  readonly #pattern: Pattern
  readonly #isInitiator: boolean
  readonly #payloadBytesMax: number
  readonly #static: KeyPair | undefined
  readonly #psks: (Uint8Array | undefined)[]
  readonly #symmetric: SymmetricState
  #ephemeral: KeyPair | undefined
  #remoteStatic: Uint8Array | undefined
  #remoteEphemeral: Uint8Array | undefined
  #message = 0
  #psk = 0

  constructor(options: NoiseOptions) {
    const pattern = patternOf(options.pattern)
    this.#crypto = options.crypto
    this.#pattern = pattern
    this.#isInitiator = options.isInitiator
    this.#payloadBytesMax = options.payloadBytesMax ?? NOISE_MESSAGE_BYTES_MAX
    this.#static = options.staticPair
    this.#remoteStatic = options.remoteStatic
    this.#psks = [...(options.psks ?? [])]
    for (const psk of options.psks ?? []) checkPsk(psk)
    this.#symmetric = new SymmetricState(options.crypto, protocolName(pattern))
    this.#symmetric.mixHash(options.prologue)
    if (pattern.initiatorKnown) this.#symmetric.mixHash(this.#knownStatic(this.#isInitiator))
    if (pattern.responderKnown) this.#symmetric.mixHash(this.#knownStatic(!this.#isInitiator))
  }

  get isFinished(): boolean {
    return this.#message === this.#pattern.messages.length
  }

  get isMyTurn(): boolean {
    return !this.isFinished && (this.#message % 2 === 0) === this.#isInitiator
  }

  /** After the last message the same at both ends and nowhere else: what authentication binds to. */
  get hash(): Uint8Array {
    return this.#symmetric.hash
  }

  /** The other's static key, once known. */
  get remoteStatic(): Uint8Array | undefined {
    return this.#remoteStatic
  }

  /** Gives a key that was learned from a message before; `index` counts the pattern's psk tokens. */
  setPsk(index: number, psk: Uint8Array): void {
    checkPsk(psk)
    this.#psks[index] = psk
  }

  /**
   * The next message, with `payload` in it. `ephemeralSecret`: 32 fresh random bytes, for messages with an `e` token.
   * Throws out of turn, when a key is missing, and when the other's static key was given and is of low order.
   */
  write(payload: Uint8Array, ephemeralSecret?: Uint8Array): Uint8Array {
    if (!this.isMyTurn) throw new Error('it is not this end’s turn to write')
    if (payload.length > this.#payloadBytesMax) throw new Error(`the payload is over ${this.#payloadBytesMax} bytes`)
    const tokens = this.#pattern.messages[this.#message]
    const out = new Uint8Array(payload.length + 2 * (PUBLIC_KEY_BYTES + TAG_BYTES))
    const before = this.#symmetric.checkpoint()
    const ephemeral = this.#ephemeral
    const psk = this.#psk
    try {
      let at = 0
      for (const token of tokens) {
        if (token === 'e') at = this.#writeEphemeral(ephemeralSecret, out, at)
        else if (token === 's') at = this.#symmetric.encryptAndHash(this.#ownStatic().publicKey, out, at)
        else if (!this.#mix(token)) throw new Error('the other’s key is of low order')
      }
      at = this.#symmetric.encryptAndHash(payload, out, at)
      if (at > NOISE_MESSAGE_BYTES_MAX) throw new Error('the message is over 65535 bytes')
      this.#message++
      return out.subarray(0, at)
    } catch (error) {
      this.#symmetric.restore(before)
      this.#ephemeral = ephemeral
      this.#psk = psk
      throw error
    }
  }

  /** Takes the other's next message. On a failure nothing has changed. Throws out of turn and when an own key is missing. */
  read(message: Uint8Array): NoiseRead {
    if (this.isFinished || this.isMyTurn) throw new Error('it is not the other’s turn to write')
    if (message.length > NOISE_MESSAGE_BYTES_MAX) return { ok: false, why: 'too_large' }
    const before = this.#symmetric.checkpoint()
    const remoteStatic = this.#remoteStatic
    const remoteEphemeral = this.#remoteEphemeral
    const psk = this.#psk
    let isDone = false
    try {
      const result = this.#readTokens(message)
      isDone = result.ok
      if (isDone) this.#message++
      return result
    } finally {
      if (!isDone) {
        this.#symmetric.restore(before)
        this.#remoteStatic = remoteStatic
        this.#remoteEphemeral = remoteEphemeral
        this.#psk = psk
      }
    }
  }

  /** The two directions of what follows. Throws before the last message. */
  split(limits?: RekeyLimits): { send: CipherState; receive: CipherState } {
    if (!this.isFinished) throw new Error('the handshake is not finished')
    const [first, second] = this.#symmetric.split(limits)
    return this.#isInitiator ? { send: first, receive: second } : { send: second, receive: first }
  }

  #readTokens(message: Uint8Array): NoiseRead {
    let at = 0
    for (const token of this.#pattern.messages[this.#message]) {
      if (token === 'e') {
        if (message.length - at < PUBLIC_KEY_BYTES) return truncated
        this.#remoteEphemeral = message.slice(at, at + PUBLIC_KEY_BYTES)
        at += PUBLIC_KEY_BYTES
        this.#mixEphemeral(this.#remoteEphemeral)
      } else if (token === 's') {
        const length = PUBLIC_KEY_BYTES + (this.#symmetric.hasKey ? TAG_BYTES : 0)
        if (message.length - at < length) return truncated
        this.#remoteStatic = this.#symmetric.decryptAndHash(message.subarray(at, at + length))
        if (this.#remoteStatic === undefined) return forged
        at += length
      } else if (!this.#mix(token)) return badKey
    }
    const overhead = this.#symmetric.hasKey ? TAG_BYTES : 0
    if (message.length - at < overhead) return truncated
    if (message.length - at - overhead > this.#payloadBytesMax) return tooLarge
    const payload = this.#symmetric.decryptAndHash(message.subarray(at))
    return payload === undefined ? forged : { ok: true, payload }
  }

  #writeEphemeral(secret: Uint8Array | undefined, out: Uint8Array, at: number): number {
    if (secret?.length !== KEY_BYTES) throw new Error('this message needs 32 random bytes for its ephemeral key')
    this.#ephemeral = this.#crypto.dh.generateFrom(secret)
    out.set(this.#ephemeral.publicKey, at)
    this.#mixEphemeral(this.#ephemeral.publicKey)
    return at + PUBLIC_KEY_BYTES
  }

  #mixEphemeral(publicKey: Uint8Array): void {
    this.#symmetric.mixHash(publicKey)
    if (this.#pattern.hasPsk) this.#symmetric.mixKey(publicKey)
  }

  /** Mixes in what a token stands for; false when a shared secret would be zero. */
  #mix(token: Token): boolean {
    if (token === 'psk') {
      const psk = this.#psks[this.#psk]
      if (psk === undefined) throw new Error(`psk ${this.#psk} is missing`)
      this.#psk++
      this.#symmetric.mixKeyAndHash(psk)
      return true
    }
    // The first letter is the initiator's key, the second the responder's.
    const mine = this.#isInitiator ? token[0] : token[1]
    const theirs = this.#isInitiator ? token[1] : token[0]
    const pair = mine === 'e' ? this.#ephemeral! : this.#ownStatic()
    const publicKey = theirs === 'e' ? this.#remoteEphemeral! : this.#remoteStatic!
    const secret = this.#crypto.dh.sharedSecret(pair, publicKey)
    if (secret === undefined) return false
    this.#symmetric.mixKey(secret)
    return true
  }

  #ownStatic(): KeyPair {
    if (this.#static === undefined) throw new Error(`${this.#pattern.name} needs a static pair`)
    return this.#static
  }

  #knownStatic(isOwn: boolean): Uint8Array {
    const key = isOwn ? this.#ownStatic().publicKey : this.#remoteStatic
    if (key?.length !== PUBLIC_KEY_BYTES) throw new Error(`${this.#pattern.name} needs the other’s static key`)
    return key
  }
}

const truncated: NoiseRead = { ok: false, why: 'truncated' }
const tooLarge: NoiseRead = { ok: false, why: 'too_large' }
const badKey: NoiseRead = { ok: false, why: 'bad_key' }
const forged: NoiseRead = { ok: false, why: 'forged' }

function checkPsk(psk: Uint8Array): void {
  if (psk.length !== KEY_BYTES) throw new Error('a psk has 32 bytes')
}
