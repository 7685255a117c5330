// Server-sent events: everything that happens in the gateway, to whoever watches at /events. A watcher that does not read
// loses events, and is told how many; it costs the gateway a bounded queue and nothing else.
import type http from 'node:http'
import type { GatewayEvent } from '../seams.ts'
import { AdminProblem } from './admin-server.ts'

const WATCHERS_MAX = 16
const QUEUE_BYTES_MAX = 256 * 1024
const KEEP_ALIVE_MS = 15_000

type Watcher = { response: http.ServerResponse; only: Set<string> | undefined; dropped: number }

export class EventStream {
  readonly #watchers = new Set<Watcher>()
  #beat: NodeJS.Timeout | undefined

  get isWatched(): boolean {
    return this.#watchers.size > 0
  }

  /** `only`: names of events, comma-separated; null or empty: all. */
  watch(response: http.ServerResponse, only: string | null): void {
    if (this.#watchers.size >= WATCHERS_MAX) throw new AdminProblem(503, `${WATCHERS_MAX} watch the events already`)
    const watcher = { response, only: only ? new Set(only.split(',')) : undefined, dropped: 0 }
    response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' })
    response.write(': skewer events\n\n')
    this.#watchers.add(watcher)
    this.#beat ??= setInterval(() => this.#keepAlive(), KEEP_ALIVE_MS)
    response.on('close', () => {
      this.#watchers.delete(watcher)
      if (this.#watchers.size === 0) this.close()
    })
  }

  publish(event: GatewayEvent): void {
    if (this.#watchers.size === 0) return
    const text = `event: ${event.event}\ndata: ${JSON.stringify(event)}\n\n`
    for (const watcher of this.#watchers) {
      if (watcher.only !== undefined && !watcher.only.has(event.event)) continue
      if (watcher.response.writableLength + text.length > QUEUE_BYTES_MAX) {
        watcher.dropped++
        continue
      }
      if (watcher.dropped > 0) {
        watcher.response.write(`event: dropped\ndata: {"event":"dropped","count":${watcher.dropped}}\n\n`)
        watcher.dropped = 0
      }
      watcher.response.write(text)
    }
  }

  close(): void {
    clearInterval(this.#beat)
    this.#beat = undefined
    for (const { response } of this.#watchers) response.end()
    this.#watchers.clear()
  }

  #keepAlive(): void {
    for (const { response } of this.#watchers) if (response.writableLength === 0) response.write(': \n\n')
  }
}
