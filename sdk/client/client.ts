// The client as a game uses it, on Node and in browsers: one session with a gateway, kept over any number of connections
// and gateways, and channels to actors. `connect` of index.ts (Node) and browser.ts makes one.
import { code } from '../../protocols/codes.ts'
import type { Codec } from '../codec.ts'
import { bytes } from '../codec.ts'
import { SkewerError } from '../error.ts'
import type { CallOptions } from './calls.ts'
import { deadlineOf, refusalOf } from './calls.ts'
import type { Channel } from './channel.ts'
import type { Platform } from './driver.ts'
import { Driver } from './driver.ts'
import type { ClientEvents } from './events.ts'
import type { ClientOptions, ClientState, TokenProvider } from './options.ts'
import { SessionSink } from './session-sink.ts'
import type { KcpOptions, Transports } from './transports.ts'

export type Token = string | Uint8Array

export type ConnectOptions = Omit<ClientOptions, 'addresses' | 'token'> & {
  /**
   * Addresses of gateways, in the order of preference; the next one is tried when one fails. A list in the list is one
   * gateway with several ways to it, like `['kcp://…', 'wss://…']`: they run a race, the first with a head start.
   */
  gateways: readonly (string | readonly string[])[]
  /** What the gateway's authenticator takes; a function is asked for each login and whenever authority has run out. */
  token: Token | (() => Token | Promise<Token>)
  /** How values become payloads: `bytes` (default), `json`, or one of your own; the hosts use the same. */
  codec?: Codec
  /** Handlers run from the end of the turn that made a channel; false: from `channel.start()`. Default true. */
  autoStart?: boolean
  /** How long a handler may hold back the next message. Default 10,000 ms. */
  handlerDeadlineMs?: number
  /** Further transports by scheme, like `{ kcp: kcpTransport }`. */
  transports?: Transports
  /** For tls:// and wss:// on Node: what `tls.connect` takes (`ca`, `cert`, `key`, `rejectUnauthorized` ...). */
  tls?: object
  /** Public key of the gateways, where an address names none with `?key=`: 43 characters of base64url, or 32 bytes. */
  gatewayKey?: string | Uint8Array
  /** For kcp://: `preset` (`fast`, the default, `normal` or `thrifty`) and changes to it. */
  kcp?: KcpOptions
}

export type LooseOptions = CallOptions & {
  /** Key of the actor; without it the user's own. */
  key?: string
}

export type CloseOptions = {
  /** How long the channels have to finish what was sent, in milliseconds. Default 2,000; 0: not at all. */
  timeoutMs?: number
}

const CLOSE_TIMEOUT_MS = 2000
const HANDLER_DEADLINE_MS = 10_000
const EMPTY = new Uint8Array(0)
const encoder = new TextEncoder()

export class Client {
  readonly #gateways: readonly string[]
  readonly #codec: Codec
  readonly #driver: Driver
  readonly #sink: SessionSink

  /** Clients are made by `connect` only. */
  constructor(platform: Platform, options: ConnectOptions) {
    const { gateways, codec = bytes, autoStart = true, handlerDeadlineMs = HANDLER_DEADLINE_MS } = options
    const now = () => this.#driver.now()
    this.#gateways = gateways.flat()
    this.#codec = codec
    this.#sink = new SessionSink({ gateways: this.#gateways, codec, autoStart, handlerDeadlineMs, now })
    const core = { ...options, addresses: gateways, token: tokenProvider(options.token, now) }
    const transports = { ...platform.transports, ...options.transports }
    const { tls, kcp, gatewayKey } = options
    this.#driver = new Driver(platform, transports, { tls, kcp, gatewayKey }, core, this.#sink)
    this.#driver.core.connect(now())
  }

  // ---- what it knows ----

  /** offline, connecting, online, or degraded (connected, but not every channel is attached). */
  get state(): ClientState {
    return this.#driver.core.state
  }

  /** Name of the session; empty before the first welcome. */
  get session(): string {
    return this.#driver.core.session
  }

  /** The user that the token proved; empty before the first welcome. */
  get user(): string {
    return this.#driver.core.user
  }

  /** Smoothed round trip to the gateway in milliseconds; 0: not known yet. */
  get rttMs(): number {
    return this.#driver.core.rttMs
  }

  /** Index of the address that carries the session, lists in `gateways` counted through; -1 while none does. */
  get gatewayIndex(): number {
    return this.#driver.core.dialer.active === undefined ? -1 : this.#sink.address
  }

  /** Its address; empty while none does. */
  get gateway(): string {
    const index = this.gatewayIndex
    return index < 0 ? '' : this.#gateways[index]
  }

  /** The transport in use, by scheme (`tcp`, `ws` ...); empty while there is none. */
  get transport(): string {
    return this.gateway.slice(0, Math.max(0, this.gateway.indexOf(':')))
  }

  /**
   * Milliseconds since 1970 at the gateway, as well as the round trips tell; NaN before the first welcome.
   * @example
   * const startsInMs = match.startsAt - client.serverTimeMs()
   */
  serverTimeMs(): number {
    return this.#driver.core.serverTimeMs(this.#driver.now())
  }

