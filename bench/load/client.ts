// What the generator drives: a client that sends messages with the time in them and hears them again. The time is the
// payload's first eight bytes, so that nothing has to be kept for a message that is under way.

export interface LoadClient {
  /** Where what carries it loses without a word: how often it sent again what had no answer. */
  readonly resent?: number
  /** How often it was told that publications were left out for it. */
  readonly leftOut?: number
  /** Messages that it may send now. */
  room(): number
  /** Puts one message, stamped with this time, into the next write. */
  send(stampUs: number): void
  flush(): void
  /** Whatever is due by time alone: acknowledgements, PING. */
  tick(now: number): void
  close(): void
}

export interface LoadEvents {
  ready(client: LoadClient): void
  /** A message came; `stampUs` is when it should have been sent. */
  heard(client: LoadClient, stampUs: number): void
  /** Everything of one read was heard; what is sent now goes into one write. */
  turnEnded(client: LoadClient): void
  failed(why: string): void
}

/**
 * honest: a refusal fails the run. sly: refusals are taken as they come, and free the window at once. rude: the same, and no
 * window is kept to.
 */
export type Manners = 'honest' | 'sly' | 'rude'

export const STAMP_BYTES = 8

const stamp = new Float64Array(1)
const stampBytes = new Uint8Array(stamp.buffer)

export function writeStamp(payload: Uint8Array, us: number): void {
  stamp[0] = us
  payload.set(stampBytes)
}

export function readStamp(bytes: Uint8Array, start: number): number {
  for (let i = 0; i < STAMP_BYTES; i++) stampBytes[i] = bytes[start + i]
  return stamp[0]
}
