// The transports of a browser: ws:// (with a gateway's public key, Noise inside) and wss://, with the WebSocket that is
// there; http:// and https:// by fetch. A browser does not tell when what is queued has gone out, so while much is queued
// a WebSocket's carrier looks every 20 ms.
import { nobleProvider } from '../../protocols/secure/noble-provider.ts'
import { fetchHttp } from './fetch-http.ts'
import { HttpCarrier } from './http-carrier.ts'
import { withNoise } from './noise-carrier.ts'
import type { Carrier, CarrierEvents, Transport, Transports } from './transports.ts'

const LOW_BYTES = 64 * 1024
const LOOK_MS = 20
const NO_BINDING = new Uint8Array(0)

class BrowserCarrier implements Carrier {
  readonly #socket: WebSocket
  readonly #events: CarrierEvents
  #looking: ReturnType<typeof setInterval> | undefined
  #isClosed = false

  constructor(address: URL, events: CarrierEvents, openMs: number) {
    const socket = new WebSocket(address)
    this.#socket = socket
    this.#events = events
    socket.binaryType = 'arraybuffer'
    const tooLate = setTimeout(() => socket.close(), openMs)
    socket.onopen = () => {
      clearTimeout(tooLate)
      if (!this.#isClosed) events.opened(NO_BINDING)
    }
    socket.onmessage = ({ data }) => {
      if (!this.#isClosed && data instanceof ArrayBuffer) events.received(new Uint8Array(data))
    }
    socket.onclose = () => {
      clearTimeout(tooLate)
      this.#end()
    }
  }

  write(bytes: Uint8Array): void {
    const socket = this.#socket
    if (socket.readyState !== WebSocket.OPEN) return
    // `send` takes a copy before it returns.
    socket.send(bytes as Uint8Array<ArrayBuffer>)
    if (socket.bufferedAmount <= LOW_BYTES || this.#looking !== undefined) return
    this.#looking = setInterval(() => {
      if (socket.bufferedAmount > LOW_BYTES) return
      this.#stopLooking()
      this.#events.drained()
    }, LOOK_MS)
  }

  queuedBytes(): number {
    return this.#socket.bufferedAmount
  }

  close(): void {
    this.#socket.close(1000)
  }

  /** A browser cannot cut a socket: it is closed, and what still comes is not told. */
  destroy(): void {
    this.#socket.close()
    this.#end()
  }

  #end(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#stopLooking()
    this.#events.closed()
  }

  #stopLooking(): void {
    clearInterval(this.#looking)
    this.#looking = undefined
  }
}

const webSocket: Transport = (address, events, { openMs }) => new BrowserCarrier(address, events, openMs)

const overHttp: Transport = (address, events, { openMs }) => new HttpCarrier(fetchHttp, address, events, openMs)

/** What a browser can connect with. */
export const browserTransports: Transports = {
  ws: withNoise('websocket', webSocket, () => nobleProvider),
  wss: webSocket,
  http: overHttp,
  https: overHttp,
}
