// What holds between the keys of a configuration that is well formed by itself: session rules (O1, W5, N2), routes that
// name services, ports that collide; security-checks.ts has the rest. Each check is one function that complains
// with the path of the key to change. Errors are what cannot work or is unsafe; warnings what probably was not meant.
import { nearest } from './nearest.ts'
import { checkPolicies } from './policy-checks.ts'
import type { Complaint, PathStep } from './problems.ts'
import { formatDuration, formatSize } from './quantities.ts'
import type { Config } from './schema.ts'
import { securityChecks } from './security-checks.ts'
import type { RouteSettings, Settings } from './settings.ts'

export type Checked = {
  config: Config
  settings: Settings
  /** Places the complaint at the path, or with several at the first that is written. */
  complain: (path: PathStep[] | PathStep[][], complaint: Complaint, at?: 'key' | 'value') => void
  /** Wall time in milliseconds, for certificates that have expired. */
  now: number
}

const checks = [
  checkListeners,
  checkHosts,
  checkServices,
  checkRoutes,
  checkWindows,
  checkFrames,
  checkTimes,
  checkPolicies,
  ...securityChecks,
]

export function checkConfig(checked: Checked): void {
  for (const check of checks) check(checked)
}

function checkListeners({ config, settings, complain }: Checked): void {
  const names = new Map<string, number>()
  for (const [i, listener] of settings.listeners.entries()) {
    const same = names.get(listener.name)
    if (same === undefined) names.set(listener.name, i)
    else complain(['listeners', i, 'name'], { what: `listeners[${same}] has this name`, got: listener.name })
    for (const key of ['path', 'origins', 'kcp'] as const) {
      if (config.listeners[i][key] === undefined) continue
      if (listener.transport === (key === 'kcp' ? 'udp' : 'websocket')) continue
      complain(['listeners', i, key], { what: `means nothing for transport ${listener.transport}` }, 'key')
    }
    if (listener.http !== undefined && listener.security === 'noise') {
      complain(
        ['listeners', i, 'http'],
        { what: 'calls cannot be made inside Noise; give them a listener of their own' },
        'key',
      )
    }
    if (listener.http !== undefined && listener.limits?.handshakesMax !== undefined) {
      const what = 'means nothing where requests over HTTP are answered: these have no handshake'
      complain(['listeners', i, 'limits', 'handshakesMax'], { what }, 'key')
    }
    if (config.listeners[i].http !== undefined && listener.transport !== 'websocket' && listener.transport !== 'http') {
      complain(['listeners', i, 'http'], { what: `means nothing for transport ${listener.transport}` }, 'key')
    }
  }
  const open = settings.listeners.map((listener, i) => ({ ...listener, path: ['listeners', i, 'port'] as PathStep[] }))
  if (settings.admin.enabled)
    open.push({ ...open[0], transport: 'http', ...settings.admin, name: 'admin', path: ['admin', 'port'] })
  for (const [i, later] of open.entries()) {
    const earlier = open.slice(0, i).find((earlier) => collide(earlier, later))
    if (!earlier) continue
    const what = `the port is taken by ${earlier.name === 'admin' ? 'the admin port' : `listener ${earlier.name}`}`
    complain([later.path, later.path.slice(0, -1)], { what, got: `${later.host}:${later.port}` })
  }
}

type Place = { transport: string; host: string; port: number }

/** A UDP port and a TCP port of one number are two. */
function collide(a: Place, b: Place): boolean {
  const isAny = (host: string) => host === '0.0.0.0' || host === '::'
  if ((a.transport === 'udp') !== (b.transport === 'udp')) return false
  return a.port === b.port && a.port !== 0 && (a.host === b.host || isAny(a.host) || isAny(b.host))
}

