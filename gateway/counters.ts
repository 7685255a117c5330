// What is counted on the frame path: plain cells in typed arrays, added to without a look-up. gateway/observe reads them at
// a scrape; nothing here knows of metrics. Gauges (connections, parked, queued bytes) live in the same array.

const names = [
  'clientFramesIn',
  'clientFramesOut',
  'clientBytesIn',
  'clientBytesOut',
  'linkFramesIn',
  'linkFramesOut',
  'linkBytesIn',
  'linkBytesOut',
  'connectionsAccepted',
  'connectionsOpen',
  'sessionsOpen',
  'linksOpen',
  'logins',
  'resumes',
  'attaches',
  'reattaches',
  'resets',
  'detaches',
  'parked',
  'parkedTotal',
  'messagesRefused',
  'messagesDelayed',
  'deadlinesShortened',
  'publicationsIn',
  'publicationsOut',
  'publicationsDropped',
  'looseCalls',
  'looseOpen',
  'locates',
  'invites',
  'clientQueueBytes',
  'linkQueueBytes',
  'clientPauses',
  'clientRests',
  'flushes',
  'stalls',
] as const

const dropNames = [
  'detachedAlias',
  'closedHandle',
  'beforeAttached',
  'duplicate',
  'staleEpoch',
  'refusedUnnumbered',
  'slowClient',
  'fullLink',
  'conflated',
  'lateReply',
  'unknownKind',
  'datagram',
] as const

type Indexed<T extends readonly string[]> = { readonly [K in T[number]]: number }
const indexed = <T extends readonly string[]>(list: T): Indexed<T> =>
  Object.fromEntries(list.map((name, i) => [name, i])) as Indexed<T>

/** Index of each cell by name: `counters.cells[cell.clientFramesIn]`. */
export const cell = indexed(names)
/** Index of each reason why a frame was dropped: `counters.drops[drop.duplicate]`. */
export const drop = indexed(dropNames)
export const cellNames: readonly string[] = names
export const dropReasons: readonly string[] = dropNames

const CODES = 1024

export class Counters {
  readonly cells = new Float64Array(names.length)
  readonly drops = new Float64Array(dropNames.length)
  /** Numbered messages refused (R1), by code. */
  readonly refusedByCode = new Float64Array(CODES)
  /** Attaches refused, by code. */
  readonly attachRefusedByCode = new Float64Array(CODES)
  /** Client connections closed by the gateway, by code. */
  readonly closedByCode = new Float64Array(CODES)
  /** Channels detached by the gateway, by code. */
  readonly detachedByCode = new Float64Array(CODES)
}
