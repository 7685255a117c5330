// Settings written back in the words of the configuration file, every key explicit and no secret in it: what `skewer
// config dump` prints and the admin port shows. Two of them are compared to tell an operator what a reload changes, in
// the names that the operator wrote. Loading the dump of a configuration without secrets gives the same Settings.
import type { KcpSettings } from '../protocols/kcp/settings.ts'
import { formatDuration, formatRate, formatSize } from './quantities.ts'
import { breakerConfig, callConfig, canaryConfig, concurrencyConfig } from './redacted-guards.ts'
import { plainGatewayPolicies, plainPolicies } from './resolve-policies.ts'
import type {
  AuthSettings,
  HttpSettings,
  JwtSettings,
  ListenerSettings,
  RouteSettings,
  ServiceSettings,
  Settings,
} from './settings.ts'

export const REDACTED = '[redacted]'

export type PlainConfig = { [key: string]: PlainValue }
export type PlainValue = string | number | boolean | PlainValue[] | PlainConfig

/** File names are absolute, routes are all under `routes`, keys that are not set are left out. */
export function redactedConfig(settings: Settings): PlainConfig {
  const { limits, times, auth, admin } = settings
  return present({
    version: 1,
    name: settings.name,
    stateDir: settings.stateDir,
    listeners: settings.listeners.map(listenerConfig),
    services: Object.fromEntries(settings.services.map((service) => [service.name, serviceConfig(service)])),
    hosts: settings.hosts.map((host) =>
      present({ ...host, tls: host.tls && present(host.tls), breaker: breakerConfig(host.breaker) }),
    ),
    routes: settings.routes.map(routeConfig),
    policies: plainGatewayPolicies(settings.policies ?? {}),
    admission: settings.admission && admissionConfig(settings.admission),
    store: settings.store && { redis: { ...settings.store.redis, url: REDACTED } },
    auth: present({ singleLogin: settings.singleLogin, ...authConfig(auth) }),
    ticketKeys: settings.ticketKeys && present(hidden(settings.ticketKeys, 'next', 'current', 'previous')),
    noise: settings.noise && present(settings.noise),
    linkKey: settings.linkKey && REDACTED,
    limits: {
      windowCount: limits.windowCount,
      windowBytes: formatSize(limits.windowBytes),
      channelsPerSession: limits.channelsPerSession,
      connectionBytesMax: formatSize(limits.connectionBytesMax),
      grantedBytesMax: formatSize(limits.grantedBytesMax),
      replyBytesMax: formatSize(limits.replyBytesMax),
      queueBytesMax: formatSize(limits.queueBytesMax),
      linkBytesMax: formatSize(limits.linkBytesMax),
      connectionsMax: limits.connectionsMax,
      frameBytesMax: formatSize(limits.frameBytesMax),
      handshakeFrameBytesMax: formatSize(limits.handshakeFrameBytesMax),
      parkedMax: limits.parkedMax,
      looseReplyBytesMax: formatSize(limits.looseReplyBytesMax),
      rateKeysMax: limits.rateKeysMax ?? 1_000_000,
    } satisfies Record<keyof Settings['limits'], PlainValue>,
    times: {
      handshake: formatDuration(times.handshakeMs),
      heartbeat: formatDuration(times.heartbeatMs),
      keep: formatDuration(times.keepMs),
      parkMax: formatDuration(times.parkMaxMs),
      backoffMax: formatDuration(times.backoffMaxMs),
      drain: formatDuration(times.drainMs),
      authUntil: formatDuration(times.authUntilMs),
      linkHeartbeat: formatDuration(times.linkHeartbeatMs),
      linkFlushDelay: formatDuration(times.linkFlushDelayMs),
      goneAfter: formatDuration(times.goneAfterMs),
    },
    admin: present({ ...admin, ...hidden(admin, 'token') }),
    log: { ...settings.log },
    reload: {
      watch: settings.reload.watch,
      rollbackWithin: formatDuration(settings.reload.rollbackWithinMs),
    },
  })
}

function listenerConfig(listener: ListenerSettings): PlainConfig {
  const { name, transport, host, port, security, tls, path, origins, kcp } = listener
  const web = transport === 'websocket' ? { path, origins: origins.length > 0 ? origins : undefined } : {}
  const http = listener.http && httpConfig(listener.http)
  const lane = kcp && kcpConfig(kcp)
  const policies = plainPolicies(listener.policies)
  const proxyProtocol = listener.proxyProtocol && { from: listener.proxyProtocol }
  const forwarded = listener.forwarded && { from: listener.forwarded }
  return present({
    ...{ name, transport, host, port, security, tls: tls && present(tls), ...web, kcp: lane, http, policies },
    proxyProtocol,
    forwarded,
    limits: listener.limits && present({ ...listener.limits }),
  })
}

