// What a gateway's UDP port does with a datagram (docs/spec/datagram.md, sections 3 and 4), cheapest refusal first. Sans-IO.
// Before an address has returned a cookie nothing of it is kept; strangers who do not know the gateway's key get silence;
// nothing that is answered is longer than what came.
//
//   INIT    length -> mac -> cookie (else COOKIE) -> seen before? -> room -> admit -> Noise -> a connection in a slot
//   SEALED  length -> id -> slot -> replay window -> AEAD -> path -> content
//                        \-> nobody's: could the id be the cluster's? -> admit -> RESET
import { type ConnectionIdCipher, GATEWAY_MAX, SERIALS, SLOT_MAX, WORKER_MAX } from './connection-id.ts'
import { CookieJar } from './cookie-jar.ts'
import { PUBLIC_KEY_BYTES } from './crypto.ts'
import {
  datagramType,
  ID_AT,
  type Init,
  macIsRight,
  macKeyOf,
  readInit,
  SEALED_OVERHEAD_BYTES,
  writeCookie,
  writeReset,
  writeResponse,
} from './datagram-codec.ts'
import { CONTROL, type DatagramReceived, SecureDatagramConnection } from './datagram-connection.ts'
import { GatewayPaths, type RandomBytes } from './gateway-paths.ts'
import type { HandshakeFailure, Responder } from './handshakes.ts'

/** A connection that is not confirmed by then is given up ([DGM-4.5]). */
export const UNCONFIRMED_MS = 10_000
/** First messages remembered before the older half is forgotten. */
const SHAKEN_MAX = 32_768

export type DatagramRefusal =
  | HandshakeFailure
  | 'empty'
  | 'short'
  | 'unknown_type'
  | 'malformed'
  | 'bad_mac'
  | 'repeated'
  | 'full'
  | 'not_admitted'
  | 'unknown_connection'

export type DatagramOutcome =
  | { readonly kind: 'dropped'; readonly why: DatagramRefusal }
  /** Send these bytes back; nothing is kept. */
  | { readonly kind: 'reply'; readonly bytes: Uint8Array }
  /** A new connection, not confirmed yet; send these bytes back. */
  | { readonly kind: 'accepted'; readonly connection: SecureDatagramConnection; readonly bytes: Uint8Array }
  /** A datagram of a connection; lent until the next one. */
  | { readonly kind: 'packet'; readonly connection: SecureDatagramConnection; readonly received: DatagramReceived }
  /** For another gateway or worker; `reset` tells its sender that it is not here ([DGM-9.2]): send it back, if there is one. */
  | { readonly kind: 'stray'; readonly gateway: number; readonly worker: number; readonly reset?: Uint8Array }
  /** Of a connection that was here, and is not any more; send `reset` back, if there is one. */
  | { readonly kind: 'forgotten'; readonly reset?: Uint8Array }

export type DatagramServerOptions = {
  readonly responder: Responder
  readonly random: RandomBytes
  /** 32 random bytes; `rotateCookies` brings the next. */
  readonly cookieSecret: Uint8Array
  /** Of the cluster's key; the first seals, all open (a key that was replaced stays until its connections are gone). */
  readonly idCiphers: readonly ConnectionIdCipher[]
  readonly gateway: number
  readonly worker: number
  /** Whether this address, which has proved itself by a cookie, may make a handshake now. */
  admit(address: string, now: number): boolean
  /** Whether this address may be sent a RESET now; anybody may call himself by it. */
  admitReset(address: string, now: number): boolean
  /** Whether a gateway and worker of this number may be in the cluster. */
  isPeer(gateway: number, worker: number): boolean
  readonly connectionsMax: number
  readonly unconfirmedMax: number
}

/** Slots are used again; `serial` goes on, so that ids of the connection before do not fit the next one. */
type Slot = { connection: SecureDatagramConnection | undefined; firstSerial: number; nextSerial: number }
type Unconfirmed = { readonly since: number; readonly name: string; readonly response: Uint8Array }
/** First messages remembered: by their ephemeral key, the connection as long as it is unconfirmed. */
type Shaken = Map<string, SecureDatagramConnection | undefined>

