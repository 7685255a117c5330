// What the gateway knows of a session that has a connection here: soft state, gone with the last connection (S5). A
// session may have several connections at once (old and new of a client that changes networks); the newest is last.
import type { Labels } from '../protocols/link/frames.ts'
import type { Attachment } from './attachment.ts'
import type { ClientConnection } from './client-connection.ts'

const NO_LABELS: Labels = Object.freeze({})
const NO_CHANNELS: readonly Attachment[] = []

export class Session {
  readonly id: string
  /** The gateway's own number for it: small, and not for peers to choose. */
  readonly number: number
  readonly user: string
  #labels: Labels = NO_LABELS
  /** Among its user's sessions that are here (policies/session-places.ts). */
  readonly place: number
  /** It has attached, and is its user's (T4). */
  isCounted = false
  readonly connections: ClientConnection[]
  /** The newest attachment of each channel; each has a state of its own (A9). So few that a map costs more than a look at all. */
  channels: readonly Attachment[] = NO_CHANNELS

  constructor(id: string, number: number, user: string, place: number, labels: Labels, connection: ClientConnection) {
    this.place = place
    this.connections = [connection]
    this.id = id
    this.number = number
    this.user = user
    this.labels = labels
  }

  get labels(): Labels {
    return this.#labels
  }

  /** Most have none, and all of those the same. */
  set labels(labels: Labels) {
    this.#labels = Object.keys(labels).length === 0 ? NO_LABELS : labels
  }

  /** The newest attachment of the channel to this actor. */
  channelOf(service: string, key: string): Attachment | undefined {
    for (const channel of this.channels) if (channel.key === key && channel.placedAt === service) return channel
    return undefined
  }

  /** It is the newest of its channel: who was before has left. */
  enter(attachment: Attachment): void {
    // Made anew each time: an array that grows takes room for 17.
    this.channels = [...this.channels.filter((channel) => channel !== attachment), attachment]
  }

  /** Does nothing where it was not the newest. */
  leave(attachment: Attachment): void {
    this.channels = this.channels.filter((channel) => channel !== attachment)
  }
}
