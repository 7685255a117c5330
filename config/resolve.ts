// From the checked file to the Settings that the gateway runs on: names that may be left out are made, file names become
// absolute, routes of services join the list of routes. Nothing is judged here.
import os from 'node:os'
import path from 'node:path'
import { kcpFrom } from './schema-kcp.ts'
import { http as httpSchema } from './schema-http.ts'
import { TRANSPORT_PORTS } from './schema-listeners.ts'
import type { Config } from './schema.ts'
import { breakerSettings, callSettings, canarySettings, concurrencySettings } from './resolve-guards.ts'
import { gatewayPolicySet, policySet } from './resolve-policies.ts'
import type {
  AuthSettings,
  HostSettings,
  ListenerSettings,
  RouteSettings,
  ServiceSettings,
  Settings,
} from './settings.ts'

/** Relative file names start at `directory`. */
export function resolveSettings(config: Config, directory: string): Settings {
  const file = (name: string) => path.resolve(directory, name)
  return {
    name: config.name ?? machineName(),
    listeners: named(
      config.listeners.map((listener) => listenerSettings(listener, file)),
      config,
    ),
    hosts: config.hosts.map((host) => hostSettings(host, file)),
    services: Object.entries(config.services).map(([name, service]) => serviceSettings(name, service, file)),
    routes: routeSettings(config, file),
    policies: gatewayPolicySet(config.policies, file),
    admission: admissionSettings(config, file),
    store: config.store,
    auth: authSettings(config, file),
    singleLogin: config.auth?.singleLogin === 'off' ? undefined : config.auth?.singleLogin,
    ticketKeys: config.ticketKeys,
    stateDir: file(config.stateDir),
    noise: config.noise && {
      keyFile: file(config.noise.keyFile),
      previousKeyFile: config.noise.previousKeyFile && file(config.noise.previousKeyFile),
    },
    linkKey: config.linkKey,
    limits: config.limits,
    times: timeSettings(config),
    admin: config.admin,
    log: config.log,
    reload: { watch: config.reload.watch, rollbackWithinMs: config.reload.rollbackWithin },
  }
}

type FileOf = (name: string) => string

function listenerSettings(listener: Config['listeners'][number], file: FileOf): ListenerSettings {
  const { transport, host, tls } = listener
  const port = listener.port ?? TRANSPORT_PORTS[transport]
  return {
    name: listener.name ?? `${transport}-${port}`,
    transport,
    host: host === 'localhost' ? '127.0.0.1' : host,
    port,
    security: listener.security ?? (transport === 'udp' ? 'noise' : tls ? 'tls' : 'none'),
    tls: tls && {
      certFile: file(tls.certFile),
      keyFile: file(tls.keyFile),
      clientCaFile: tls.clientCaFile && file(tls.clientCaFile),
    },
    path: listener.path ?? '/',
    origins: listener.origins ?? [],
    kcp: transport === 'udp' ? kcpFrom(listener.kcp) : undefined,
    ...httpOf(listener),
    policies: policySet(listener.policies, file),
    proxyProtocol: listener.proxyProtocol?.from,
    forwarded: listener.forwarded?.from,
    limits: listener.limits,
  }
}

function admissionSettings({ admission }: Config, file: FileOf): Settings['admission'] {
  if (admission === undefined) return undefined
  const { mode, allow, allowFile, deny, denyFile, connectionsPerAddress, connectionsPerNetwork } = admission
  return {
    limits: {
      isObserved: mode === 'observe',
      perAddress: connectionsPerAddress ?? Infinity,
      perNetwork: connectionsPerNetwork ?? Infinity,
      rate: admission.connectionRate,
      requestRate: admission.requestRate,
    },
    lists: { allow, allowFile: allowFile && file(allowFile), deny, denyFile: denyFile && file(denyFile) },
    logins: admission.logins,
  }
}

/** A listener for HTTP has all defaults; one for WebSocket only where it is written. */
function httpOf({ transport, http }: Config['listeners'][number]): Pick<ListenerSettings, 'http'> {
  if (http === undefined && transport !== 'http') return {}
  const { compressFrom, cors, requestTime, keepAlive, ...same } = http ?? httpSchema.parse({})
  const times = { requestMs: requestTime, keepAliveMs: keepAlive }
  return { http: { ...same, ...times, compressFromBytes: compressFrom, corsOrigins: cors } }
}

