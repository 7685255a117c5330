// One link from a gateway, as the host sees it: proof of the shared key (L4), heartbeat (O1), the tables that belong to
// the link alone (handles, the gateway's route numbers, what of ours was announced), and one writer that is written out
// once a turn. What a frame means is decided in link-frames.ts.
//
//   opened -> hello -> proof -> ready -> closed          closed from everywhere; then every handle is detached (L1)
import { clientKind, NONCE_BYTES, writeClose, writePair, writeRoute } from '../../protocols/client/frames.ts'
import { code } from '../../protocols/codes.ts'
import type { LinkHello, ServiceOffer } from '../../protocols/link/frames.ts'
import {
  LINK_VERSION,
  linkKind,
  writeCloseHandle,
  writeLinkHello,
  writeLinkProof,
} from '../../protocols/link/frames.ts'
import { linkProof, sameBytes } from '../../protocols/link/proof.ts'
import type { RouteNumbers } from '../../protocols/session/channel-end.ts'
import { FrameSplitter, splitResult } from '../../protocols/wire/splitter.ts'
import { Writer } from '../../protocols/wire/writer.ts'
import type { HostCore } from './core.ts'
import type { Group } from './groups.ts'
import type { Handle } from './handles.ts'
import { Handles } from './handles.ts'
import { receiveFrame } from './link-frames.ts'
import type { Timed } from './schedule.ts'

/** What waits for room on a link, or for the end of the turn. */
export interface Flushable {
  isDirty: boolean
  /** It waits for room on its link. */
  isWaiting: boolean
  flush(now: number): void
}

const HANDSHAKE_FRAME_BYTES_MAX = 64 * 1024
const MISSED_MAX = 2
/** Numbers that a gateway may announce for its routes. */
const ROUTES_IN_MAX = 1 << 14
const GROUPS_PER_LINK_MAX = 1 << 20

const keyEncoder = new TextEncoder()

export class HostLink implements Timed, RouteNumbers {
  dueAt = Infinity
  place = -1
  readonly id: number
  readonly host: HostCore
  state: 'hello' | 'proof' | 'ready' | 'closed' = 'hello'
  /** Name, start and count of the links of the gateway at the other end (L1). */
  gateway = ''
  instance = 0n
  serial = 0
  /** The gateway drains, or has a newer link to us: nothing new is started here. */
  isDraining = false
  isSuperseded = false
  readonly writer = new Writer(4096)
  readonly handles = new Handles()
  rttMs = 0
  /** What the kernel had not taken of this link when the flush began. */
  queuedBytes = 0
  #waiting: Flushable[] = []
  #behind: Set<Group> = new Set()
  #routesIn: string[] = []
  #announced: boolean[] = []
  #groups: (object | undefined)[] = []
  #freeGroups: number[] = []
  #splitter = new FrameSplitter(HANDSHAKE_FRAME_BYTES_MAX)
  #nonce: Uint8Array
  #theirNonce: Uint8Array = new Uint8Array(0)
  #missed = 0
  #hasHeard = false
  #serialOfOurs: number
  #now = 0

  constructor(id: number, serial: number, host: HostCore, now: number) {
    this.id = id
    this.host = host
    this.#serialOfOurs = serial
    this.#nonce = host.env.randomBytes(NONCE_BYTES)
    host.schedule.set(this, now + host.settings.handshakeMs)
  }

  get isReady(): boolean {
    return this.state === 'ready'
  }

  /** Whether lanes may write now; past the bound they wait for `drained` (W6). */
  get hasRoom(): boolean {
    return this.queuedBytes + this.writer.at < this.host.settings.linkBytesMax
  }

  get channelCount(): number {
    return this.handles.openCount
  }

  // ---- receiving ----

  receive(bytes: Uint8Array, now: number): void {
    if (this.state === 'closed') return
    this.#hasHeard = true
    this.#now = now
    const result = this.#splitter.receive(bytes, this)
    if (result !== splitResult.ok && result !== splitResult.stopped) this.violate('malformed or too large a frame')
  }

