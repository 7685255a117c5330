// The frames of a channel, alike in the client protocol and the link protocol: only the number in front differs (alias on
// a client's connection, handle on a link). docs/spec/frames.md has every byte.
//
//   kind u8 | [extensions] | channel varint | ...
//   kind: bit 7 "skip me if unknown", bit 6 "extensions follow", bits 0-5 the kind
//
//   ONEWAY  number u16 | route varint | payload
//   REQUEST number u16 | route varint | request varint | deadlineMs varint | payload
//   REPLY   number u16 | request varint | code varint | payload
//   REPLAY  number u16 | route varint | group text | life u64 | offset varint | payload
//   FIN     number u16 | code varint
//   SKIP    number u16 | count varint | code varint
//   ACK     number u16
//   REJECT  number u16 | code varint | retryMs varint
//   LATEST  epoch u8 | route varint | key text | stamp u16 | payload
//   UNRELIABLE epoch u8 | route varint | payload
//
// What does not live here: what the numbers mean (session/), what is allowed (policies).
import { copyBytes } from './byte-copy.ts'
import { EXTENSION_BYTES_MAX, judgeTags } from './extensions.ts'
import { copyOf, Reader } from './reader.ts'
import type { Writer } from './writer.ts'
import { varintSize } from './writer.ts'

export const laneKind = {
  oneway: 0x01,
  request: 0x02,
  reply: 0x03,
  replay: 0x04,
  fin: 0x05,
  skip: 0x06,
  ack: 0x07,
  reject: 0x08,
  latest: 0x09,
  unreliable: 0x0a,
} as const

export const KIND_MASK = 0x3f
export const KIND_SKIPPABLE = 0x80
export const KIND_EXTENDED = 0x40

/** Longest key of `latest`, in bytes. */
export const LATEST_KEY_BYTES_MAX = 64
/** Longest name of a group, a route, a service or an actor's key, in bytes. */
export const NAME_BYTES_MAX = 128

/** Whether a frame of an unknown kind, by its first byte, is skipped; otherwise it is a violation (WIRE-5.2). */
export const isSkippable = (first: number): boolean => (first & KIND_SKIPPABLE) !== 0

/** DATA kinds carry a number and are judged, forwarded and replayed; SKIP is numbered too but never judged. */
export const isData = (kind: number): boolean => kind >= laneKind.oneway && kind <= laneKind.fin
/** Kinds whose `route` field is set. */
export const hasRoute = (kind: number): boolean =>
  kind === laneKind.oneway ||
  kind === laneKind.request ||
  kind === laneKind.replay ||
  kind === laneKind.latest ||
  kind === laneKind.unreliable

/**
 * One lane frame, decoded in place and reused for the next: whoever keeps something of it copies. `bodyStart` is where
 * the part begins that a gateway forwards unread: everything behind the route, or behind the number where there is none.
 */
export class LaneFrame {
  bytes: Uint8Array = new Uint8Array(0)
  kind = 0
  channel = 0
  number = 0
  route = 0
  bodyStart = 0
  end = 0
  /** Extension block [extensionStart, extensionEnd), empty where there is none. */
  extensionStart = 0
  extensionEnd = 0
  request = 0
  deadlineMs = 0
  code = 0
  retryMs = 0
  count = 0
  epoch = 0
  stamp = 0
  key = ''
  group = ''
  life = 0n
  offset = 0
  payloadStart = 0

  /** A copy of the payload; valid after `readLaneBody`. */
  payload(): Uint8Array {
    return copyOf(this.bytes, this.payloadStart, this.end)
  }
}

const reader = new Reader()

/**
 * Reads the header that a gateway needs: kind, channel, number or epoch, route; of an extension block only where it is.
 * The frame borrows the bytes. False: malformed or not a lane frame (WIRE-7).
 */
