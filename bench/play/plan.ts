// A game's day as data: players over a mix of transports, what they send and how often, and phases one after the other
// in which there are so many of them. Written as YAML (cli/scenario-file.ts), played by processes of players
// (processes/players.ts). Everything here is plain numbers: who is wanted when, and a plan's share for one process.

export const planTransports = ['tcp', 'tls', 'noise', 'websocket', 'kcp'] as const
export type PlanTransport = (typeof planTransports)[number]

/** `reliable` is said back by the actor, `broadcast` is published to everybody in the room. */
export const messageKinds = ['reliable', 'call', 'latest', 'unreliable', 'broadcast'] as const
export type MessageKind = (typeof messageKinds)[number]

/** Both ends included. */
export type Range = { min: number; max: number }

export type PlanMessage = {
  name: string
  kind: MessageKind
  payloadBytes: Range
  /** A second of each player, at times of their own however slow answers are; or a pause behind each answer. */
  rate?: number
  thinkMs?: Range
}

export type PlanPhase = {
  name: string
  forMs: number
  /** Players there; reached evenly over the phase where it is a ramp, else at once. */
  clients: number
  isRamp: boolean
  /** What all rates are multiplied by; with a ramp it, too, is reached evenly. */
  pace: number
  /** How long a player who comes in this phase stays; another one comes then. For ever where undefined. */
  stayMs?: Range
  /** Connections cut a second. */
  cuts: number
}

export type Plan = {
  name: string
  /** Shares, in any unit. */
  transports: { transport: PlanTransport; share: number }[]
  /** Players at one actor. */
  roomClients: number
  messages: PlanMessage[]
  phases: PlanPhase[]
}

/** The least that is sent: a time, a number, and which message it is. */
export const PLAN_PAYLOAD_BYTES_MIN = 16

export type Moment = { phase: number; clients: number; pace: number }

/** What is wanted so long after the beginning; undefined when the last phase is over. */
export function momentOf({ phases }: Plan, ms: number): Moment | undefined {
  let startMs = 0
  let before = { clients: 0, pace: phases[0].pace }
  for (const [at, phase] of phases.entries()) {
    if (ms < startMs + phase.forMs) {
      const share = phase.isRamp ? (ms - startMs) / phase.forMs : 1
      const between = (from: number, to: number): number => from + (to - from) * share
      const clients = Math.round(between(before.clients, phase.clients))
      return { phase: at, clients, pace: between(before.pace, phase.pace) }
    }
    startMs += phase.forMs
    before = phase
  }
  return undefined
}

/** The same day with another greatest number of players, or in so many seconds altogether. */
export function scaledPlan(plan: Plan, { clients, seconds }: { clients?: number; seconds?: number }): Plan {
  const most = Math.max(1, ...plan.phases.map((phase) => phase.clients))
  const byClients = clients === undefined ? 1 : clients / most
  const byTime = seconds === undefined ? 1 : (seconds * 1000) / lengthMs(plan)
  const phases = plan.phases.map((phase) => ({
    ...phase,
    forMs: Math.max(1, Math.round(phase.forMs * byTime)),
    clients: phase.clients === 0 ? 0 : Math.max(1, Math.round(phase.clients * byClients)),
    cuts: phase.cuts * byClients,
  }))
  return { ...plan, phases }
}

/** What process `i` of `count` plays. */
export function planShare(plan: Plan, i: number, count: number): Plan {
  const phases = plan.phases.map((phase) => ({
    ...phase,
    clients: Math.floor(phase.clients / count) + (i < phase.clients % count ? 1 : 0),
    cuts: phase.cuts / count,
  }))
  return { ...plan, phases }
}

export const lengthMs = ({ phases }: Plan): number => phases.reduce((sum, { forMs }) => sum + forMs, 0)

/** The transport of each seat: at any number of players the mix is as near to the shares as it can be. */
export function transportOfSeat({ transports }: Plan, seat: number): PlanTransport {
  const whole = transports.reduce((sum, { share }) => sum + share, 0)
  const given = transports.map(() => 0)
  for (let i = 0; ; i++) {
    const lack = transports.map(({ share }, at) => ((i + 1) * share) / whole - given[at])
    const next = lack.indexOf(Math.max(...lack))
    if (i === seat) return transports[next].transport
    given[next]++
  }
}
