// The link protocol's own frames: gateway to host, many sessions on one connection. Lane frames (wire/lane-frames.ts) and
// the answers to an attach (client/frames.ts: ATTACHED, RESET, STALE, SPENT, REFUSED, JOIN, LEAVE, LAG, ROUTE) are the
// same bytes with a handle in place of the alias. docs/spec/link-protocol.md has every byte.
//
//   gateway                                  host
//     |  LINK_HELLO(name, instance, nonce) ->  |
//     |  <-------------- LINK_HELLO            |
//     |  LINK_PROOF ------------------------>  |   each proves the shared key over both hellos (L4)
//     |  <-------------- LINK_PROOF            |
//     |  LINK_ATTACH(handle, ...) --------->   |
//     |  <-------------- ATTACHED | RESET ...  |
//     |  CLOSE_HANDLE <----------> CLOSE_HANDLE|   a handle is free after both (L2)
//
// Handles that the gateway opens are even, handles that a host opens (OPEN: its actor talks to another actor, P6) odd.
import type { GroupPlace, LaneCounters } from '../client/frames.ts'
import { NONCE_BYTES, PIN_BYTES_MAX, PROOF_BYTES, readCounters, readGroupPlaces } from '../client/frames.ts'
import { writeCounters, writeGroupPlaces } from '../client/frames.ts'
import { NAME_BYTES_MAX } from '../wire/lane-frames.ts'
import type { Reader } from '../wire/reader.ts'
import { whole } from '../wire/reader.ts'
import type { Writer } from '../wire/writer.ts'

export const LINK_VERSION = 1
export const SERVICES_PER_HOST_MAX = 256
export const LABELS_MAX = 32
export const EXCLUDES_MAX = 1024
/** Longest name of a session in bytes: an actor is one too, as `a:service/key` (P6). */
export const SESSION_BYTES_MAX = 2 * NAME_BYTES_MAX + 3

/** Kinds 0x0c to 0x1f and 0x25 have the client protocol's numbers and bytes where the frame is the same. */
export const linkKind = {
  join: 0x0c,
  leave: 0x0d,
  lag: 0x0e,
  attached: 0x16,
  reset: 0x17,
  stale: 0x18,
  spent: 0x19,
  refused: 0x1a,
  parked: 0x1b,
  detached: 0x1c,
  route: 0x1f,
  ping: 0x20,
  pong: 0x21,
  close: 0x25,
  hello: 0x28,
  proof: 0x29,
  load: 0x2a,
  drain: 0x2b,
  goodbye: 0x2c,
  attach: 0x2d,
  open: 0x2e,
  closeHandle: 0x2f,
  notHere: 0x30,
  locate: 0x31,
  located: 0x32,
  invite: 0x33,
  noSession: 0x34,
  publish: 0x35,
  loose: 0x36,
  looseReply: 0x37,
  kick: 0x38,
  broadcast: 0x39,
} as const

/** Which keys a session may attach to (A11). */
export const keysAllowed = { user: 0, any: 1 } as const
export type ServiceOffer = { name: string; weight: number; keys: number; park: boolean }
export type Labels = Record<string, string>
export type LinkHello = {
  versionMin: number
  versionMax: number
  nonce: Uint8Array
  name: string
  instance: bigint
  serial: number
  /** Empty from a gateway. */
  services: ServiceOffer[]
  labels: Labels
}
/** A channel's attach as the host sees it (A4): whose it is, which actor, what its end has. */
export type LinkAttach = LaneCounters & {
  handle: number
  epoch: number
  ticketGeneration: number
  session: string
  user: string
  address: string
  labels: Labels
  service: string
  key: string
  /** The attach goes to the host that the client's pin names (X3). */
  pinned: boolean
  /** The gateway states that the pinned host was declared gone (P3). */
  pinnedGone: boolean
  /** The share of this channel in what the gateway holds for its client: what the host may have unacknowledged (W5). */
  grantedBytes: number
  groups: GroupPlace[]
}
/** A host's actor opens a channel to another actor (P6); the gateway answers as it answers a client. */
export type Open = LaneCounters & {
  handle: number
  epoch: number
  from: string
  service: string
  key: string
  pin: Uint8Array
}
export type CloseHandle = { handle: number; code: number; retryMs: number; host: string }
export type NotHere = { handle: number; epoch: number; host: string }
/** `asker` is the host that would activate the actor: of two that ask at once the lower name goes on (P2). */
export type Locate = { id: number; service: string; key: string; asker: string }
export type Located = { id: number; here: boolean; host: string }
export type LinkInvite = { session: string; service: string; key: string; life: bigint }
export type Publish = {
  group: number
  route: number
  offset: number
  excludes: number[]
  payloadStart: number
}
export type LinkLoose = {
  request: number
  session: string
  user: string
  address: string
  service: string
  key: string
  route: string
  deadlineMs: number
  idempotencyKey: string
  payload: Uint8Array
}
export type Kick = { session: string; code: number }
/** To one actor of every host of a service: at most once, unordered (P6). */
export type Broadcast = { from: string; service: string; route: string; payload: Uint8Array }

