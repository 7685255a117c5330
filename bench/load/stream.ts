// What a generator's client speaks over: TCP read through one buffer that all sockets share, or WebSocket. Both hand out
// bytes that are lent for the call.
import net from 'node:net'
import { WebSocket } from 'ws'

export interface StreamEvents {
  opened(): void
  received(bytes: Uint8Array): void
  closed(): void
}

export interface Stream {
  /** Copies. */
  write(bytes: Uint8Array): void
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
    close: () => socket.terminate(),
  }
}
