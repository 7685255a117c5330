// PROXY headers: both versions whole and in pieces, and everything that is none.
import t from 'tap'
import { PROXY_HEADER_BYTES_MAX, readProxyHeader } from '../../../gateway/io/proxy-header.ts'

const latin1 = (text: string) => Buffer.from(text, 'latin1')

/** Version 2: command and version, family and transport, body. */
export function v2(versionCommand: number, family: number, body: Uint8Array): Buffer {
  const head = Buffer.from('0d0a0d0a000d0a515549540a00000000', 'hex')
  head[12] = versionCommand
  head[13] = family
  head.writeUInt16BE(body.length, 14)
  return Buffer.concat([head, body])
}

const tcp4 = v2(0x21, 0x11, Buffer.from([192, 0, 2, 1, 198, 51, 100, 7, 0x9c, 0x40, 1, 0xbb]))
const tcp6 = v2(0x21, 0x21, Buffer.from(`20010db8${'00'.repeat(11)}01${'00'.repeat(16)}9c4001bb`, 'hex'))

t.test('version 1 names the client', async (t) => {
  const line = 'PROXY TCP4 192.0.2.1 198.51.100.7 40000 443\r\n'
  t.match(readProxyHeader(latin1(`${line}rest`)), { state: 'whole', bytes: line.length, address: '192.0.2.1' })
  t.match(readProxyHeader(latin1('PROXY TCP6 2001:db8::1 ::1 1 2\r\n')), { state: 'whole', address: '2001:db8::1' })
  t.match(readProxyHeader(latin1('PROXY UNKNOWN\r\n')), { state: 'whole', address: undefined })
  t.match(readProxyHeader(latin1('PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n')), { state: 'whole', address: undefined })
})

t.test('version 2 names the client, and skips what it does not know', async (t) => {
  t.match(readProxyHeader(tcp4), { state: 'whole', bytes: 28, address: '192.0.2.1' })
  t.match(readProxyHeader(tcp6), { state: 'whole', bytes: 52, address: '2001:db8:0:0:0:0:0:1' })
  const withTlv = v2(0x21, 0x11, Buffer.concat([tcp4.subarray(16), Buffer.from([4, 0, 1, 0])]))
  t.match(readProxyHeader(withTlv), { state: 'whole', bytes: 32, address: '192.0.2.1' })
  t.match(readProxyHeader(v2(0x20, 0x00, Buffer.alloc(0))), { state: 'whole', address: undefined }, 'LOCAL')
  t.match(readProxyHeader(v2(0x21, 0x31, Buffer.alloc(216))), { state: 'whole', address: undefined }, 'a Unix socket')
})

t.test('in pieces, it is more until it is whole, and never read past its end', async (t) => {
  for (const whole of [latin1('PROXY TCP4 192.0.2.1 198.51.100.7 40000 443\r\n'), tcp4, tcp6]) {
    for (let length = 0; length < whole.length; length++) {
      t.equal(readProxyHeader(whole.subarray(0, length)).state, 'more', `${length} of ${whole.length}`)
    }
  }
})

t.test('everything else is malformed, within a bound', async (t) => {
  const bad = [
    latin1('GET / HTTP/1.1\r\n'),
    latin1('proxy TCP4 192.0.2.1 198.51.100.7 1 2\r\n'),
    latin1('PROXY TCP4 2001:db8::1 ::1 1 2\r\n'),
    latin1('PROXY TCP4 192.0.2.1 ::1 1 2\r\n'),
    latin1('PROXY TCP4 192.0.2.1 198.51.100.7 1 65536\r\n'),
    latin1('PROXY TCP4 192.0.2.1 198.51.100.7 1\r\n'),
    latin1('PROXY TCP4 192.0.2.1  198.51.100.7 1 2\r\n'),
    latin1(`PROXY ${'x'.repeat(200)}`),
    latin1(`PROXY UNKNOWN ${'x'.repeat(200)}\r\n`),
    v2(0x11, 0x11, Buffer.alloc(12)),
    v2(0x22, 0x11, Buffer.alloc(12)),
    v2(0x21, 0x11, Buffer.alloc(11)),
    v2(0x21, 0x21, Buffer.alloc(35)),
    v2(0x21, 0x11, Buffer.alloc(5000)).subarray(0, 16),
  ]
  for (const bytes of bad) t.equal(readProxyHeader(bytes).state, 'malformed', bytes.toString('latin1', 0, 40))
  let seed = 7
  for (let i = 0; i < 20_000; i++) {
    const bytes = Buffer.alloc(40)
    for (let at = 0; at < 40; at++) bytes[at] = (seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0) >>> 24
    if (i % 2) tcp4.copy(bytes, 0, 0, 12)
    const header = readProxyHeader(bytes)
    if (header.state === 'whole' && header.bytes > PROXY_HEADER_BYTES_MAX) t.fail('beyond its bound')
  }
})