function checkHosts({ settings, complain }: Checked): void {
  if (settings.services.length === 0) {
    complain(['services'], { what: 'no service is declared', expected: 'at least one, as in `arena: {}`' })
  }
  if (settings.hosts.length === 0) complain(['hosts'], { severity: 'warning', what: 'no host is configured' })
  if (settings.hosts.length > 0 && settings.hosts.every((host) => host.weight === 0)) {
    complain(['hosts'], { severity: 'warning', what: 'every host has weight 0: no new actor has a place' })
  }
  for (const [i, host] of settings.hosts.entries()) {
    const path = ['hosts', i]
    const earlier = settings.hosts.slice(0, i)
    const sameName = earlier.findIndex(({ name }) => name === host.name)
    const sameAddress = earlier.findIndex(({ address }) => address === host.address)
    if (sameName >= 0) complain([...path, 'name'], { what: `hosts[${sameName}] has this name`, got: host.name })
    if (sameAddress >= 0) {
      complain([...path, 'address'], { what: `hosts[${sameAddress}] has this address`, got: host.address })
    }
    const port = Number(/:(\d+)$/.exec(host.address)?.[1] ?? 1)
    if (!host.address.startsWith('unix:') && (port < 1 || port > 65_535)) {
      complain([...path, 'address'], {
        what: 'has no such port',
        got: host.address,
        expected: 'a port from 1 to 65535',
      })
    }
  }
}

/** What a service says of other services and of hosts must be there. */
function checkServices({ settings, complain }: Checked): void {
  const names = settings.services.map(({ name }) => name)
  for (const { name, fallback, canary } of settings.services) {
    if (fallback !== undefined && (fallback === name || !names.includes(fallback))) {
      const suggestion = fallback === name ? undefined : nearest(fallback, names)
      const what = fallback === name ? 'is the service itself' : 'no such service is declared'
      complain(['services', name, 'breaker', 'fallback'], { what, got: fallback, suggestion })
    }
    if (canary === undefined) continue
    const wanted = Object.entries(canary.labels)
    if (settings.hosts.some(({ labels }) => wanted.every(([key, value]) => labels[key] === value))) continue
    const what = 'no host has these labels: the canary gets nothing'
    complain(['services', name, 'canary', 'labels'], { severity: 'warning', what })
  }
}

function checkRoutes({ config, settings, complain }: Checked): void {
  const services = settings.services.map(({ name }) => name)
  for (const [i, { service }] of config.routes.entries()) {
    if (services.includes(service)) continue
    const suggestion = nearest(service, services)
    const expected = suggestion ? undefined : services.length ? `one of ${services.join(', ')}` : undefined
    complain(['routes', i, 'service'], { what: 'no such service is declared', got: service, expected, suggestion })
  }
  const places: PathStep[][] = config.routes.map((_, i) => ['routes', i, 'match'])
  for (const [name, { routes }] of Object.entries(config.services)) {
    for (const i of routes.keys()) places.push(['services', name, 'routes', i, 'match'])
  }
  for (const [i, path] of places.entries()) {
    const { match, service, payloadBytesMax } = settings.routes[i]
    const sameBefore = (route: RouteSettings) => route.service === service && covers(route.match, match)
    const earlier = settings.routes.slice(0, i).findIndex(sameBefore)
    if (earlier >= 0) {
      const what = `never matches: \`${settings.routes[earlier].match}\` comes first`
      complain([path, path.slice(0, -1)], { severity: 'warning', what, got: match })
    }
    const largest = settings.limits.windowBytes >>> 2
    if (payloadBytesMax === undefined || payloadBytesMax <= largest) continue
    const what = 'no message can be that large: one is at most a quarter of `limits.windowBytes` (W1)'
    const complaint = {
      severity: 'warning',
      what,
      got: formatSize(payloadBytesMax),
      expected: `at most ${formatSize(largest)}`,
    } as const
    complain([...path.slice(0, -1), 'payloadBytesMax'], complaint)
  }
}

