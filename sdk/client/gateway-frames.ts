// What each frame of a gateway means: the one table from kinds to the parts of the client. Malformed bytes end the
// connection (`protocol`) and never throw; a frame of an unknown kind is skipped where it says so (WIRE-5.2).
import {
  clientKind,
  openFrame,
  readAnswer,
  readAttached,
  readClose,
  readDetached,
  readHello,
  readInvite,
  readJoin,
  readLooseReply,
  readNumber,
  readPair,
  readPublished,
  readReset,
  readRoute,
  readStale,
  readTicket,
  readWelcome,
  writePair,
} from '../../protocols/client/frames.ts'
import { code } from '../../protocols/codes.ts'
import { hasRoute, isSkippable, KIND_MASK, laneKind, readLaneHeader } from '../../protocols/wire/lane-frames.ts'
import type { Reader } from '../../protocols/wire/reader.ts'
import type { ClientConnection } from './connection.ts'
import type { ClientCore } from './core.ts'

export function receiveFrame(
  core: ClientCore,
  connection: ClientConnection,
  bytes: Uint8Array,
  start: number,
  end: number,
): void {
  const kind = bytes[start] & KIND_MASK
  if (kind >= laneKind.oneway && kind <= laneKind.unreliable) {
    receiveLane(core, connection, bytes, start, end)
    return
  }
  const r = openFrame(bytes, start, end)
  if (r !== undefined) {
    if (connection.state !== 'welcomed') {
      if (receiveHandshake(core, connection, kind, r)) return
    } else if (connection === core.dialer.old) {
      if (receiveOld(core, connection, kind, r)) return
    } else if (receiveControl(core, connection, kind, r)) {
      return
    }
  }
  if (!isKnown(kind) && isSkippable(bytes[start])) return
  core.dialer.violated(connection, `a malformed or unexpected frame of kind ${kind}`, core.now)
}

function isKnown(kind: number): boolean {
  for (const known of Object.values(clientKind)) if (known === kind) return true
  return false
}

/** Only what belongs to the newest attach of a channel, once that was answered, is taken (A3, A7). */
function receiveLane(
  core: ClientCore,
  connection: ClientConnection,
  bytes: Uint8Array,
  start: number,
  end: number,
): void {
  const frame = core.laneFrame
  if (!readLaneHeader(frame, bytes, start, end) || connection.state !== 'welcomed') {
    core.dialer.violated(connection, 'a malformed or early lane frame', core.now)
    return
  }
  const channel = core.attacher.at(connection, frame.channel)
  if (channel === undefined || channel.state !== 'attached') {
    core.framesIgnored++
    return
  }
  let route = ''
  if (hasRoute(frame.kind)) {
    route = connection.routeName(frame.route)
    if (route === '') {
      core.dialer.violated(connection, 'a route number that was not announced', core.now)
      return
    }
  }
  if (channel.end.receive(frame, route, core.now) !== code.ok) {
    core.dialer.violated(connection, 'a lane frame against the rules', core.now)
  }
}

/** A frame that came beside the stream. What is wrong, late or early in it is dropped and nothing else (WIRE-10.2). */
export function receiveDatagram(core: ClientCore, connection: ClientConnection, bytes: Uint8Array): void {
  const frame = core.laneFrame
  const isOurs = readLaneHeader(frame, bytes, 0, bytes.length) && frame.kind >= laneKind.latest
  const channel = isOurs ? core.attacher.at(connection, frame.channel) : undefined
  const route = isOurs ? connection.routeName(frame.route) : ''
  if (channel?.state !== 'attached' || route === '' || channel.end.receive(frame, route, core.now) !== code.ok) {
    core.framesIgnored++
  }
}

/** False: malformed, or not now. */
function receiveHandshake(core: ClientCore, connection: ClientConnection, kind: number, r: Reader): boolean {
  if (kind === clientKind.hello && connection.state === 'hello') {
    const a = readHello(r)
    if (a !== undefined) core.dialer.hello(connection, a, core.now)
    return a !== undefined
  }
  if (kind === clientKind.welcome && connection.state === 'login') {
    const a = readWelcome(r)
    if (a !== undefined) core.dialer.welcomed(connection, a, core.now)
    return a !== undefined
  }
  // A carrier without a handshake says PING before anything else (KCP-7.3), and is answered.
  if (kind === clientKind.pong) return readPair(r) !== undefined
  if (kind === clientKind.authRequired && connection.state === 'login') {
    const a = readNumber(r)
    if (a !== undefined) connection.renewal.wanted(a, core.now)
    return a !== undefined
  }
  return kind === clientKind.close && receiveClose(core, connection, r)
}

function receiveClose(core: ClientCore, connection: ClientConnection, r: Reader): boolean {
  const a = readClose(r)
  if (a !== undefined) core.dialer.closedByGateway(connection, a, core.now)
  return a !== undefined
}

