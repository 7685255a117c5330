// Every frame kind by its name, written and read by the project's own codecs, with fields in the form the vectors use
// (test/vectors/layouts.json). Tests, vectors and fuzz targets share this table.
import * as client from '../../protocols/client/frames.ts'
import * as link from '../../protocols/link/frames.ts'
import * as lane from '../../protocols/wire/lane-frames.ts'
import type { Reader } from '../../protocols/wire/reader.ts'
import { Writer } from '../../protocols/wire/writer.ts'
import type { Fields, FrameFamily } from './independent-encoder.ts'
import { layoutOf, layouts } from './independent-encoder.ts'

// biome-ignore lint/suspicious/noExplicitAny: each codec has its own type; the layouts say what the fields are.
type Write = (w: Writer, f: any) => void
type Read = (r: Reader) => unknown
type Codec = { write: Write; read?: Read }

const ck = client.clientKind
const lk = link.linkKind

/** Readers of a single field give it bare. */
const named = (name: string, read: Read): Read => {
  return (r) => {
    const value = read(r)
    return value === undefined ? undefined : { [name]: value }
  }
}
const pair = (first: string, second: string): Read => {
  return (r) => {
    const read = client.readPair(r)
    return read && { [first]: read.first, [second]: read.second }
  }
}

const laneCodecs: Record<string, Codec> = {
  ONEWAY: { write: (w, f) => lane.writeOneway(w, f.channel, f.number, f.route, f.payload) },
  REQUEST: {
    write: (w, f) => lane.writeRequest(w, f.channel, f.number, f.route, f.request, f.deadlineMs, f.payload),
  },
  REPLY: { write: (w, f) => lane.writeReply(w, f.channel, f.number, f.request, f.code, f.payload) },
  REPLAY: {
    write: (w, f) => lane.writeReplay(w, f.channel, f.number, f.route, f.group, f.life, f.offset, f.payload),
  },
  FIN: { write: (w, f) => lane.writeFin(w, f.channel, f.number, f.code) },
  SKIP: { write: (w, f) => lane.writeSkip(w, f.channel, f.number, f.count, f.code) },
  ACK: { write: (w, f) => lane.writeAck(w, f.channel, f.number) },
  REJECT: { write: (w, f) => lane.writeReject(w, f.channel, f.number, f.code, f.retryMs) },
  LATEST: { write: (w, f) => lane.writeLatest(w, f.channel, f.epoch, f.route, f.key, f.stamp, f.payload) },
  UNRELIABLE: { write: (w, f) => lane.writeUnreliable(w, f.channel, f.epoch, f.route, f.payload) },
}

