// How sockets are read and listened to. Reads of all plain sockets go into one buffer of 64 KiB: nothing is allocated for
// a read, and an idle connection holds no buffer. Node offers this for sockets that it dials (`onread`), but not for those
// it accepts, so the accepted handle is moved into a new Socket that was told so. `_handle` and `handle` are not
// documented for this use; where a Node does not have them, and on TLS, the socket reads by 'data' events instead, and
// everything else stays the same.
//
// A socket that fills the buffer has more waiting: left alone, libuv reads up to 32 buffers of it before it looks at anybody
// else. So one that was accepted rests until the next turn, in which everybody has their turn before it.
//
// What a sink is lent may be changed by it, and is overwritten by the next read of any socket.
import net from 'node:net'
import { accelerator } from './accelerator.ts'
import { addressOf } from './client-address.ts'
import { type NativeTls, NativeTlsStream, type TlsContext, type TlsGreeter } from './native-tls.ts'
import { passNotes } from './socket-notes.ts'
import { StreamDuplex } from './stream-duplex.ts'

/** Whom a socket's events are for. Listeners find it on the socket: no closure per connection. */
export interface SocketSink {
  read(lent: Uint8Array): void
  socketDrained(): void
  socketEnded(): void
  socketFailed(error: Error): void
  socketClosed(): void
}

/** What a carrier needs of its socket: a net.Socket, or a stream of the accelerator's. */
export interface ByteSocket {
  readonly writableLength: number
  readonly destroyed: boolean
  write(bytes: Uint8Array): unknown
  end(): unknown
  pause(): unknown
  resume(): unknown
  destroy(): unknown
  once(event: 'close', closed: () => void): unknown
}

const sinkOf = Symbol('sink')
/** Its owner does not want it read; it has had its share of this turn. */
const heldOf = Symbol('held')
const restsOf = Symbol('rests')
/** Of sockets that read by 'data' events: bytes of this turn. Only those that were accepted have it. */
const shareOf = Symbol('share')
const NO_BYTES = new Uint8Array(0)
type Share = { turn: number; bytes: number }
type SinkSocket = net.Socket & {
  [sinkOf]: SocketSink | undefined
  [heldOf]?: boolean
  [restsOf]?: boolean
  [shareOf]?: Share | undefined
}
/** Of sockets that read into the shared buffer: a full one is a share. */
const NO_SHARE: Share = { turn: 0, bytes: 0 }
type Internals = { _handle?: unknown; _server?: unknown; server?: unknown }

/** Above this much in it a stream says when it is empty again. */
export const HIGH_MARK_BYTES = 4096
/** What one accepted socket may bring in a turn. */
export const TURN_BYTES = 64 * 1024
const shared = Buffer.allocUnsafeSlow(TURN_BYTES)
/** Views of its first n bytes, made once: short reads are most, and making a view costs more than judging a message. */
const VIEWS_MAX = 4096
const views: Uint8Array[] = new Array(VIEWS_MAX).fill(NO_BYTES)

/** To be given to `net.connect` and `tls.connect`; reads go to the sink once there is one. */
export const sharedReads = { buffer: shared, callback: readDone }

/**
 * Moves an accepted plain socket into one that reads into the shared buffer, and sends all its events to the sink. Use
 * only what is returned: the argument itself where it could not be moved. Nothing may be left unread in the socket.
 */
export function readShared(accepted: net.Socket, sink: SocketSink): net.Socket {
  const socket = moved(accepted)
  if (socket === undefined) return readByEvents(accepted, sink)
  ;(socket as SinkSocket)[shareOf] = NO_SHARE
  return listen(socket, sink)
}

/** What listeners are given: a socket of Node's, or a stream of the accelerator whose handshake is done. */
export type Accepted = net.Socket | NativeTlsStream | StreamDuplex

/** Sends all events of what was accepted to the sink: by the accelerator where that can be, else by `readShared`. */
export function readAccepted(accepted: Accepted, sink: SocketSink): ByteSocket {
  if (accepted instanceof StreamDuplex) return accepted.handOver(sink)
  if (!(accepted instanceof NativeTlsStream)) return accelerate(accepted, sink) ?? readShared(accepted, sink)
  accepted.sink = sink
  return accepted
}

/** The same for a socket that was made with `sharedReads`. */
export const readDialled = (socket: net.Socket, sink: SocketSink): ByteSocket =>
  accelerate(socket, sink) ?? listen(socket, sink)

/** Moves any plain socket, accepted or dialled, to the accelerator; undefined where that cannot be. */
function accelerate(socket: net.Socket, sink: SocketSink): ByteSocket | undefined {
  const fd = fdOf(socket)
  const stream = fd === undefined ? undefined : accelerator(shared, viewOf)?.pool.adopt(fd, sink)
  // Its end is none of the connection's: the copy of the descriptor lives.
  if (stream !== undefined) socket.destroy()
  return stream
}

/** What speaks TLS for the accelerator; undefined where there is none. */
export const acceleratedTls = (): NativeTls | undefined => accelerator(shared, viewOf)?.tls

