// Where everything that happens goes: the log, the diagnostics channels, and whoever watches. What peers can cause as
// often as they like is logged at most so often a second; the line before the next of its kind counts what was left out.
import { codeName } from '../../protocols/codes.ts'
import type { GatewayEventName } from '../events.ts'
import type { GatewayEvent } from '../seams.ts'
import { publish } from './channels.ts'
import type { Log } from './log.ts'

type Level = 'debug' | 'info' | 'warn' | 'error'

const levels: Record<GatewayEventName, Level> = {
  connection_opened: 'debug',
  connection_closed: 'debug',
  session_welcomed: 'debug',
  handshake_failed: 'info',
  wrong_security: 'warn',
  login_refused: 'info',
  channel_attaching: 'debug',
  channel_attached: 'debug',
  channel_reset: 'info',
  channel_refused: 'info',
  channel_parked: 'debug',
  channel_detached: 'debug',
  message_refused: 'debug',
  link_opened: 'info',
  link_refused: 'warn',
  link_closed: 'warn',
  host_known: 'info',
  host_gone: 'warn',
  host_draining: 'info',
  peer_violation: 'warn',
  admission_refused: 'info',
  breaker_changed: 'warn',
  drain_started: 'info',
  drain_finished: 'info',
  stalled: 'warn',
  shedding: 'warn',
  banned: 'warn',
  reloaded: 'info',
  reload_refused: 'error',
  reload_rolled_back: 'error',
}

const LINES_PER_SECOND = 20
const WINDOW_MS = 1000

type Window = { from: number; lines: number; leftOut: number }

export class Observer {
  readonly #log: Log
  readonly #now: () => number
  readonly #windows = new Map<GatewayEventName, Window>()
  readonly #watchers: ((event: GatewayEvent) => void)[] = []

  constructor(log: Log, now: () => number) {
    this.#log = log
    this.#now = now
  }

  readonly observe = (event: GatewayEvent): void => {
    const level = levels[event.event]
    if (this.#log.isLevelEnabled(level)) this.#write(level, event)
    publish(event)
    for (const watcher of this.#watchers) watcher(event)
  }

  /** Calls the watcher with every event from now on; it must not throw. */
  watch(watcher: (event: GatewayEvent) => void): void {
    this.#watchers.push(watcher)
  }

  #write(level: Level, event: GatewayEvent): void {
    const now = this.#now()
    let window = this.#windows.get(event.event)
    if (window === undefined) this.#windows.set(event.event, (window = { from: now, lines: 0, leftOut: 0 }))
    if (now - window.from >= WINDOW_MS) {
      if (window.leftOut > 0) {
        this.#log[level]({ event: event.event, leftOut: window.leftOut }, `${event.event} ${window.leftOut} times more`)
      }
      window.from = now
      window.lines = window.leftOut = 0
    }
    if (window.lines >= LINES_PER_SECOND) {
      window.leftOut++
      return
    }
    window.lines++
    this.#log[level](event, sentence(event))
  }
}

/** What a person reads first; the fields follow it. */
function sentence(event: GatewayEvent): string {
  const what = event.event.replaceAll('_', ' ')
  return 'code' in event && event.code !== 0 ? `${what}: ${codeName(event.code)}` : what
}
