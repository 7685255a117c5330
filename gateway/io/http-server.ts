// The node:http server behind every listener that reads requests, and how strict it is. Its parser refuses what two programs
// could read in two ways (both lengths, a length twice, folded headers, bare line feeds): all of that is answered 400 and
// the connection closed. A header that comes twice is joined by a comma, which no reader of ours takes for a value.
//
// How many requests a connection has is counted in http-door.ts: node:http would refuse the next one of a connection that has
// had more than a limit that came down, instead of answering it and closing behind.
//
// It listens nowhere itself: an Acceptor gives it sockets. Its own look-out for slow requests begins at `listening`, so that
// is said to it.
import http from 'node:http'
import type net from 'node:net'
import type { HttpSettings } from '../../config/settings.ts'
import type { IoCounters } from './io-counters.ts'

const HEADER_BYTES_MAX = 16 * 1024
const HEADERS_MAX = 100
/** How often requests that take too long are looked for. */
const LOOK_MS = 500

export type HttpTimes = Pick<HttpSettings, 'requestMs' | 'keepAliveMs'>

export function httpServer(times: HttpTimes, counters: IoCounters): http.Server {
  const server = http.createServer({
    maxHeaderSize: HEADER_BYTES_MAX,
    insecureHTTPParser: false,
    requireHostHeader: true,
    joinDuplicateHeaders: true,
    connectionsCheckingInterval: LOOK_MS,
    keepAlive: false,
  })
  server.maxHeadersCount = HEADERS_MAX
  setTimes(server, times)
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    counters.requestsUnreadable++
    refuse(error, socket as net.Socket)
  })
  server.emit('listening')
  return server
}

/** Holds for connections that come from now on, and for the next request of the others. */
export function setTimes(server: http.Server, { requestMs, keepAliveMs }: HttpTimes): void {
  server.headersTimeout = requestMs
  server.requestTimeout = requestMs
  server.keepAliveTimeout = keepAliveMs
}

/** Where another answer is still to come, this one would be taken for it: then there is none. */
function refuse(error: NodeJS.ErrnoException, socket: net.Socket): void {
  const pending = (socket as net.Socket & { _httpMessage?: http.ServerResponse | null })._httpMessage
  const isItsOwn = pending?.req.complete === false && !pending.headersSent
  if (!socket.writable || (pending && !isItsOwn)) {
    socket.destroy()
    return
  }
  const status =
    error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
      ? '408 Request Timeout'
      : error.code === 'HPE_HEADER_OVERFLOW'
        ? '431 Request Header Fields Too Large'
        : '400 Bad Request'
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`, () => socket.destroy())
}
