// A rehearsal: the gateway of a configuration with clients and hosts in memory, in virtual time, so that what policies do
// to whom can be asked before players find out (`skewer test`). The core is the one that runs; listeners, certificates
// and tokens are not looked at, and every host of the configuration is there and answers at once.
import { createHmac, randomBytes } from 'node:crypto'
import type { Settings } from '../../config/settings.ts'
import { code, codeName } from '../../protocols/codes.ts'
import { Gateway } from '../gateway.ts'
import { KeyRingSealer } from '../io/sealer.ts'
import type { Entrance, GatewayEnvironment } from '../seams.ts'
import { RehearsalClient, RehearsalHost, type SendKind } from './peers.ts'

/** Who a client is; all but the user may be left out. */
export type Role = {
  readonly user: string
  readonly address: string
  readonly labels: Readonly<Record<string, string>>
  /** The listener that it comes in by. */
  readonly listener: string
  readonly key: string
}

export type Sending = {
  readonly kind: SendKind
  readonly route: string
  readonly count: number
  /** Within which they are sent, evenly; 0: all at once. */
  readonly overMs: number
  readonly payload: Uint8Array
}

/** The names that outcomes have. */
export const codeNames: readonly string[] = Object.keys(code)

/** What became of the messages of one sending; codes by name. */
export type Outcome = {
  /** The host got them. */
  readonly passed: number
  readonly rejections: readonly { readonly code: string; readonly retryMs: number }[]
  /** Neither came through nor was refused: unreliable ones that were dropped, or nothing to send them on. */
  readonly lost: number
  /** The code that its connection was closed with. */
  readonly closed: string | undefined
  /** The code that its login or attach was refused with; then nothing was sent. */
  readonly refused: string | undefined
}

const STEP_MS = 500
const SECOND_MS = 1000
const KEY_BYTES = 32
const hmac = (key: Uint8Array, ...parts: Uint8Array[]): Uint8Array => {
  const mac = createHmac('sha256', key)
  for (const part of parts) mac.update(part)
  return new Uint8Array(mac.digest())
}

export class Rehearsal {
  now = SECOND_MS
  readonly gateway: Gateway
  readonly #settings: Settings
  readonly #hosts: RehearsalHost[] = []
  readonly #clients = new Map<string, RehearsalClient>()
  readonly #dialled: string[] = []
  #isFlushDue = false

  constructor(settings: Settings) {
    this.#settings = settings
    const environment: GatewayEnvironment = {
      now: () => this.now,
      wallNow: () => this.now,
      randomBytes: (length) => new Uint8Array(randomBytes(length)),
      hmac,
      sealer: new KeyRingSealer({ current: { id: '01020304', key: new Uint8Array(randomBytes(KEY_BYTES)) } }),
      authenticator: {
        login: (token, _address, done) => {
          const { user, labels } = JSON.parse(new TextDecoder().decode(token)) as Role
          done({ ok: true, user, labels: { ...labels } })
        },
      },
      scheduleFlush: () => {
        this.#isFlushDue = true
      },
      dial: (name) => this.#dialled.push(name),
      observe: () => {},
    }
    this.gateway = new Gateway(settings, environment)
    this.#settle()
  }

  /** Sends as a client of this role, who connects and attaches where it has not; time passes meanwhile. */
  send(name: string, role: Role, sending: Sending): Outcome {
    const rule = this.gateway.routes.ruleOf(sending.route)
    const client = this.#clientFor(name, role, rule?.service ?? this.#settings.services[0].name)
    if (client.attachedAs !== code.ok || client.closedWith !== undefined) {
      const refused = codeName(client.attachedAs ?? client.closedWith ?? code.host_away)
      return { passed: 0, rejections: [], lost: sending.count, closed: undefined, refused }
    }
    const passedBefore = this.#passed(client)
    const rejectedBefore = client.rejections.length
    for (let i = 0; i < sending.count; i++) {
      if (i > 0 && sending.overMs > 0) this.pass(sending.overMs / sending.count)
      client.send(sending.kind, sending.route, sending.payload)
      if (sending.overMs > 0) this.#settle()
    }
    this.#settle()
    if (sending.overMs > 0) this.pass(sending.overMs / sending.count)
    const passed = this.#passed(client) - passedBefore
    const rejections = client.rejections
      .slice(rejectedBefore)
      .map((one) => ({ code: codeName(one.code), retryMs: one.retryMs }))
    const lost = sending.count - passed - rejections.length
    const closed = client.closedWith === undefined ? undefined : codeName(client.closedWith)
    return { passed, rejections, lost, closed, refused: undefined }
  }

  /** Lets time pass. */
  pass(ms: number): void {
    const until = this.now + ms
    while (this.now < until) {
      const next = Math.min(until, this.now + STEP_MS)
      while (this.gateway.deadline() <= next) {
        this.now = Math.max(this.now, this.gateway.deadline())
        this.gateway.tick(this.now)
        this.#settle()
      }
      this.now = next
      for (const client of this.#clients.values()) client.ping()
      this.#settle()
    }
  }

  #passed(client: RehearsalClient): number {
    return this.#hosts.reduce((sum, host) => sum + (host.got.get(client.session) ?? 0), 0)
  }

  /** One client a service: a name that sends to two has two connections of one user. */
  #clientFor(name: string, role: Role, service: string): RehearsalClient {
    const place = `${name} ${service}`
    const known = this.#clients.get(place)
    if (known !== undefined && known.closedWith === undefined && known.attachedAs === code.ok) return known
    const client = new RehearsalClient(name, role.address)
    client.events = this.gateway.accept(client, this.now, this.#entrance(role.listener))
    this.#clients.set(place, client)
    this.#settle()
    client.login(JSON.stringify(role))
    this.#settle()
    if (client.isWelcome) client.attach(service, role.key)
    this.#settle()
    return client
  }

  #entrance(listener: string): Entrance | undefined {
    const settings = this.#settings.listeners.find(({ name }) => name === listener)
    return settings && { settings }
  }

  /** Lets both sides say what they have to say, until nobody has anything more. */
  #settle(): void {
    for (;;) {
      let isQuiet = true
      for (const name of this.#dialled.splice(0)) {
        this.#link(name)
        isQuiet = false
      }
      if (this.#isFlushDue) {
        this.#isFlushDue = false
        this.gateway.flush(this.now)
        isQuiet = false
      }
      for (const peer of [...this.#hosts, ...this.#clients.values()]) {
        if (peer.read()) isQuiet = false
        if (peer.flush(this.now)) isQuiet = false
      }
      if (isQuiet) return
    }
  }

  #link(name: string): void {
    const services = this.#settings.services.map((service) => service.name)
    const key = new TextEncoder().encode(this.#settings.linkKey ?? '')
    const host = new RehearsalHost(name, services, key, hmac)
    this.#hosts.push(host)
    host.events = this.gateway.linkOpened(name, host, this.now)
  }
}
