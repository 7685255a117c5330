// socket.io as its documentation has it where speed matters: WebSocket alone, no compression, the first request let go,
// bufferutil beside ws. Says back what a client says, and tells everybody a text so often, in ticks of 50 ms.
// `node socket.io.mjs <port> [publications a second] [bytes]`.
import { createServer } from 'node:http'
import process from 'node:process'
import { Server } from 'socket.io'

const TICK_MS = 50
const STAMP_DIGITS = 16
const [port, publishRate = 0, payloadBytes = 64] = process.argv.slice(2).map(Number)

const server = createServer()
const io = new Server(server, { transports: ['websocket'], serveClient: false, perMessageDeflate: false })
io.engine.on('connection', (raw) => {
  raw.request = null
})
io.on('connection', (socket) => {
  socket.on('m', (said) => socket.emit('m', said))
})

if (publishRate > 0) {
  const rest = '0'.repeat(Math.max(0, payloadBytes - STAMP_DIGITS))
  let due = 0
  setInterval(() => {
    for (due += (publishRate * TICK_MS) / 1000; due >= 1; due--) {
      const stamp = String(process.hrtime.bigint() / 1000n).padStart(STAMP_DIGITS, '0')
      io.emit('m', stamp + rest)
    }
  }, TICK_MS)
}
server.listen({ port, host: '127.0.0.1', backlog: 4096 })
