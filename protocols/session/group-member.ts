// A client's membership of one group (G1-G3): which publication is delivered, which is dropped, and when something is
// missing. Pure: the owner asks the host with the RECOVER request and settles what came as lane messages.
//
//   plain         everything is delivered; what the gateway dropped is only said by LAG
//   recoverable   (life, offset): delivers last + 1, drops what is not above last; on anything further it delivers nothing
//                 and wants one RECOVER, whose answer comes behind the missing publications, in the lane
//
//   RECOVER  request on route `$recover`:  name text | life u64 | offset varint (the last one delivered)
//   answer   code ok:                      flags u8 (1 missed) | life u64 | offset varint (where it goes on from)
//
// An answer with `missed` says what is not kept any more; what is kept behind that is asked for again.
//
// Invariant: last <= highest; `last` only rises within a life.
import type { GroupPlace } from '../client/frames.ts'
import { NAME_BYTES_MAX } from '../wire/lane-frames.ts'
import { Reader, whole } from '../wire/reader.ts'
import { Writer } from '../wire/writer.ts'

/** Route of the request that asks a host for what a member has missed; gateways let it pass. */
export const RECOVER_ROUTE = '$recover'

export type Recover = { name: string; life: bigint; offset: number }
export type Recovered = { missed: boolean; life: bigint; offset: number }

export const memberVerdict = { deliver: 0, drop: 1, recover: 2 } as const
export type MemberVerdict = (typeof memberVerdict)[keyof typeof memberVerdict]

/** Publications that this member will never see: offsets [from, to] of its life; from 1 where the life is another one. */
export type Missed = { from: number; to: number }

/** Answers in a row that bring nothing before what is missing is given up. */
const FRUITLESS_MAX = 3

export class GroupMember {
  readonly name: string
  isRecoverable = false
  life = 0n
  /** Highest offset delivered, or given up. */
  last = 0
  /** Highest offset heard of. */
  highest = 0
  /** The gateway's number of the group on the current attach; -1 while not joined there. */
  number = -1
  /** A RECOVER is to be sent as soon as the lane takes it. */
  wantsRecover = false
  /** Id of the RECOVER that is open; 0 while there is none. */
  recoverRequest = 0
  #lastAtRecover = -1
  #fruitless = 0

  constructor(name: string) {
    this.name = name
  }

  /** What ATTACH says of it (A3). */
  get place(): GroupPlace {
    return { name: this.name, life: this.life, offset: this.last }
  }

  /** JOIN came: live publications go on from `offset`. Says what is lost with another life (G2). */
  joined(number: number, recoverable: boolean, life: bigint, offset: number): Missed | undefined {
    this.number = number
    const isFirst = this.life === 0n || !this.isRecoverable
    this.isRecoverable = recoverable
    if (!recoverable) return undefined
    if (isFirst || life !== this.life) {
      this.#adopt(life, offset)
      return isFirst ? undefined : { from: 1, to: offset }
    }
    if (offset > this.highest) this.highest = offset
    if (this.highest > this.last) this.#want()
    return undefined
  }

  /** The handle is gone, and with it the membership at the gateway (G4). The place stays. */
  detached(): void {
    this.number = -1
  }

  /** Judges a live publication (G3). The owner calls `delivered` when it has handed it on. */
  judge(offset: number): MemberVerdict {
    if (!this.isRecoverable) return memberVerdict.deliver
    if (offset <= this.last) return memberVerdict.drop
    if (offset > this.highest) this.highest = offset
    if (offset === this.last + 1) return memberVerdict.deliver
    this.#want()
    return memberVerdict.recover
  }

  /** One that is open says by its answer whether another is wanted. */
  #want(): void {
    if (this.recoverRequest === 0) this.wantsRecover = true
  }

  /** Judges a publication that came as a lane message; the first one of an unknown group begins its place. */
  judgeReplay(life: bigint, offset: number): MemberVerdict {
    if (this.life === 0n) {
      this.isRecoverable = true
      this.#adopt(life, Math.max(0, offset - 1))
    }
    return life === this.life ? this.judge(offset) : memberVerdict.drop
  }

  delivered(offset: number): void {
    if (!this.isRecoverable) return
    this.last = offset
    if (this.highest < offset) this.highest = offset
  }

  /** Something was not handed on: the gateway said LAG, or the application had no room. */
  lagged(): void {
    if (this.isRecoverable) this.wantsRecover = true
  }

  /** RECOVER was sent under this id. */
  recovering(request: number): void {
    this.wantsRecover = false
    this.recoverRequest = request
    this.#lastAtRecover = this.last
  }

  /** The answer of RECOVER; undefined where it failed. Says what is lost for good. */
  recovered(answer: Recovered | undefined): Missed | undefined {
    this.recoverRequest = 0
    if (answer === undefined) {
      this.wantsRecover = this.isRecoverable
      return undefined
    }
    if (answer.life !== this.life) {
      this.#adopt(answer.life, answer.offset)
      return { from: 1, to: answer.offset }
    }
    if (answer.missed && answer.offset > this.last) {
      this.wantsRecover = true
      return this.#giveUp(answer.offset)
    }
    if (this.highest <= this.last) {
      this.#fruitless = 0
      return undefined
    }
    this.#fruitless = this.last > this.#lastAtRecover ? 0 : this.#fruitless + 1
    if (this.#fruitless >= FRUITLESS_MAX) return this.#giveUp(this.highest)
    this.wantsRecover = true
    return undefined
  }

  #giveUp(to: number): Missed {
    const missed = { from: this.last + 1, to }
    this.last = to
    if (this.highest < to) this.highest = to
    this.#fruitless = 0
    return missed
  }

  #adopt(life: bigint, offset: number): void {
    this.life = life
    this.last = offset
    this.highest = offset
    this.wantsRecover = false
    this.#fruitless = 0
  }
}

const shared = new Reader()

export function encodeRecover(recover: Recover): Uint8Array {
  return new Writer(64).text(recover.name).u64(recover.life).varint(recover.offset).drain()
}
export function decodeRecover(payload: Uint8Array): Recover | undefined {
  const r = shared.over(payload, 0, payload.length)
  return whole(r, { name: r.text(NAME_BYTES_MAX), life: r.u64(), offset: r.varint() })
}

export function encodeRecovered(answer: Recovered): Uint8Array {
  return new Writer(32)
    .u8(answer.missed ? 1 : 0)
    .u64(answer.life)
    .varint(answer.offset)
    .drain()
}
export function decodeRecovered(payload: Uint8Array): Recovered | undefined {
  const r = shared.over(payload, 0, payload.length)
  return whole(r, { missed: (r.u8() & 1) === 1, life: r.u64(), offset: r.varint() })
}
