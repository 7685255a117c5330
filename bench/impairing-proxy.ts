// A UDP proxy that behaves like a bad network: stands before one target, gives each address that sends to it a socket of
// its own towards the target, and impairs both directions (impairment.ts). It is also the NAT of the clients behind it:
// `rebind` gives them other ports, as a router does that forgot them, and what was under way to the old ones is lost.
//
//   const proxy = await ImpairingProxy.start({ targetPort: 7777, impairment: { lossShare: 0.05, delayMs: 25 } })
//   connect to 127.0.0.1:proxy.port;  proxy.rebind();  proxy.impair({ lossShare: 1 });  proxy.close()
import { createSocket, type Socket } from 'node:dgram'
import { isIPv6 } from 'node:net'
import { Impairment, type ImpairmentCounts, type ImpairmentSettings, unimpaired } from './impairment.ts'

export type ImpairingProxyOptions = {
  /** IP addresses; 127.0.0.1 where none is given. */
  host?: string
  targetHost?: string
  targetPort: number
  /** 0, the default: any free one. */
  port?: number
  /** Of both directions. */
  impairment?: Partial<ImpairmentSettings>
  /** Numbers in [0, 1); Math.random where none is given. */
  random?: () => number
}

/** An address that sends to the proxy, and its socket towards the target. */
type Flow = { readonly address: string; readonly port: number; socket: Socket; heardAt: number }
type Delayed = { readonly at: number; readonly run: () => void }

const FORGET_MS = 60_000
const FLOWS_MAX = 4096
/** Bursts of many clients on one socket: Linux gives 208 KiB unless asked. */
const BUFFER_BYTES = 4 * 1024 * 1024

export class ImpairingProxy {
  readonly port: number
  /** How many sockets towards the target were exchanged. */
  rebindings = 0
  readonly #front: Socket
  readonly #targetHost: string
  #targetPort: number
  readonly #up: Impairment
  readonly #down: Impairment
  readonly #flows = new Map<string, Flow>()
  readonly #line = new DelayLine()
  readonly #sweeper: ReturnType<typeof setInterval>
  #isClosed = false

  static async start(options: ImpairingProxyOptions): Promise<ImpairingProxy> {
    const host = options.host ?? '127.0.0.1'
    const front = createSocket(isIPv6(host) ? 'udp6' : 'udp4')
    await new Promise<void>((resolve, reject) => {
      front.once('error', reject)
      front.bind(options.port ?? 0, host, () => {
        front.off('error', reject)
        resolve()
      })
    })
    return new ImpairingProxy(front, options)
  }

