// What the processes of the proof tell each other, and the payload: the game's own number and some filler.

export type ToHost = { kind: 'quiet' } | { kind: 'books' } | { kind: 'stop' }
export type HostBook = { user: string; handled: number[]; asked: number[]; pushed: number }
export type FromHost =
  | { kind: 'ready' }
  | { kind: 'books'; ended: number; calls: number; callsFailed: number; books: HostBook[] }

export type ToPlayers = { kind: 'quiet' } | { kind: 'state' } | { kind: 'books' } | { kind: 'stop' }
export type PlayerBook = {
  user: string
  /** proof.up and proof.limited share one numbering: they travel in one lane. */
  accepted: number
  refused: number[]
  unknown: number[]
  received: number[]
  asked: number
  answered: number
  askedRefused: number
  askedUnknown: number
  resets: number
  endings: string[]
  lane: { unacked: number; state: string }
}
export type FromPlayers =
  | { kind: 'ready' }
  | { kind: 'state'; attached: number; clients: number; unacked: number; openRequests: number; messages: number }
  | { kind: 'books'; books: PlayerBook[]; reattachMs: number[]; transports: Record<string, number>; hops: number }

const PAYLOAD_BYTES = 48

export function payloadOf(n: number): Uint8Array {
  const payload = new Uint8Array(PAYLOAD_BYTES)
  new DataView(payload.buffer).setUint32(0, n, true)
  return payload
}

export function numberOf(payload: Uint8Array): number {
  if (payload.length !== PAYLOAD_BYTES) return -1
  return new DataView(payload.buffer, payload.byteOffset, payload.byteLength).getUint32(0, true)
}
