// Metrics in Prometheus' text format: cells that the frame path and the edge count in, read when somebody scrapes. Nothing
// here runs per frame. Names: skewer_<what>_<unit>[_total]; every reason and code has one name in code, metric and docs.
import { Counter, Gauge, Registry } from 'prom-client'
import { type PolicyCount, verdictNames } from '../../policies/pipeline.ts'
import { codeName } from '../../protocols/codes.ts'
import { type Counters, cell, dropReasons } from '../counters.ts'
import type { GuardSnapshot } from '../guard.ts'
import { datagramDropReasons } from '../datagram-counters.ts'
import type { IoCounters } from '../io/io-counters.ts'
import type { Policing } from '../policing.ts'
import type { ProcessSample } from '../io/process-sample.ts'
import type { HostSnapshot } from '../snapshots.ts'

export type MetricSources = {
  counters: Counters
  io: IoCounters
  policing: Pick<Policing, 'counts' | 'table' | 'pressure'>
  hosts(): HostSnapshot[]
  guards(): GuardSnapshot[]
  isReady(): boolean
  sample(): ProcessSample
  version: string
}

type Cell = keyof typeof cell
type Labelled = [labels: Record<string, string>, value: number]

export class Metrics {
  readonly registry = new Registry()
  readonly #sources: MetricSources

  constructor(sources: MetricSources) {
    this.#sources = sources
    this.#process()
    this.#clients()
    this.#datagrams()
    this.#channels()
    this.#messages()
    this.#links()
    this.#guards()
    this.#policies()
  }

  /** Everything, as Prometheus reads it. */
  text(): Promise<string> {
    return this.registry.metrics()
  }