  private constructor(front: Socket, options: ImpairingProxyOptions) {
    const settings = { ...unimpaired, ...options.impairment }
    const random = options.random ?? Math.random
    this.#front = front
    this.#targetHost = options.targetHost ?? '127.0.0.1'
    this.#targetPort = options.targetPort
    this.#up = new Impairment(settings, random)
    this.#down = new Impairment(settings, random)
    this.port = front.address().port
    enlarge(front)
    front.on('error', ignore)
    front.on('message', (datagram, { address, port }) => this.#fromClient(datagram, address, port))
    this.#sweeper = setInterval(() => this.#sweep(), FORGET_MS / 2)
    this.#sweeper.unref()
  }

  /** Addresses that it carries for. */
  get clients(): number {
    return this.#flows.size
  }

  get counts(): { up: Readonly<ImpairmentCounts>; down: Readonly<ImpairmentCounts> } {
    return { up: this.#up.counts, down: this.#down.counts }
  }

  /** From now on; both directions unless one is named. */
  impair(changes: Partial<ImpairmentSettings>, direction?: 'up' | 'down'): void {
    if (direction !== 'down') this.#up.change(changes)
    if (direction !== 'up') this.#down.change(changes)
  }

  /** Every client (or each with this chance) reaches the target from another port from now on; returns how many do. */
  rebind(share = 1, random: () => number = Math.random): number {
    let moved = 0
    for (const flow of this.#flows.values()) {
      if (share < 1 && random() >= share) continue
      flow.socket.close()
      flow.socket = this.#socketFor(flow)
      moved++
    }
    this.rebindings += moved
    return moved
  }

  /** Everybody reaches another port of the target from now on, as behind a balancer that has hashed anew. */
  aim(targetPort: number): void {
    this.#targetPort = targetPort
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    clearInterval(this.#sweeper)
    this.#line.clear()
    this.#front.close()
    for (const flow of this.#flows.values()) flow.socket.close()
    this.#flows.clear()
  }

  #fromClient(datagram: Uint8Array, address: string, port: number): void {
    const name = `${address} ${port}`
    let flow = this.#flows.get(name)
    if (flow === undefined) {
      if (this.#flows.size >= FLOWS_MAX) return
      const made = { address, port, heardAt: 0 } as Flow
      made.socket = this.#socketFor(made)
      this.#flows.set(name, (flow = made))
    }
    flow.heardAt = performance.now()
    const from = flow
    this.#up.pass(datagram, (bytes, afterMs) => {
      // By the socket of the moment of leaving: what waits here has not passed the NAT yet.
      this.#line.after(afterMs, () => {
        if (this.#flows.get(name) === from) from.socket.send(bytes, this.#targetPort, this.#targetHost, ignore)
      })
    })
  }

  #socketFor(flow: Flow): Socket {
    const socket = createSocket(isIPv6(this.#targetHost) ? 'udp6' : 'udp4')
    socket.on('error', ignore)
    socket.on('message', (datagram) => {
      this.#down.pass(datagram, (bytes, afterMs) => {
        this.#line.after(afterMs, () => {
          if (!this.#isClosed) this.#front.send(bytes, flow.port, flow.address, ignore)
        })
      })
    })
    return socket
  }

  #sweep(): void {
    const before = performance.now() - FORGET_MS
    for (const [name, flow] of this.#flows) {
      if (flow.heardAt > before) continue
      this.#flows.delete(name)
      flow.socket.close()
    }
  }
}

/** Things to do at their times, by one timer: a heap by time. What is due at once is done at once. */
class DelayLine {
  readonly #heap: Delayed[] = []
  #timer: ReturnType<typeof setTimeout> | undefined
  #armedAt = Infinity

  after(ms: number, run: () => void): void {
    if (ms <= 0) {
      run()
      return
    }
    const heap = this.#heap
    const delayed = { at: performance.now() + ms, run }
    let i = heap.push(delayed) - 1
    while (i > 0) {
      const parent = (i - 1) >> 1
      if (heap[parent].at <= delayed.at) break
      heap[i] = heap[parent]
      i = parent
    }
    heap[i] = delayed
    this.#arm()
  }

  clear(): void {
    this.#heap.length = 0
    clearTimeout(this.#timer)
  }

  readonly #due = (): void => {
    this.#armedAt = Infinity
    const now = performance.now()
    while (this.#heap.length > 0 && this.#heap[0].at <= now) this.#take().run()
    this.#arm()
  }

  #arm(): void {
    const at = this.#heap[0]?.at ?? Infinity
    if (at >= this.#armedAt) return
    clearTimeout(this.#timer)
    this.#armedAt = at
    this.#timer = setTimeout(this.#due, Math.max(1, Math.ceil(at - performance.now())))
  }

  #take(): Delayed {
    const heap = this.#heap
    const top = heap[0]
    const last = heap.pop()!
    if (heap.length > 0) {
      let i = 0
      for (let child = 1; child < heap.length; child = 2 * i + 1) {
        if (child + 1 < heap.length && heap[child + 1].at < heap[child].at) child++
        if (heap[child].at >= last.at) break
        heap[i] = heap[child]
        i = child
      }
      heap[i] = last
    }
    return top
  }
}

function enlarge(socket: Socket): void {
  try {
    socket.setRecvBufferSize(BUFFER_BYTES)
    socket.setSendBufferSize(BUFFER_BYTES)
  } catch {
    // Where the system refuses, its own size has to do: what does not fit is one more datagram lost.
  }
}

/** An unreachable port is a lost datagram. */
function ignore(): void {}
