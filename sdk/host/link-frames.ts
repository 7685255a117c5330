// What each frame of a gateway means: the one table from kinds to the parts of the host. Malformed bytes end the link
// (`protocol`), never throw; a frame of an unknown kind is skipped where it says so (WIRE-5.2).
import {
  openFrame,
  readAnswer,
  readAttached,
  readClose,
  readDetached,
  readPair,
  readReset,
} from '../../protocols/client/frames.ts'
import { readLooseReply, readRoute, readStale, writePair } from '../../protocols/client/frames.ts'
import { code } from '../../protocols/codes.ts'
import {
  linkKind,
  readBroadcast,
  readCloseHandle,
  readKick,
  readLinkAttach,
  readLinkHello,
  readLinkInvite,
  readLinkLoose,
  readLinkProof,
  readLocate,
  readLocated,
  readNotHere,
} from '../../protocols/link/frames.ts'
import { isSkippable, KIND_MASK, LaneFrame, laneKind, readLaneHeader } from '../../protocols/wire/lane-frames.ts'
import { hasRoute } from '../../protocols/wire/lane-frames.ts'
import type { Reader } from '../../protocols/wire/reader.ts'
import type { HandleOwner } from './handles.ts'
import type { HostLink } from './link.ts'

/** Who takes lane frames: a session's binding, or an actor's channel to another actor. */
export interface LaneOwner extends HandleOwner {
  receiveLane(frame: LaneFrame, route: string, now: number): void
}

const laneFrame = new LaneFrame()

export function receiveFrame(link: HostLink, bytes: Uint8Array, start: number, end: number, now: number): void {
  const kind = bytes[start] & KIND_MASK
  if (link.isReady) {
    if (kind >= laneKind.oneway && kind <= laneKind.unreliable) {
      receiveLane(link, bytes, start, end, now)
      return
    }
    const r = openFrame(bytes, start, end)
    if (r === undefined || !receiveControl(link, kind, r, now)) {
      if (!isKnown(kind) && isSkippable(bytes[start])) return
      link.violate(`malformed or unexpected frame of kind ${kind}`)
    }
    return
  }
  const r = openFrame(bytes, start, end)
  if (r === undefined || !receiveHandshake(link, kind, r, now)) link.violate('malformed handshake')
}

function receiveLane(link: HostLink, bytes: Uint8Array, start: number, end: number, now: number): void {
  const frame = laneFrame
  if (!readLaneHeader(frame, bytes, start, end)) {
    link.violate('malformed lane frame')
    return
  }
  const handle = link.handles.at(frame.channel)
  if (handle === undefined) {
    link.violate('a lane frame on a handle that was never opened')
    return
  }
  const owner = handle.owner as LaneOwner | undefined
  if (owner === undefined) {
    link.host.counters.framesOnClosedHandles++
    return
  }
  let route = ''
  if (hasRoute(frame.kind)) {
    route = link.routeName(frame.route)
    if (route === '') {
      owner.handleClosed(handle, code.protocol, 0, now)
      link.closeHandle(handle, code.protocol, 0)
      return
    }
  }
  owner.receiveLane(frame, route, now)
}

function receiveHandshake(link: HostLink, kind: number, r: Reader, now: number): boolean {
  if (kind === linkKind.hello && link.state === 'hello') {
    const hello = readLinkHello(r)
    if (hello === undefined) return false
    link.hello(hello, link.host.offers())
    return true
  }
  if (kind === linkKind.proof && link.state === 'proof') {
    const proof = readLinkProof(r)
    if (proof === undefined) return false
    link.prove(proof, now)
    return true
  }
  if (kind === linkKind.close) {
    const close = readClose(r)
    link.host.linkEnded(link, close?.code ?? code.protocol, close?.text ?? '')
    link.host.env.closeLink(link.id)
    return true
  }
  return false
}

function isKnown(kind: number): boolean {
  for (const known of Object.values(linkKind)) if (known === kind) return true
  return false
}