const clientCodecs: Record<string, Codec> = {
  PUBLISHED: {
    write: (w, f) => client.writePublished(w, f.group, f.route, f.offset, f.payload, 0, f.payload.length),
    read: client.readPublished,
  },
  JOIN: { write: (w, f) => client.writeJoin(w, ck.join, f), read: client.readJoin },
  LEAVE: { write: (w, f) => client.writeNumber(w, ck.leave, f.group), read: named('group', client.readNumber) },
  LAG: { write: (w, f) => client.writeNumber(w, ck.lag, f.group), read: named('group', client.readNumber) },
  HELLO: { write: client.writeHello, read: client.readHello },
  LOGIN: { write: client.writeLogin, read: client.readLogin },
  RESUME: { write: client.writeResume, read: client.readResume },
  WELCOME: { write: client.writeWelcome, read: client.readWelcome },
  TICKET: { write: client.writeTicket, read: client.readTicket },
  ATTACH: { write: (w, f) => client.writeAttach(w, f), read: client.readAttach },
  ATTACHED: { write: client.writeAttached, read: client.readAttached },
  RESET: { write: client.writeReset, read: client.readReset },
  STALE: { write: (w, f) => client.writeStale(w, ck.stale, f), read: client.readStale },
  SPENT: { write: (w, f) => client.writeStale(w, ck.spent, f), read: client.readStale },
  REFUSED: { write: (w, f) => client.writeAnswer(w, ck.refused, f), read: client.readAnswer },
  PARKED: { write: (w, f) => client.writeAnswer(w, ck.parked, f), read: client.readAnswer },
  DETACHED: { write: client.writeDetached, read: client.readDetached },
  INVITE: { write: client.writeInvite, read: client.readInvite },
  DETACH: { write: (w, f) => client.writeNumber(w, ck.detach, f.alias), read: named('alias', client.readNumber) },
  ROUTE: { write: (w, f) => client.writeRoute(w, ck.route, f.number, f.name), read: client.readRoute },
  PING: { write: (w, f) => client.writePair(w, ck.ping, f.clockMs, f.rttMs), read: pair('clockMs', 'rttMs') },
  PONG: { write: (w, f) => client.writePair(w, ck.pong, f.clockMs, f.timeMs), read: pair('clockMs', 'timeMs') },
  AUTH_REQUIRED: {
    write: (w, f) => client.writeNumber(w, ck.authRequired, f.withinMs),
    read: named('withinMs', client.readNumber),
  },
  REAUTH: { write: (w, f) => client.writeReauth(w, f.token), read: named('token', client.readReauth) },
  DRAIN: { write: (w, f) => client.writeClose(w, ck.drain, f), read: client.readClose },
  CLOSE: { write: (w, f) => client.writeClose(w, ck.close, f), read: client.readClose },
  LOOSE: { write: client.writeLoose, read: client.readLoose },
  LOOSE_REPLY: { write: (w, f) => client.writeLooseReply(w, ck.looseReply, f), read: client.readLooseReply },
}

const linkCodecs: Record<string, Codec> = {
  LINK_HELLO: { write: link.writeLinkHello, read: link.readLinkHello },
  LEAVE: { write: (w, f) => client.writePair(w, lk.leave, f.channel, f.group), read: pair('channel', 'group') },
  LINK_PROOF: { write: (w, f) => link.writeLinkProof(w, f.proof), read: named('proof', link.readLinkProof) },
  LOAD: {
    write: (w, f) => client.writePair(w, lk.load, f.channels, f.busyPermille),
    read: pair('channels', 'busyPermille'),
  },
  LINK_DRAIN: { write: (w, f) => client.writeClose(w, lk.drain, f), read: client.readClose },
  GOODBYE: { write: (w, f) => client.writeClose(w, lk.goodbye, f), read: client.readClose },
  LINK_ATTACH: { write: link.writeLinkAttach, read: link.readLinkAttach },
  OPEN: { write: link.writeOpen, read: link.readOpen },
  CLOSE_HANDLE: { write: link.writeCloseHandle, read: link.readCloseHandle },
  NOT_HERE: { write: link.writeNotHere, read: link.readNotHere },
  LOCATE: { write: link.writeLocate, read: link.readLocate },
  LOCATED: { write: link.writeLocated, read: link.readLocated },
  LINK_INVITE: { write: (w, f) => link.writeLinkInvite(w, lk.invite, f), read: link.readLinkInvite },
  NO_SESSION: { write: (w, f) => link.writeLinkInvite(w, lk.noSession, f), read: link.readLinkInvite },
  PUBLISH: {
    write: (w, f) => link.writePublish(w, f.group, f.route, f.offset, f.excludes, f.payload),
    read: (r) => {
      const end = r.end
      const publish = link.readPublish(r)
      return publish && { ...publish, payload: r.bytes.slice(publish.payloadStart, end) }
    },
  },
  LINK_LOOSE: { write: link.writeLinkLoose, read: link.readLinkLoose },
  LINK_LOOSE_REPLY: { write: (w, f) => client.writeLooseReply(w, lk.looseReply, f), read: client.readLooseReply },
  KICK: { write: link.writeKick, read: link.readKick },
  BROADCAST: { write: link.writeBroadcast, read: link.readBroadcast },
}

