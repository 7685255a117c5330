// A plain echo, what proxies without sessions have behind them: TCP, WebSocket or datagrams. Calls over HTTP have
// plain-http-echo.ts.
import dgram from 'node:dgram'
import http from 'node:http'
import net from 'node:net'
import { WebSocketServer } from 'ws'
import { answerWith } from '../worker.ts'

export type Echo = 'tcp' | 'websocket' | 'datagrams'
export type ToPlainEcho = { kind: 'start'; echo: Echo }
export type PlainEchoStarted = { port: number }

const BACKLOG = 4096
const SOCKET_BYTES = 4 * 1024 * 1024

const starts: Record<Echo, () => Promise<number>> = {
  tcp() {
    const server = net.createServer({ noDelay: true }, (socket) => {
      socket.on('error', () => socket.destroy())
      socket.on('data', (bytes) => socket.write(bytes))
    })
    return listening(server)
  },
  websocket() {
    const server = http.createServer()
    const sockets = new WebSocketServer({ server, perMessageDeflate: false })
    sockets.on('connection', (socket) => {
      socket.on('error', () => socket.terminate())
      socket.on('message', (bytes) => socket.send(bytes))
    })
    return listening(server)
  },
  async datagrams() {
    const socket = dgram.createSocket({ type: 'udp4', recvBufferSize: SOCKET_BYTES, sendBufferSize: SOCKET_BYTES })
    socket.on('message', (bytes, { port, address }) => socket.send(bytes, port, address))
    await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve))
    return socket.address().port
  },
}

function listening(server: net.Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', BACKLOG, () => resolve((server.address() as net.AddressInfo).port))
  })
}

answerWith<ToPlainEcho>(async ({ echo }) => ({ port: await starts[echo]() }) satisfies PlainEchoStarted)