/** False: malformed, or not for a host. */
function receiveControl(link: HostLink, kind: number, r: Reader, now: number): boolean {
  const host = link.host
  switch (kind) {
    case linkKind.attach: {
      const a = readLinkAttach(r)
      if (a === undefined) return false
      host.attaches.receive(link, a, now)
      return true
    }
    case linkKind.closeHandle: {
      const a = readCloseHandle(r)
      if (a === undefined) return false
      const handle = link.handles.at(a.handle)
      if (handle === undefined) return false
      link.handleClosedByPeer(handle, a.code, a.retryMs, now)
      return true
    }
    case linkKind.route: {
      const a = readRoute(r)
      return a !== undefined && link.learnRoute(a.number, a.name)
    }
    case linkKind.ping: {
      const a = readPair(r)
      if (a === undefined) return false
      writePair(link.writer, linkKind.pong, a.first, Math.floor(now))
      host.wake()
      return true
    }
    case linkKind.pong: {
      const a = readPair(r)
      if (a === undefined) return false
      link.pong(a.first, now)
      return true
    }
    case linkKind.load:
      return readPair(r) !== undefined
    case linkKind.drain: {
      if (readClose(r) === undefined) return false
      link.isDraining = true
      return true
    }
    case linkKind.goodbye:
    case linkKind.close: {
      const a = readClose(r)
      if (a === undefined) return false
      host.linkEnded(link, a.code, a.text)
      host.env.closeLink(link.id)
      return true
    }
    case linkKind.locate: {
      const a = readLocate(r)
      if (a === undefined) return false
      host.locates.answer(link, a, now)
      return true
    }
    case linkKind.located: {
      const a = readLocated(r)
      if (a === undefined) return false
      host.locates.located(link, a, now)
      return true
    }
    case linkKind.noSession: {
      const a = readLinkInvite(r)
      if (a === undefined) return false
      host.invites.noSession(link, a, now)
      return true
    }
    case linkKind.kick: {
      const a = readKick(r)
      if (a === undefined) return false
      host.kick(a.session, a.code, now)
      return true
    }
    case linkKind.loose: {
      const a = readLinkLoose(r)
      if (a === undefined) return false
      host.loose.receive(link, a, now)
      return true
    }
    case linkKind.looseReply: {
      const a = readLooseReply(r)
      if (a === undefined) return false
      host.loose.replied(link, a)
      return true
    }
    case linkKind.broadcast: {
      const a = readBroadcast(r)
      if (a === undefined) return false
      host.receiveBroadcast(a)
      return true
    }
    case linkKind.attached:
    case linkKind.reset:
    case linkKind.stale:
    case linkKind.spent:
    case linkKind.refused:
    case linkKind.parked:
    case linkKind.detached:
    case linkKind.notHere:
      return receiveAnswer(link, kind, r, now)
    default:
      return false
  }
}

/** Answers of the gateway to an OPEN of ours (P6), on an odd handle. */
function receiveAnswer(link: HostLink, kind: number, r: Reader, now: number): boolean {
  const channels = link.host.channels
  switch (kind) {
    case linkKind.attached: {
      const a = readAttached(r)
      if (a !== undefined) channels.attached(link, a, now)
      return a !== undefined
    }
    case linkKind.reset: {
      const a = readReset(r)
      if (a !== undefined) channels.reset(link, a, now)
      return a !== undefined
    }
    case linkKind.stale:
    case linkKind.spent: {
      const a = readStale(r)
      if (a !== undefined) channels.stale(link, a, kind === linkKind.spent, now)
      return a !== undefined
    }
    case linkKind.notHere: {
      const a = readNotHere(r)
      if (a !== undefined)
        channels.refused(link, { channel: a.handle, epoch: a.epoch, code: code.not_here, retryMs: 0 }, now)
      return a !== undefined
    }
    case linkKind.detached: {
      const a = readDetached(r)
      if (a !== undefined) channels.detached(link, a, now)
      return a !== undefined
    }
    default: {
      const a = readAnswer(r)
      if (a !== undefined && kind === linkKind.parked) channels.parked(link, a)
      else if (a !== undefined) channels.refused(link, a, now)
      return a !== undefined
    }
  }
}
