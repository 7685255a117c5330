// What the gateway knows of a session that has a connection here: soft state, gone with the last connection (S5). A
// session may have several connections at once (old and new of a client that changes networks); the newest is last.
import type { Labels } from '../protocols/link/frames.ts'
import type { Attachment } from './attachment.ts'
import type { ClientConnection } from './client-connection.ts'

export class Session {
  readonly id: string
  /** The gateway's own number for it: small, and not for peers to choose. */
  readonly number: number
  readonly user: string
  labels: Labels
  /** Among its user's sessions that are here (policies/session-places.ts). */
  readonly place: number
  /** It has attached, and is its user's (T4). */
  isCounted = false
  readonly connections: ClientConnection[]
  /** The newest attachment of each channel, by `service/key`; each has a state of its own (A9). */
  readonly channels = new Map<string, Attachment>()

  constructor(id: string, number: number, user: string, place: number, labels: Labels, connection: ClientConnection) {
    this.place = place
    this.connections = [connection]
    this.id = id
    this.number = number
    this.user = user
    this.labels = labels
  }
}

/** Services have no slash in their names, so this is unambiguous. */
export const channelName = (service: string, key: string): string => `${service}/${key}`