/** Two listeners on one port (of two addresses) would get the same made-up name: the later ones are numbered. */
function named(listeners: ListenerSettings[], config: Config): ListenerSettings[] {
  return listeners.map((listener, i) => {
    const same = listeners.slice(0, i).filter(({ name }) => name === listener.name).length
    if (same === 0 || config.listeners[i].name !== undefined) return listener
    return { ...listener, name: `${listener.name}-${same + 1}` }
  })
}

function hostSettings(host: Config['hosts'][number], file: FileOf): HostSettings {
  const { name, address, services, weight, labels, tls, publicKey } = host
  return {
    name,
    address,
    security: host.security ?? (tls ? 'tls' : publicKey ? 'noise' : 'none'),
    publicKey,
    tls: tls && {
      caFile: tls.caFile && file(tls.caFile),
      certFile: tls.certFile && file(tls.certFile),
      keyFile: tls.keyFile && file(tls.keyFile),
      serverName: tls.serverName,
    },
    services,
    weight,
    labels,
    breaker: breakerSettings(host.breaker),
  }
}

function serviceSettings(name: string, service: Config['services'][string], file: FileOf): ServiceSettings {
  const { keys, whenAway, breaker } = service
  return {
    name,
    keys,
    whenAway,
    breaker: breakerSettings(breaker),
    fallback: breaker === 'off' ? undefined : breaker.fallback,
    concurrency: concurrencySettings(service.concurrency),
    canary: canarySettings(service.canary),
    policies: policySet(service.policies, file),
  }
}

/** Written ones first, then those of services in their order; a service without any has all of its own name. */
function routeSettings(config: Config, file: FileOf): RouteSettings[] {
  const written = [...config.routes]
  for (const [service, { routes: own }] of Object.entries(config.services)) {
    for (const route of own) written.push({ ...route, service })
  }
  for (const service of Object.keys(config.services)) {
    // What answers logins is for the gateway: players reach it by routes that are written only.
    if (service === config.auth?.host?.service) continue
    if (!written.some((route) => route.service === service))
      written.push({ match: `${service}.*`, service, breaker: 'off' })
  }
  return written.map(({ requestDeadlineMax: requestMsMax, ...route }) => ({
    ...route,
    requestMsMax,
    breaker: breakerSettings(route.breaker),
    concurrency: concurrencySettings(route.concurrency),
    calls: callSettings(route.calls),
    policies: policySet(route.policies, file),
  }))
}

function authSettings({ auth }: Config, file: FileOf): AuthSettings {
  if (auth?.host) {
    const { deadline: deadlineMs, ...host } = auth.host
    return { kind: 'host', ...host, deadlineMs }
  }
  if (!auth?.jwt) return { kind: 'development' }
  const { algorithms, secret, publicKeyFile, keys, jwks, issuer, audience, userClaim, labels } = auth.jwt
  return {
    kind: 'jwt',
    algorithms,
    secret,
    publicKeyFile: publicKeyFile && file(publicKeyFile),
    keys: keys?.map((key) => ({ kid: key.kid, file: file(key.file) })),
    jwks: jwks && {
      file: jwks.file && file(jwks.file),
      url: jwks.url,
      timeoutMs: jwks.timeout,
      refreshMs: jwks.refresh,
      cooldownMs: jwks.cooldown,
    },
    issuer,
    audience,
    userClaim,
    labels,
    clockToleranceMs: auth.jwt.clockTolerance,
  }
}

function timeSettings({ times }: Config): Settings['times'] {
  return {
    handshakeMs: times.handshake,
    heartbeatMs: times.heartbeat,
    keepMs: times.keep,
    parkMaxMs: times.parkMax,
    backoffMaxMs: times.backoffMax,
    drainMs: times.drain,
    authUntilMs: times.authUntil,
    linkHeartbeatMs: times.linkHeartbeat,
    linkFlushDelayMs: times.linkFlushDelay,
    goneAfterMs: times.goneAfter ?? times.keep,
  }
}

function machineName(): string {
  const name = os
    .hostname()
    .replace(/[^A-Za-z0-9_.-]/g, '-')
    .slice(0, 64)
  return /^[A-Za-z0-9_]/.test(name) ? name : 'gateway'
}