export function writeLabels(w: Writer, labels: Labels): void {
  const entries = Object.entries(labels)
  w.varint(entries.length)
  for (const [name, value] of entries) w.text(name).text(value)
}
export function readLabels(r: Reader): Labels {
  const count = r.varint()
  if (count > LABELS_MAX) r.ok = false
  const labels: Labels = Object.create(null)
  for (let i = 0; i < count && r.ok; i++) {
    const name = r.text(NAME_BYTES_MAX)
    labels[name] = r.text(NAME_BYTES_MAX)
  }
  return labels
}

export function writeLinkHello(w: Writer, a: LinkHello): void {
  w.begin(linkKind.hello).varint(a.versionMin).varint(a.versionMax).raw(a.nonce).text(a.name).u64(a.instance)
  w.varint(a.serial).varint(a.services.length)
  for (const service of a.services)
    w.text(service.name)
      .varint(service.weight)
      .u8(service.keys)
      .u8(service.park ? 1 : 0)
  writeLabels(w, a.labels)
  w.end()
}
/** Bytes left over are ignored: HELLO is read before there is a version to speak (LNK-2.2). */
export function readLinkHello(r: Reader): LinkHello | undefined {
  const hello: LinkHello = {
    versionMin: r.varint(),
    versionMax: r.varint(),
    nonce: r.take(NONCE_BYTES),
    name: r.text(NAME_BYTES_MAX),
    instance: r.u64(),
    serial: r.varint(),
    services: [],
    labels: {},
  }
  const count = r.varint()
  if (count > SERVICES_PER_HOST_MAX) return undefined
  for (let i = 0; i < count && r.ok; i++) {
    const name = r.text(NAME_BYTES_MAX)
    const weight = r.varint()
    const keys = r.u8()
    // Guessing at a rule of access that this version does not know would be guessing wide (A11).
    if (keys > keysAllowed.any) return undefined
    hello.services.push({ name, weight, keys, park: (r.u8() & 1) === 1 })
  }
  hello.labels = readLabels(r)
  return r.ok ? hello : undefined
}

export function writeLinkProof(w: Writer, proof: Uint8Array): void {
  w.begin(linkKind.proof).raw(proof).end()
}
export function readLinkProof(r: Reader): Uint8Array | undefined {
  return whole(r, r.take(PROOF_BYTES))
}

export function writeLinkAttach(w: Writer, a: LinkAttach): void {
  w.begin(linkKind.attach).varint(a.handle).varint(a.epoch).varint(a.ticketGeneration)
  w.text(a.session).text(a.user).text(a.address)
  writeLabels(w, a.labels)
  w.text(a.service)
    .text(a.key)
    .u8((a.pinned ? 1 : 0) | (a.pinnedGone ? 2 : 0))
  writeCounters(w, a)
  w.varint(a.grantedBytes)
  writeGroupPlaces(w, a.groups)
  w.end()
}
export function readLinkAttach(r: Reader): LinkAttach | undefined {
  const head = {
    handle: r.varint(),
    epoch: r.varint(),
    ticketGeneration: r.varint(),
    session: r.text(SESSION_BYTES_MAX),
    user: r.text(NAME_BYTES_MAX),
    address: r.text(NAME_BYTES_MAX),
    labels: readLabels(r),
    service: r.text(NAME_BYTES_MAX),
    key: r.text(NAME_BYTES_MAX),
  }
  const flags = r.u8()
  return whole(r, {
    ...head,
    pinned: (flags & 1) !== 0,
    pinnedGone: (flags & 2) !== 0,
    ...readCounters(r),
    grantedBytes: r.varint(),
    groups: readGroupPlaces(r),
  })
}

export function writeOpen(w: Writer, a: Open): void {
  w.begin(linkKind.open).varint(a.handle).varint(a.epoch).text(a.from).text(a.service).text(a.key).blob(a.pin)
  writeCounters(w, a)
  w.end()
}
export function readOpen(r: Reader): Open | undefined {
  return whole(r, {
    handle: r.varint(),
    epoch: r.varint(),
    from: r.text(SESSION_BYTES_MAX),
    service: r.text(NAME_BYTES_MAX),
    key: r.text(NAME_BYTES_MAX),
    pin: r.blob(PIN_BYTES_MAX),
    ...readCounters(r),
  })
}

