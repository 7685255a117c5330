// A client's way into a datagram conversation (docs/spec/datagram.md, section 4): INIT until it is answered, once more with
// the cookie that a COOKIE brings, and at a RESPONSE the connection. Everything that does not fit is ignored, since
// anybody can send it; only the tries are counted.
//
//   INIT --> ... COOKIE --> INIT with cookie --> RESPONSE --> SecureDatagramConnection
import { ClientPath } from './client-path.ts'
import { CONNECTION_ID_BYTES, CREDENTIAL_BYTES } from './connection-id.ts'
import type { CryptoProvider } from './crypto.ts'
import {
  COOKIE_BYTES,
  datagramType,
  ECHO_BYTES,
  macKeyOf,
  readCookie,
  readResponse,
  writeInit,
} from './datagram-codec.ts'
import { SecureDatagramConnection } from './datagram-connection.ts'
import { Initiator, type InitiatorOptions } from './handshakes.ts'

const FIRST_RETRY_MS = 500
const RETRY_MS_MAX = 4000
/** After as many INITs that nobody answered the gateway cannot be reached this way: about 20 s. */
export const INITS_MAX = 8
/** COOKIEs answered at once; a later one waits for the next retry, so that forged ones make no storm. */
const COOKIES_AT_ONCE = 2

export type DatagramInitiatorOptions = Omit<InitiatorOptions, 'transport'> & {
  /** The gateway's address as the connection is to name it. */
  readonly address: string
  /** 8 random bytes, by which answers are known. */
  readonly echo: Uint8Array
  /** One that this gateway gave to this address before: spares a round trip if it is still good. */
  readonly cookie?: Uint8Array
}

export class DatagramInitiator {
  readonly #crypto: CryptoProvider
  readonly #handshake: Initiator
  readonly #address: string
  readonly #echo: Uint8Array
  readonly #macKey: Uint8Array
  #cookie: Uint8Array | undefined
  #connection: SecureDatagramConnection | undefined
  #sent = 0
  #cookies = 0
  #dueAt: number
  #retryMs = FIRST_RETRY_MS

  constructor(options: DatagramInitiatorOptions, now: number) {
    if (options.echo.length !== ECHO_BYTES) throw new Error(`echo has ${ECHO_BYTES} bytes`)
    if (options.cookie !== undefined && options.cookie.length !== COOKIE_BYTES) throw new Error('this is no cookie')
    this.#crypto = options.crypto
    this.#handshake = new Initiator({ ...options, transport: 'udp' })
    this.#address = options.address
    this.#echo = options.echo
    this.#cookie = options.cookie
    this.#macKey = macKeyOf(options.crypto, options.gatewayKey)
    this.#dueAt = now
  }

  /** The newest cookie, worth keeping for the next time. */
  get cookie(): Uint8Array | undefined {
    return this.#cookie
  }

  /** Nobody has answered: drop this, its deadline no longer moves. */
  isFailed(now: number): boolean {
    return this.#connection === undefined && this.#sent >= INITS_MAX && now >= this.#dueAt
  }

  /** When `nextDatagram` (or `isFailed`) has something to say. */
  deadline(): number {
    return this.#connection === undefined ? this.#dueAt : Infinity
  }

  /** An INIT, when one is due. */
  nextDatagram(now: number): Uint8Array | undefined {
    if (this.#connection !== undefined || now < this.#dueAt || this.#sent >= INITS_MAX) return undefined
    this.#sent++
    this.#dueAt = now + this.#retryMs
    this.#retryMs = Math.min(2 * this.#retryMs, RETRY_MS_MAX)
    return writeInit(this.#crypto.hash, this.#macKey, this.#handshake, this.#echo, this.#cookie)
  }

  /** Takes a datagram, borrowed for the call; returns the connection once there is one. */
  receive(datagram: Uint8Array, now: number): SecureDatagramConnection | undefined {
    if (this.#connection !== undefined || datagram.length === 0) return this.#connection
    if (datagram[0] === datagramType.cookie) {
      const cookie = readCookie(datagram, this.#echo)
      if (cookie === undefined) return undefined
      this.#cookie = cookie
      if (this.#cookies++ < COOKIES_AT_ONCE) this.#dueAt = now
      return undefined
    }
    if (datagram[0] !== datagramType.response) return undefined
    const response = readResponse(datagram, this.#echo)
    if (response === undefined) return undefined
    const read = this.#handshake.readAnswer(response.kind, response.message)
    if (!read.ok || read.established.extra.length < CONNECTION_ID_BYTES) return undefined
    const credential = read.established.extra.subarray(0, CREDENTIAL_BYTES)
    const path = new ClientPath(this.#address, credential, now)
    this.#connection = new SecureDatagramConnection(this.#crypto, read.established, path)
    return this.#connection
  }
}
