// One end of our KCP over UDP without sealing, for a comparison on a bad network: a server that echoes, or only takes, and
// a client that sends small messages at a rate or as much as it can. The lane is the SDK's (sdk/client/kcp-stream.ts), driven
// as both ends drive it: once at the end of a turn and at its deadline. What is said on stdin and stdout is that of
// bench/rivals/kcp-go/peer.go.
//
//   node bench/processes/kcp-peer.ts server <echo|sink>
//   node bench/processes/kcp-peer.ts pace <port> <conversations> <messages a second of each> <seconds> <bytes>
//   node bench/processes/kcp-peer.ts bulk <port> <seconds>
import dgram from 'node:dgram'
import process from 'node:process'
import { createInterface } from 'node:readline'
import { kcpSettings } from '../../protocols/kcp/settings.ts'
import { KcpStream } from '../../sdk/client/kcp-stream.ts'
import { readStamp, writeStamp } from '../load/client.ts'

const settings = kcpSettings('fast', { mtu: 1200, peerMtu: 1400, stream: true })
const BUFFER_BYTES = 4 * 1024 * 1024
const BULK_BYTES = 8 * 1024
/** As much as kcp-go lets wait: a window. */
const BULK_QUEUE_BYTES = settings.sendWindow * (settings.mtu - 24)
/** What is under way when the sending ends is waited for. */
const PATIENCE_MS = 20_000

/** A conversation, its turn and its timer. */
class Peer {
  readonly stream: KcpStream
  #isScheduled = false
  #timer: ReturnType<typeof setTimeout> | undefined
  #armedAt = Infinity

  constructor(conv: number, send: (datagram: Buffer) => void, received: (bytes: Uint8Array) => void) {
    this.stream = new KcpStream(conv, settings, {
      segments: (bytes, start, end) => send(Buffer.from(bytes.subarray(start, end))),
      received,
      drained() {},
    })
  }

  take(datagram: Uint8Array): void {
    this.stream.receive(datagram, performance.now())
    this.touch()
  }

  write(bytes: Uint8Array): void {
    this.stream.write(bytes, performance.now())
    this.touch()
  }

  touch(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    setImmediate(this.#turn)
  }

  readonly #turn = (): void => {
    this.#isScheduled = false
    this.stream.tick(performance.now())
    const at = this.stream.deadline()
    if (at >= this.#armedAt) return
    clearTimeout(this.#timer)
    this.#armedAt = at
    this.#timer = setTimeout(this.#due, Math.max(0, Math.ceil(at - performance.now())))
  }

  readonly #due = (): void => {
    this.#armedAt = Infinity
    this.#turn()
  }
}

function serve(isEcho: boolean): void {
  const peers: Map<string, Peer> = new Map()
  const socket = dgram.createSocket({ type: 'udp4', recvBufferSize: BUFFER_BYTES, sendBufferSize: BUFFER_BYTES })
  let taken = 0
  socket.on('message', (datagram, { address, port }) => {
    const name = `${address}:${port}`
    let peer = peers.get(name)
    if (peer === undefined) {
      const made: Peer = new Peer(
        datagram.readUInt32LE(0),
        (bytes) => socket.send(bytes, port, address),
        (bytes) => {
          taken += bytes.length
          if (isEcho) made.write(bytes)
        },
      )
      peers.set(name, (peer = made))
    }
    peer.take(datagram)
  })
  socket.bind(0, '127.0.0.1', () => process.stdout.write(`${socket.address().port}\n`))
  createInterface({ input: process.stdin })
    .on('line', () => process.stdout.write(`${taken}\n`))
    .on('close', () => process.exit(0))
}

async function connected(conv: number, port: number, received: (bytes: Uint8Array) => void): Promise<Peer> {
  const socket = dgram.createSocket({ type: 'udp4', recvBufferSize: BUFFER_BYTES })
  const peer = new Peer(conv, (bytes) => socket.send(bytes), received)
  socket.on('message', (datagram) => peer.take(datagram))
  await new Promise<void>((resolve) => socket.connect(port, '127.0.0.1', resolve))
  return peer
}

/** Each message carries the time at which it is due; a latency counts from then, also where the window was full. */
async function pace(port: number, conversations: number, rate: number, seconds: number, length: number): Promise<void> {
  const began = performance.now()
  const microseconds = (): number => (performance.now() - began) * 1000
  const count = rate * seconds
  const everyUs = 1e6 / rate
  const all: number[][] = []
  const senders: (() => void)[] = []
  let whole = 0
  for (let i = 0; i < conversations; i++) {
    const latencies: number[] = []
    all.push(latencies)
    let came = Buffer.alloc(0)
    const peer = await connected(i + 1, port, (bytes) => {
      came = Buffer.concat([came, bytes])
      const now = microseconds()
      let at = 0
      for (; came.length - at >= length; at += length) latencies.push(Math.round(now - readStamp(came, at)))
      came = came.subarray(at)
      if (at > 0 && latencies.length === count && ++whole === conversations) finish()
    })
    const message = new Uint8Array(length)
    // Spread over the interval, so that not all are due at once.
    let dueUs = microseconds() + (everyUs * i) / conversations
    let sent = 0
    senders.push(() => {
      for (const now = microseconds(); sent < count && dueUs <= now; sent++, dueUs += everyUs) {
        writeStamp(message, dueUs)
        peer.write(message)
      }
    })
  }
  const finish = (): void => {
    process.stdout.write(`${JSON.stringify(all)}\n`, () => process.exit(0))
  }
  setInterval(() => {
    for (const send of senders) send()
  }, 1)
  setTimeout(
    () => {
      process.stderr.write(`${whole} of ${conversations} conversations have heard all\n`)
      process.exit(1)
    },
    seconds * 1000 + PATIENCE_MS,
  )
}

async function bulk(port: number, seconds: number): Promise<void> {
  const peer = await connected(1, port, () => {})
  const bytes = new Uint8Array(BULK_BYTES)
  const fill = (): void => {
    while (peer.stream.queuedBytes < BULK_QUEUE_BYTES) peer.write(bytes)
  }
  setInterval(fill, 1)
  setTimeout(() => process.exit(0), seconds * 1000)
}

const [mode, ...args] = process.argv.slice(2)
if (mode === 'server') serve(args[0] === 'echo')
else if (mode === 'pace') {
  const [port, conversations, rate, seconds, length] = args.map(Number)
  await pace(port, conversations, rate, seconds, length)
} else {
  const [port, seconds] = args.map(Number)
  await bulk(port, seconds)
}
