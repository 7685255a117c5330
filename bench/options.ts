// What can be asked of a run, and what each scenario takes where nothing is said.

/** Scenarios that are plans: files of plans/, as users write theirs. */
export const planNames = ['mixed', 'churn', 'soak'] as const
export type PlanName = (typeof planNames)[number]

export const scenarioNames = [
  'tcp-echo',
  'ws-echo',
  'tls-echo',
  'noise-echo',
  'kcp-echo',
  'http-call',
  'latency',
  'push',
  'broadcast',
  'idle',
  'storm',
  'reload',
  'abuse',
  'slow-readers',
  'growth',
  ...planNames,
] as const
export type ScenarioName = (typeof scenarioNames)[number]

/** One program in three ways: kcptun-process.ts. */
export const kcptunNames = ['kcptun', 'kcptun-each', 'kcptun-defaults'] as const
export type KcptunName = (typeof kcptunNames)[number]

/** With clients of their own protocol over WebSocket, and the game in the same process. */
export const gameServerNames = ['socket.io', 'colyseus', 'pinus'] as const
export type GameServerName = (typeof gameServerNames)[number]

/** Proxies, game servers, and `raw`: the generator straight at the echo, without anything between. */
export const rivalNames = ['nginx', 'haproxy', ...kcptunNames, ...gameServerNames, 'raw'] as const
export type RivalName = (typeof rivalNames)[number]
export type ProxyName = Exclude<RivalName, GameServerName | 'raw'>

export const isGameServer = (name: string): name is GameServerName =>
  (gameServerNames as readonly string[]).includes(name)

/** Who can be compared with in a scenario; in the others nobody, since the rivals know no sessions. */
export const rivalsOf: Partial<Record<ScenarioName, readonly RivalName[]>> = {
  'tcp-echo': ['nginx', 'haproxy', 'raw'],
  'ws-echo': ['nginx', ...gameServerNames, 'raw'],
  'tls-echo': ['nginx'],
  'noise-echo': ['nginx', 'haproxy', 'raw'],
  'kcp-echo': ['nginx', ...kcptunNames, 'raw'],
  'http-call': ['nginx', 'haproxy', 'raw'],
  latency: ['nginx', 'haproxy', 'raw'],
  broadcast: ['socket.io'],
}

/** What sessions may be over in `idle` and `broadcast`; KCP is sealed. */
export const overTransports = ['tcp', 'websocket', 'kcp'] as const

/** A gateway that runs already. */
export type Target = {
  /** What clients connect to; several ones are shared out. */
  addresses: string[]
  /** What a client shows; `{n}` becomes its number. */
  token: string
  /** Whose actors play, and how the names of their routes begin. */
  service: string
  prefix: string
  /** Where the gateway tells of CPU time and memory. */
  admin?: { url: string; token?: string }
}

/**
 * Who plays foul in `abuse`: by what carries their messages or calls, and by the same without a window; or noise, over TCP and
 * UDP.
 */
export const abuserKinds = [
  'tcp',
  'websocket',
  'kcp',
  'http',
  'tcp-flood',
  'websocket-flood',
  'kcp-flood',
  'garbage',
  'datagrams',
] as const
export type AbuserKind = (typeof abuserKinds)[number]

export type BenchOptions = {
  clients: number
  /** Messages under way for each client. */
  depth: number
  payloadBytes: number
  /** Messages a second of all clients together; 0: closed loop. Of broadcast: publications a second. */
  rate: number
  seconds: number
  rounds: number
  warmupSeconds: number
  against: RivalName[]
  /** `times.linkFlushDelay` of the gateway. */
  linkFlushDelayMs: number
  /** Played against this one instead of one of the run's own. */
  target?: Target
  /** Processes that make the load. */
  workers: number
  /** Of storm: the same gateway is started again, and there is no other. */
  restart: boolean
  /** Of slow-readers: how many of a hundred clients hardly read. */
  slowPercent: number
  /** Of idle and broadcast. */
  over: (typeof overTransports)[number]
  /** Of abuse: one of each, and how often a second each tries; 0: as often as the gateway takes it. */
  abusers: AbuserKind[]
  abuseRate: number
}

export const limits = {
  clients: { min: 1, max: 20_000 },
  /** Well inside the window of 256 messages, acknowledgements under way included. */
  depth: { min: 1, max: 128 },
  /** The time of sending travels in the payload; a quarter of the window is the most of one message (W1). */
  payloadBytes: { min: 8, max: 16_384 },
  rate: { min: 0, max: 1_000_000 },
  abuseRate: { min: 0, max: 1_000_000 },
  seconds: { min: 1, max: 3600 },
  rounds: { min: 1, max: 100 },
  warmupSeconds: { min: 0, max: 600 },
  linkFlushDelayMs: { min: 0, max: 20 },
  workers: { min: 1, max: 64 },
  slowPercent: { min: 1, max: 99 },
} as const

/** Messages a second for each client where none are said: games tick at 20 Hz. */
const PUSHES_PER_CLIENT = 20
const STORM_MESSAGES_PER_CLIENT = 10
/** Publications a second to everybody: ten ticks. */
const PUBLICATIONS = 10
/** Of 16 KiB each: enough to fill what kernels hold for a connection within seconds. */
const SLOW_PUBLICATIONS = 50

const usualClients: Partial<Record<ScenarioName, number>> = { idle: 1000, broadcast: 1000, abuse: 500, growth: 8000 }

/** Scenarios beside the echoes with one message under way for each client. */
const isUsuallyOne: ReadonlySet<string> = new Set(['latency', 'growth'])

export function optionsOf(scenario: string, given: Partial<BenchOptions>): BenchOptions {
  const clients = given.clients ?? usualClients[scenario as ScenarioName] ?? 100
  const perPlayer = clients * STORM_MESSAGES_PER_CLIENT
  const rates = {
    push: clients * PUSHES_PER_CLIENT,
    storm: perPlayer,
    reload: perPlayer,
    abuse: clients * 2,
    broadcast: PUBLICATIONS,
    'slow-readers': SLOW_PUBLICATIONS,
  }
  return {
    clients,
    depth: given.depth ?? (scenario.endsWith('-echo') || isUsuallyOne.has(scenario) ? 1 : limits.depth.max),
    payloadBytes: given.payloadBytes ?? (scenario === 'slow-readers' ? limits.payloadBytes.max : 64),
    rate: given.rate ?? (scenario in rates ? rates[scenario as keyof typeof rates] : 0),
    seconds: given.seconds ?? (scenario === 'slow-readers' ? 10 : 5),
    rounds: given.rounds ?? 3,
    warmupSeconds: given.warmupSeconds ?? 2,
    against: given.against ?? [],
    linkFlushDelayMs: given.linkFlushDelayMs ?? 0,
    target: given.target,
    workers: given.workers ?? 1,
    restart: given.restart ?? false,
    slowPercent: given.slowPercent ?? 20,
    over: given.over ?? (scenario === 'broadcast' ? 'websocket' : 'tcp'),
    abusers: given.abusers ?? (scenario === 'abuse' ? [...abuserKinds] : []),
    abuseRate: given.abuseRate ?? 0,
  }
}
