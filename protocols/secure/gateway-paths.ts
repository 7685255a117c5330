// The gateway's view of a client's addresses (docs/spec/datagram.md, section 7). One path is active and validated; another
// may be a candidate, from the moment that an authentic datagram with the highest counter came from a new address until
// that address has answered a challenge. Until then the candidate is sent fewer bytes than it has sent, and what is for
// the client goes the old way. A datagram with a higher counter from the old address ends the candidate: so somebody who
// only copies datagrams from elsewhere gains nothing.
//
//   active --(highest counter from a new address)--> active + candidate --(its answer)--> the candidate is active
//                                                         |--(highest counter from the old one, or no answer)--> active
import { sameBytes } from '../link/proof.ts'
import { copyOf } from '../wire/reader.ts'
import { CONNECTION_ID_BYTES } from './connection-id.ts'
import { concat, NO_BYTES } from './crypto.ts'
import { ID_AT, SEALED_OVERHEAD_BYTES, sealedKind } from './datagram-codec.ts'
import type { ControlDatagram, DatagramRoute } from './datagram-route.ts'

export const TOKEN_BYTES = 8
export const CHALLENGE_EVERY_MS = 300
export const CHALLENGES_MAX = 6
/** Spare ids that a client is kept supplied with. */
export const SPARE_IDS = 4
/** Ids in all that one connection is given: with them it can change its path as often. */
export const IDS_MAX = 1024
const CHALLENGE_BYTES = SEALED_OVERHEAD_BYTES + TOKEN_BYTES
const OUT_MAX = 8

/** The connection id with this number of a connection, with its token; they are counted from 0. */
export type IdIssuer = (n: number) => Uint8Array
export type RandomBytes = (length: number) => Uint8Array

type Path = {
  address: string
  id: Uint8Array
  received: number
  sent: number
  token: Uint8Array
  tries: number
  dueAt: number
}

export class GatewayPaths implements DatagramRoute {
  readonly #random: RandomBytes
  readonly #issue: IdIssuer
  #active: Path
  #candidate: Path | undefined
  /** The last 32 ids issued, one bit each, the newest lowest: set where it is a spare. Most sessions never take another. */
  #spares = 0
  #issued = 1
  #out: ControlDatagram[] = []
  /** How often the client has changed its address. */
  moves = 0

  /** `address` was validated by a cookie; `id` is the first one issued, perhaps with its token behind it. */
  constructor(address: string, id: Uint8Array, issue: IdIssuer, random: RandomBytes) {
    this.#random = random
    this.#issue = issue
    this.#active = pathOf(address, id)
  }

  get address(): string {
    return this.#active.address
  }

  get id(): Uint8Array {
    return this.#active.id
  }

  get isMoving(): boolean {
    return this.#candidate !== undefined
  }

  get isQuiet(): boolean {
    return this.#candidate === undefined && this.#out.length === 0
  }

  arrived(address: string, bytes: Uint8Array, start: number, end: number, isHighest: boolean, now: number): void {
    if (address === this.#active.address) {
      if (!isHighest) return
      this.#candidate = undefined
      this.#takeId(this.#active, bytes, start + ID_AT)
      return
    }
    if (this.#candidate?.address !== address) {
      if (!isHighest) return
      this.#candidate = pathOf(address, this.#active.id)
      this.#candidate.dueAt = now
      // The old address is asked too: if the client is still there, its answer has a higher counter and wins.
      this.#send(this.#active, sealedKind.pathChallenge, this.#random(TOKEN_BYTES))
    }
    this.#candidate.received += end - start
    if (isHighest) this.#takeId(this.#candidate, bytes, start + ID_AT)
    this.tick(now)
  }

  control(kind: number, content: Uint8Array, address: string, _now: number): boolean {
    if (kind === sealedKind.wantConnectionIds) {
      this.#supply()
      return true
    }
    if (kind !== sealedKind.pathResponse || content.length !== TOKEN_BYTES) return false
    const candidate = this.#candidate
    if (candidate?.address === address && candidate.tries > 0 && sameBytes(candidate.token, content)) {
      this.#active = candidate
      this.#candidate = undefined
      this.moves++
    }
    return true
  }

  /** A gateway is told of an end by CLOSE or by silence; nobody resets it. */
  isReset(): boolean {
    return false
  }

  next(): ControlDatagram | undefined {
    return this.#out.length === 0 ? undefined : this.#out.shift()
  }

  deadline(): number {
    const { tries, dueAt } = this.#candidate ?? NOBODY
    // The first challenge waits for bytes from there, not for time.
    return tries === 0 ? Infinity : dueAt
  }

  tick(now: number): void {
    const path = this.#candidate
    if (path === undefined || now < path.dueAt) return
    if (path.tries >= CHALLENGES_MAX) {
      this.#candidate = undefined
      return
    }
    if (path.tries > 0) path.dueAt = now + CHALLENGE_EVERY_MS
    if (path.sent + CHALLENGE_BYTES > path.received) {
      // A try that may not be sent counts: a candidate that is silent ends all the same.
      if (path.tries > 0) path.tries++
      return
    }
    if (path.tries === 0) path.token = this.#random(TOKEN_BYTES)
    path.tries++
    path.dueAt = now + CHALLENGE_EVERY_MS
    path.sent += CHALLENGE_BYTES
    this.#send(path, sealedKind.pathChallenge, path.token)
  }

  /** Answers go by the id that the client used last on this path, so that a fresh id stays fresh. */
  #takeId(path: Path, bytes: Uint8Array, at: number): void {
    if (isIdAt(bytes, at, path.id)) return
    path.id = copyOf(bytes, at, at + CONNECTION_ID_BYTES)
    for (let spares = this.#spares; spares !== 0; spares &= spares - 1) {
      const bit = spares & -spares
      if (isIdAt(this.#issue(this.#numberOf(bit)), 0, path.id)) this.#spares &= ~bit
    }
  }

  #numberOf(bit: number): number {
    return this.#issued - 1 - (31 - Math.clz32(bit))
  }

  /** All spares again, topped up: one that was lost on the way is thereby repeated. */
  #supply(): void {
    while (bitCount(this.#spares) < SPARE_IDS && this.#issued < IDS_MAX) {
      // One that was left over while 31 others were taken is not repeated any more; it goes on being good.
      this.#spares = (this.#spares << 1) | 1
      this.#issued++
    }
    const ids: Uint8Array[] = []
    for (let spares = this.#spares; spares !== 0; spares &= spares - 1) {
      ids.unshift(this.#issue(this.#numberOf(spares & -spares)))
    }
    this.#send(this.#active, sealedKind.newConnectionIds, concat(...ids))
  }

  #send(path: Path, kind: number, content: Uint8Array): void {
    if (this.#out.length < OUT_MAX) this.#out.push({ address: path.address, id: path.id, kind, content })
  }
}

function pathOf(address: string, id: Uint8Array): Path {
  return { address, id, received: 0, sent: 0, token: NO_BYTES, tries: 0, dueAt: Infinity }
}

const NOBODY = pathOf('', NO_BYTES)

function bitCount(bits: number): number {
  let count = 0
  for (let rest = bits; rest !== 0; rest &= rest - 1) count++
  return count
}

function isIdAt(bytes: Uint8Array, at: number, id: Uint8Array): boolean {
  for (let i = 0; i < CONNECTION_ID_BYTES; i++) if (bytes[at + i] !== id[i]) return false
  return true
}