/** The same with TLS on it, which its peer begins; `released` is called once, when it is closed. */
export function accelerateTls(
  socket: net.Socket,
  context: TlsContext,
  withinMs: number,
  greeter: TlsGreeter,
  released: () => void,
): NativeTlsStream | undefined {
  const fd = fdOf(socket)
  const { pool, tls } = accelerator(shared, viewOf) ?? {}
  if (fd === undefined || pool === undefined || tls === undefined) return undefined
  const remoteAddress = addressOf(socket)
  const stream = NativeTlsStream.greet(pool, tls, fd, context, { remoteAddress, withinMs, greeter })
  if (stream === undefined) return undefined
  stream.once('close', released)
  socket.destroy()
  return stream
}

/** Undefined where it is more than a socket of the OS, or was read already. */
function fdOf(socket: net.Socket): number | undefined {
  if (!isBare(socket)) return undefined
  const { fd } = (socket as Internals)._handle as { fd?: number }
  return fd === undefined || fd < 0 ? undefined : fd
}

/** Whether nothing of it was read yet, and it is nothing but a socket of the OS. */
function isBare(socket: net.Socket): boolean {
  const handle = (socket as Internals)._handle
  if (socket.constructor !== net.Socket || typeof handle !== 'object' || handle === null) return false
  return 'readStart' in handle && socket.readableLength === 0 && socket.writableLength === 0
}

/** Sends all events of a socket that was made with `sharedReads` to the sink. */
export function listen(socket: net.Socket, sink: SocketSink): net.Socket {
  ;(socket as SinkSocket)[sinkOf] = sink
  return socket.on('drain', drained).on('end', ended).on('error', failed).on('close', closed)
}

/** The same for every other socket. */
export function readByEvents(socket: net.Socket, sink: SocketSink): net.Socket {
  ;(socket as SinkSocket)[shareOf] = { turn: 0, bytes: 0 }
  listen(socket, sink).on('data', dataCame)
  return socket.resume()
}

/** Reads nothing more of it until `goOn`. */
export function hold(socket: ByteSocket): void {
  if (socket instanceof net.Socket) (socket as SinkSocket)[heldOf] = true
  socket.pause()
}

export function goOn(socket: ByteSocket): void {
  if (socket instanceof net.Socket) {
    ;(socket as SinkSocket)[heldOf] = false
    if ((socket as SinkSocket)[restsOf]) return
  }
  socket.resume()
}

const resting: SinkSocket[] = []
let turn = 0
let isTurnEnding = false

function rest(socket: SinkSocket): void {
  socket[restsOf] = true
  socket.pause()
  resting.push(socket)
  endTurn()
}

function endTurn(): void {
  if (isTurnEnding) return
  isTurnEnding = true
  setImmediate(turnEnded)
}

function turnEnded(): void {
  turn++
  isTurnEnding = false
  for (const socket of resting.splice(0)) {
    if (!socket[restsOf]) continue
    socket[restsOf] = false
    if (!socket[heldOf] && !socket.destroyed) socket.resume()
  }
}

/** Its events are the sink's no more. What is read of it from now on is lost, unless node:http takes it over. */
export function unlisten(socket: net.Socket): void {
  const left = socket as SinkSocket
  left[sinkOf] = undefined
  left[shareOf] = undefined
  left[restsOf] = false
  socket.off('drain', drained).off('end', ended).off('error', failed).off('close', closed).off('data', dataCame)
}

function moved(accepted: net.Socket): net.Socket | undefined {
  if (!isBare(accepted)) return undefined
  const from = accepted as net.Socket & Internals
  const handle = from._handle
  from._handle = null
  const options = { handle, onread: sharedReads, highWaterMark: HIGH_MARK_BYTES }
  const socket = new net.Socket(options as object) as net.Socket & Internals
  // The server counts its connections by these when they close.
  socket._server = from._server
  socket.server = from.server
  from._server = from.server = null
  passNotes(accepted, socket)
  return socket
}

function readDone(this: unknown, length: number, buffer: Uint8Array): boolean {
  const socket = this as SinkSocket
  socket[sinkOf]?.read(buffer === shared ? viewOf(length) : buffer.subarray(0, length))
  if (length === TURN_BYTES && socket[shareOf] !== undefined) rest(socket)
  return true
}

/** The first `length` of bytes that were read: a view that is there already, where they lie in the shared buffer. */
export function frontOf(bytes: Uint8Array, length: number): Uint8Array {
  return bytes.buffer === shared.buffer && bytes.byteOffset === 0 ? viewOf(length) : bytes.subarray(0, length)
}

function viewOf(length: number): Uint8Array {
  if (length >= VIEWS_MAX) return shared.subarray(0, length)
  let view = views[length]
  if (view.length === 0) {
    view = shared.subarray(0, length)
    views[length] = view
  }
  return view
}

function dataCame(this: net.Socket, chunk: Uint8Array): void {
  const socket = this as SinkSocket
  socket[sinkOf]!.read(chunk)
  const share = socket[shareOf]
  if (share === undefined) return
  if (share.turn !== turn) {
    share.turn = turn
    share.bytes = 0
  }
  share.bytes += chunk.length
  endTurn()
  if (share.bytes >= TURN_BYTES && !socket[restsOf]) rest(socket)
}
function drained(this: net.Socket): void {
  ;(this as SinkSocket)[sinkOf]!.socketDrained()
}
function ended(this: net.Socket): void {
  ;(this as SinkSocket)[sinkOf]!.socketEnded()
}
function failed(this: net.Socket, error: Error): void {
  ;(this as SinkSocket)[sinkOf]!.socketFailed(error)
}
function closed(this: net.Socket): void {
  ;(this as SinkSocket)[sinkOf]!.socketClosed()
}
