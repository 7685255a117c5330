// The body of a request, read whole within a limit and given to one sink. What came in one piece is not copied.
import type http from 'node:http'

export interface BodySink {
  /** All of it, lent for the call. */
  bodyRead(body: Uint8Array): void
  /** It is larger than allowed; the rest is not heard. */
  bodyTooLarge(): void
  /** The sender is gone before it had said all. */
  bodyCut(): void
}

type Read = {
  sink: BodySink | undefined
  bytesMax: number
  bytes: number
  first: Uint8Array
  more: Uint8Array[] | undefined
}
type BodyRequest = http.IncomingMessage & { [readOf]?: Read }
const readOf = Symbol('read')
const EMPTY = new Uint8Array(0)

/** One of the sink's methods is called, once and later. */
export function readBody(request: http.IncomingMessage, bytesMax: number, sink: BodySink): void {
  ;(request as BodyRequest)[readOf] = { sink, bytesMax, bytes: 0, first: EMPTY, more: undefined }
  request.on('data', dataCame).on('end', ended).on('close', closed)
}

/** Whether a request has a body, by its headers. */
export function hasBody(request: http.IncomingMessage): boolean {
  const { headers } = request
  const length = headers['content-length']
  return headers['transfer-encoding'] !== undefined || (length !== undefined && length !== '0')
}

function dataCame(this: http.IncomingMessage, chunk: Uint8Array): void {
  const read = (this as BodyRequest)[readOf]!
  if (read.sink === undefined) return
  read.bytes += chunk.length
  if (read.bytes > read.bytesMax) {
    end(read)?.bodyTooLarge()
  } else if (read.bytes === chunk.length) {
    read.first = chunk
  } else {
    read.more ??= [read.first]
    read.more.push(chunk)
  }
}

function ended(this: http.IncomingMessage): void {
  const read = (this as BodyRequest)[readOf]!
  const body = read.more === undefined ? read.first : Buffer.concat(read.more)
  end(read)?.bodyRead(body)
}

function closed(this: http.IncomingMessage): void {
  end((this as BodyRequest)[readOf]!)?.bodyCut()
}

function end(read: Read): BodySink | undefined {
  const { sink } = read
  read.sink = undefined
  read.first = EMPTY
  read.more = undefined
  return sink
}