  /**
   * Listens to an event of the client: `state`, `welcomed`, `disconnected`, `tokenFailed`, `ended`, `invited`,
   * `refused`, `rtt`, `error`.
   * @returns what takes the listener away again.
   * @example
   * client.on('state', (state) => console.log(state))
   * client.on('ended', ({ name, text }) => console.log('the session is over:', name, text))
   */
  on<E extends keyof ClientEvents>(event: E, listener: (what: ClientEvents[E]) => void): () => void {
    return this.#sink.listeners.on(event, listener)
  }

  // ---- verbs ----

  /**
   * Resolves when a gateway has welcomed the session.
   * @throws SkewerError where the session ends before, as by a token that was not accepted.
   * @example
   * await client.ready()
   */
  async ready(): Promise<void> {
    if (this.#sink.ending !== undefined) throw this.#sink.ending
    if (this.#driver.core.dialer.active === undefined) await this.#sink.ready()
  }

  /**
   * The channel to an actor; the same one for the same actor while it has not ended. Without a key the user's own actor.
   * @throws SkewerError `too_many_channels` (default: 16), `closed` after the session's end.
   * @example
   * const room = client.actor('arena', 'room-1')
   */
  actor(service: string, key = ''): Channel {
    if (this.#sink.ending !== undefined) throw new SkewerError(code.closed, 'the session has ended')
    const core = this.#driver.core.channel(service, key, this.#driver.now())
    if (typeof core === 'number') throw new SkewerError(-core)
    return this.#sink.channelOf(core)
  }

  /**
   * Sends on the channel to the user's own actor of the route's service, which is the route up to its first dot.
   * See `Channel.send`.
   * @example
   * client.send('profile.rename', { name: 'Ana' })
   */
  send(route: string, payload?: unknown): number {
    return this.actor(serviceOf(route)).send(route, payload)
  }

  /**
   * Calls the user's own actor of the route's service. See `Channel.call`.
   * @example
   * const profile = await client.call('profile.read')
   */
  async call(route: string, payload?: unknown, options?: CallOptions): Promise<unknown> {
    return this.actor(serviceOf(route)).call(route, payload, options)
  }

  /**
   * Calls an actor outside all channels: at most once, unordered, never sent again, only while connected.
   * @throws SkewerError with `ran`; `detached` without a connection, `unknown` where the connection ended meanwhile. At most
   * 64 are open at once.
   * @example
   * const top = await client.callLoose('ranking.top', { count: 10 }, { key: 'europe', timeoutMs: 3000 })
   */
  async callLoose(route: string, payload?: unknown, { key = '', timeoutMs }: LooseOptions = {}): Promise<unknown> {
    const now = this.#driver.now()
    const encoded = payload === undefined ? EMPTY : this.#codec.encode(payload)
    const request = this.#driver.core.callLoose(route, key, encoded, deadlineOf({ timeoutMs }, now), now)
    if (request < 0) throw refusalOf(-request)
    return this.#sink.looseCalls.wait(request)
  }

  /**
   * Moves the session to another gateway or transport of the list: connects there first, then moves the channels. Nothing
   * is lost; where the other one cannot be reached, the session stays.
   * @throws RangeError where there is no such index.
   * @example
   * client.switchTo((client.gatewayIndex + 1) % gateways.length)
   */
  switchTo(gatewayIndex: number): void {
    this.#driver.core.switchTo(gatewayIndex, this.#driver.now())
  }

  /**
   * For tests and demonstrations: cuts the connections as a lost network would, and makes none for so many milliseconds.
   * @example
   * client.interrupt(3000)
   */
  interrupt(ms: number): void {
    this.#driver.interrupt(ms)
  }

  /**
   * For tests and demonstrations: connections over kcp:// go on from another port, as they do for a client that changes
   * networks; without a handshake. Others have no such way.
   * @example
   * client.rebind()
   */
  rebind(): void {
    this.#driver.rebind()
  }

  /**
   * Ends the session: the channels finish what was sent, at most for `timeoutMs`, then the connection closes. Channels tell
   * by `ended` what is unknown of them.
   * @example
   * await client.close()
   */
  async close({ timeoutMs = CLOSE_TIMEOUT_MS }: CloseOptions = {}): Promise<void> {
    const { channels, ending } = this.#sink
    if (timeoutMs > 0 && channels.length > 0 && ending === undefined) {
      const closed = Promise.all(channels.map((channel) => channel.close()))
      let timer: ReturnType<typeof setTimeout> | undefined
      const tooLate = new Promise((resolve) => {
        timer = setTimeout(resolve, timeoutMs)
      })
      await Promise.race([closed, tooLate])
      clearTimeout(timer)
    }
    this.#driver.close()
  }
}

function serviceOf(route: string): string {
  const dot = route.indexOf('.')
  if (dot < 1) throw new RangeError(`the route ${route} does not begin with a service, like service.verb`)
  return route.slice(0, dot)
}

function tokenProvider(token: ConnectOptions['token'], now: () => number): Uint8Array | TokenProvider {
  const encoded = (value: Token) => (typeof value === 'string' ? encoder.encode(value) : value)
  if (typeof token !== 'function') return encoded(token)
  return (give) => {
    // A provider that throws has no token now; it is asked again after the back-off.
    Promise.resolve()
      .then(token)
      .then(
        (value) => give(encoded(value), now()),
        (error: unknown) => give(undefined, now(), error),
      )
  }
}
