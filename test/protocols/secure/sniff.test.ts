// What is told from the first bytes of a connection (SEC-5.5).
import t from 'tap'
import { writeLogin } from '../../../protocols/client/frames.ts'
import { SecureStream } from '../../../protocols/secure/secure-stream.ts'
import { SNIFF_BYTES_MAX, sniff } from '../../../protocols/secure/sniff.ts'
import { Writer } from '../../../protocols/wire/writer.ts'
import { Random } from '../../sim/random.ts'
import { native, pairOf, secretOf, utf8 } from './keys.ts'

const noise = SecureStream.initiator({
  crypto: native,
  transport: 'tcp',
  gatewayKey: pairOf(native, 'g').publicKey,
  ephemeralSecret: secretOf('e'),
}).drain()

const plainOf = (tokenBytes: number): Uint8Array => {
  const writer = new Writer()
  writeLogin(writer, { version: 1, token: new Uint8Array(tokenBytes), agent: 'test' })
  return writer.view().slice()
}

t.test('each protocol is known by its first bytes, and by no fewer than it takes', async (t) => {
  const samples: [Uint8Array, string][] = [
    [noise, 'skewer-noise'],
    [Uint8Array.of(0x16, 3, 1, 2, 0, 1), 'tls'],
    [Uint8Array.of(0x16, 3, 3, 0, 40, 1), 'tls'],
    [utf8('GET / HTTP/1.1\r\n'), 'http'],
    [utf8('POST /x HTTP/1.1\r\n'), 'http'],
    [utf8('OPTIONS * HTTP/1.1'), 'http'],
    [utf8('PRI * HTTP/2.0\r\n'), 'http'],
    [plainOf(3), 'skewer-plain'],
    [plainOf(300), 'skewer-plain'],
    [plainOf(8000), 'skewer-plain'],
    [utf8('SSH-2.0-x'), 'unknown'],
    [utf8('GETAWAY!'), 'unknown'],
    [Uint8Array.of(0, 1, 2), 'unknown'],
    [Uint8Array.of(0x80, 0x80, 0x80, 0x80, 1), 'unknown'],
  ]
  for (const [bytes, expected] of samples) {
    let told: string | undefined
    for (let length = 0; length <= SNIFF_BYTES_MAX && told === undefined; length++)
      told = sniff(bytes.subarray(0, length))
    t.equal(told, expected, String(expected))
  }
})

t.test('eight bytes of anything always get an answer', async (t) => {
  const random = new Random(1)
  for (let i = 0; i < 20_000; i++) if (sniff(random.bytes(SNIFF_BYTES_MAX)) === undefined) t.fail('no answer')
})
