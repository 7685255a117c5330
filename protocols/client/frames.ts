// The client protocol's own frames: handshake, attach, groups, keeping alive. Lane frames are in wire/lane-frames.ts.
// Every decode returns undefined for malformed bytes; extension blocks that are not known are skipped unless a tag is
// critical (odd). docs/spec/client-protocol.md has every byte.
//
//   client                                   gateway
//     |  <-------------- HELLO(versions, nonce) |
//     |  LOGIN(token) | RESUME(proof, ticket) ->|
//     |  <-------- WELCOME(session, ticket ...) |
//     |  ATTACH(epoch, ...) ------------------> | ... host
//     |  <---- ATTACHED | RESET | STALE | ...   |
import { skipExtensions } from '../wire/extensions.ts'
import { KIND_EXTENDED, NAME_BYTES_MAX } from '../wire/lane-frames.ts'
import { Reader, whole } from '../wire/reader.ts'
import type { Writer } from '../wire/writer.ts'

export const PROTOCOL_VERSION = 1
export const NONCE_BYTES = 16
export const SECRET_BYTES = 32
export const PROOF_BYTES = 32
export const TICKET_BYTES_MAX = 1024
export const TOKEN_BYTES_MAX = 8192
export const PIN_BYTES_MAX = 512
export const GROUPS_PER_ATTACH_MAX = 64
export const CLOSE_TEXT_BYTES_MAX = 256
/** Refused numbers listed in one ATTACHED: at most the largest window and what does not count in it (R2). */
export const REFUSED_MAX = 2 ** 14 + 65

export const clientKind = {
  published: 0x0b,
  join: 0x0c,
  leave: 0x0d,
  lag: 0x0e,
  hello: 0x10,
  login: 0x11,
  resume: 0x12,
  welcome: 0x13,
  ticket: 0x14,
  attach: 0x15,
  attached: 0x16,
  reset: 0x17,
  stale: 0x18,
  spent: 0x19,
  refused: 0x1a,
  parked: 0x1b,
  detached: 0x1c,
  invite: 0x1d,
  detach: 0x1e,
  route: 0x1f,
  ping: 0x20,
  pong: 0x21,
  authRequired: 0x22,
  reauth: 0x23,
  drain: 0x24,
  close: 0x25,
  loose: 0x26,
  looseReply: 0x27,
} as const

export type Hello = { versionMin: number; versionMax: number; nonce: Uint8Array }
export type Login = { version: number; token: Uint8Array; agent: string }
export type Resume = { version: number; proof: Uint8Array; ticket: Uint8Array; agent: string }
export type Welcome = {
  session: string
  user: string
  generation: number
  secret: Uint8Array
  ticket: Uint8Array
  keepMs: number
  heartbeatMs: number
  windowCount: number
  windowBytes: number
  channelsMax: number
  serverTimeMs: number
}
export type Ticket = { generation: number; secret: Uint8Array; ticket: Uint8Array }
export type GroupPlace = { name: string; life: bigint; offset: number }
/** What an end says of its side of a channel when it attaches (A3). */
export type LaneCounters = { end: bigint; life: bigint; received: number; settled: number; acked: number; sent: number }
export type Attach = LaneCounters & {
  alias: number
  epoch: number
  ticketGeneration: number
  service: string
  key: string
  pin: Uint8Array
  groups: GroupPlace[]
}
export type RefusedNumber = { number: number; code: number }
/** The host's answer to an attach (A5-A7); the pin is the gateway's addition and empty on a link. */
export type Attached = {
  channel: number
  epoch: number
  life: bigint
  received: number
  settled: number
  refused: RefusedNumber[]
  quietForMs: number
  windowCount: number
  windowBytes: number
  pin: Uint8Array
}
export type Reset = {
  channel: number
  epoch: number
  life: bigint
  reason: number
  hadReceived: number
  windowCount: number
  windowBytes: number
  pin: Uint8Array
}
export const resetReason = { recordLost: 1, stateBehind: 2, lifeUnknown: 3 } as const
export type Answer = { channel: number; epoch: number; code: number; retryMs: number }
export type Stale = { channel: number; epoch: number; have: number }
export type Detached = Answer & { pin: Uint8Array }
export type Invite = { service: string; key: string; life: bigint; pin: Uint8Array }
export type Join = {
  channel: number
  group: number
  recoverable: boolean
  name: string
  life: bigint
  offset: number
}
export type Close = { code: number; retryMs: number; text: string }
export type Loose = { request: number; route: number; key: string; deadlineMs: number; payload: Uint8Array }
export type LooseReply = { request: number; code: number; payload: Uint8Array }