  /** One frame from the splitter. */
  frame(bytes: Uint8Array, start: number, end: number): boolean {
    this.host.counters.framesIn++
    receiveFrame(this, bytes, start, end, this.#now)
    return this.state !== 'closed'
  }

  hello(hello: LinkHello, offers: ServiceOffer[]): void {
    if (hello.versionMin > LINK_VERSION || hello.versionMax < LINK_VERSION) {
      this.refuse(code.version, `this host speaks version ${LINK_VERSION}`)
      return
    }
    this.gateway = hello.name
    this.instance = hello.instance
    this.serial = hello.serial
    this.#theirNonce = hello.nonce
    this.state = 'proof'
    writeLinkHello(this.writer, {
      versionMin: LINK_VERSION,
      versionMax: LINK_VERSION,
      nonce: this.#nonce,
      name: this.host.settings.name,
      instance: this.host.instance,
      serial: this.#serialOfOurs,
      services: offers,
      labels: this.host.settings.labels,
    })
    this.host.wake()
  }

  /** Takes the gateway's proof and gives ours, which nobody gets who has not shown the key (L4). */
  prove(proof: Uint8Array, now: number): void {
    const { settings, env } = this.host
    const key = keyEncoder.encode(settings.linkKey)
    const gateway = { nonce: this.#theirNonce, name: this.gateway }
    const host = { nonce: this.#nonce, name: settings.name }
    if (!sameBytes(proof, linkProof(env.hmac, key, 'gateway', gateway, host))) {
      this.refuse(code.link_auth, 'the link keys differ')
      return
    }
    writeLinkProof(this.writer, linkProof(env.hmac, key, 'host', host, gateway))
    this.state = 'ready'
    this.#splitter.frameBytesMax = settings.frameBytesMax
    this.host.schedule.set(this, now + settings.heartbeatMs)
    this.host.linkReady(this, now)
    this.host.wake()
  }

  /** The gateway gives a route its number on this link (L3). */
  learnRoute(number: number, name: string): boolean {
    if (number >= ROUTES_IN_MAX) return false
    while (this.#routesIn.length < number) this.#routesIn.push('')
    this.#routesIn[number] = name
    return true
  }

  /** The name of the gateway's number; empty where it was not announced. */
  routeName(number: number): string {
    return number < this.#routesIn.length ? this.#routesIn[number] : ''
  }

  // ---- sending ----

  numberOf(route: string, w: Writer): number {
    const number = this.host.routes.numberOf(route)
    if (!this.#announced[number]) {
      while (this.#announced.length < number) this.#announced.push(false)
      this.#announced[number] = true
      writeRoute(w, linkKind.route, number, route)
    }
    return number
  }

  /** A number for a group on this link, kept while it has members here (G4). */
  takeGroupNumber(group: object): number {
    const number = this.#freeGroups.pop() ?? this.#groups.length
    if (number >= GROUPS_PER_LINK_MAX) return -1
    this.#groups[number] = group
    return number
  }
  freeGroupNumber(number: number): void {
    this.#groups[number] = undefined
    this.#freeGroups.push(number)
  }

  /** Says CLOSE_HANDLE; nothing that still arrives on the handle is taken (A6). */
  closeHandle(handle: Handle, why: number, retryMs: number, hostName = ''): void {
    handle.owner = undefined
    if (handle.closeSent || this.state === 'closed') return
    handle.closeSent = true
    writeCloseHandle(this.writer, { handle: handle.number, code: why, retryMs, host: hostName })
    this.handles.noteClose(handle)
    this.host.wake()
  }

  handleClosedByPeer(handle: Handle, why: number, retryMs: number, now: number): void {
    if (handle.closeReceived) return
    handle.closeReceived = true
    const owner = handle.owner
    handle.owner = undefined
    if (!handle.closeSent) {
      handle.closeSent = true
      writeCloseHandle(this.writer, { handle: handle.number, code: code.ok, retryMs: 0, host: '' })
    }
    this.handles.noteClose(handle)
    this.host.wake()
    owner?.handleClosed(handle, why, retryMs, now)
  }

  /** Remembers who has something to write here when there is room again. */
  wait(flushable: Flushable): void {
    if (flushable.isWaiting) return
    flushable.isWaiting = true
    this.#waiting.push(flushable)
  }

  /** Remembers a group of which a publication found no room. */
  fellBehind(group: Group): void {
    this.#behind.add(group)
  }

  get hasWaiting(): boolean {
    return this.#waiting.length > 0 || this.#behind.size > 0
  }

  /** There is room again: lanes that waited write, members that missed publications catch up. */
  release(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const flushable of waiting) {
      flushable.isWaiting = false
      this.host.touch(flushable)
    }
    const behind = [...this.#behind]
    this.#behind.clear()
    for (const group of behind) group.drained(this)
  }

  // ---- time and end ----

  due(now: number): void {
    if (this.state === 'closed') return
    if (this.state !== 'ready') {
      this.refuse(code.handshake_timeout, 'the link was not proved in time')
      return
    }
    if (this.#hasHeard || this.host.isGrace(now)) this.#missed = 0
    else if (++this.#missed >= MISSED_MAX) {
      this.close(code.idle, 'the gateway was not heard')
      return
    }
    this.#hasHeard = false
    writePair(this.writer, linkKind.ping, Math.floor(now), Math.floor(this.rttMs))
    writePair(this.writer, linkKind.load, this.handles.openCount, this.host.busyThousandths())
    this.host.wake()
    this.host.schedule.set(this, now + this.host.settings.heartbeatMs)
  }

  pong(sentAt: number, now: number): void {
    if (sentAt <= now) this.rttMs = now - sentAt
  }

  violate(what: string): void {
    if (this.state === 'closed') return
    this.host.counters.violations++
    this.close(code.protocol, what)
  }

  refuse(why: number, text: string): void {
    this.host.settings.onEvent({ event: 'link_refused', link: this.id, code: why, text })
    this.close(why, text)
  }

  close(why: number, text: string): void {
    if (this.state === 'closed') return
    writeClose(this.writer, clientKind.close, { code: why, retryMs: 0, text })
    this.host.writeOut(this)
    this.host.env.closeLink(this.id)
    this.host.linkEnded(this, why, text)
  }
}
