// A client over bare datagrams, for what only carries them: the same payloads straight to an echo or to a proxy in front of
// one. What is flushed at once shares datagrams of at most 1,200 bytes. The network owes a datagram nothing, so one whose
// echo does not come within RESEND_MS is sent again and counted: without that a lost one would end a client's closed loop
// and make its proxy look cheap. Messages keep their times, so that a loss shows in the latencies.
//
//   | number 4 | payload | payload | ... |        all payloads have one length; the number is little endian
import { type LoadClient, type LoadEvents, readStamp, STAMP_BYTES, writeStamp } from './client.ts'
import type { OpenStream, Stream } from './stream.ts'

/** Longer than any echo that is only slow, on a machine whose cores are all taken. */
export const RESEND_MS = 400
const NUMBER_BYTES = 4
const DATAGRAM_BYTES_MAX = 1200
/** Kept for use again. */
const FREE_DATAGRAMS_MAX = 64

type Sent = { bytes: Buffer; length: number; sentAt: number }

export class DatagramClient implements LoadClient {
  /** Datagrams that were sent again, since the beginning. */
  resent = 0
  readonly #events: LoadEvents
  readonly #stream: Stream
  readonly #payload: Uint8Array
  readonly #bytesMax: number
  /** Without an echo yet, in the order of sending. */
  readonly #underWay: Map<number, Sent> = new Map()
  readonly #free: Sent[] = []
  #open: Sent
  #number = 0

  constructor(open: OpenStream, port: number, payloadBytes: number, events: LoadEvents) {
    this.#events = events
    this.#payload = new Uint8Array(Math.max(STAMP_BYTES, payloadBytes))
    this.#bytesMax = Math.max(DATAGRAM_BYTES_MAX, NUMBER_BYTES + this.#payload.length)
    this.#open = this.#begun()
    this.#stream = open(port, {
      opened: () => events.ready(this),
      received: (bytes) => this.#receive(bytes),
      closed: () => {},
    })
  }

  /** A number that is not under way is an echo that came late, of what was sent again; its messages count once. */
  #receive(bytes: Uint8Array): void {
    const echo = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
    if (echo.length < NUMBER_BYTES) return
    const number = echo.readUInt32LE(0)
    const sent = this.#underWay.get(number)
    if (sent === undefined || sent.length !== echo.length) return
    this.#underWay.delete(number)
    if (this.#free.length < FREE_DATAGRAMS_MAX) this.#free.push(sent)
    for (let at = NUMBER_BYTES; at < echo.length; at += this.#payload.length) {
      this.#events.heard(this, readStamp(echo, at))
    }
    this.#events.turnEnded(this)
  }

  room(): number {
    return Infinity
  }

  send(stampUs: number): void {
    if (this.#open.length + this.#payload.length > this.#bytesMax) this.flush()
    writeStamp(this.#payload, stampUs)
    this.#open.bytes.set(this.#payload, this.#open.length)
    this.#open.length += this.#payload.length
  }

  flush(): void {
    const sent = this.#open
    if (sent.length === NUMBER_BYTES) return
    this.#number = (this.#number + 1) >>> 0
    sent.bytes.writeUInt32LE(this.#number, 0)
    this.#underWay.set(this.#number, sent)
    this.#write(sent, performance.now())
    this.#open = this.#begun()
  }

  tick(now: number): void {
    for (const sent of this.#underWay.values()) {
      if (now - sent.sentAt < RESEND_MS) continue
      this.resent++
      this.#write(sent, now)
    }
  }

  close(): void {
    this.#stream.close()
  }

  #write(sent: Sent, now: number): void {
    sent.sentAt = now
    this.#stream.write(sent.bytes.subarray(0, sent.length))
  }

  #begun(): Sent {
    const sent = this.#free.pop() ?? { bytes: Buffer.alloc(this.#bytesMax), length: 0, sentAt: 0 }
    sent.length = NUMBER_BYTES
    return sent
  }
}
