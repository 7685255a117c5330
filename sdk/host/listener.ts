// Where gateways find a host: TCP, TLS, Noise or a Unix socket (the gateway dials, as every reverse proxy does). Bytes go to the
// core and come from it; nothing is understood here. A host that is bound beyond loopback without a key or certificates
// does not start (L4).
import { connect, createServer } from 'node:net'
import type { AddressInfo, ListenOptions, Server, Socket } from 'node:net'
import { unlink } from 'node:fs/promises'
import { createServer as createTlsServer } from 'node:tls'
import type { Responder } from '../../protocols/secure/handshakes.ts'
import type { HostCore } from './core.ts'
import { type HostNoise, NoiseLink, noiseResponder } from './noise-link.ts'

/** Certificates of the host's port; with `ca`, gateways must show one too (mTLS). PEM. */
export type HostTls = { cert: string; key: string; ca?: string }

/** How long a link that was ended may take to read its last bytes. */
const END_MS = 1000

/** `host:port`, `[v6]:port` or `unix:/path`. */
export function listenOptions(listen: string): ListenOptions {
  if (listen.startsWith('unix:')) return { path: listen.slice('unix:'.length) }
  const found = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]*)):(\d{1,5})$/.exec(listen)
  if (found === null || Number(found[3]) > 65_535)
    throw new TypeError(`cannot listen on ${JSON.stringify(listen)}: expected host:port, [v6]:port or unix:/path`)
  return { host: found[1] ?? (found[2] === '' ? '127.0.0.1' : found[2]), port: Number(found[3]) }
}

export function isLoopback(options: ListenOptions): boolean {
  const { host, path } = options
  return path !== undefined || host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host ?? '')
}

export class Listener {
  readonly #server: Server
  readonly #core: HostCore
  readonly #now: () => number
  readonly #turned: () => void
  readonly #sockets: Map<number, Socket> = new Map()
  readonly #noise: Responder | undefined
  /** Where Noise is spoken: what seals and opens, by link. */
  readonly #noiseLinks: Map<number, NoiseLink> = new Map()
  #lastLink = 0

  /** @param turned called after whatever came in: deadlines may have changed */
  constructor(
    core: HostCore,
    { tls, noise }: { tls?: HostTls; noise?: HostNoise },
    now: () => number,
    turned: () => void,
  ) {
    if (tls !== undefined && noise !== undefined) throw new TypeError('a host has either tls or noise')
    this.#noise = noise === undefined ? undefined : noiseResponder(noise)
    this.#core = core
    this.#now = now
    this.#turned = turned
    const accept = (socket: Socket) => this.#accept(socket)
    this.#server =
      tls === undefined
        ? createServer({ noDelay: true }, accept)
        : createTlsServer(
            { ...tls, requestCert: tls.ca !== undefined, rejectUnauthorized: true, noDelay: true },
            accept,
          )
    if (tls !== undefined) this.#server.on('tlsClientError', (_error, socket: Socket) => socket.destroy())
  }

  /** Starts to listen; a Unix socket that nobody listens on any more is replaced. */
  async listen(options: ListenOptions): Promise<void> {
    if (options.path !== undefined && !(await answers(options.path))) await unlink(options.path).catch(() => {})
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(options, () => {
        this.#server.off('error', reject)
        // Later errors are of single accepts (too many open files): the next one may succeed.
        this.#server.on('error', () => {})
        resolve()
      })
    })
  }

  /** As `listen` takes it, with the port that was given. */
  get address(): string {
    const address = this.#server.address() as AddressInfo | string | null
    if (address === null) return ''
    if (typeof address === 'string') return `unix:${address}`
    return address.family === 'IPv6' ? `[${address.address}]:${address.port}` : `${address.address}:${address.port}`
  }

  #accept(socket: Socket): void {
    const link = ++this.#lastLink
    this.#sockets.set(link, socket)
    const core = this.#core
    const received = (bytes: Uint8Array) => {
      core.receive(link, bytes, this.#now())
      this.#turned()
    }
    if (this.#noise === undefined) {
      core.linkOpened(link, this.#now())
      socket.on('data', received)
    } else {
      const opened = () => core.linkOpened(link, this.#now())
      const inside = new NoiseLink(socket, this.#noise, core.settings.handshakeMs, { opened, received })
      this.#noiseLinks.set(link, inside)
      socket.on('data', (bytes: Uint8Array) => inside.take(bytes))
    }
    socket.on('drain', () => {
      core.drained(link, this.#now())
      this.#turned()
    })
    // What broke is of no interest: `close` follows.
    socket.on('error', () => {})
    socket.on('close', () => {
      this.#sockets.delete(link)
      this.#noiseLinks.delete(link)
      core.linkClosed(link, this.#now())
      this.#turned()
    })
    this.#turned()
  }

  /** Copies: the core uses the buffer again. */
  write(link: number, bytes: Uint8Array): void {
    const socket = this.#sockets.get(link)
    if (socket === undefined || !socket.writable) return
    const inside = this.#noiseLinks.get(link)
    if (inside === undefined) socket.write(Buffer.from(bytes))
    else inside.write(bytes)
  }

  queuedBytes(link: number): number {
    return this.#sockets.get(link)?.writableLength ?? 0
  }

  end(link: number): void {
    const socket = this.#sockets.get(link)
    if (socket === undefined) return
    socket.end()
    const timer = setTimeout(() => socket.destroy(), END_MS)
    socket.once('close', () => clearTimeout(timer))
  }

  /** Takes no more links; resolves when the last one has ended. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve())
    })
  }
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(path)
    probe.once('connect', () => {
      probe.destroy()
      resolve(true)
    })
    probe.once('error', () => resolve(false))
  })
}
