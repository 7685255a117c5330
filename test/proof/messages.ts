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
/** What went over a transport: attaches, and messages that were sent or received while attached by it. */
export type Carried = { attaches: number; messages: number }
export type FromPlayers =
  | { kind: 'ready' }
  | { kind: 'state'; attached: number; clients: number; unacked: number; openRequests: number; messages: number }
  | {
      kind: 'books'
      books: PlayerBook[]
      reattachMs: number[]
      /** The longest that a player was sent nothing, or nothing reached it. */
      silenceMaxMs: number
      carried: Record<string, Carried>
      hops: number
    }

/** Host links, players' streams (sealed ones may be corrupted), players' datagrams. */
export type Way = { what: 'links' | 'streams' | 'sealedStreams' | 'datagrams'; targetPort: number }
export type ToNetwork =
  | { kind: 'open'; ways: Way[]; impairment: Record<string, number>; streamCorruptShare: number }
  | { kind: 'cutLink' | 'heal' | 'counts' }
  | { kind: 'cutConnections' | 'rebind'; share: number }
export type NetworkCounts = {
  linkCuts: number
  connectionCuts: number
  piecesCorrupted: number
  rebindings: number
  datagrams: number
  datagramsLost: number
  datagramsDoubled: number
  datagramsCorrupted: number
  datagramsReordered: number
}
export type FromNetwork =
  | { kind: 'ready' }
  | { kind: 'opened'; ports: number[] }
  | { kind: 'counts'; counts: NetworkCounts }

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
