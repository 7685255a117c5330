// The transports of Node: kcp://host:port, tcp://host:port, tls://host:port, unix:///path, ws://, wss://, http:// and
// https://. Without a port kcp, tcp and tls go to 7777.
import { randomBytes, randomInt } from 'node:crypto'
import net from 'node:net'
import tls from 'node:tls'
import { WebSocket } from 'ws'
import { kcpSettings } from '../../protocols/kcp/settings.ts'
import { DatagramCarrier } from './datagram-carrier.ts'
import { HttpCarrier } from './http-carrier.ts'
import { NodeHttp } from './node-http.ts'
import { PlainEnvelope } from './envelope.ts'
import { type CookieJar, SealedEnvelope } from './sealed-envelope.ts'
import { nodeCryptoProvider } from '../node-crypto.ts'
import { withNoise } from './noise-carrier.ts'
import type { Carrier, CarrierEvents, Transport, Transports } from './transports.ts'

const PORT = 7777
/** Largest WebSocket message taken: a turn's frames of a gateway that holds 512 KiB at most, and a loose reply. */
const MESSAGE_BYTES_MAX = 4 * 1024 * 1024
/** Queued bytes below which a WebSocket that was full has room again. */
const LOW_BYTES = 64 * 1024
const KEEP_ALIVE_MS = 30_000
/** A socket that was closed has this long to send what is queued. */
const LINGER_MS = 1000
const NO_BINDING = new Uint8Array(0)

class SocketCarrier implements Carrier {
  readonly #socket: net.Socket

  constructor(socket: net.Socket, ready: 'connect' | 'secureConnect', events: CarrierEvents, openMs: number) {
    this.#socket = socket
    let error: unknown
    socket.setNoDelay(true)
    socket.setKeepAlive(true, KEEP_ALIVE_MS)
    socket.setTimeout(openMs, () => socket.destroy(new Error('the connection was not made in time')))
    socket.on(ready, () => {
      socket.setTimeout(0)
      events.opened(NO_BINDING)
    })
    socket.on('data', (bytes) => events.received(bytes as Buffer))
    socket.on('drain', () => events.drained())
    socket.on('error', (cause) => {
      error = cause
    })
    socket.on('close', () => events.closed(error))
  }

  write(bytes: Uint8Array): void {
    if (this.#socket.writable) this.#socket.write(Buffer.from(bytes))
  }

  queuedBytes(): number {
    return this.#socket.writableLength
  }

  close(): void {
    const socket = this.#socket
    socket.destroySoon()
    if (socket.destroyed) return
    const tooLate = setTimeout(() => socket.destroy(), LINGER_MS)
    socket.once('close', () => clearTimeout(tooLate))
  }

  destroy(): void {
    this.#socket.destroy()
  }
}

class WebSocketCarrier implements Carrier {
  readonly #socket: WebSocket
  readonly #events: CarrierEvents
  #wasFull = false

  constructor(socket: WebSocket, events: CarrierEvents) {
    this.#socket = socket
    this.#events = events
    let error: unknown
    socket.on('open', () => events.opened(NO_BINDING))
    socket.on('message', (data) => events.received(data as Buffer))
    socket.on('error', (cause) => {
      error = cause
    })
    socket.on('close', () => events.closed(error))
  }

  write(bytes: Uint8Array): void {
    const socket = this.#socket
    if (socket.readyState !== WebSocket.OPEN) return
    socket.send(Buffer.from(bytes), () => {
      if (!this.#wasFull || socket.bufferedAmount > LOW_BYTES) return
      this.#wasFull = false
      this.#events.drained()
    })
    if (socket.bufferedAmount > LOW_BYTES) this.#wasFull = true
  }

  queuedBytes(): number {
    return this.#socket.bufferedAmount
  }

  close(): void {
    const socket = this.#socket
    socket.close(1000)
    const tooLate = setTimeout(() => socket.terminate(), LINGER_MS)
    socket.once('close', () => clearTimeout(tooLate))
  }

  destroy(): void {
    this.#socket.terminate()
  }
}

const hostOf = (address: URL): string => address.hostname.replace(/^\[(.*)\]$/, '$1')
const portOf = (address: URL): number => (address.port === '' ? PORT : Number(address.port))

const tcp: Transport = (address, events, { openMs }) => {
  const socket = net.connect({ host: hostOf(address), port: portOf(address) })
  return new SocketCarrier(socket, 'connect', events, openMs)
}

const unix: Transport = (address, events, { openMs }) => {
  const socket = net.connect({ path: decodeURIComponent(address.pathname) })
  return new SocketCarrier(socket, 'connect', events, openMs)
}

const secure: Transport = (address, events, { openMs, tls: options }) => {
  const host = hostOf(address)
  const servername = net.isIP(host) === 0 ? { servername: host } : {}
  const socket = tls.connect({ host, port: portOf(address), ...servername, ...options })
  return new SocketCarrier(socket, 'secureConnect', events, openMs)
}

/** In sealed datagrams there is one conversation (KCP-7.2); without, its number is ours to choose (KCP-7.3). */
const SEALED_CONV = 1

/** Cookies of gateways, by address. */
const jars: Map<string, CookieJar> = new Map()
const JARS_MAX = 256

function jarOf(name: string): CookieJar {
  const known = jars.get(name)
  if (known !== undefined) return known
  if (jars.size >= JARS_MAX) jars.clear()
  const jar: CookieJar = {}
  jars.set(name, jar)
  return jar
}

const kcp: Transport = (address, events, { openMs, gatewayKey, resume, kcp: options = {} }) => {
  const { preset = 'fast', ...changes } = options
  const target = {
    host: hostOf(address),
    port: portOf(address),
    conv: gatewayKey === undefined ? randomInt(1, 2 ** 32) : SEALED_CONV,
    settings: kcpSettings(preset, changes),
    openMs,
    envelope: (now: number) =>
      gatewayKey === undefined
        ? new PlainEnvelope()
        : new SealedEnvelope(
            { crypto: nodeCryptoProvider(), gatewayKey, random: randomBytes, resume, jar: jarOf(address.host) },
            now,
          ),
  }
  return new DatagramCarrier(target, events)
}

const webSocket: Transport = (address, events, { openMs, tls: options }) => {
  const socket = new WebSocket(address, {
    perMessageDeflate: false,
    maxPayload: MESSAGE_BYTES_MAX,
    handshakeTimeout: openMs,
    ...options,
  })
  return new WebSocketCarrier(socket, events)
}

const overHttp: Transport = (address, events, { openMs, tls: options }) =>
  new HttpCarrier(new NodeHttp(address.protocol === 'https:', options), address, events, openMs)

/** What Node can connect with. */
export const nodeTransports: Transports = {
  kcp,
  tcp: withNoise('tcp', tcp, nodeCryptoProvider),
  tls: secure,
  unix,
  ws: withNoise('websocket', webSocket, nodeCryptoProvider),
  wss: webSocket,
  http: overHttp,
  https: overHttp,
}
