// What an actor sends to another actor through (P6): on another host a channel over a gateway (actor-channel.ts), on this
// host the other's mailbox itself (direct-channel.ts). Which of the two it is, is decided when the first message is sent,
// so that order holds; both keep order, bound what is unsettled, and tell the outcome of every request once.
import type { Outcome } from '../../protocols/session/channel-end.ts'

export interface Outgoing {
  /** Nothing of it is under way: its actor may go idle. */
  readonly isQuiet: boolean
  /** Accepts a message or throws; its number. */
  send(route: string, payload: Uint8Array): number
  /** Accepts a request or throws; `done` is called once. */
  request(route: string, payload: Uint8Array, deadlineAt: number, done: (outcome: Outcome) => void): void
  /** The sending actor is gone. */
  close(now: number): void
}
