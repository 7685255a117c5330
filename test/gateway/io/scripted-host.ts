// A host of a few lines on a real socket, made of the codec alone: takes every attach and sends every one-way message back
// under its route. For tests and throw-away measurements; what a host must keep is in sdk/host.
import { createHmac, randomBytes } from 'node:crypto'
import net from 'node:net'
import tls from 'node:tls'
import { clientKind, openFrame, readRoute, writeAttached, writeRoute } from '../../../protocols/client/frames.ts'
import type { LinkAttach } from '../../../protocols/link/frames.ts'
import {
  LINK_VERSION,
  linkKind,
  readCloseHandle,
  readLinkAttach,
  readLinkHello,
  writeCloseHandle,
  writeLinkHello,
  writeLinkProof,
} from '../../../protocols/link/frames.ts'
import { type LinkEnd, linkProof } from '../../../protocols/link/proof.ts'
import {
  KIND_MASK,
  LaneFrame,
  laneKind,
  readLaneBody,
  readLaneHeader,
  writeAck,
  writeOneway,
  writeUnreliable,
} from '../../../protocols/wire/lane-frames.ts'
import { type FrameSink, FrameSplitter } from '../../../protocols/wire/splitter.ts'
import { Writer } from '../../../protocols/wire/writer.ts'

export type ScriptedHostOptions = {
  name: string
  linkKey?: string
  service?: string
  windowCount?: number
  ackEvery?: number
}
type Channel = { attach: LinkAttach; sent: number; received: number }

/** One link of a gateway. */
export class HostLink implements FrameSink {
  readonly socket: net.Socket
  readonly channels: (Channel | undefined)[] = []
  readonly #options: ScriptedHostOptions
  readonly #own: LinkEnd
  readonly #splitter = new FrameSplitter(1024 * 1024)
  readonly #writer = new Writer(64 * 1024)
  readonly #frame = new LaneFrame()
  readonly #announced: boolean[] = []
  #isFlushing = false

  constructor(socket: net.Socket, options: ScriptedHostOptions) {
    this.socket = socket
    this.#options = options
    this.#own = { nonce: randomBytes(16), name: options.name }
    socket.on('data', (bytes) => this.#splitter.receive(bytes as Buffer, this))
    socket.on('error', () => {})
    writeLinkHello(this.#writer, {
      versionMin: LINK_VERSION,
      versionMax: LINK_VERSION,
      ...this.#own,
      instance: 7n,
      serial: 1,
      services: [{ name: options.service ?? 'arena', weight: 100, keys: 1, park: true }],
      labels: {},
    })
    this.#touch()
  }

  /** Sends one message down a channel, as an actor would. */
  push(handle: number, route: number, payload: Uint8Array): void {
    const channel = this.channels[handle]!
    writeOneway(this.#writer, handle, ++channel.sent, route, payload)
    this.#touch()
  }

  announce(route: number, name: string): void {
    this.#announced[route] = true
    writeRoute(this.#writer, clientKind.route, route, name)
    this.#touch()
  }

  frame(bytes: Uint8Array, start: number, end: number): boolean {
    const kind = bytes[start] & KIND_MASK
    if (kind >= laneKind.oneway && kind <= laneKind.unreliable) this.#lane(bytes, start, end)
    else this.#control(kind, bytes, start, end)
    return true
  }

  #lane(bytes: Uint8Array, start: number, end: number): void {
    const frame = this.#frame
    if (!readLaneHeader(frame, bytes, start, end) || !readLaneBody(frame)) return
    if (frame.kind === laneKind.unreliable) {
      writeUnreliable(this.#writer, frame.channel, frame.epoch, frame.route, frame.payload())
      this.#touch()
    }
    if (frame.kind !== laneKind.oneway) return
    const channel = this.channels[frame.channel]
    if (channel === undefined) return
    channel.received = frame.number
    if (frame.number % (this.#options.ackEvery ?? 1) === 0) writeAck(this.#writer, frame.channel, frame.number)
    const payload = frame.bytes.subarray(frame.payloadStart, frame.end)
    writeOneway(this.#writer, frame.channel, ++channel.sent, frame.route, payload)
    this.#touch()
  }

  #control(kind: number, bytes: Uint8Array, start: number, end: number): void {
    const r = openFrame(bytes, start, end)!
    if (kind === linkKind.hello) {
      const key = new TextEncoder().encode(this.#options.linkKey ?? '')
      writeLinkProof(this.#writer, linkProof(hmac, key, 'host', this.#own, readLinkHello(r)!))
    } else if (kind === linkKind.attach) {
      this.#attach(readLinkAttach(r)!)
    } else if (kind === linkKind.closeHandle) {
      const { handle } = readCloseHandle(r)!
      if (this.channels[handle] !== undefined) writeCloseHandle(this.#writer, { handle, code: 0, retryMs: 0, host: '' })
      this.channels[handle] = undefined
    } else if (kind === linkKind.route) {
      const { number, name } = readRoute(r)!
      if (!this.#announced[number]) this.announce(number, name)
    }
    this.#touch()
  }

  #attach(attach: LinkAttach): void {
    this.channels[attach.handle] = { attach, sent: attach.received, received: attach.sent }
    writeAttached(this.#writer, {
      channel: attach.handle,
      epoch: attach.epoch,
      life: attach.life === 0n ? 9n : attach.life,
      received: attach.acked,
      settled: attach.acked,
      refused: [],
      quietForMs: 0,
      windowCount: this.#options.windowCount ?? 256,
      windowBytes: 65536,
      pin: new Uint8Array(0),
    })
  }

  #touch(): void {
    if (this.#isFlushing) return
    this.#isFlushing = true
    setImmediate(() => {
      this.#isFlushing = false
      if (!this.socket.destroyed) this.socket.write(Buffer.from(this.#writer.drain()))
    })
  }
}

export class ScriptedHost {
  readonly links: HostLink[] = []
  readonly #server: net.Server | tls.Server

  constructor(options: ScriptedHostOptions, security?: tls.TlsOptions) {
    const linked = (socket: net.Socket) => {
      const link = new HostLink(socket, options)
      this.links.push(link)
      socket.on('close', () => this.links.splice(this.links.indexOf(link), 1))
    }
    this.#server = security === undefined ? net.createServer(linked) : tls.createServer(security, linked)
    if (security !== undefined) this.#server.on('tlsClientError', () => {})
  }

  /** Returns what goes into `hosts[].address`. */
  listen(at: number | string = 0): Promise<string> {
    return new Promise((resolve) => {
      const listening = () => {
        const address = this.#server.address()
        resolve(typeof address === 'string' ? `unix:${address}` : `127.0.0.1:${address!.port}`)
      }
      if (typeof at === 'string') this.#server.listen(at, listening)
      else this.#server.listen(at, '127.0.0.1', listening)
    })
  }

  close(): void {
    this.#server.close()
    for (const { socket } of this.links) socket.destroy()
  }
}

function hmac(key: Uint8Array, ...parts: Uint8Array[]): Uint8Array {
  const mac = createHmac('sha256', key)
  for (const part of parts) mac.update(part)
  return mac.digest()
}
