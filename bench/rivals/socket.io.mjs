// socket.io as its documentation has it where speed matters: WebSocket alone, no compression, the first request let go,
// bufferutil beside ws. Says back what a client says; `node socket.io.mjs <port>`.
import { createServer } from 'node:http'
import { Server } from 'socket.io'

const server = createServer()
const io = new Server(server, { transports: ['websocket'], serveClient: false, perMessageDeflate: false })
io.engine.on('connection', (raw) => {
  raw.request = null
})
io.on('connection', (socket) => {
  socket.on('m', (said) => socket.emit('m', said))
})
server.listen({ port: Number(process.argv[2]), host: '127.0.0.1', backlog: 4096 })
