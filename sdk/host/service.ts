// What a service is: the routes its actors handle, and the moments of their lives they want to know of.
import type { Labels } from '../../protocols/link/frames.ts'
import type { Context } from './context.ts'
import type { ServiceContext } from './service-context.ts'

/**
 * Handles a message on one route. What it returns, or what its promise resolves with, is the reply of a request and
 * nothing for a one-way message. What it throws is told the caller as `handler_failed`, in words only for a `Refusal` or
 * another `SkewerError`.
 */
export type Handler<State> = Handling<State>['handle']
/** As a method, so that a service of any state is a `Service`. */
interface Handling<State> {
  handle(context: Context<State>, payload: unknown): unknown
}

/** Who asks to attach (A11). */
export type AttachRequest = {
  session: string
  user: string
  address: string
  labels: Labels
  service: string
  key: string
}

type Message = { route: string; payload: unknown }
/**
 * How a channel ended (X5): which one-way messages to the session may or may not have run there, and with `undelivered`
 * which certainly did not.
 */
export type ChannelEnding = { code: number; name: string; unknown: Message[]; undelivered: Message[] }

/** A message to the session that certainly did not run there (R3). */
export type Refused = { session: string; number: number; route: string; payload: unknown; code: number; name: string }

export type ServiceDefinition<State = undefined> = {
  /** Handlers by route name. */
  routes: Record<string, Handler<State>>
  /** Which keys a session may attach to: its own user name (`user`, the default) or `any`. */
  keys?: 'user' | 'any'
  /** Share of the keys that this host takes, against the other hosts of the service. Default 100. */
  weight?: number
  /** Whether clients wait at the gateway while no host is there, or are refused at once. Default true. */
  park?: boolean
  /** Makes the state of a new actor. */
  state?: (key: string) => State
  /** First of all that an actor does. Throws: the actor is stopped and its sessions are told `handler_failed`. */
  onStart?(context: Context<State>): unknown
  /** Last of all, when the actor is idle or the host closes. */
  onStop?(context: Context<State>): unknown
  /** May keep a session out that has no channel yet: false, a rejection or a throw is REFUSED(not_allowed) or its code. */
  onAttach?(request: AttachRequest): unknown
  /** A session has attached, for the first time or again. */
  onAttached?(context: Context<State>): unknown
  /** The session's connection was lost; its channel goes on (`code` says why). */
  onDetached?(context: Context<State>, code: number): unknown
  /** The channel of a session is over; told once. */
  onEnd?(context: Context<State>, ending: ChannelEnding): unknown
  /** A pushed message was refused on its way. */
  onRefused?(context: Context<State>, refused: Refused): unknown
  /** Handlers of service broadcasts by route: once for each host, not for each actor. */
  broadcasts?: Record<string, (context: ServiceContext, payload: unknown) => unknown>
  /** An actor without sessions, timers and messages is stopped after so many ms. Default 5 min; Infinity: never. */
  idleMs?: number
}

/** A service made by `service()`, for `startHost`. */
export type Service<State = unknown> = {
  readonly name: string
  readonly keys: 'user' | 'any'
  readonly weight: number
  readonly park: boolean
  readonly idleMs: number
  readonly routes: ReadonlyMap<string, Handler<State>>
  readonly broadcasts: ReadonlyMap<string, (context: ServiceContext, payload: unknown) => unknown>
  readonly definition: ServiceDefinition<State>
}

const IDLE_MS = 5 * 60_000

/**
 * Declares a service.
 *
 * @param name 1 to 128 bytes without '/', as the gateway's configuration names it
 * @throws TypeError for a name that cannot be one
 * @example
 * const echo = service('echo', { keys: 'any', routes: { 'echo.say': (ctx, payload) => payload } })
 */
export function service<State = undefined>(name: string, definition: ServiceDefinition<State>): Service<State> {
  if (!/^[^/\s]{1,128}$/.test(name)) throw new TypeError(`not a service's name: ${JSON.stringify(name)}`)
  for (const route of Object.keys(definition.routes))
    if (route === '' || route.startsWith('$')) throw new TypeError(`not a route's name: ${JSON.stringify(route)}`)
  return {
    name,
    keys: definition.keys ?? 'user',
    weight: definition.weight ?? 100,
    park: definition.park ?? true,
    idleMs: definition.idleMs ?? IDLE_MS,
    routes: new Map(Object.entries(definition.routes)),
    broadcasts: new Map(Object.entries(definition.broadcasts ?? {})),
    definition,
  }
}