const shared = new Reader()

/**
 * Opens a control frame behind its kind byte and skips its extensions; undefined where a critical one is unknown. The
 * reader is shared: read the frame whole before opening another.
 */
export function openFrame(bytes: Uint8Array, start: number, end: number): Reader | undefined {
  const r = shared.over(bytes, start, end)
  const first = r.u8()
  if (first & KIND_EXTENDED && !skipExtensions(r)) return undefined
  return r.ok ? r : undefined
}

export function writeHello(w: Writer, hello: Hello): void {
  w.begin(clientKind.hello).varint(hello.versionMin).varint(hello.versionMax).raw(hello.nonce).end()
}
/** Bytes left over are ignored: HELLO is read before there is a version to speak (CLI-2.2). */
export function readHello(r: Reader): Hello | undefined {
  const hello = { versionMin: r.varint(), versionMax: r.varint(), nonce: r.take(NONCE_BYTES) }
  return r.ok ? hello : undefined
}

export function writeLogin(w: Writer, login: Login): void {
  w.begin(clientKind.login).varint(login.version).blob(login.token).text(login.agent).end()
}
export function readLogin(r: Reader): Login | undefined {
  return whole(r, { version: r.varint(), token: r.blob(TOKEN_BYTES_MAX), agent: r.text(NAME_BYTES_MAX) })
}

export function writeResume(w: Writer, resume: Resume): void {
  w.begin(clientKind.resume).varint(resume.version).raw(resume.proof).blob(resume.ticket).text(resume.agent).end()
}
export function readResume(r: Reader): Resume | undefined {
  return whole(r, {
    version: r.varint(),
    proof: r.take(PROOF_BYTES),
    ticket: r.blob(TICKET_BYTES_MAX),
    agent: r.text(NAME_BYTES_MAX),
  })
}

export function writeWelcome(w: Writer, welcome: Welcome): void {
  w.begin(clientKind.welcome).text(welcome.session).text(welcome.user)
  w.varint(welcome.generation).raw(welcome.secret).blob(welcome.ticket)
  w.varint(welcome.keepMs).varint(welcome.heartbeatMs).varint(welcome.windowCount).varint(welcome.windowBytes)
  w.varint(welcome.channelsMax).varint(welcome.serverTimeMs).end()
}
export function readWelcome(r: Reader): Welcome | undefined {
  return whole(r, {
    session: r.text(NAME_BYTES_MAX),
    user: r.text(NAME_BYTES_MAX),
    generation: r.varint(),
    secret: r.take(SECRET_BYTES),
    ticket: r.blob(TICKET_BYTES_MAX),
    keepMs: r.varint(),
    heartbeatMs: r.varint(),
    windowCount: r.varint(),
    windowBytes: r.varint(),
    channelsMax: r.varint(),
    serverTimeMs: r.varint(),
  })
}

export function writeTicket(w: Writer, ticket: Ticket): void {
  w.begin(clientKind.ticket).varint(ticket.generation).raw(ticket.secret).blob(ticket.ticket).end()
}
export function readTicket(r: Reader): Ticket | undefined {
  return whole(r, { generation: r.varint(), secret: r.take(SECRET_BYTES), ticket: r.blob(TICKET_BYTES_MAX) })
}

export function writeCounters(w: Writer, c: LaneCounters): void {
  w.u64(c.end).u64(c.life).varint(c.received).varint(c.settled).varint(c.acked).varint(c.sent)
}
export function readCounters(r: Reader): LaneCounters {
  return { end: r.u64(), life: r.u64(), received: r.varint(), settled: r.varint(), acked: r.varint(), sent: r.varint() }
}

export function writeGroupPlaces(w: Writer, groups: readonly GroupPlace[]): void {
  w.varint(groups.length)
  for (const group of groups) w.text(group.name).u64(group.life).varint(group.offset)
}
export function readGroupPlaces(r: Reader): GroupPlace[] {
  const count = r.varint()
  if (count > GROUPS_PER_ATTACH_MAX) r.ok = false
  const groups: GroupPlace[] = []
  for (let i = 0; i < count && r.ok; i++)
    groups.push({ name: r.text(NAME_BYTES_MAX), life: r.u64(), offset: r.varint() })
  return groups
}