/** Whether every route that the second matches is matched by the first. */
function covers(first: string, second: string): boolean {
  if (first === '*' || first === second) return true
  return first.endsWith('.*') && second.startsWith(first.slice(0, -1))
}

/** W5: what is granted to the channels of a connection stays below what the gateway holds for it. */
function checkWindows({ settings: { limits }, complain }: Checked): void {
  const { windowBytes, replyBytesMax, grantedBytesMax, connectionBytesMax, queueBytesMax } = limits
  const paths = (...keys: (keyof typeof limits)[]) => keys.map((key) => ['limits', key])
  if (grantedBytesMax >= connectionBytesMax) {
    complain(paths('grantedBytesMax', 'connectionBytesMax'), {
      what: "windows and replies granted to a connection's channels must stay below `connectionBytesMax` (W5)",
      got: `${formatSize(grantedBytesMax)} granted, ${formatSize(connectionBytesMax)} held`,
      expected: `grantedBytesMax below ${formatSize(connectionBytesMax)}`,
    })
  }
  if (windowBytes + replyBytesMax > grantedBytesMax) {
    complain(paths('windowBytes', 'replyBytesMax', 'grantedBytesMax'), {
      what: 'the window and the replies of one channel do not fit `grantedBytesMax` (W5)',
      got: `${formatSize(windowBytes)} + ${formatSize(replyBytesMax)}`,
      expected: `at most ${formatSize(grantedBytesMax)} together`,
    })
  }
  if (connectionBytesMax > queueBytesMax) {
    complain(paths('connectionBytesMax', 'queueBytesMax'), {
      what: 'one connection may hold more than all together may (W5)',
      got: formatSize(connectionBytesMax),
      expected: `at most ${formatSize(queueBytesMax)}, which is \`queueBytesMax\``,
    })
  }
}

/** Names, numbers and lengths around a payload, generously. */
const FRAME_OVERHEAD_BYTES = 512

/** A message that `send` accepts must fit a frame that the gateway takes: else it would be replayed for ever. */
function checkFrames({ settings: { limits }, complain }: Checked): void {
  const needed = (limits.windowBytes >>> 2) + FRAME_OVERHEAD_BYTES
  if (needed > limits.frameBytesMax) {
    complain(
      [
        ['limits', 'frameBytesMax'],
        ['limits', 'windowBytes'],
      ],
      {
        what: 'a message may be a quarter of `windowBytes` (W1) and would not fit a frame',
        got: formatSize(limits.frameBytesMax),
        expected: `at least ${formatSize(needed)}`,
      },
    )
  }
  if (limits.handshakeFrameBytesMax > limits.frameBytesMax) {
    complain(
      [
        ['limits', 'handshakeFrameBytesMax'],
        ['limits', 'frameBytesMax'],
      ],
      {
        what: 'frames before login may not be larger than those after',
        got: formatSize(limits.handshakeFrameBytesMax),
        expected: `at most ${formatSize(limits.frameBytesMax)}`,
      },
    )
  }
}

/** O1: a client that lost its gateway and then waits for its host must be back before its channel's record ends. */
function checkTimes({ settings: { times }, complain }: Checked): void {
  const apart = 2 * times.heartbeatMs + times.backoffMaxMs + times.parkMaxMs
  if (apart < times.keepMs) return
  const parts = [
    formatDuration(2 * times.heartbeatMs),
    formatDuration(times.backoffMaxMs),
    formatDuration(times.parkMaxMs),
  ]
  complain(
    [
      ['times', 'keep'],
      ['times', 'parkMax'],
      ['times', 'heartbeat'],
      ['times', 'backoffMax'],
    ],
    {
      what: 'two `heartbeat`, `backoffMax` and `parkMax` must add up to less than `keep`, or sessions end while they are being repaired (O1)',
      got: `${parts.join(' + ')} = ${formatDuration(apart)} against ${formatDuration(times.keepMs)}`,
      expected: `keep above ${formatDuration(apart)}`,
    },
  )
}
