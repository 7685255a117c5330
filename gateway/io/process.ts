// A gateway as a process: the core between real sockets, the clock, keys, the log and the operator's port. This is the one
// place where all of them are joined; `skewer run` and tests start it here.
//
//   startGateway -> running -> drain (stop accepting, let clients go) -> closed
import { createHmac, randomBytes } from 'node:crypto'
import type { SourceText } from '../../config/settings-from-yaml.ts'
import type { Settings } from '../../config/settings.ts'
import { code } from '../../protocols/codes.ts'
import type { ReloadTrigger } from '../events.ts'
import { Gateway } from '../gateway.ts'
import { LogFile, type LogTarget, storeTeller } from '../observe/log.ts'
import { Observer } from '../observe/observer.ts'
import type { Authenticator, GatewayEnvironment } from '../seams.ts'
import { openTicket } from '../tickets.ts'
import { ConnectionBudget } from './acceptor.ts'
import { BanDesk, behindBans } from './ban-desk.ts'
import { KeptBans } from './kept-bans.ts'
import { Doorkeeper } from './doorkeeper.ts'
import { acceleratorState } from './accelerator.ts'
import { packageVersion } from './package-version.ts'
import { adminPort } from './admin-port.ts'
import type { AdminServer } from './admin-server.ts'
import { authenticatorOf } from './authenticator.ts'
import { EventStream } from './event-stream.ts'
import { cryptoProvider } from './crypto-provider.ts'
import { connectionsFor, openFilesMax } from './file-limit.ts'
import { type HttpHome, OpenCalls } from './http-door.ts'
import { IoCounters } from './io-counters.ts'
import { ownKeys } from './key-file.ts'
import { behindLoginLimits, LoginDesk } from './login-desk.ts'
import { LinkDialer } from './link-dialer.ts'
import { type ListenerAddress, Listeners } from './listeners.ts'
import { LogOutput } from './log-output.ts'
import { Loop, monotonicNow } from './loop.ts'
import { NoiseIdentity } from './noise-identity.ts'
import { PressureSampler } from './pressure-sampler.ts'
import { ProcessSampler } from './process-sample.ts'
import { Reload, type ReloadHome, type ReloadOutcome } from './reload.ts'
import { KeyRingSealer, ringOf } from './sealer.ts'
import { LINGER_MS, OpenCarriers } from './stream-carrier.ts'
import type { Listener, ListenerHome } from './tcp-listener.ts'
import { SharedCounts } from './shared-counts.ts'
import { TokenVerdicts } from './token-verdicts.ts'
import { clientSlab } from './write-slab.ts'

export type StartOptions = {
  /** Named in the log, and read again by `reload`. */
  configFile?: string
  /** What was read from it: kept in `stateDir` once the gateway is ready. */
  source?: SourceText
  /** What references in the file stand for when it is read again. Default: the environment of the process. */
  env?: NodeJS.ProcessEnv
  /** Where the log goes instead of stdout. */
  logTarget?: LogTarget
  /** The process is the gateway's own: an error that nobody caught is logged and ends it with exit code 1. */
  ownsProcess?: boolean
}

/** 0: ended as asked; 1: failed; 3: clients were left when the time of the drain was over. */
export type Ending = { code: 0 | 1 | 3; reason: string }

export type RunningGateway = {
  gateway: Gateway
  /** Where it listens, with the ports it got where 0 was asked for. */
  readonly addresses: ListenerAddress[]
  /** `http://host:port` */
  readonly adminAddress?: string
  /** What clients are given where Noise is spoken: 43 characters of base64url. */
  readonly noisePublicKey: string | undefined
  /** Stops accepting, lets every client go within this time (default: `times.drainMs`), then closes. */
  drain(withinMs?: number): Promise<void>
  /** Closes at once; clients come back elsewhere, or here when it runs again. */
  close(): Promise<void>
  /** Reads the configuration file, its certificates and keys again; where it is refused, nothing has changed. */
  reload(trigger: ReloadTrigger, isDryRun?: boolean): Promise<ReloadOutcome>
  /** The same with settings that a program has made. */
  configure(settings: Settings): Promise<ReloadOutcome>
  closed: Promise<Ending>
}