export function writeAttach(w: Writer, a: Attach, kind: number = clientKind.attach): void {
  w.begin(kind).varint(a.alias).varint(a.epoch).varint(a.ticketGeneration).text(a.service).text(a.key).blob(a.pin)
  writeCounters(w, a)
  writeGroupPlaces(w, a.groups)
  w.end()
}
export function readAttach(r: Reader): Attach | undefined {
  return whole(r, {
    alias: r.varint(),
    epoch: r.varint(),
    ticketGeneration: r.varint(),
    service: r.text(NAME_BYTES_MAX),
    key: r.text(NAME_BYTES_MAX),
    pin: r.blob(PIN_BYTES_MAX),
    ...readCounters(r),
    groups: readGroupPlaces(r),
  })
}

export function writeAttached(w: Writer, a: Attached): void {
  w.begin(clientKind.attached).varint(a.channel).varint(a.epoch).u64(a.life).varint(a.received).varint(a.settled)
  w.varint(a.refused.length)
  let before = 0
  for (const refused of a.refused) {
    w.varint(refused.number - before).varint(refused.code)
    before = refused.number
  }
  w.varint(a.quietForMs).varint(a.windowCount).varint(a.windowBytes).blob(a.pin).end()
}
export function readAttached(r: Reader): Attached | undefined {
  return whole(r, {
    channel: r.varint(),
    epoch: r.varint(),
    life: r.u64(),
    received: r.varint(),
    settled: r.varint(),
    refused: readRefused(r),
    quietForMs: r.varint(),
    windowCount: r.varint(),
    windowBytes: r.varint(),
    pin: r.blob(PIN_BYTES_MAX),
  })
}
function readRefused(r: Reader): RefusedNumber[] {
  const count = r.varint()
  if (count > REFUSED_MAX) r.ok = false
  const refused: RefusedNumber[] = []
  let number = 0
  for (let i = 0; i < count && r.ok; i++) {
    const delta = r.varint()
    number += delta
    if (delta === 0 || number > Number.MAX_SAFE_INTEGER) r.ok = false
    refused.push({ number, code: r.varint() })
  }
  return refused
}

export function writeReset(w: Writer, a: Reset): void {
  w.begin(clientKind.reset).varint(a.channel).varint(a.epoch).u64(a.life).varint(a.reason).varint(a.hadReceived)
  w.varint(a.windowCount).varint(a.windowBytes).blob(a.pin).end()
}
export function readReset(r: Reader): Reset | undefined {
  return whole(r, {
    channel: r.varint(),
    epoch: r.varint(),
    life: r.u64(),
    reason: r.varint(),
    hadReceived: r.varint(),
    windowCount: r.varint(),
    windowBytes: r.varint(),
    pin: r.blob(PIN_BYTES_MAX),
  })
}

/** STALE and SPENT: the epoch asked for, and what the host has (epoch or ticket generation). */
export function writeStale(w: Writer, kind: number, a: Stale): void {
  w.begin(kind).varint(a.channel).varint(a.epoch).varint(a.have).end()
}
export function readStale(r: Reader): Stale | undefined {
  return whole(r, { channel: r.varint(), epoch: r.varint(), have: r.varint() })
}

/** REFUSED and PARKED (code 0, retryMs = the longest it will wait). */
export function writeAnswer(w: Writer, kind: number, a: Answer): void {
  w.begin(kind).varint(a.channel).varint(a.epoch).varint(a.code).varint(a.retryMs).end()
}
export function readAnswer(r: Reader): Answer | undefined {
  return whole(r, { channel: r.varint(), epoch: r.varint(), code: r.varint(), retryMs: r.varint() })
}

export function writeDetached(w: Writer, a: Detached): void {
  w.begin(clientKind.detached).varint(a.channel).varint(a.epoch).varint(a.code).varint(a.retryMs).blob(a.pin).end()
}
export function readDetached(r: Reader): Detached | undefined {
  return whole(r, {
    channel: r.varint(),
    epoch: r.varint(),
    code: r.varint(),
    retryMs: r.varint(),
    pin: r.blob(PIN_BYTES_MAX),
  })
}