  #process(): void {
    const { version, io } = this.#sources
    let sample = this.#sources.sample()
    this.#gauge('skewer_info', 'The version that runs; always 1.', ['version'], () => [[{ version }, 1]])
    this.#one('skewer_ready', 'Whether /ready says yes.', () => (this.#sources.isReady() ? 1 : 0))
    this.#one('skewer_uptime_seconds', 'Since when the process runs.', () => {
      sample = this.#sources.sample()
      return sample.uptimeSeconds
    })
    this.#count('skewer_cpu_seconds_total', 'CPU time of the process, user and system.', [], () => [
      [{}, sample.cpuSeconds],
    ])
    this.#gauge('skewer_memory_bytes', 'Memory of the process.', ['kind'], () => [
      [{ kind: 'resident' }, sample.rssBytes],
      [{ kind: 'heap' }, sample.heapUsedBytes],
      [{ kind: 'external' }, sample.externalBytes],
    ])
    this.#gauge('skewer_event_loop_delay_seconds', 'How late timers are, since the start.', ['quantile'], () => [
      [{ quantile: '0.5' }, sample.delayMs.p50 / 1000],
      [{ quantile: '0.99' }, sample.delayMs.p99 / 1000],
      [{ quantile: '1' }, sample.delayMs.max / 1000],
    ])
    this.#one(
      'skewer_event_loop_utilization_ratio',
      'Share of the time since the last scrape in which the event loop was busy.',
      () => sample.utilization,
    )
    this.#count('skewer_reloads_total', 'Configurations read while the gateway runs.', ['outcome'], () => [
      [{ outcome: 'reloaded' }, io.reloads],
      [{ outcome: 'refused' }, io.reloadsRefused],
      [{ outcome: 'rolled_back' }, io.reloadsRolledBack],
    ])
    this.#cell('skewer_stalls_total', 'Times that the process stood still for over a second.', 'stalls')
    this.#cell('skewer_flushes_total', 'Turns of the event loop in which something was written.', 'flushes')
  }

  #clients(): void {
    const { io, counters } = this.#sources
    this.#one('skewer_sockets_open', 'Accepted sockets, those in a handshake included.', () => io.socketsOpen)
    this.#cell('skewer_connections_open', 'Connections of clients.', 'connectionsOpen', true)
    this.#cell('skewer_sessions_open', 'Sessions that have a connection here.', 'sessionsOpen', true)
    this.#cell('skewer_connections_accepted_total', 'Connections taken.', 'connectionsAccepted')
    this.#count('skewer_connections_closed_total', 'Connections ended, by code.', ['code'], () =>
      byCode(counters.closedByCode),
    )
    this.#count(
      'skewer_admission_refused_total',
      'Connections refused by address, or that `mode: observe` let in.',
      ['reason', 'mode'],
      () =>
        (['refused', 'observed'] as const).flatMap((kind) =>
          Object.entries(io.admission[kind]).map(
            ([reason, count]): Labelled => [{ reason, mode: kind === 'refused' ? 'enforce' : 'observe' }, count],
          ),
        ),
    )
    this.#count(
      'skewer_logins_limited_total',
      'Logins refused for being too many, by address or user, or that `mode: observe` let in.',
      ['by', 'mode'],
      () =>
        (['refused', 'observed'] as const).flatMap((kind) =>
          Object.entries(io.loginsLimited[kind]).map(
            ([by, count]): Labelled => [{ by, mode: kind === 'refused' ? 'enforce' : 'observe' }, count],
          ),
        ),
    )
    this.#gauge('skewer_store_up', 'Whether the shared store answers; absent without one.', ['kind'], () =>
      io.storeUp === undefined ? [] : [[{ kind: 'redis' }, io.storeUp]],
    )
    this.#count(
      'skewer_store_errors_total',
      'Counts that did not get into the shared store: it failed, or none was sent while it was away or behind.',
      ['reason'],
      () => [
        [{ reason: 'failed' }, io.storeErrors],
        [{ reason: 'not_sent' }, io.storeMissed],
      ],
    )
    this.#cell('skewer_logins_total', 'Sessions begun with a token.', 'logins')
    this.#cell('skewer_resumes_total', 'Sessions gone on with a ticket.', 'resumes')
    this.#count(
      'skewer_handshakes_failed_total',
      'Connections that did not become one of a client, by what went wrong.',
      ['reason'],
      () => [
        [{ reason: 'connections_max' }, io.connectionsRefused],
        [{ reason: 'listener_connections' }, io.listenerConnectionsRefused],
        [{ reason: 'listener_handshakes' }, io.listenerHandshakesRefused],
        [{ reason: 'proxy_header' }, io.proxyHeadersBad],
        [{ reason: 'accept' }, io.acceptErrors],
        [{ reason: 'tls' }, io.tlsHandshakesFailed],
        [{ reason: 'noise' }, io.noiseHandshakesFailed],
        [{ reason: 'noise_timeout' }, io.noiseHandshakesTimedOut],
        [{ reason: 'wrong_security' }, io.wrongSecurity],
        [{ reason: 'upgrade_refused' }, io.upgradesRefused],
        [{ reason: 'upgrade_timeout' }, io.upgradesTimedOut],
      ],
    )
    this.#count('skewer_http_requests_total', 'Requests over HTTP that were answered, by status.', ['status'], () =>
      Array.from(io.httpByStatus, (count, status): Labelled => [{ status: String(status) }, count]).filter(
        ([, count]) => count > 0,
      ),
    )
    this.#count(
      'skewer_http_requests_unreadable_total',
      'Requests over HTTP that could not be read, or in two ways, or came too slowly.',
      [],
      () => [[{}, io.requestsUnreadable]],
    )
    this.#count('skewer_socket_errors_total', 'Sockets that ended with an error.', [], () => [
      [{}, io.socketErrors + io.datagrams.socketErrors],
    ])
    this.#cell(
      'skewer_client_pauses_total',
      'Times that a client was not read because a link was full.',
      'clientPauses',
    )
    this.#cell(
      'skewer_client_rests_total',
      'Times that a client was not read for a while because most of what it sent was refused or dropped.',
      'clientRests',
    )
  }

  #datagrams(): void {
    const { datagrams } = this.#sources.io
    this.#count('skewer_datagrams_total', 'Datagrams of UDP listeners.', ['direction'], () => [
      [{ direction: 'in' }, datagrams.received],
      [{ direction: 'out' }, datagrams.sent],
    ])
    this.#count('skewer_datagram_bytes_total', 'Their bytes, without headers of UDP and IP.', ['direction'], () => [
      [{ direction: 'in' }, datagrams.receivedBytes],
      [{ direction: 'out' }, datagrams.sentBytes],
    ])
    this.#count(
      'skewer_datagrams_dropped_total',
      'Datagrams that meant nothing, were refused or not sent, by reason.',
      ['reason'],
      () => datagramDropReasons.map((reason, i) => [{ reason }, datagrams.drops[i]]),
    )
    this.#count('skewer_udp_handshakes_total', 'Handshakes of sealed datagrams.', ['outcome'], () => [
      [{ outcome: 'answered' }, datagrams.handshakes],
      [{ outcome: 'unconfirmed' }, datagrams.unconfirmed],
    ])
    this.#count('skewer_udp_resets_total', 'Answers to datagrams of connections that are not here.', [], () => [
      [{}, datagrams.resets],
    ])
    this.#count('skewer_udp_narrow_paths_total', 'Paths that did not carry datagrams of `mtu` bytes.', [], () => [
      [{}, datagrams.narrowPaths],
    ])
    this.#count('skewer_udp_moves_total', 'Changes of an address without a handshake.', [], () => [
      [{}, datagrams.moves],
    ])
    this.#count(
      'skewer_udp_evicted_total',
      'Conversations of plain KCP without a login that had to go for newer ones.',
      [],
      () => [[{}, datagrams.evicted]],
    )
    this.#count('skewer_kcp_resent_total', 'Segments of KCP sent again, by why.', ['cause'], () => [
      [{ cause: 'timeout' }, datagrams.timedOut],
      [{ cause: 'overtaken' }, datagrams.overtaken],
    ])
  }

  #channels(): void {
    const { counters } = this.#sources
    this.#one('skewer_handles_open', 'Channels that have a handle on a link.', () =>
      this.#sources.hosts().reduce((sum, host) => sum + host.channels, 0),
    )
    this.#cell('skewer_parked', 'Channels that wait for a host that is away.', 'parked', true)
    this.#cell('skewer_parked_total', 'Channels that had to wait.', 'parkedTotal')
    this.#cell('skewer_attaches_total', 'Attaches asked for.', 'attaches')
    this.#cell('skewer_reattaches_total', 'Attaches of channels that went on.', 'reattaches')
    this.#cell('skewer_resets_total', 'Attaches that met a lost record.', 'resets')
    this.#count('skewer_attaches_refused_total', 'Attaches refused, by code.', ['code'], () =>
      byCode(counters.attachRefusedByCode),
    )
    this.#count('skewer_detaches_total', 'Channels detached by the gateway, by code.', ['code'], () =>
      byCode(counters.detachedByCode),
    )
    this.#cell('skewer_locates_total', 'Questions where an actor lives.', 'locates')
    this.#cell('skewer_invites_total', 'Invitations of hosts to sessions.', 'invites')
  }

  #messages(): void {
    const { counters } = this.#sources
    const sides: [Record<string, string>, Cell, Cell][] = [
      [{ side: 'client', direction: 'in' }, 'clientFramesIn', 'clientBytesIn'],
      [{ side: 'client', direction: 'out' }, 'clientFramesOut', 'clientBytesOut'],
      [{ side: 'link', direction: 'in' }, 'linkFramesIn', 'linkBytesIn'],
      [{ side: 'link', direction: 'out' }, 'linkFramesOut', 'linkBytesOut'],
    ]
    const labels = ['side', 'direction']
    this.#count('skewer_frames_total', 'Frames of both protocols.', labels, () =>
      sides.map(([label, frames]) => [label, counters.cells[cell[frames]]]),
    )
    this.#count('skewer_bytes_total', 'Bytes of both protocols, before TLS and WebSocket framing.', labels, () =>
      sides.map(([label, , bytes]) => [label, counters.cells[cell[bytes]]]),
    )
    this.#count('skewer_messages_refused_total', 'Numbered messages refused, by code.', ['code'], () =>
      byCode(counters.refusedByCode),
    )
    this.#cell(
      'skewer_messages_delayed_total',
      'Times that a lane waited because a policy held a message.',
      'messagesDelayed',
    )
    this.#cell(
      'skewer_deadlines_shortened_total',
      'Requests on channels whose deadline was longer than their route allows.',
      'deadlinesShortened',
    )
    this.#count('skewer_frames_dropped_total', 'Frames dropped, by reason.', ['reason'], () =>
      dropReasons.map((reason, i) => [{ reason }, counters.drops[i]]),
    )
    this.#count('skewer_publications_total', 'Publications to groups.', ['direction'], () => [
      [{ direction: 'in' }, counters.cells[cell.publicationsIn]],
      [{ direction: 'out' }, counters.cells[cell.publicationsOut]],
    ])
    this.#cell('skewer_publications_dropped_total', 'Publications a member did not get.', 'publicationsDropped')
    this.#cell('skewer_loose_calls_total', 'Requests outside channels.', 'looseCalls')
    this.#cell('skewer_loose_calls_open', 'Requests outside channels that wait for their reply.', 'looseOpen', true)
    this.#gauge('skewer_queue_bytes', 'What waits to be written.', ['side'], () => [
      [{ side: 'client' }, counters.cells[cell.clientQueueBytes]],
      [{ side: 'link' }, counters.cells[cell.linkQueueBytes]],
    ])
  }

  #policies(): void {
    const { counts, table, pressure } = this.#sources.policing
    this.#count(
      'skewer_policy_verdicts_total',
      'What policies said of messages, but for passes: by kind of policy, place, name, and whether it was only observed.',
      ['policy', 'scope', 'name', 'verdict', 'mode'],
      () => [...counts.all()].flatMap(verdictsOf),
    )
    this.#count(
      'skewer_policy_reasons_total',
      'Why policies refused, or would have: of payload schemas, `schema` (it does not fit), or what kept it from being read.',
      ['policy', 'scope', 'name', 'reason'],
      () => [...counts.all()].flatMap(reasonsOf),
    )
    this.#one('skewer_shedding_level', 'What is shed: 0 nothing, 3 all but critical.', () => pressure.level)
    this.#one('skewer_rate_buckets_bytes', 'Memory of the table of token buckets.', () => table.memoryBytes)
    this.#count(
      'skewer_rate_buckets_evicted_total',
      'Token buckets given up before they were full, for want of room.',
      [],
      () => [[{}, table.evictions]],
    )
  }

  #links(): void {
    const { io, hosts } = this.#sources
    this.#cell('skewer_links_open', 'Links to hosts.', 'linksOpen', true)
    this.#count('skewer_dials_total', 'Attempts to open a link.', ['outcome'], () => [
      [{ outcome: 'opened' }, io.linksOpened],
      [{ outcome: 'failed' }, io.dialsFailed],
    ])
    this.#gauge('skewer_host_up', 'Whether a host is linked.', ['host'], () =>
      hosts().map((host) => [{ host: host.host }, host.state === 'linked' ? 1 : 0]),
    )
    this.#gauge('skewer_host_channels', 'Channels attached to a host.', ['host'], () =>
      hosts().map((host) => [{ host: host.host }, host.channels]),
    )
    this.#gauge('skewer_host_queue_bytes', 'What waits to be written to a host.', ['host'], () =>
      hosts().map((host) => [{ host: host.host }, host.queuedBytes]),
    )
    this.#gauge('skewer_host_rtt_seconds', 'Round trip to a host, as last measured.', ['host'], () =>
      hosts().map((host) => [{ host: host.host }, host.rttMs / 1000]),
    )
  }

  #guards(): void {
    const { guards } = this.#sources
    const each = (read: (guard: GuardSnapshot) => number) => () =>
      guards().map((guard): Labelled => [{ guard: guard.guard }, read(guard)])
    this.#gauge('skewer_breaker_open', 'Whether a circuit breaker refuses; 0.5: half open.', ['guard'], each(openness))
    this.#count(
      'skewer_breaker_openings_total',
      'Times that it opened.',
      ['guard'],
      each((guard) => guard.openings),
    )
    this.#count(
      'skewer_breaker_refused_total',
      'What it refused, or would have in `mode: observe`.',
      ['guard'],
      each((guard) => guard.refused),
    )
    this.#gauge(
      'skewer_requests_open',
      'Requests under way, where there is a limit.',
      ['guard'],
      each((g) => g.inFlight),
    )
    this.#gauge(
      'skewer_requests_open_limit',
      'That limit; -1: none.',
      ['guard'],
      each((g) => g.inFlightMax),
    )
    this.#count(
      'skewer_concurrency_refused_total',
      'Requests beyond that limit, refused or in `mode: observe` let pass.',
      ['guard'],
      each((guard) => guard.concurrencyRefused),
    )
  }

  #cell(name: string, help: string, of: Cell, isGauge = false): void {
    const { cells } = this.#sources.counters
    const read = (): Labelled[] => [[{}, cells[cell[of]]]]
    if (isGauge) this.#gauge(name, help, [], read)
    else this.#count(name, help, [], read)
  }

  #one(name: string, help: string, read: () => number): void {
    this.#gauge(name, help, [], () => [[{}, read()]])
  }

  #gauge(name: string, help: string, labelNames: string[], read: () => Labelled[]): void {
    const registers = [this.registry]
    new Gauge({
      name,
      help,
      labelNames,
      registers,
      collect() {
        this.reset()
        for (const [labels, value] of read()) this.set(labels, value)
      },
    })
  }

  #count(name: string, help: string, labelNames: string[], read: () => Labelled[]): void {
    const registers = [this.registry]
    new Counter({
      name,
      help,
      labelNames,
      registers,
      collect() {
        this.reset()
        for (const [labels, value] of read()) this.inc(labels, value)
      },
    })
  }
}

function verdictsOf(count: PolicyCount): Labelled[] {
  const { policy, scope, name } = count
  const found: Labelled[] = []
  for (const [mode, cells] of [
    ['enforce', count.enforced],
    ['observe', count.observed],
  ] as const) {
    for (let i = 0; i < cells.length; i++) {
      if (cells[i] > 0) found.push([{ policy, scope, name, verdict: verdictNames[i], mode }, cells[i]])
    }
  }
  return found
}

function reasonsOf({ policy, scope, name, reasons }: PolicyCount): Labelled[] {
  return [...reasons].map(([reason, count]) => [{ policy, scope, name, reason }, count])
}

/** One value for each code that has been counted. */
function byCode(cells: Float64Array): Labelled[] {
  const found: Labelled[] = []
  for (let i = 0; i < cells.length; i++) if (cells[i] > 0) found.push([{ code: codeName(i) }, cells[i]])
  return found
}

function openness({ state }: GuardSnapshot): number {
  if (state === 'half_open') return 0.5
  return state === 'open' || state === 'forced_open' ? 1 : 0
}