function authConfig(auth: AuthSettings): PlainConfig {
  if (auth.kind === 'development') return { development: true }
  if (auth.kind === 'jwt') return { jwt: jwtConfig(auth) }
  const { kind, deadlineMs, ...host } = auth
  return { host: { ...host, deadline: formatDuration(deadlineMs) } }
}

function jwtConfig(jwt: JwtSettings): PlainConfig {
  const { kind, jwks, clockToleranceMs, ...rest } = jwt
  return present({
    ...rest,
    ...hidden(jwt, 'secret'),
    jwks:
      jwks &&
      present({
        file: jwks.file,
        url: jwks.url,
        timeout: formatDuration(jwks.timeoutMs),
        refresh: formatDuration(jwks.refreshMs),
        cooldown: formatDuration(jwks.cooldownMs),
      }),
    clockTolerance: formatDuration(clockToleranceMs),
  })
}

/** Without its preset, of which every key is here. */
function kcpConfig(kcp: KcpSettings): PlainConfig {
  const { mtu, sendWindow, receiveWindow, nodelay, intervalMs, immediate, resend, nc, minRtoMs, deadLinkCount } = kcp
  const [interval, minRto] = [formatDuration(intervalMs), formatDuration(minRtoMs)]
  return { mtu, sendWindow, receiveWindow, nodelay, interval, immediate, resend, nc, minRto, deadLinkCount }
}

function httpConfig(http: HttpSettings): PlainConfig {
  return {
    calls: http.calls,
    sessions: http.sessions,
    contentType: http.contentType,
    bodyBytesMax: formatSize(http.bodyBytesMax),
    compressFrom: formatSize(http.compressFromBytes),
    cors: http.corsOrigins,
    requestTime: formatDuration(http.requestMs),
    keepAlive: formatDuration(http.keepAliveMs),
    requestsPerConnection: http.requestsPerConnection,
  }
}

function admissionConfig({ limits, lists, logins }: NonNullable<Settings['admission']>): PlainConfig {
  const { isObserved, perAddress, perNetwork, rate, requestRate } = limits
  return present({
    mode: isObserved ? 'observe' : 'enforce',
    allow: [...lists.allow],
    allowFile: lists.allowFile,
    deny: [...lists.deny],
    denyFile: lists.denyFile,
    connectionsPerAddress: perAddress === Infinity ? undefined : perAddress,
    connectionsPerNetwork: perNetwork === Infinity ? undefined : perNetwork,
    connectionRate: rate && formatRate(rate),
    requestRate: requestRate && formatRate(requestRate),
    logins:
      logins &&
      present({
        perAddress: logins.perAddress && formatRate(logins.perAddress),
        perUser: logins.perUser && formatRate(logins.perUser),
      }),
  })
}

function serviceConfig(service: ServiceSettings): PlainConfig {
  const { keys, whenAway, breaker, fallback, concurrency, canary } = service
  return present({
    keys,
    whenAway,
    breaker: breaker && breakerConfig(breaker, fallback),
    concurrency: concurrencyConfig(concurrency),
    canary: canaryConfig(canary),
    policies: plainPolicies(service.policies),
  })
}

function routeConfig({
  match,
  service,
  rate,
  payloadBytesMax,
  breaker,
  concurrency,
  calls,
  requestMsMax,
  policies,
}: RouteSettings): PlainConfig {
  return present({
    match,
    service,
    rate: rate && formatRate(rate),
    payloadBytesMax: payloadBytesMax === undefined ? undefined : formatSize(payloadBytesMax),
    breaker: breaker && breakerConfig(breaker),
    concurrency: concurrencyConfig(concurrency),
    calls: callConfig(calls),
    requestDeadlineMax: requestMsMax === undefined ? undefined : formatDuration(requestMsMax),
    policies: plainPolicies(policies),
  })
}

/** Secrets that are set, as a word that says so. */
function hidden<T extends object>(of: T, ...keys: (keyof T)[]): Partial<Record<keyof T, string>> {
  const set = keys.filter((key) => of[key] !== undefined)
  return Object.fromEntries(set.map((key) => [key, REDACTED])) as Partial<Record<keyof T, string>>
}

function present(keys: { [key: string]: PlainValue | undefined }): PlainConfig {
  return Object.fromEntries(Object.entries(keys).filter(([, value]) => value !== undefined)) as PlainConfig
}
