// One attached (or attaching, or parked) channel: which end it comes from, which host it goes to, and the next number each
// way (S5). The end is a client's connection, or another host's link whose actor talks to an actor (P6); then `origin`
// is set. All that a frame needs is here, in one monomorphic object.
//
// Life: attaching -> attached -> detached, or attaching <-> parked -> detached. Never revived: an ATTACH makes a new one.
import type { Pass } from '../policies/circuit-breaker.ts'
import { pass } from '../policies/circuit-breaker.ts'
import type { LaneCounters } from '../protocols/client/frames.ts'
import type { GroupPlace } from '../protocols/client/frames.ts'
import type { ReplayCredit } from '../policies/replay-credit.ts'
import type { ClientConnection } from './client-connection.ts'
import type { Membership } from './groups.ts'
import type { Guard } from './guard.ts'
import type { HandleSlot } from './handles.ts'
import type { HeldLane } from './held-lane.ts'
import type { Host } from './host.ts'
import type { Link } from './link.ts'
import type { OpenRequests } from './open-requests.ts'
import type { Outlet } from './outlet.ts'
import type { ParkingPlace } from './parking.ts'
import type { Session } from './session.ts'

export const attachState = { placing: 0, parked: 1, attaching: 2, attached: 3, detached: 4 } as const
export type AttachState = (typeof attachState)[keyof typeof attachState]

export type AttachRequest = LaneCounters & {
  epoch: number
  ticketGeneration: number
  service: string
  key: string
  groups: GroupPlace[]
}

export class Attachment {
  state: AttachState = attachState.placing
  readonly outlet: Outlet
  /** The alias on the client's connection, or the odd handle on the origin's link. */
  readonly channel: number
  readonly connection: ClientConnection | undefined
  readonly session: Session | undefined
  readonly origin: Link | undefined
  /** Name of the session: the client's, or `a:` and the address of the sending actor (P6). */
  readonly sessionName: string
  readonly service: string
  readonly key: string
  readonly epoch: number
  readonly ticketGeneration: number
  /** R6: numbers up to here are replay. */
  readonly sentAtAttach: number
  /** What is to be forwarded, until the host has answered. */
  request: AttachRequest | undefined
  /** The host to go to: named by the pin, or by a NOT_HERE; empty: by the hash. */
  target = ''
  targetIsPin = false
  /** The pinned host was declared gone (X3, P3). */
  pinnedGone = false
  /** The service whose actor it is: its own, or the one that stands in for it (R5, fallback.ts). */
  placedAt: string
  /** NOT_HEREs followed so far. */
  hops = 0

  host: Host | undefined = undefined
  link: Link | undefined = undefined
  slot: HandleSlot | undefined = undefined
  handle = 0
  /** Next number expected from the end, and from the host. */
  nextUp = 0
  nextDown = 0
  /** Highest number that the end has settled, as it said (W5). */
  ackedDown = 0
  /** Its share of what is held for its client, while a host has it (W5). */
  granted = 0
  /** What limits grant its replay (R6). */
  credit: ReplayCredit | undefined = undefined
  /** A run of refused numbers whose SKIP was not written yet (R1). */
  skipCount = 0
  skipFrom = 0
  skipCode = 0
  skipRoute = ''
  /** Frames that wait because a policy holds the lane (R4); the number of the first, and since when it does. */
  held: HeldLane | undefined = undefined
  heldNumber = 0
  heldSince = 0
  /** Requests that the host has not answered; made with the first that a breaker or a limit wants to follow. */
  requests: OpenRequests | undefined = undefined
  /** The guard that is to be told what the host says to the ATTACH, what it let it pass as, and when. */
  guard: Guard | undefined = undefined
  passedAs: Pass = pass.ordinary
  askedAt = 0
  memberships: Membership[] = []
  parking: ParkingPlace | undefined = undefined

  constructor(
    outlet: Outlet,
    channel: number,
    connection: ClientConnection | undefined,
    origin: Link | undefined,
    sessionName: string,
    request: AttachRequest,
  ) {
    this.outlet = outlet
    this.channel = channel
    this.connection = connection
    this.session = connection?.session
    this.origin = origin
    this.sessionName = sessionName
    this.service = request.service
    this.placedAt = request.service
    this.key = request.key
    this.epoch = request.epoch
    this.ticketGeneration = request.ticketGeneration
    this.sentAtAttach = request.sent
    this.request = request
  }
}
