// Noise over a stream, fed by anybody: the first byte says who listens (a gateway before its handshake, the same behind it,
// a client that waits for an answer) and how the bytes are cut. Whatever comes ends in bytes that the other end has sealed, in
// their order, or in a failure; nothing throws, and nothing is held that has not come.
import { cryptoProvider } from '../../../gateway/io/crypto-provider.ts'
import { MESSAGE_BYTES_MAX, Responder } from '../../../protocols/secure/handshakes.ts'
import { RECORD_BYTES_MAX, SecureStream, type SecureStreamSink } from '../../../protocols/secure/secure-stream.ts'
import { FIRST_HEAD_BYTES, RECORD_HEAD_BYTES } from '../../../protocols/secure/stream-preamble.ts'

const GATEWAY = 0
const OPEN_GATEWAY = 1

const crypto = cryptoProvider()
const secret = (letter: number): Uint8Array => new Uint8Array(32).fill(letter)
const identity = crypto.dh.generateFrom(secret(2))
const ticketSecret = secret(7)
const responder = new Responder({
  crypto,
  identity,
  previous: crypto.dh.generateFrom(secret(8)),
  transport: 'tcp',
  openTicket: (ticket) => (ticket[0] === 1 ? { secret: ticketSecret } : { code: 512 }),
})
/** The same keys each time: what one conversation has sealed opens in the next one. */
const gateway = () => SecureStream.responder(responder, secret(4))
const client = (resume?: { ticket: Uint8Array; secret: Uint8Array }) =>
  SecureStream.initiator({
    crypto,
    transport: 'tcp',
    gatewayKey: identity.publicKey,
    ephemeralSecret: secret(3),
    resume,
  })

class Judge implements SecureStreamSink {
  readonly #said: Uint8Array
  #at = 0

  constructor(said: Uint8Array) {
    this.#said = said
  }

  opened(): void {}
  confirmed(): void {}
  received(plain: Uint8Array): void {
    for (const byte of plain) {
      if (byte !== this.#said[this.#at++]) throw new Error(`byte ${this.#at} was not said by the other end`)
    }
  }
}

/** One whole conversation: what each end writes, in pieces. */
function conversation(resume?: { ticket: Uint8Array; secret: Uint8Array }) {
  const [from, to] = [client(resume), gateway()]
  const said = new Uint8Array(3000).map((_, i) => i)
  const none = new Judge(said)
  const first = Uint8Array.from(from.drain())
  to.receive(first, none)
  const answer = Uint8Array.from(to.drain())
  from.receive(answer, none)
  const records: Uint8Array[] = [Uint8Array.from(from.drain())]
  const answers: Uint8Array[] = []
  for (let at = 0; at < said.length; at += 600) {
    from.send(said.subarray(at, at + 600))
    records.push(Uint8Array.from(from.drain()))
    to.send(said.subarray(at, at + 600))
    answers.push(Uint8Array.from(to.drain()))
  }
  return { said, first, answer, records, answers }
}

const plain = conversation()
const resumed = conversation({ ticket: Uint8Array.of(1, 2, 3), secret: ticketSecret })
const refused = conversation({ ticket: Uint8Array.of(2, 2, 3), secret: ticketSecret })

export function fuzz(bytes: Uint8Array): void {
  const first = bytes[0] ?? 0
  const who = first % 3
  const judge = new Judge(plain.said)
  const stream = who === GATEWAY || who === OPEN_GATEWAY ? gateway() : client()
  if (who === OPEN_GATEWAY) stream.receive(plain.first, judge)
  const size = 1 + (first >>> 2) * 8
  for (let at = 1; at < bytes.length; at += size) {
    stream.receive(bytes.slice(at, at + size), judge)
    const most = stream.isOpen ? RECORD_BYTES_MAX + RECORD_HEAD_BYTES : MESSAGE_BYTES_MAX + FIRST_HEAD_BYTES
    if (stream.heldBytes > Math.min(most, at + size)) throw new Error(`${stream.heldBytes} bytes are held`)
    if (stream.failure !== undefined && stream.isOpen) throw new Error('it is open and has failed')
  }
  if (stream.isOpen) stream.send(Uint8Array.of(1))
  stream.drain()
}

/** Right conversations, whole and in parts, for each listener. */
export function seeds(): Uint8Array[] {
  const cuts = [0, 4, 60, 252]
  const parts = [plain, resumed, refused].flatMap(({ first, answer, records, answers }) => [
    { who: GATEWAY, pieces: [first] },
    { who: GATEWAY, pieces: [first, ...records] },
    { who: 2, pieces: [answer, ...answers] },
  ])
  parts.push({ who: OPEN_GATEWAY, pieces: plain.records }, { who: OPEN_GATEWAY, pieces: plain.records.slice(0, 2) })
  return parts.flatMap(({ who, pieces }) =>
    cuts.map((cut) => Uint8Array.from([3 * Math.floor(cut / 3) + who, ...pieces.flatMap((piece) => [...piece])])),
  )
}