export class DatagramServer {
  readonly #options: DatagramServerOptions
  readonly #cookies: CookieJar
  #responder: Responder
  #idCiphers: readonly ConnectionIdCipher[]
  /** Of the key that clients know us by, and of the one before it. */
  #macKeys: readonly Uint8Array[]
  readonly #slots: Slot[] = []
  readonly #slotOf = new Map<SecureDatagramConnection, number>()
  readonly #free: number[] = []
  /** The oldest first. */
  readonly #unconfirmed = new Map<SecureDatagramConnection, Unconfirmed>()
  /** The last outcome of its kind: what a datagram of a connection was is not worth an object each. */
  readonly #packet: { kind: 'packet'; connection: SecureDatagramConnection; received: DatagramReceived } = {
    kind: 'packet',
    connection: undefined as never,
    received: CONTROL,
  }
  /** Of the current and the previous cookie secret: one that comes again is not new. */
  #shaken: Shaken = new Map()
  #shakenBefore: Shaken = new Map()

  constructor(options: DatagramServerOptions) {
    const { responder, gateway, worker, connectionsMax } = options
    if (gateway > GATEWAY_MAX || worker > WORKER_MAX) throw new Error('a connection id has no room for this number')
    if (connectionsMax > SLOT_MAX) throw new Error(`at most ${SLOT_MAX} connections`)
    this.#options = options
    this.#cookies = new CookieJar(responder.crypto.hash, options.cookieSecret)
    this.#responder = responder
    this.#idCiphers = options.idCiphers
    this.#macKeys = macKeysOf(responder)
  }

  /** Other keys from now on; connections that are there go on, as long as one of the ciphers opens their ids. */
  rekey(responder: Responder, idCiphers: readonly ConnectionIdCipher[]): void {
    this.#responder = responder
    this.#idCiphers = idCiphers
    this.#macKeys = macKeysOf(responder)
  }

  get connections(): number {
    return this.#slotOf.size
  }

  get unconfirmed(): number {
    return this.#unconfirmed.size
  }

  /** Takes a datagram, borrowed for the call. `address`: the sender's, with its port, always written alike. */
  receive(address: string, datagram: Uint8Array, now: number): DatagramOutcome {
    return this.receiveIn(address, datagram, 0, datagram.length, now)
  }

  /** As `receive`, of bytes[start, end). */
  receiveIn(address: string, bytes: Uint8Array, start: number, end: number, now: number): DatagramOutcome {
    if (end === start) return refused('empty')
    if (bytes[start] === datagramType.sealed) return this.#receiveSealed(address, bytes, start, end, now)
    if (bytes[start] !== datagramType.init) return refused('unknown_type')
    const init = readInit(bytes.subarray(start, end))
    if (init === undefined) return refused('malformed')
    if (!this.#isMacRight(init)) return refused('bad_mac')
    if (!this.#cookies.isGood(address, init.cookie)) {
      return { kind: 'reply', bytes: writeCookie(init.echo, this.#cookies.bake(address)) }
    }
    return this.#shake(address, init, now)
  }

  /** To be called every COOKIE_ROTATION_MS with 32 random bytes. */
  rotateCookies(secret: Uint8Array): void {
    this.#cookies.rotate(secret)
    // A copy of an old INIT has an old cookie. With a cookie of his own somebody may play it again, and gets a connection
    // that he cannot confirm.
    this.#turnShaken()
  }

  /** Forgets a connection; its ids are worth nothing from now on. Also for closed ones. */
  release(connection: SecureDatagramConnection): void {
    const index = this.#slotOf.get(connection)
    if (index === undefined) return
    const slot = this.#slots[index]
    slot.connection = undefined
    slot.firstSerial = slot.nextSerial
    this.#slotOf.delete(connection)
    this.#settle(connection)
    this.#free.push(index)
  }

  deadline(): number {
    for (const { since } of this.#unconfirmed.values()) return since + UNCONFIRMED_MS
    return Infinity
  }

  /** Releases what was not confirmed in time, and returns it. */
  tick(now: number): SecureDatagramConnection[] {
    const late: SecureDatagramConnection[] = []
    for (const [connection, { since }] of this.#unconfirmed) {
      if (since + UNCONFIRMED_MS > now) break
      late.push(connection)
    }
    for (const connection of late) this.release(connection)
    return late
  }

  #isMacRight(init: Init): boolean {
    const { hash } = this.#responder.crypto
    for (const macKey of this.#macKeys) if (macIsRight(hash, macKey, init)) return true
    return false
  }

  #receiveSealed(address: string, bytes: Uint8Array, start: number, end: number, now: number): DatagramOutcome {
    if (end - start < SEALED_OVERHEAD_BYTES) return refused('short')
    const { gateway, worker } = this.#options
    for (let i = 0; i < this.#idCiphers.length; i++) {
      const cipher = this.#idCiphers[i]
      cipher.open(bytes, start + ID_AT)
      if (cipher.gateway !== gateway || cipher.worker !== worker) continue
      const slot = this.#slots[cipher.slot]
      if (slot?.connection === undefined || !isIssued(slot, cipher.serial)) continue
      const { connection } = slot
      const received = connection.receiveIn(address, bytes, start, end, now)
      if (this.#unconfirmed.size > 0 && connection.isConfirmed) this.#settle(connection)
      const packet = this.#packet
      packet.connection = connection
      packet.received = received
      return packet
    }
    return this.#nobodys(address, bytes, start, now)
  }

  /** An id that is none of a connection here. A guess seldom says what an id of the cluster says, and is not answered. */
  #nobodys(address: string, bytes: Uint8Array, start: number, now: number): DatagramOutcome {
    const { gateway, worker, connectionsMax, isPeer, admitReset } = this.#options
    for (const cipher of this.#idCiphers) {
      cipher.open(bytes, start + ID_AT)
      const isOurs = cipher.gateway === gateway && cipher.worker === worker
      if (cipher.slot >= connectionsMax || !(isOurs || isPeer(cipher.gateway, cipher.worker))) continue
      const isAnswered = admitReset(address, now)
      const reset = isAnswered ? writeReset(bytes, start + ID_AT, cipher.resetToken(bytes, start + ID_AT)) : undefined
      return isOurs
        ? { kind: 'forgotten', reset }
        : { kind: 'stray', gateway: cipher.gateway, worker: cipher.worker, reset }
    }
    return refused('unknown_connection')
  }

  #shake(address: string, init: Init, now: number): DatagramOutcome {
    const { admit, random } = this.#options
    const responder = this.#responder
    if (init.message.length < PUBLIC_KEY_BYTES) return refused('truncated')
    const name = String.fromCharCode(...init.message.subarray(0, PUBLIC_KEY_BYTES))
    if (this.#shaken.has(name) || this.#shakenBefore.has(name)) {
      // Our answer was lost, or somebody plays it again: the same answer, until the client has shown that it has it.
      const known = this.#shaken.get(name) ?? this.#shakenBefore.get(name)
      const waiting = known && this.#unconfirmed.get(known)
      return waiting ? { kind: 'reply', bytes: waiting.response } : refused('repeated')
    }
    if (this.#unconfirmed.size >= this.#options.unconfirmedMax) return refused('full')
    if (this.#slotOf.size >= this.#options.connectionsMax) return refused('full')
    if (!admit(address, now)) return refused('not_admitted')
    const read = responder.read(init.kind, init.versionMin, init.versionMax, init.message)
    if (!read.ok) return refused(read.why)
    const index = this.#free.pop() ?? this.#slots.length
    const slot = (this.#slots[index] ??= emptySlot(random))
    const credential = this.#issue(index, slot, 0)
    const answer = read.first.answer(random(32), credential)
    const paths = new GatewayPaths(address, credential, (n) => this.#issue(index, slot, n), random)
    const connection = new SecureDatagramConnection(responder.crypto, answer.established, paths)
    slot.connection = connection
    const response = writeResponse(init.echo, answer.kind, answer.message)
    this.#slotOf.set(connection, index)
    this.#unconfirmed.set(connection, { since: now, name, response })
    if (this.#shaken.size >= SHAKEN_MAX) this.#turnShaken()
    this.#shaken.set(name, connection)
    return { kind: 'accepted', connection, bytes: response }
  }

  /** Confirmed or gone: its first message stays known, but nothing of the connection. */
  #settle(connection: SecureDatagramConnection): void {
    const waiting = this.#unconfirmed.get(connection)
    if (waiting === undefined) return
    this.#unconfirmed.delete(connection)
    const shaken = this.#shaken.has(waiting.name) ? this.#shaken : this.#shakenBefore
    if (shaken.has(waiting.name)) shaken.set(waiting.name, undefined)
  }

  #turnShaken(): void {
    this.#shakenBefore = this.#shaken
    this.#shaken = new Map()
  }

  /** Of the connection in the slot, the id with this number; the newest cipher's, also of one that was issued before. */
  #issue(index: number, slot: Slot, n: number): Uint8Array {
    const { gateway, worker } = this.#options
    const serial = (slot.firstSerial + n) % SERIALS
    if (!isIssued(slot, serial)) slot.nextSerial = (serial + 1) % SERIALS
    return this.#idCiphers[0].issue(gateway, worker, index, serial)
  }
}

/** Serials begin anywhere: a gateway that was restarted does not give out again what it gave before. */
function emptySlot(random: RandomBytes): Slot {
  const [low, high] = random(2)
  const serial = low | (high << 8)
  return { connection: undefined, firstSerial: serial, nextSerial: serial }
}

const isIssued = (slot: Slot, serial: number): boolean =>
  (serial - slot.firstSerial + SERIALS) % SERIALS < (slot.nextSerial - slot.firstSerial + SERIALS) % SERIALS

const macKeysOf = ({ crypto, publicKeys }: Responder): Uint8Array[] => publicKeys.map((key) => macKeyOf(crypto, key))

const refused = (why: DatagramRefusal): DatagramOutcome => ({ kind: 'dropped', why })