/** Of a connection that is not the active one any more only the answers of loose calls are taken (A3). */
function receiveOld(core: ClientCore, connection: ClientConnection, kind: number, r: Reader): boolean {
  if (kind === clientKind.close) return receiveClose(core, connection, r)
  if (kind !== clientKind.looseReply) {
    core.framesIgnored++
    return true
  }
  return receiveLooseReply(core, connection, r)
}

function receiveLooseReply(core: ClientCore, connection: ClientConnection, r: Reader): boolean {
  const a = readLooseReply(r)
  if (a !== undefined) core.loose.replied(connection, a)
  return a !== undefined
}

function receiveControl(core: ClientCore, connection: ClientConnection, kind: number, r: Reader): boolean {
  const now = core.now
  switch (kind) {
    case clientKind.published: {
      const a = readPublished(r)
      return a !== undefined && receivePublished(core, connection, a)
    }
    case clientKind.looseReply:
      return receiveLooseReply(core, connection, r)
    case clientKind.route: {
      const a = readRoute(r)
      return a !== undefined && connection.learnRoute(a.number, a.name)
    }
    case clientKind.pong: {
      const a = readPair(r)
      if (a !== undefined) core.pong(connection, a.first, a.second, now)
      return a !== undefined
    }
    case clientKind.ping: {
      const a = readPair(r)
      if (a === undefined) return false
      writePair(connection.writer, clientKind.pong, a.first, Math.floor(now))
      core.wake()
      return true
    }
    case clientKind.attached: {
      const a = readAttached(r)
      if (a !== undefined) core.attacher.attached(connection, a, now)
      return a !== undefined
    }
    case clientKind.reset: {
      const a = readReset(r)
      if (a !== undefined) core.attacher.reset(connection, a, now)
      return a !== undefined
    }
    case clientKind.stale: {
      const a = readStale(r)
      if (a !== undefined) core.attacher.stale(connection, a, now)
      return a !== undefined
    }
    case clientKind.spent: {
      const a = readStale(r)
      if (a !== undefined) core.attacher.spent(connection, a)
      return a !== undefined
    }
    case clientKind.refused: {
      const a = readAnswer(r)
      if (a !== undefined) core.attacher.refused(connection, a, now)
      return a !== undefined
    }
    case clientKind.parked: {
      const a = readAnswer(r)
      if (a !== undefined) core.attacher.parked(connection, a, now)
      return a !== undefined
    }
    case clientKind.detached: {
      const a = readDetached(r)
      if (a !== undefined) core.attacher.detached(connection, a, now)
      return a !== undefined
    }
    case clientKind.invite: {
      const a = readInvite(r)
      if (a !== undefined) core.attacher.invited(a, now)
      return a !== undefined
    }
    case clientKind.join: {
      const a = readJoin(r)
      if (a === undefined) return false
      const channel = core.attacher.at(connection, a.channel)
      if (channel?.state === 'attached') channel.groups.joined(connection, a)
      return true
    }
    case clientKind.leave: {
      const a = readNumber(r)
      if (a !== undefined) receiveLeave(connection, a)
      return a !== undefined
    }
    case clientKind.lag: {
      const a = readNumber(r)
      if (a === undefined) return false
      for (const m of connection.memberships) if (m.member.number === a) m.channel.groups.lagged(m.member)
      return true
    }
    case clientKind.ticket: {
      const a = readTicket(r)
      if (a !== undefined) core.holdTicket(connection, a)
      return a !== undefined
    }
    case clientKind.authRequired: {
      const a = readNumber(r)
      if (a !== undefined) connection.renewal.wanted(a, now)
      return a !== undefined
    }
    case clientKind.drain: {
      const a = readClose(r)
      if (a !== undefined) core.dialer.drain(connection, a.retryMs, now)
      return a !== undefined
    }
    case clientKind.close:
      return receiveClose(core, connection, r)
    default:
      return false
  }
}

/** A publication for a group whose membership has just ended is dropped. */
function receivePublished(
  core: ClientCore,
  connection: ClientConnection,
  a: { group: number; route: number; offset: number; payload: Uint8Array },
): boolean {
  const route = connection.routeName(a.route)
  if (route === '') return false
  for (const { channel, member } of connection.memberships) {
    if (member.number !== a.group) continue
    channel.groups.published(member, route, a.offset, a.payload)
    return true
  }
  core.framesIgnored++
  return true
}

function receiveLeave(connection: ClientConnection, group: number): void {
  const at = connection.memberships.findIndex((membership) => membership.member.number === group)
  if (at < 0) return
  const [membership] = connection.memberships.splice(at, 1)
  membership.channel.groups.left(membership)
}
