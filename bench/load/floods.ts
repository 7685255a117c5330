// Abusers: each does one thing as fast as what carries it takes it, and comes back at once when it is thrown out. `pump` is
// called again and again; it does as much as there is room for.
//
//   lanes       messages of one channel over TCP, WebSocket or KCP: sly, with a window that each refusal frees, or rude,
//               without one; what the actor says is acknowledged, so that nothing but the gateway holds them
//   calls       calls over HTTP, one under way on each of CALLERS connections
//   garbage     noise, 64 KiB a connection
//   datagrams   noise in datagrams that look like those of each kind
import { randomFillSync } from 'node:crypto'
import { datagramType } from '../../protocols/secure/datagram-codec.ts'
import type { LoadClient, LoadEvents, Manners } from './client.ts'
import { HttpClient } from './http-client.ts'
import { LaneClient } from './lane-client.ts'
import { type OpenStream, openDatagrams, openTcp, type Stream } from './stream.ts'

const CALLERS = 16
const QUEUED_BYTES_MAX = 256 * 1024
const BATCH = 256
const GARBAGE_BYTES = 64 * 1024
const DATAGRAM_BYTES = 200
/** Between being thrown out and coming back. */
const BACK_MS = 10

export abstract class Flood {
  /** Messages, calls, connections or datagrams that were sent. */
  tried = 0
  /** Answers of the actor. */
  heard = 0
  /** Logins that were begun. */
  logins = 0
  /** Why it was thrown out, and how often. */
  readonly ends: Record<string, number> = {}
  protected isOver = false

  /** Sends at most so many; how many it sent. */
  abstract pump(most: number): number
  tick(_now: number): void {}
  abstract close(): void

  protected later(why: string, again: () => void): void {
    this.ends[why] = (this.ends[why] ?? 0) + 1
    setTimeout(() => {
      if (!this.isOver) again()
    }, BACK_MS)
  }
}

export class LaneFlood extends Flood {
  readonly #connect: (events: LoadEvents) => LaneClient
  #client: LaneClient

  constructor(open: OpenStream, port: number, name: string, payloadBytes: number, manners: Manners) {
    super()
    this.#connect = (events) => new LaneClient(open, port, name, payloadBytes, events, {}, manners)
    this.#client = this.#open()
  }

  #open(): LaneClient {
    this.logins++
    return this.#connect({
      ready() {},
      heard: () => this.heard++,
      turnEnded() {},
      failed: (why) =>
        this.later(why, () => {
          this.#client = this.#open()
        }),
    })
  }

  pump(most: number): number {
    const client = this.#client
    if (client.queuedBytes() > QUEUED_BYTES_MAX) return 0
    const count = Math.min(most, BATCH, client.room())
    for (let i = 0; i < count; i++) client.send(0)
    client.flush()
    this.tried += count
    return count
  }

  override tick(now: number): void {
    this.#client.tick(now)
  }

  close(): void {
    this.isOver = true
    this.#client.close()
  }
}

export class CallFlood extends Flood {
  readonly #idle: LoadClient[] = []
  readonly #all = new Set<HttpClient>()
  readonly #connect: (events: LoadEvents) => HttpClient

  constructor(port: number, name: string, payloadBytes: number) {
    super()
    this.logins = 1
    this.#connect = (events) => new HttpClient(openTcp, port, name, payloadBytes, events, 'sly')
    for (let i = 0; i < CALLERS; i++) this.#open()
  }

  #open(): void {
    const client: HttpClient = this.#connect({
      ready: (client) => this.#idle.push(client),
      heard: () => this.heard++,
      turnEnded: (client) => this.#idle.push(client),
      failed: (why) => {
        this.#all.delete(client)
        client.close()
        this.later(why, () => this.#open())
      },
    })
    this.#all.add(client)
  }

  pump(most: number): number {
    const count = Math.min(most, this.#idle.length)
    for (const client of this.#idle.splice(0, count)) {
      client.send(0)
      client.flush()
    }
    this.tried += count
    return count
  }

  close(): void {
    this.isOver = true
    for (const client of this.#all) client.close()
  }
}

export class GarbageFlood extends Flood {
  readonly #port: number
  readonly #noise = randomFillSync(Buffer.alloc(GARBAGE_BYTES))
  #stream: Stream | undefined
  #isOpen = false

  constructor(port: number) {
    super()
    this.#port = port
    this.#open()
  }

  #open(): void {
    const closed = () => {
      this.#isOpen = false
      this.#open()
    }
    const events = { opened: () => void (this.#isOpen = true), received() {}, closed: () => this.isOver || closed() }
    this.#stream = openTcp(this.#port, events)
  }

  pump(): number {
    if (!this.#isOpen) return 0
    this.#isOpen = false
    // Not always the same: now and then the first bytes make sense.
    randomFillSync(this.#noise, 0, 64)
    this.#stream?.write(this.#noise)
    this.tried++
    return 1
  }

  close(): void {
    this.isOver = true
    this.#stream?.close()
  }
}

export class DatagramFlood extends Flood {
  readonly #noise = randomFillSync(Buffer.alloc(DATAGRAM_BYTES))
  readonly #stream: Stream
  #isOpen = false

  constructor(port: number) {
    super()
    this.#stream = openDatagrams(port, { opened: () => void (this.#isOpen = true), received() {}, closed() {} })
  }

  pump(most: number): number {
    if (!this.#isOpen || this.#stream.queuedBytes() > QUEUED_BYTES_MAX) return 0
    const types = Object.values(datagramType)
    const count = Math.min(most, BATCH)
    for (let i = 0; i < count; i++) {
      randomFillSync(this.#noise, 0, 16)
      this.#noise[0] = types[i % types.length]
      this.#stream.write(this.#noise)
    }
    this.tried += count
    return count
  }

  close(): void {
    this.isOver = true
    this.#stream.close()
  }
}