export function writeCloseHandle(w: Writer, a: CloseHandle): void {
  w.begin(linkKind.closeHandle).varint(a.handle).varint(a.code).varint(a.retryMs).text(a.host).end()
}
export function readCloseHandle(r: Reader): CloseHandle | undefined {
  return whole(r, { handle: r.varint(), code: r.varint(), retryMs: r.varint(), host: r.text(NAME_BYTES_MAX) })
}

export function writeNotHere(w: Writer, a: NotHere): void {
  w.begin(linkKind.notHere).varint(a.handle).varint(a.epoch).text(a.host).end()
}
export function readNotHere(r: Reader): NotHere | undefined {
  return whole(r, { handle: r.varint(), epoch: r.varint(), host: r.text(NAME_BYTES_MAX) })
}

export function writeLocate(w: Writer, a: Locate): void {
  w.begin(linkKind.locate).varint(a.id).text(a.service).text(a.key).text(a.asker).end()
}
export function readLocate(r: Reader): Locate | undefined {
  return whole(r, {
    id: r.varint(),
    service: r.text(NAME_BYTES_MAX),
    key: r.text(NAME_BYTES_MAX),
    asker: r.text(NAME_BYTES_MAX),
  })
}

export function writeLocated(w: Writer, a: Located): void {
  w.begin(linkKind.located)
    .varint(a.id)
    .u8(a.here ? 1 : 0)
    .text(a.host)
    .end()
}
export function readLocated(r: Reader): Located | undefined {
  return whole(r, { id: r.varint(), here: (r.u8() & 1) === 1, host: r.text(NAME_BYTES_MAX) })
}

/** INVITE from a host, and NO_SESSION (the same fields back) from a gateway that does not have the session (P5). */
export function writeLinkInvite(w: Writer, kind: number, a: LinkInvite): void {
  w.begin(kind).text(a.session).text(a.service).text(a.key).u64(a.life).end()
}
export function readLinkInvite(r: Reader): LinkInvite | undefined {
  return whole(r, {
    session: r.text(SESSION_BYTES_MAX),
    service: r.text(NAME_BYTES_MAX),
    key: r.text(NAME_BYTES_MAX),
    life: r.u64(),
  })
}

export function writePublish(
  w: Writer,
  group: number,
  route: number,
  offset: number,
  excludes: readonly number[],
  payload: Uint8Array,
): void {
  w.begin(linkKind.publish).varint(group).varint(route).varint(offset).varint(excludes.length)
  for (const handle of excludes) w.varint(handle)
  w.raw(payload).end()
}
/** The payload stays where it is: bytes[payloadStart, end of the frame). */
export function readPublish(r: Reader): Publish | undefined {
  const publish: Publish = { group: r.varint(), route: r.varint(), offset: r.varint(), excludes: [], payloadStart: 0 }
  const count = r.varint()
  if (count > EXCLUDES_MAX) return undefined
  for (let i = 0; i < count && r.ok; i++) publish.excludes.push(r.varint())
  publish.payloadStart = r.at
  return r.ok ? publish : undefined
}

export function writeLinkLoose(w: Writer, a: LinkLoose): void {
  w.begin(linkKind.loose).varint(a.request).text(a.session).text(a.user).text(a.address).text(a.service).text(a.key)
  w.text(a.route).varint(a.deadlineMs).text(a.idempotencyKey).raw(a.payload).end()
}
export function readLinkLoose(r: Reader): LinkLoose | undefined {
  const loose = {
    request: r.varint(),
    session: r.text(SESSION_BYTES_MAX),
    user: r.text(NAME_BYTES_MAX),
    address: r.text(NAME_BYTES_MAX),
    service: r.text(NAME_BYTES_MAX),
    key: r.text(NAME_BYTES_MAX),
    route: r.text(NAME_BYTES_MAX),
    deadlineMs: r.varint(),
    idempotencyKey: r.text(NAME_BYTES_MAX),
    payload: r.restCopy(),
  }
  return r.ok ? loose : undefined
}

export function writeKick(w: Writer, a: Kick): void {
  w.begin(linkKind.kick).text(a.session).varint(a.code).end()
}
export function readKick(r: Reader): Kick | undefined {
  return whole(r, { session: r.text(SESSION_BYTES_MAX), code: r.varint() })
}

export function writeBroadcast(w: Writer, a: Broadcast): void {
  w.begin(linkKind.broadcast).text(a.from).text(a.service).text(a.route).raw(a.payload).end()
}
export function readBroadcast(r: Reader): Broadcast | undefined {
  const broadcast = {
    from: r.text(SESSION_BYTES_MAX),
    service: r.text(NAME_BYTES_MAX),
    route: r.text(NAME_BYTES_MAX),
    payload: r.restCopy(),
  }
  return r.ok ? broadcast : undefined
}