export function readLaneHeader(frame: LaneFrame, bytes: Uint8Array, start: number, end: number): boolean {
  const r = reader.over(bytes, start, end)
  const first = r.u8()
  const kind = first & KIND_MASK
  if (kind < laneKind.oneway || kind > laneKind.unreliable) return false
  frame.bytes = bytes
  frame.kind = kind
  frame.end = end
  if (first & KIND_EXTENDED) {
    const length = r.varint()
    if (length === 0 || length > EXTENSION_BYTES_MAX || length > r.rest) return false
    frame.extensionStart = r.at
    r.at += length
    frame.extensionEnd = r.at
  } else {
    frame.extensionStart = frame.extensionEnd = 0
  }
  frame.channel = r.varint()
  if (kind >= laneKind.latest) {
    frame.epoch = r.u8()
    frame.number = 0
  } else {
    frame.number = r.u16()
    frame.epoch = 0
  }
  frame.route = hasRoute(kind) ? r.varint() : 0
  frame.bodyStart = r.at
  return r.ok
}

/**
 * Reads the fields behind the header, at an end of the channel; those that the kind does not have are left as they were.
 * False: malformed, or an extension is critical and unknown (WIRE-6.4).
 */
export function readLaneBody(frame: LaneFrame): boolean {
  if (frame.extensionEnd > frame.extensionStart) {
    const tags = reader.over(frame.bytes, frame.extensionStart, frame.extensionEnd)
    if (!judgeTags(tags, frame.extensionEnd)) return false
  }
  const r = reader.over(frame.bytes, frame.bodyStart, frame.end)
  switch (frame.kind) {
    case laneKind.request:
      frame.request = r.varint()
      frame.deadlineMs = r.varint()
      break
    case laneKind.reply:
      frame.request = r.varint()
      frame.code = r.varint()
      break
    case laneKind.replay:
      frame.group = r.text(NAME_BYTES_MAX)
      frame.life = r.u64()
      frame.offset = r.varint()
      break
    case laneKind.fin:
      frame.code = r.varint()
      break
    case laneKind.skip:
      frame.count = r.varint()
      frame.code = r.varint()
      break
    case laneKind.reject:
      frame.code = r.varint()
      frame.retryMs = r.varint()
      break
    case laneKind.latest:
      frame.key = r.text(LATEST_KEY_BYTES_MAX)
      frame.stamp = r.u16()
      break
  }
  frame.payloadStart = r.at
  const bare = frame.kind === laneKind.fin || (frame.kind >= laneKind.skip && frame.kind <= laneKind.reject)
  return r.ok && (!bare || r.at === frame.end)
}

function head(w: Writer, kind: number, channel: number): void {
  w.begin(kind)
  w.varint(channel)
}

export function writeOneway(w: Writer, channel: number, number: number, route: number, payload: Uint8Array): void {
  head(w, laneKind.oneway, channel)
  w.u16(number).varint(route).raw(payload).end()
}

export function writeRequest(
  w: Writer,
  channel: number,
  number: number,
  route: number,
  request: number,
  deadlineMs: number,
  payload: Uint8Array,
): void {
  head(w, laneKind.request, channel)
  w.u16(number).varint(route).varint(request).varint(deadlineMs).raw(payload).end()
}

export function writeReply(
  w: Writer,
  channel: number,
  number: number,
  request: number,
  code: number,
  payload: Uint8Array,
): void {
  head(w, laneKind.reply, channel)
  w.u16(number).varint(request).varint(code).raw(payload).end()
}

export function writeReplay(
  w: Writer,
  channel: number,
  number: number,
  route: number,
  group: string,
  life: bigint,
  offset: number,
  payload: Uint8Array,
): void {
  head(w, laneKind.replay, channel)
  w.u16(number).varint(route).text(group).u64(life).varint(offset).raw(payload).end()
}

export function writeFin(w: Writer, channel: number, number: number, code: number): void {
  head(w, laneKind.fin, channel)
  w.u16(number).varint(code).end()
}