export const codecs: Record<FrameFamily, Record<string, Codec>> = {
  lane: laneCodecs,
  client: clientCodecs,
  link: linkCodecs,
}

const codecOf = (family: FrameFamily, name: string): Codec =>
  laneCodecs[name] ?? codecs[family][name] ?? clientCodecs[name]

// ---- between what the vectors hold and what the codecs take ----

const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
const digits = (value: bigint): string => `0x${value.toString(16).padStart(16, '0')}`

function toCode(type: string, value: unknown): unknown {
  if (type === 'u64') return BigInt(value as string)
  if (type === 'blob' || type === 'rest' || type.startsWith('bytes'))
    return new Uint8Array(Buffer.from(value as string, 'hex'))
  if (type === 'labels*') return Object.fromEntries((value as Fields[]).map((entry) => [entry.name, entry.value]))
  if (type === 'handles*') return (value as Fields[]).map((entry) => entry.handle)
  if (type.endsWith('*')) return (value as Fields[]).map((entry) => fieldsTo(layouts.lists[type], entry, toCode))
  return value
}

function fromCode(type: string, value: unknown): unknown {
  if (type === 'u64') return digits(value as bigint)
  if (type === 'blob' || type === 'rest' || type.startsWith('bytes')) return hexOf(value as Uint8Array)
  if (type === 'labels*') return Object.entries(value as Fields).map(([name, label]) => ({ name, value: label }))
  if (type === 'handles*') return (value as number[]).map((handle) => ({ handle }))
  if (type.endsWith('*')) return (value as Fields[]).map((entry) => fieldsTo(layouts.lists[type], entry, fromCode))
  return value
}

function fieldsTo(
  fields: readonly [string, string][],
  values: Fields,
  convert: (type: string, value: unknown) => unknown,
): Fields {
  const converted: Fields = {}
  for (const [names, type] of fields) {
    for (const name of names.split(' ')) converted[name] = convert(type, values[name])
  }
  return converted
}

/** Writes a frame from fields in the vectors' form; hex with its length. */
export function writeFrame(family: FrameFamily, name: string, fields: Fields): string {
  const w = new Writer(16)
  codecOf(family, name).write(w, fieldsTo(layoutOf(family, name).fields, fields, toCode))
  return hexOf(w.view())
}

export type ReadFrame = { kind: string; fields: Fields } | 'skipped' | 'malformed'

const laneFrame = new lane.LaneFrame()
const namesByKind: Record<FrameFamily, Map<number, string>> = { lane: new Map(), client: new Map(), link: new Map() }
for (const family of ['lane', 'client', 'link'] as const) {
  const names = Object.keys(layouts[family])
  if (family !== 'lane') names.push(...Object.keys(layouts.lane))
  if (family === 'link') names.push(...layouts.linkShares)
  for (const name of names) namesByKind[family].set(layoutOf(family, name).kind, name)
}

/** Reads bytes[start, end), a frame without its length, as an end of the protocol `family` would. */
export function readFrame(family: FrameFamily, bytes: Uint8Array, start: number, end: number): ReadFrame {
  const first = bytes[start]
  const name = namesByKind[family].get(first & lane.KIND_MASK)
  if (name === undefined) return lane.isSkippable(first) ? 'skipped' : 'malformed'
  const fields = layoutOf(family, name).fields
  const codec = codecOf(family, name)
  if (codec.read === undefined) {
    if (!lane.readLaneHeader(laneFrame, bytes, start, end) || !lane.readLaneBody(laneFrame)) return 'malformed'
    const values: Fields = { ...laneFrame, payload: laneFrame.payload() }
    return { kind: name, fields: fieldsTo(fields, values, fromCode) }
  }
  const r = client.openFrame(bytes, start, end)
  const values = r && (codec.read(r) as Fields | undefined)
  return values === undefined ? 'malformed' : { kind: name, fields: fieldsTo(fields, values, fromCode) }
}
