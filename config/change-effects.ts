// What a change of each key touches while the gateway runs. The first line that fits a path holds; docs/reload.md has the
// same as a table, made from here. A key that nobody has thought about needs a restart.

export type Touch =
  /** Nothing that is live: it holds for what comes, or is about the gateway itself. */
  | 'nothing'
  /** The next message on these routes is judged by it. */
  | 'messages'
  /** New connections, links, logins and attaches; those that are there go on as they are. */
  | 'newcomers'
  /** Links to hosts come or go. */
  | 'hosts'
  /** Connections on a listener attach anew. */
  | 'listeners'
  /** Cannot change while the process runs: the reload is refused. */
  | 'restart'

export type Effect = { touches: Touch; effect: string }
export type ChangeKind = 'added' | 'removed' | 'changed'

type Row = {
  /** As it is written in the documentation. */
  keys: string
  pattern: RegExp
  kind?: ChangeKind
  touches: Touch
  effect: string
}

const restart = (keys: string, pattern: RegExp, effect: string): Row => ({ keys, pattern, touches: 'restart', effect })

export const effectRows: readonly Row[] = [
  restart('`name`', /^name$/, 'hosts know the gateway by its name'),
  restart('`stateDir`', /^stateDir$/, 'keys and state are kept there'),
  restart('`admin.enabled`, `admin.host`, `admin.port`', /^admin\.(enabled|host|port)$/, 'the admin port is open'),
  restart('`log.format`', /^log\.format$/, 'the log is open'),
  {
    keys: '`listeners`: one more',
    pattern: /^listeners\[[^\]]*\]$/,
    kind: 'added',
    touches: 'nothing',
    effect: 'it listens',
  },
  {
    keys: '`listeners`: one less',
    pattern: /^listeners\[[^\]]*\]$/,
    kind: 'removed',
    touches: 'listeners',
    effect: 'it stops listening; its clients are told to attach elsewhere within `times.drain`',
  },
  {
    keys: '`listeners[].transport`, `host`, `port`, `security`',
    pattern: /^listeners\[[^\]]*\]\.(transport|host|port|security)$/,
    touches: 'listeners',
    effect: 'it listens anew; its clients are told to attach again within `times.drain`',
  },
  {
    keys: '`listeners[].tls`, `path`, `origins`, `kcp`',
    pattern: /^listeners\[[^\]]*\]\.(tls|path|origins|kcp)\b/,
    touches: 'newcomers',
    effect: 'new connections',
  },
  {
    keys: '`listeners[].http`',
    pattern: /^listeners\[[^\]]*\]\.http\b/,
    touches: 'nothing',
    effect: 'the next request, on open connections too; what is under way and sessions by HTTP that are there go on',
  },
  {
    keys: '`policies` of the gateway, a listener, a service',
    pattern: /^((listeners\[[^\]]*\]|services(\.[\w-]+|\["[^\]]*\]))\.)?policies\b/,
    touches: 'messages',
    effect: 'the next message; what was counted stays where a limit keeps its name and place',
  },
  {
    keys: '`services`: one less',
    pattern: /^services(\.[\w-]+|\["[^\]]*\])$/,
    kind: 'removed',
    touches: 'messages',
    effect: 'attaches are refused; messages on channels that are attached have no route',
  },
  { keys: '`services`', pattern: /^services\b/, touches: 'newcomers', effect: 'new attaches' },
  { keys: '`hosts`: one more', pattern: /^hosts\[[^\]]*\]$/, kind: 'added', touches: 'hosts', effect: 'it is dialled' },
  {
    keys: '`hosts`: one less',
    pattern: /^hosts\[[^\]]*\]$/,
    kind: 'removed',
    touches: 'hosts',
    effect: 'nothing new goes there; after `times.drain` its link is closed and its pins are given up (P3)',
  },
  {
    keys: '`hosts[].address`, `security`, `tls`, `publicKey`',
    pattern: /^hosts\[[^\]]*\]\.(address|security|tls|publicKey)\b/,
    touches: 'hosts',
    effect: 'its link is closed and dialled anew; channels there attach again',
  },
  {
    keys: '`hosts[].breaker`',
    pattern: /^hosts\[[^\]]*\]\.breaker\b/,
    touches: 'newcomers',
    effect: 'attaches and loose calls; what was counted stays unless the window has another length',
  },
  {
    keys: '`hosts[].services`, `weight`, `labels`',
    pattern: /^hosts\[[^\]]*\]\.(services|weight|labels)\b/,
    touches: 'newcomers',
    effect: 'where new actors go',
  },
  {
    keys: '`routes`',
    pattern: /^routes\b/,
    touches: 'messages',
    effect: 'the next message, also of sessions that are there',
  },
  {
    keys: '`listeners[].limits`',
    pattern: /^listeners\[[^\]]*\]\.limits\b/,
    touches: 'newcomers',
    effect: 'new connections; those that are there go on',
  },
  {
    keys: '`listeners[].proxyProtocol`, `forwarded`',
    pattern: /^listeners\[[^\]]*\]\.(proxyProtocol|forwarded)\b/,
    touches: 'newcomers',
    effect: 'new connections and requests',
  },
  {
    keys: '`admission.logins`',
    pattern: /^admission\.logins\b/,
    touches: 'newcomers',
    effect: 'the next token that is shown; what was counted stays',
  },
  restart('`store`', /^store\b/, 'gateways count together there'),
  {
    keys: '`admission`',
    pattern: /^admission\b/,
    touches: 'newcomers',
    effect: 'new connections; those that are there go on',
  },
  {
    keys: '`auth.singleLogin`',
    pattern: /^auth\.singleLogin$/,
    touches: 'newcomers',
    effect: 'the next session that attaches; those that are there go on (T4)',
  },
  {
    keys: '`auth`',
    pattern: /^auth\b/,
    touches: 'newcomers',
    effect:
      'new logins; sessions that are there go on. Key files are read at each reload, also where their names are the same',
  },
  {
    keys: '`noise`',
    pattern: /^noise\b/,
    touches: 'newcomers',
    effect: 'new handshakes; the files are read at each reload, also where their names are the same',
  },
  {
    keys: '`ticketKeys`',
    pattern: /^ticketKeys\b/,
    touches: 'newcomers',
    effect: 'tickets and pins; what a key sealed that is no longer named opens no more (T3)',
  },
  {
    keys: '`linkKey`',
    pattern: /^linkKey$/,
    touches: 'newcomers',
    effect: 'new links; those that are there go on (L4)',
  },
  {
    keys: '`limits.windowCount`, `windowBytes`, `frameBytesMax`, `handshakeFrameBytesMax`',
    pattern: /^limits\.(windowCount|windowBytes|frameBytesMax|handshakeFrameBytesMax)$/,
    touches: 'newcomers',
    effect: 'new connections',
  },
  restart('`limits.rateKeysMax`', /^limits\.rateKeysMax$/, 'buckets are kept in one table'),
  { keys: '`limits.linkBytesMax`', pattern: /^limits\.linkBytesMax$/, touches: 'newcomers', effect: 'new links' },
  { keys: '`limits`, all others', pattern: /^limits\./, touches: 'nothing', effect: 'what comes from now on' },
  {
    keys: '`times.handshake`, `heartbeat`, `keep`, `authUntil`',
    pattern: /^times\.(handshake|heartbeat|keep|authUntil)$/,
    touches: 'newcomers',
    effect: 'new connections and logins; the others keep what they were told',
  },
  { keys: '`times`, all others', pattern: /^times\./, touches: 'nothing', effect: 'the next time it is waited for' },
  {
    keys: '`admin.token`',
    pattern: /^admin\.token$/,
    touches: 'nothing',
    effect: 'the next request to the admin port',
  },
  { keys: '`log.level`', pattern: /^log\.level$/, touches: 'nothing', effect: 'the next line of the log' },
  { keys: '`reload`', pattern: /^reload\./, touches: 'nothing', effect: 'this reload already' },
]

const unknown: Effect = { touches: 'restart', effect: 'it is read at the start only' }

/** What changing the key at this path (as `Change.path`) touches. */
export function effectOf(path: string, kind: ChangeKind): Effect {
  const row = effectRows.find((row) => row.pattern.test(path) && (row.kind === undefined || row.kind === kind))
  return row === undefined ? unknown : { touches: row.touches, effect: row.effect }
}