/**
 * Starts a gateway; rejects with a sentence for the operator where it cannot: a busy port, a bad certificate, no token.
 * @example
 *   const running = await startGateway(settings)
 *   process.once('SIGTERM', () => running.drain())
 *   process.exitCode = (await running.closed).code
 */
export async function startGateway(settings: Settings, options: StartOptions = {}): Promise<RunningGateway> {
  const process = new GatewayProcess(settings, options)
  try {
    await process.start()
  } catch (error) {
    await process.abandon()
    throw error
  }
  return process
}

const PLAIN_KCP = "plain KCP: neither encrypted nor authentic; whoever can send from a player's address speaks for them"

class GatewayProcess implements RunningGateway {
  readonly gateway: Gateway
  adminAddress: string | undefined
  readonly closed: Promise<Ending>
  readonly #settings: Settings
  readonly #options: StartOptions
  readonly #logFile: LogFile
  readonly #observer: Observer
  readonly #loop: Loop
  readonly #io = new IoCounters()
  readonly #carriers = new OpenCarriers()
  readonly #events = new EventStream()
  readonly #sampler = new ProcessSampler()
  readonly #pressure: PressureSampler
  readonly #sealer: KeyRingSealer
  readonly #noise: NoiseIdentity
  readonly #dialer: LinkDialer
  readonly #bans: KeptBans
  readonly #doorkeeper: Doorkeeper
  readonly #home: ListenerHome
  /** The configured one, behind which users that are banned do not get. */
  readonly #doorAuthenticator = behindLoginLimits(
    () => this.#loginDesk,
    behindBans(
      () => this.#authenticator,
      (user) => this.#bans.hasUser(user),
      () => this.#loop.poke(),
    ),
  )
  readonly #loginDesk: LoginDesk
  readonly #store: SharedCounts | undefined
  readonly #verdicts = new TokenVerdicts(() => this.#doorAuthenticator)
  readonly #openCalls = new OpenCalls()
  readonly #listeners: Listeners
  readonly #reload: Reload
  #authenticator: Authenticator
  /** T3: tickets were sealed with keys of the gateway's own. */
  #hasOwnKeys: boolean
  readonly #admin: AdminServer | undefined
  readonly #version = packageVersion()
  #ended: (ending: Ending) => void = () => {}
  #toldPublicKey: string | undefined
  #isDraining = false
  #drainUntil = 0
  #isClosing = false

  constructor(settings: Settings, options: StartOptions) {
    this.#settings = settings
    this.#options = options
    this.closed = new Promise((resolve) => {
      this.#ended = resolve
    })
    this.#hasOwnKeys = settings.ticketKeys === undefined
    this.#sealer = new KeyRingSealer(settings.ticketKeys ?? ownKeys(settings.stateDir))
    this.#noise = new NoiseIdentity(cryptoProvider, (ticket) => openTicket(this.#sealer, ticket))
    this.#noise.prepare(settings)()
    this.#logFile = new LogFile(settings.log, options.logTarget ?? new LogOutput(1))
    this.#authenticator = this.#makeAuthenticator(settings)
    this.#observer = new Observer(this.#logFile.log, monotonicNow)
    this.#observer.watch((event) => {
      this.#events.publish(event)
      // What a policy decided outlives this process like what an operator said.
      if (event.event === 'banned') this.#bans.keepDecided(event)
    })
    this.#loop = new Loop(settings.times.linkFlushDelayMs)
    this.#pressure = new PressureSampler(
      ({ eventLoopDelayMs, memoryShare, readWaitMs }, now) =>
        this.gateway.strained(eventLoopDelayMs, memoryShare, readWaitMs, now),
      monotonicNow,
    )
    this.#bans = new KeptBans(settings.stateDir, (what, error) => this.#logFile.log.warn({ err: error }, what))
    const [lo, hi] = new Int32Array(new Uint8Array(randomBytes(8)).buffer)
    this.#store = settings.store && new SharedCounts(settings.store, this.#io, storeTeller(this.#logFile.log))
    this.#doorkeeper = new Doorkeeper(
      settings,
      this.#bans,
      { lo, hi },
      this.#io,
      this.#observer.observe,
      monotonicNow,
      this.#store,
    )
    this.#loginDesk = new LoginDesk(settings, { lo, hi }, this.#io, monotonicNow, this.#store)
    this.gateway = new Gateway(settings, this.#environment())
    this.#home = {
      now: monotonicNow,
      poke: () => this.#loop.poke(),
      counters: this.#io,
      carriers: this.#carriers,
      clientSlab: clientSlab(),
      doorkeeper: this.#doorkeeper,
      budget: new ConnectionBudget(this.#connectionsMax(settings), this.#io),
      noise: this.#noise,
      gatewayName: settings.name,
      handshakeMs: settings.times.handshakeMs,
      loop: this.#loop,
      randomBytes,
      limits: () => this.gateway.limits,
      accept: (carrier, now, entrance) => this.gateway.accept(carrier, now, entrance),
      http: this.#httpHome(),
      observe: this.#observer.observe,
    }
    this.#dialer = new LinkDialer({
      ...this.#home,
      linkOpened: (host, carrier, now) => this.gateway.linkOpened(host, carrier, now),
      linkFailed: (host, why, now) => this.gateway.linkFailed(host, why, now),
    })
    this.#listeners = new Listeners(settings.listeners, this.#home)
    this.#reload = this.#makeReload()
    this.#admin = settings.admin.enabled ? this.#makeAdmin() : undefined
  }

  get noisePublicKey(): string | undefined {
    return this.#noise.publicKeyText
  }

  get addresses(): ListenerAddress[] {
    return this.#listeners.addresses()
  }

  async start(): Promise<void> {
    const { log } = this.#logFile
    await this.#listeners.listen()
    this.#authenticator.begin?.()
    this.#store?.begin()
    for (const view of this.#listeners.views()) {
      log.info(view, 'listening')
      if (view.transport === 'udp' && view.security === 'none') log.warn({ name: view.name }, PLAIN_KCP)
    }
    if (this.#admin !== undefined) {
      const { host, port } = await this.#admin.listen()
      this.adminAddress = `http://${host.includes(':') ? `[${host}]` : host}:${port}`
      log.info({ address: this.adminAddress }, 'admin interface')
    }
    this.#logPublicKey()
    if (this.#settings.auth.kind === 'development') log.warn('auth is development: whoever connects is believed')
    if (this.#options.ownsProcess) this.#ownProcess()
    this.#loop.start(this.gateway)
    this.#sampler.reset()
    this.#pressure.start()
    this.#reload.begin(this.#options.source)
    const { name } = this.#settings
    const { configFile: config } = this.#options
    log.info({ name, version: this.#version, config, accelerator: acceleratorState() }, 'skewer runs')
  }

  async drain(withinMs = this.gateway.times.drainMs): Promise<void> {
    if (!this.#isDraining) {
      this.#isDraining = true
      this.#reload.stop()
      this.#listeners.stop()
      this.#observer.watch((event) => {
        if (event.event === 'drain_finished') this.#drained(event.left)
      })
      this.#drainUntil = monotonicNow() + withinMs
      this.gateway.drain(withinMs, monotonicNow())
      this.#loop.poke()
    }
    await this.closed
  }

  async close(): Promise<void> {
    await this.#close({ code: 0, reason: 'closed' })
  }

  reload(trigger: ReloadTrigger, isDryRun = false): Promise<ReloadOutcome> {
    return this.#reload.reload(trigger, isDryRun)
  }

  configure(settings: Settings): Promise<ReloadOutcome> {
    return this.#reload.configure(settings)
  }

  #makeReload(): Reload {
    const home: ReloadHome = {
      settings: () => this.gateway.settings,
      prepare: (settings) => this.#prepare(settings),
      readiness: () => this.gateway.readiness(),
      isEnding: () => this.#isDraining || this.#isClosing,
      observe: this.#observer.observe,
      warn: (what, error) => this.#logFile.log.warn({ err: error }, what),
      now: monotonicNow,
      counters: this.#io,
    }
    return new Reload(home, this.#options.configFile, this.#options.env ?? globalThis.process.env)
  }

  /** Makes all that another configuration needs, and rejects where it cannot; what it resolves with swaps in one turn. */
  async #prepare(settings: Settings): Promise<() => void> {
    const before = this.gateway.settings
    const authenticator = this.#makeAuthenticator(settings)
    const ring = ringOf(settings, this.#hasOwnKeys)
    const swapNoise = this.#noise.prepare(settings)
    const swapAdmission = await this.#doorkeeper.prepare(settings)
    this.#home.handshakeMs = settings.times.handshakeMs
    const swapListeners = await this.#listeners.prepare(settings.listeners).catch((error: Error) => {
      this.#home.handshakeMs = before.times.handshakeMs
      throw error
    })
    return () => {
      const now = monotonicNow()
      const removed = swapListeners()
      this.#authenticator.end?.()
      authenticator.begin?.(this.#authenticator)
      this.#authenticator = authenticator
      this.#verdicts.forget()
      this.#sealer.reload(ring)
      swapNoise()
      swapAdmission()
      this.#loginDesk.use(settings)
      this.#logPublicKey()
      this.#hasOwnKeys ||= settings.ticketKeys === undefined
      this.#home.budget.connectionsMax = this.#connectionsMax(settings)
      this.#loop.linkFlushDelayMs = settings.times.linkFlushDelayMs
      // What was set over the admin port stays until the file says something else.
      if (settings.log.level !== before.log.level) this.#logFile.log.level = settings.log.level
      this.#admin?.setToken(settings.admin.token)
      this.gateway.configure(settings, now)
      for (const listener of removed) this.#leave(listener, settings.times.drainMs, now)
      this.#loop.poke()
    }
  }

  /** Clients of a listener that is no more go within this time, and what it still has of HTTP ends then. */
  #leave(listener: Listener, withinMs: number, now: number): void {
    this.gateway.drainEntrance(listener, withinMs, now)
    setTimeout(() => listener.end?.(), withinMs).unref()
  }

  /** Gives back what a start that failed has taken. */
  async abandon(): Promise<void> {
    await this.#close({ code: 1, reason: 'not started' })
  }

  #drained(left: number): void {
    const reason = left === 0 ? 'drained' : `${left} connections were left when the time was over`
    const close = () => this.#closeQuietly({ code: left === 0 ? 0 : 3, reason })
    // Not in the core's own turn: it is still telling the last ones.
    setImmediate(() => void this.#openCalls.gone(this.#drainUntil - monotonicNow()).then(close))
  }

  #closeQuietly(ending: Ending): void {
    this.#close(ending).catch((error: unknown) => this.#logFile.log.error({ err: error }, 'it did not end well'))
  }

  async #close(ending: Ending): Promise<void> {
    if (this.#isClosing) {
      await this.closed
      return
    }
    this.#isClosing = true
    const now = monotonicNow()
    this.#reload.stop()
    this.#listeners.stop()
    this.#dialer.stop()
    this.#authenticator.end?.()
    this.#store?.end()
    for (const connection of [...this.gateway.connections]) connection.close(code.going_away, 'the gateway ends')
    for (const link of [...this.gateway.links]) link.close(code.going_away, 'the gateway ends', now)
    this.gateway.flush(now)
    this.gateway.flushLinks(now)
    this.#loop.remove(this.gateway)
    // Carriers that were closed send what is queued for up to LINGER_MS; none is left behind after that.
    const late = setTimeout(() => this.#carriers.destroyAll(), LINGER_MS)
    await this.#carriers.gone()
    clearTimeout(late)
    this.#listeners.end()
    this.#events.close()
    this.#admin?.close()
    this.#sampler.stop()
    this.#bans.stop()
    this.#pressure.stop()
    this.#logFile.log.info(ending, 'skewer ends')
    await this.#logFile.close()
    this.#ended(ending)
  }

  #environment(): GatewayEnvironment {
    return {
      now: monotonicNow,
      wallNow: Date.now,
      randomBytes,
      hmac: (key, ...parts) => {
        const mac = createHmac('sha256', key)
        for (const part of parts) mac.update(part)
        return mac.digest()
      },
      sealer: this.#sealer,
      authenticator: this.#doorAuthenticator,
      isBanned: (user) => this.#bans.hasUser(user),
      scheduleFlush: () => this.#loop.scheduleFlush(),
      scheduleLinkFlush: () => this.#loop.scheduleLinkFlush(),
      // The core asks for its first links while it is being made.
      dial: (hostName) => void setImmediate(() => this.#dial(hostName)),
      observe: this.#observer.observe,
    }
  }

  #makeAuthenticator({ auth }: Settings): Authenticator {
    const warn = (what: string, error: Error) => this.#logFile.log.warn({ err: error }, what)
    return authenticatorOf(auth, warn, (call, caller) => {
      this.gateway.looseCalls.ask(call, caller, monotonicNow())
      this.#loop.poke()
    })
  }

  /** Told at the start, and again when it is another one. */
  #logPublicKey(): void {
    const publicKey = this.#noise.publicKeyText
    if (publicKey === this.#toldPublicKey) return
    this.#toldPublicKey = publicKey
    const { crypto } = this.#noise
    if (publicKey !== undefined) this.#logFile.log.info({ publicKey, crypto: crypto.name }, 'the public key of Noise')
  }

  #httpHome(): HttpHome {
    return {
      now: monotonicNow,
      poke: () => this.#loop.poke(),
      verdicts: this.#verdicts,
      openCalls: this.#openCalls,
      call: (call, caller, verdict, now) => {
        const { address, user } = call
        let counted = verdict.subject
        if (counted?.address !== address) {
          const subject = this.gateway.policing.callerOf(address, user)
          subject.labels = verdict.labels
          counted = { address, subject }
          verdict.subject = counted
        }
        return this.gateway.call(call, caller, counted!.subject, now)
      },
      isReady: () => this.gateway.readiness().ready,
      isDraining: () => this.#isDraining,
    }
  }

  #connectionsMax(settings: Settings): number {
    const { connectionsMax } = settings.limits
    const filesMax = openFilesMax()
    if (filesMax === undefined || connectionsFor(filesMax) >= connectionsMax) return connectionsMax
    const possible = connectionsFor(filesMax)
    this.#logFile.log.warn(
      { connectionsMax, filesMax, possible },
      'fewer connections than connectionsMax will be taken: raise the limit of open files (LimitNOFILE, ulimit -n)',
    )
    return possible
  }

  #dial(hostName: string): void {
    if (this.#isClosing) return
    for (const host of this.gateway.hostTable.all()) {
      if (host.name === hostName && host.settings !== undefined) this.#dialer.dial(host.settings)
    }
  }

  #makeAdmin(): AdminServer {
    return adminPort({
      gateway: this.gateway,
      io: this.#io,
      events: this.#events,
      version: this.#version,
      log: this.#logFile.log,
      sample: () => this.#sampler.sample(),
      listeners: () => this.#listeners.views(),
      bans: new BanDesk(this.#bans, this.gateway, () => {
        this.#verdicts.forget()
        this.#loop.poke()
      }),
      drain: (withinMs) => void this.drain(withinMs),
      reload: (isDryRun) => this.#reload.reload('admin', isDryRun),
      quit: () => this.#closeQuietly({ code: 0, reason: 'asked to quit' }),
    })
  }

  /** State after an error that nobody foresaw is not trusted: the process ends, and clients attach elsewhere. */
  #ownProcess(): void {
    const died = (error: unknown) => {
      this.#logFile.log.fatal({ err: error }, 'an error that nobody caught')
      this.#logFile.closeNow()
      globalThis.process.exit(1)
    }
    globalThis.process.on('uncaughtException', died).on('unhandledRejection', died)
  }
}
