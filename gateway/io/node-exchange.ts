// An exchange over what node:http has read, and is to write.
import type http from 'node:http'
import type { HttpSettings } from '../../config/settings.ts'
import { type BodySink, hasBody, readBody } from './http-body.ts'
import { type Closing, HttpExchange, type RequestHeaders } from './http-exchange.ts'
import type { IoCounters } from './io-counters.ts'

export class NodeExchange extends HttpExchange {
  readonly request: http.IncomingMessage
  readonly response: http.ServerResponse

  constructor(
    request: http.IncomingMessage,
    response: http.ServerResponse,
    path: string,
    settings: HttpSettings,
    counters: IoCounters,
    connection: Closing,
  ) {
    super(request.method ?? '', path, request.headers as RequestHeaders, settings, counters, connection)
    this.request = request
    this.response = response
  }

  get hasBody(): boolean {
    return hasBody(this.request)
  }

  get isAnswered(): boolean {
    return this.response.headersSent || this.response.destroyed
  }

  readBody(bytesMax: number, sink: BodySink): void {
    readBody(this.request, bytesMax, sink)
  }

  /** The head of an answer whose body comes by and by. */
  begin(status: number, headers: readonly string[]): void {
    this.response.writeHead(status, this.framed(status, headers))
    this.response.flushHeaders()
  }

  endConnection(): void {
    this.request.socket.end()
  }

  protected write(status: number, raw: string[], body: Uint8Array | string | undefined): void {
    this.response.writeHead(status, raw)
    if (body === undefined || this.method === 'HEAD') this.response.end()
    else this.response.end(body)
    // Of what waits to be read, something must be within the time of a request; else the socket is closed.
    if (this.response.writableLength > 0) this.response.setTimeout(this.settings.requestMs)
  }
}