export function writeSkip(w: Writer, channel: number, number: number, count: number, code: number): void {
  head(w, laneKind.skip, channel)
  w.u16(number).varint(count).varint(code).end()
}

export function writeAck(w: Writer, channel: number, number: number): void {
  head(w, laneKind.ack, channel)
  w.u16(number).end()
}

export function writeReject(w: Writer, channel: number, number: number, code: number, retryMs: number): void {
  head(w, laneKind.reject, channel)
  w.u16(number).varint(code).varint(retryMs).end()
}

export function writeLatest(
  w: Writer,
  channel: number,
  epoch: number,
  route: number,
  key: string,
  stamp: number,
  payload: Uint8Array,
): void {
  head(w, laneKind.latest, channel)
  w.u8(epoch).varint(route).text(key).u16(stamp).raw(payload).end()
}

export function writeUnreliable(w: Writer, channel: number, epoch: number, route: number, payload: Uint8Array): void {
  head(w, laneKind.unreliable, channel)
  w.u8(epoch).varint(route).raw(payload).end()
}

/**
 * Writes a lane frame anew under another channel and route number, its body unread: the one thing a gateway does per
 * message. Extensions travel along.
 */
export function forwardLane(w: Writer, frame: LaneFrame, channel: number, route: number): void {
  const kind = frame.kind
  const routed = hasRoute(kind)
  const extension = frame.extensionEnd - frame.extensionStart
  const fixed = kind >= laneKind.latest ? 1 : 2
  const length =
    1 +
    (extension > 0 ? varintSize(extension) + extension : 0) +
    varintSize(channel) +
    fixed +
    (routed ? varintSize(route) : 0) +
    frame.end -
    frame.bodyStart
  w.ensure(length + 4)
  const to = w.bytes
  let at = putVarint(to, w.at, length)
  if (extension > 0) {
    to[at++] = kind | KIND_EXTENDED
    w.at = putVarint(to, at, extension)
    w.copy(frame.bytes, frame.extensionStart, frame.extensionEnd)
    at = w.at
  } else {
    to[at++] = kind
  }
  at = putVarint(to, at, channel)
  if (fixed === 1) {
    to[at++] = frame.epoch
  } else {
    to[at++] = frame.number
    to[at++] = frame.number >>> 8
  }
  if (routed) at = putVarint(to, at, route)
  copyBytes(frame.bytes, frame.bodyStart, frame.end, to, w.dataView, at)
  w.at = at + frame.end - frame.bodyStart
}

/** The same for a request whose deadline becomes another one (Q1); its body has been read. */
export function forwardRequest(w: Writer, frame: LaneFrame, channel: number, route: number, deadlineMs: number): void {
  const extension = frame.extensionEnd - frame.extensionStart
  w.begin(extension > 0 ? laneKind.request | KIND_EXTENDED : laneKind.request)
  if (extension > 0) w.varint(extension).copy(frame.bytes, frame.extensionStart, frame.extensionEnd)
  w.varint(channel).u16(frame.number).varint(route).varint(frame.request).varint(deadlineMs)
  w.copy(frame.bytes, frame.payloadStart, frame.end)
  w.end()
}

/** As Writer.varint, where there is room. */
function putVarint(to: Uint8Array, at: number, value: number): number {
  while (value > 0x7fff_ffff) {
    to[at++] = (value % 128) | 0x80
    value = Math.floor(value / 128)
  }
  while (value >= 0x80) {
    to[at++] = value | 0x80
    value >>>= 7
  }
  to[at++] = value
  return at
}

/** The whole number that `low` (the low `bits` bits) stands for, nearest to `near` (N2). */
export function expandNumber(low: number, near: number, mask: number): number {
  const half = (mask + 1) >>> 1
  let delta = (low - near) & mask
  if (delta >= half) delta -= mask + 1
  return near + delta
}
