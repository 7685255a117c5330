// The client's side of addresses (docs/spec/datagram.md, section 7): it answers challenges, keeps spare connection ids, and
// takes a fresh one whenever it knows that its own address changes, so that an observer of both networks cannot tell that
// they carry one conversation. It does not know its address itself and need not.
import { sameBytes } from '../link/proof.ts'
import { CONNECTION_ID_BYTES, CREDENTIAL_BYTES } from './connection-id.ts'
import { NO_BYTES } from './crypto.ts'
import { isResetOf, sealedKind } from './datagram-codec.ts'
import type { ControlDatagram, DatagramRoute } from './datagram-route.ts'
import { TOKEN_BYTES } from './gateway-paths.ts'

const FIRST_ASK_MS = 300
const ASK_MS_MAX = 5000
const SPARES_MAX = 8
const RETIRED_MAX = 16
const OUT_MAX = 8
/** Long enough for a challenge to be answered with fewer bytes than this brought ([DGM-7.3]). */
const ASK = new Uint8Array(40)

export class ClientPath implements DatagramRoute {
  readonly address: string
  id: Uint8Array
  /** Of the id in use; empty where the gateway gave none. */
  #token: Uint8Array
  /** Ids with their tokens. */
  #spares: Uint8Array[] = []
  /** Ids that must not come back into use when an old answer arrives late. */
  #retired: Uint8Array[] = []
  #out: ControlDatagram[] = []
  #askAt: number
  #askMs = FIRST_ASK_MS

  /**
   * `credential`: an id with its token, or the id alone. Asks for ids at once: that is also the gateway's proof that we hold
   * the keys.
   */
  constructor(address: string, credential: Uint8Array, now: number) {
    this.address = address
    this.id = NO_BYTES
    this.#token = NO_BYTES
    this.#use(credential)
    this.#askAt = now
    this.tick(now)
  }

  get spareIds(): number {
    return this.#spares.length
  }

  /** To be called when our own address changes. False without a spare id: the conversation goes on, recognisably. */
  migrate(now: number): boolean {
    const fresh = this.#spares.shift()
    if (fresh !== undefined) {
      this.#retired.push(this.id)
      if (this.#retired.length > RETIRED_MAX) this.#retired.shift()
      this.#use(fresh)
    }
    this.#askMs = FIRST_ASK_MS
    this.#askAt = now
    this.tick(now)
    return fresh !== undefined
  }

  get isQuiet(): boolean {
    return this.#askAt === Infinity && this.#out.length === 0
  }

  arrived(): void {}

  control(kind: number, content: Uint8Array, _address: string, _now: number): boolean {
    if (kind === sealedKind.pathChallenge) {
      if (content.length !== TOKEN_BYTES) return false
      this.#send(sealedKind.pathResponse, content.slice())
      return true
    }
    if (kind !== sealedKind.newConnectionIds || content.length % CREDENTIAL_BYTES !== 0) return false
    const spares: Uint8Array[] = []
    for (let at = 0; at < content.length && spares.length < SPARES_MAX; at += CREDENTIAL_BYTES) {
      const id = content.subarray(at, at + CONNECTION_ID_BYTES)
      if (sameBytes(id, this.id) || this.#retired.some((old) => sameBytes(old, id))) continue
      spares.push(content.slice(at, at + CREDENTIAL_BYTES))
    }
    this.#spares = spares
    this.#askAt = Infinity
    return true
  }

  isReset(bytes: Uint8Array, start: number, end: number): boolean {
    return isResetOf(bytes, start, end, this.id, this.#token)
  }

  next(): ControlDatagram | undefined {
    return this.#out.shift()
  }

  deadline(): number {
    return this.#askAt
  }

  tick(now: number): void {
    if (now < this.#askAt) return
    this.#send(sealedKind.wantConnectionIds, ASK)
    this.#askAt = now + this.#askMs
    this.#askMs = Math.min(this.#askMs * 2, ASK_MS_MAX)
  }

  #use(credential: Uint8Array): void {
    this.id = credential.slice(0, CONNECTION_ID_BYTES)
    this.#token = credential.slice(CONNECTION_ID_BYTES)
  }

  #send(kind: number, content: Uint8Array): void {
    if (this.#out.length < OUT_MAX) this.#out.push({ address: this.address, id: this.id, kind, content })
  }
}
