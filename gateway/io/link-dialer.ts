// Links to hosts: TCP, TLS, Noise or a Unix socket, dialled when the core asks, answered within three seconds. Each link
// has a slab of its own, since a turn's frames of all clients go into one write.
import net from 'node:net'
import tls from 'node:tls'
import type { HostSettings } from '../../config/settings.ts'
import { KEY_BYTES } from '../../protocols/secure/crypto.ts'
import { SecureStream } from '../../protocols/secure/secure-stream.ts'
import type { Carrier, CarrierEvents, GatewayEvent } from '../seams.ts'
import { NoiseCarrier } from './noise-carrier.ts'
import type { NoiseIdentity } from './noise-identity.ts'
import { HIGH_MARK_BYTES, sharedReads } from './onread-socket.ts'
import { type CarrierHome, StreamCarrier } from './stream-carrier.ts'
import { hostOptions } from './tls-context.ts'
import { WriteSlab } from './write-slab.ts'

export const DIAL_MS = 3000
const LINK_SLAB_BYTES = 64 * 1024
const KEEP_ALIVE_MS = 30_000

/** What the dialler needs of the process. */
export type DialerHome = CarrierHome & {
  /** Has keys where a link speaks Noise. */
  noise: NoiseIdentity
  randomBytes(length: number): Uint8Array
  observe(event: GatewayEvent): void
  linkOpened(hostName: string, carrier: Carrier, now: number): CarrierEvents
  linkFailed(hostName: string, why: string, now: number): void
}

export class LinkDialer {
  readonly #home: DialerHome
  /** Dials under way. */
  readonly #pending = new Set<net.Socket>()

  constructor(home: DialerHome) {
    this.#home = home
  }

  /** Opens one link; answers later, once. */
  dial(host: HostSettings): void {
    let socket: net.Socket
    try {
      socket = open(host)
    } catch (error) {
      // A file of the host's TLS settings cannot be read, or the address is not one.
      setImmediate(() => this.#failed(host, (error as Error).message))
      return
    }
    this.#pending.add(socket)
    let why = ''
    const timer = setTimeout(() => {
      why = `no answer from ${host.address} within ${DIAL_MS / 1000} s`
      socket.destroy()
    }, DIAL_MS)
    const erred = (error: NodeJS.ErrnoException) => {
      why = reasonOf(host, error)
    }
    const closed = () => {
      clearTimeout(timer)
      if (this.#pending.delete(socket)) this.#failed(host, why === '' ? `${host.address} closed the connection` : why)
    }
    socket.once('error', erred).once('close', closed)
    const stands = () => {
      clearTimeout(timer)
      this.#pending.delete(socket)
      socket.off('error', erred).off('close', closed)
    }
    socket.once(host.security === 'tls' ? 'secureConnect' : 'connect', () => {
      if (!this.#pending.has(socket)) return
      if (host.security !== 'noise') {
        stands()
        this.#opened(host, this.#carrier(host, socket))
        return
      }
      why = noiseEnded(host)
      const failed = (text: string) => {
        why = text
      }
      const opened = (carrier: Carrier) => {
        stands()
        return this.#linked(host, carrier)
      }
      this.#shakeHands(host, this.#carrier(host, socket), opened, failed)
    })
  }

  /** Gives up what is under way, unanswered. */
  stop(): void {
    const pending = [...this.#pending]
    this.#pending.clear()
    for (const socket of pending) socket.destroy()
  }

  #carrier(host: HostSettings, socket: net.Socket): StreamCarrier {
    const transport = host.security === 'tls' ? 'tls' : unixPath(host.address) === undefined ? 'tcp' : 'unix'
    const reading = host.security === 'noise' ? 'kept' : 'dialled'
    return new StreamCarrier(this.#home, transport, socket, reading, new WriteSlab(LINK_SLAB_BYTES), undefined)
  }

  #opened(host: HostSettings, carrier: StreamCarrier): void {
    carrier.start(this.#linked(host, carrier))
    this.#home.poke()
  }

  #linked(host: HostSettings, carrier: Carrier): CarrierEvents {
    const home = this.#home
    home.counters.linksOpened++
    return home.linkOpened(host.name, carrier, home.now())
  }

  /** KK: the host is told by its key, and we are by ours. */
  #shakeHands(
    host: HostSettings,
    inner: StreamCarrier,
    opened: (carrier: Carrier) => CarrierEvents,
    failed: (why: string) => void,
  ): void {
    const { noise, randomBytes, observe } = this.#home
    const stream = SecureStream.initiator({
      crypto: noise.crypto,
      transport: 'link',
      gatewayKey: new Uint8Array(Buffer.from(host.publicKey!, 'base64url')),
      identity: noise.keys.current,
      ephemeralSecret: randomBytes(KEY_BYTES),
    })
    const carrier = new NoiseCarrier(
      {
        noiseOpened: opened,
        noiseFailed: (_carrier, why) => failed(`${host.address} does not speak Noise as it should (${why})`),
        noiseBroken: ({ address }, why, what) =>
          observe({ event: 'peer_violation', side: 'link', address, code: why, what }),
        noiseGone: () => {},
      },
      inner,
      stream,
    )
    inner.start(carrier)
    carrier.begin()
  }

  #failed(host: HostSettings, why: string): void {
    this.#home.counters.dialsFailed++
    this.#home.linkFailed(host.name, why, this.#home.now())
    this.#home.poke()
  }
}

const noiseEnded = ({ address }: HostSettings): string =>
  `${address} ended the Noise handshake: does it know this gateway's public key, and is \`publicKey\` its own?`

function open(host: HostSettings): net.Socket {
  const place = { ...placeOf(host.address), onread: sharedReads, highWaterMark: HIGH_MARK_BYTES }
  if (host.security !== 'tls')
    return net.connect({ ...place, noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS })
  const options = hostOptions(host)
  if (options.servername === undefined && 'host' in place && net.isIP(place.host) === 0) options.servername = place.host
  const socket = tls.connect({ ...options, ...place } as tls.ConnectionOptions)
  return socket.setNoDelay(true).setKeepAlive(true, KEEP_ALIVE_MS)
}

/** `host:port`, `[v6]:port` or `unix:/path`. */
function placeOf(address: string): { host: string; port: number } | { path: string } {
  const path = unixPath(address)
  if (path !== undefined) return { path }
  const parts = /^(?:\[([^\]]+)\]|([^:]+)):(\d+)$/.exec(address)
  if (parts === null) throw new Error(`${address} is not host:port or unix:/path`)
  return { host: parts[1] ?? parts[2], port: Number(parts[3]) }
}

function unixPath(address: string): string | undefined {
  return address.startsWith('unix:') ? address.slice(5) : undefined
}

function reasonOf({ address }: HostSettings, error: NodeJS.ErrnoException): string {
  if (error.code === 'ECONNREFUSED') return `nobody listens on ${address}`
  if (error.code === 'ENOENT') return `there is no socket ${address}`
  if (error.code === 'ENOTFOUND') return `the name in ${address} is not known`
  return `${address}: ${error.message}`
}
