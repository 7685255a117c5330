// The client's side of addresses (docs/spec/datagram.md, section 7): it answers challenges, keeps spare connection ids, and
// takes a fresh one whenever it knows that its own address changes, so that an observer of both networks cannot tell that
// they carry one conversation. It does not know its address itself and need not.
import { sameBytes } from '../link/proof.ts'
import { CONNECTION_ID_BYTES } from './connection-id.ts'
import { sealedKind } from './datagram-codec.ts'
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
  #spares: Uint8Array[] = []
  /** Ids that must not come back into use when an old answer arrives late. */
  #retired: Uint8Array[] = []
  #out: ControlDatagram[] = []
  #askAt: number
  #askMs = FIRST_ASK_MS

  /** Asks for ids at once: that is also the gateway's proof that we hold the keys. */
  constructor(address: string, id: Uint8Array, now: number) {
    this.address = address
    this.id = id
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
      this.id = fresh
    }
    this.#askMs = FIRST_ASK_MS
    this.#askAt = now
    this.tick(now)
    return fresh !== undefined
  }

  arrived(): void {}

  control(kind: number, content: Uint8Array, _address: string, _now: number): boolean {
    if (kind === sealedKind.pathChallenge) {
      if (content.length !== TOKEN_BYTES) return false
      this.#send(sealedKind.pathResponse, content.slice())
      return true
    }
    if (kind !== sealedKind.newConnectionIds || content.length % CONNECTION_ID_BYTES !== 0) return false
    const ids: Uint8Array[] = []
    for (let at = 0; at < content.length && ids.length < SPARES_MAX; at += CONNECTION_ID_BYTES) {
      const id = content.slice(at, at + CONNECTION_ID_BYTES)
      if (!sameBytes(id, this.id) && !this.#retired.some((old) => sameBytes(old, id))) ids.push(id)
    }
    this.#spares = ids
    this.#askAt = Infinity
    return true
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

  #send(kind: number, content: Uint8Array): void {
    if (this.#out.length < OUT_MAX) this.#out.push({ address: this.address, id: this.id, kind, content })
  }
}
