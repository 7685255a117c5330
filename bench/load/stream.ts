// What a generator's client speaks over: TCP read through one buffer that all sockets share, TLS, WebSocket, bare datagrams
// (what is written at once is one), or Noise as the SDK speaks it. KCP is in kcp-stream.ts. All hand out bytes that are lent for the call.
import dgram from 'node:dgram'
import net from 'node:net'
import tls from 'node:tls'
import { WebSocket } from 'ws'
import { nodeTransports } from '../../sdk/client/node-transports.ts'
import { transportOf } from '../../sdk/client/transports.ts'

export interface StreamEvents {
  opened(): void
  received(bytes: Uint8Array): void
  /** `cause`: what this end knows of why. */
  closed(cause?: unknown): void
}

export interface Stream {
  /** Copies. */
  write(bytes: Uint8Array): void
  /** Written and not taken by the network yet; 0 where nothing waits. */
  queuedBytes(): number
  close(): void
}

export type OpenStream = (port: number, events: StreamEvents) => Stream

const readBuffer = Buffer.allocUnsafe(64 * 1024)

export const openTcp: OpenStream = (port, events) => {
  const socket = net.connect({
    port,
    host: '127.0.0.1',
    noDelay: true,
    onread: {
      buffer: readBuffer,
      callback(length, buffer) {
        events.received(buffer.subarray(0, length))
        return true
      },
    },
  })
  socket.on('connect', () => events.opened())
  // Its close follows.
  socket.on('error', () => {})
  socket.on('close', () => events.closed())
  return {
    write: (bytes) => void socket.write(Buffer.from(bytes)),
    queuedBytes: () => socket.writableLength,
    close: () => socket.destroy(),
  }
}

/** What a handshake takes is read as it comes. */
const HANDSHAKE_BYTES = 1024
const SLOW_READ_BYTES = 4096
const SLOW_READ_MS = 1000
let slowOnes = 0

/** TCP whose reader has other things to do: every other one reads 4 KiB a second once it is connected, the rest nothing. */
export const openTcpSlow: OpenStream = (port, events) => {
  const readsOn = slowOnes++ % 2 === 0
  let received = 0
  const socket = net.connect({
    port,
    host: '127.0.0.1',
    noDelay: true,
    onread: {
      buffer: Buffer.allocUnsafe(SLOW_READ_BYTES),
      callback(length, buffer) {
        events.received(buffer.subarray(0, length))
        received += length
        if (received < HANDSHAKE_BYTES) return true
        if (readsOn) setTimeout(() => socket.resume(), SLOW_READ_MS)
        return false
      },
    },
  })
  socket.on('connect', () => events.opened())
  socket.on('error', () => {})
  socket.on('close', () => events.closed())
  return {
    write: (bytes) => void socket.write(Buffer.from(bytes)),
    queuedBytes: () => socket.writableLength,
    close: () => socket.destroy(),
  }
}

export const openWebSocket: OpenStream = (port, events) => {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/`, { perMessageDeflate: false })
  socket.on('open', () => events.opened())
  socket.on('message', (bytes) => events.received(bytes as Buffer))
  socket.on('error', () => {})
  socket.on('close', () => events.closed())
  return {
    write: (bytes) => socket.send(Buffer.from(bytes)),
    queuedBytes: () => socket.bufferedAmount,
    close: () => socket.terminate(),
  }
}

export const openTls: OpenStream = (port, events) => {
  // The certificate is one of the run's own.
  const socket = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false })
  socket.setNoDelay(true)
  socket.on('secureConnect', () => events.opened())
  socket.on('data', (bytes: Buffer) => events.received(bytes))
  socket.on('error', () => {})
  socket.on('close', () => events.closed())
  return {
    write: (bytes) => void socket.write(Buffer.from(bytes)),
    queuedBytes: () => socket.writableLength,
    close: () => socket.destroy(),
  }
}

export const openDatagrams: OpenStream = (port, events) => {
  const socket = dgram.createSocket({ type: 'udp4', recvBufferSize: 1024 * 1024 })
  socket.on('message', (bytes) => events.received(bytes))
  socket.on('error', () => {})
  socket.on('close', () => events.closed())
  socket.connect(port, '127.0.0.1', () => events.opened())
  return {
    write: (bytes) => socket.send(Buffer.from(bytes)),
    queuedBytes: () => socket.getSendQueueSize(),
    close: () => socket.close(),
  }
}

const OPEN_MS = 10_000

/** TCP with Noise inside, as the SDK speaks it; `gatewayKey` in base64url. */
export function noiseOpener(gatewayKey: string): OpenStream {
  return (port, events) => addressOpener(`tcp://127.0.0.1:${port}?key=${gatewayKey}`)(port, events)
}

/** Whatever an address of the SDK leads over; certificates are not checked. */
export function addressOpener(address: string): OpenStream {
  return (_port, events) => {
    const { url, transport, gatewayKey: key } = transportOf(address, nodeTransports)
    const carrier = transport(
      url,
      {
        opened: () => events.opened(),
        received: (bytes) => events.received(bytes),
        drained() {},
        closed: (cause) => events.closed(cause),
      },
      { openMs: OPEN_MS, gatewayKey: key, tls: { rejectUnauthorized: false } },
    )
    return {
      write: (bytes) => carrier.write(bytes),
      queuedBytes: () => carrier.queuedBytes(),
      close: () => carrier.destroy(),
    }
  }
}