export function writeInvite(w: Writer, a: Invite): void {
  w.begin(clientKind.invite).text(a.service).text(a.key).u64(a.life).blob(a.pin).end()
}
export function readInvite(r: Reader): Invite | undefined {
  return whole(r, {
    service: r.text(NAME_BYTES_MAX),
    key: r.text(NAME_BYTES_MAX),
    life: r.u64(),
    pin: r.blob(PIN_BYTES_MAX),
  })
}

/** One number: DETACH the alias, LEAVE and LAG the group, AUTH_REQUIRED how many ms until the gateway closes. */
export function writeNumber(w: Writer, kind: number, value: number): void {
  w.begin(kind).varint(value).end()
}
export function readNumber(r: Reader): number | undefined {
  return whole(r, r.varint())
}

export function writeRoute(w: Writer, kind: number, number: number, name: string): void {
  w.begin(kind).varint(number).text(name).end()
}
export function readRoute(r: Reader): { number: number; name: string } | undefined {
  return whole(r, { number: r.varint(), name: r.text(NAME_BYTES_MAX) })
}

/**
 * PING carries its sender's clock and the last measured RTT (0 unknown); PONG echoes the clock and adds the answerer's
 * time. On links also LEAVE (handle, group) and LOAD (channels attached, thousandths of its time the host is busy).
 */
export function writePair(w: Writer, kind: number, first: number, second: number): void {
  w.begin(kind).varint(first).varint(second).end()
}
export function readPair(r: Reader): { first: number; second: number } | undefined {
  return whole(r, { first: r.varint(), second: r.varint() })
}

export function writeReauth(w: Writer, token: Uint8Array): void {
  w.begin(clientKind.reauth).blob(token).end()
}
export function readReauth(r: Reader): Uint8Array | undefined {
  return whole(r, r.blob(TOKEN_BYTES_MAX))
}

/** CLOSE, and what announces an end: DRAIN (retryMs: attach elsewhere within), on links also LINK_DRAIN and GOODBYE. */
export function writeClose(w: Writer, kind: number, a: Close): void {
  w.begin(kind).varint(a.code).varint(a.retryMs).text(a.text).end()
}
export function readClose(r: Reader): Close | undefined {
  return whole(r, { code: r.varint(), retryMs: r.varint(), text: r.text(CLOSE_TEXT_BYTES_MAX) })
}

export function writeJoin(w: Writer, kind: number, a: Join): void {
  w.begin(kind)
    .varint(a.channel)
    .varint(a.group)
    .u8(a.recoverable ? 1 : 0)
    .text(a.name)
    .u64(a.life)
  w.varint(a.offset).end()
}
export function readJoin(r: Reader): Join | undefined {
  return whole(r, {
    channel: r.varint(),
    group: r.varint(),
    recoverable: (r.u8() & 1) === 1,
    name: r.text(NAME_BYTES_MAX),
    life: r.u64(),
    offset: r.varint(),
  })
}

/** PUBLISHED: one publication as every member of the group at this gateway gets it; offset 0 in a plain group. */
export function writePublished(
  w: Writer,
  group: number,
  route: number,
  offset: number,
  payload: Uint8Array,
  start: number,
  end: number,
): void {
  w.begin(clientKind.published).varint(group).varint(route).varint(offset).copy(payload, start, end).end()
}
export function readPublished(
  r: Reader,
): { group: number; route: number; offset: number; payload: Uint8Array } | undefined {
  const published = { group: r.varint(), route: r.varint(), offset: r.varint(), payload: r.restCopy() }
  return r.ok ? published : undefined
}

export function writeLoose(w: Writer, a: Loose): void {
  w.begin(clientKind.loose).varint(a.request).varint(a.route).text(a.key).varint(a.deadlineMs).raw(a.payload).end()
}
export function readLoose(r: Reader): Loose | undefined {
  const loose = {
    request: r.varint(),
    route: r.varint(),
    key: r.text(NAME_BYTES_MAX),
    deadlineMs: r.varint(),
    payload: r.restCopy(),
  }
  return r.ok ? loose : undefined
}

export function writeLooseReply(w: Writer, kind: number, a: LooseReply): void {
  w.begin(kind).varint(a.request).varint(a.code).raw(a.payload).end()
}
export function readLooseReply(r: Reader): LooseReply | undefined {
  const reply = { request: r.varint(), code: r.varint(), payload: r.restCopy() }
  return r.ok ? reply : undefined
}
