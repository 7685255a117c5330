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

const whole = (bytes: number, address: string | undefined, sourcePort = 0, isDatagram = false) =>
  ({ state: 'whole', bytes, address, sourcePort, isDatagram }) as const

t.test('version 1 names the client', async (t) => {
  const line = 'PROXY TCP4 192.0.2.1 198.51.100.7 40000 443\r\n'
  t.same(readProxyHeader(latin1(`${line}rest`)), whole(line.length, '192.0.2.1', 40_000))
  t.same(readProxyHeader(latin1('PROXY TCP6 2001:db8::1 ::1 1 65535\r\n')), whole(36, '2001:db8::1', 1))
  t.same(readProxyHeader(latin1('PROXY TCP4 192.0.2.1 198.51.100.7 65535 1\r\n')), whole(43, '192.0.2.1', 65_535))
  t.same(readProxyHeader(latin1('PROXY UNKNOWN\r\n')), whole(15, undefined))
  t.same(readProxyHeader(latin1('PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n')), whole(35, undefined))
})

t.test('version 1 has 107 bytes at most, its line end among them', async (t) => {
  const longest = `PROXY UNKNOWN ${'x'.repeat(91)}`
  t.same(readProxyHeader(latin1(`${longest}\r\n`)), whole(107, undefined))
  t.equal(readProxyHeader(latin1(longest)).state, 'more')
  t.equal(readProxyHeader(latin1(`${longest}\r`)).state, 'more')
  t.equal(readProxyHeader(latin1(`${longest}xx`)).state, 'malformed')
  t.equal(readProxyHeader(latin1(`${longest}x\r\n`)).state, 'malformed')
})

t.test('version 2 names the client, and skips what it does not know', async (t) => {
  const of = (command: number, family: number, like: Buffer) => readProxyHeader(v2(command, family, like.subarray(16)))
  t.same(readProxyHeader(tcp4), whole(28, '192.0.2.1', 40_000))
  t.same(readProxyHeader(tcp6), whole(52, '2001:db8:0:0:0:0:0:1', 40_000))
  t.same(of(0x21, 0x12, tcp4), whole(28, '192.0.2.1', 40_000, true), 'UDP')
  t.same(of(0x21, 0x22, tcp6), whole(52, '2001:db8:0:0:0:0:0:1', 40_000, true), 'UDP over IPv6')
  t.same(of(0x21, 0x10, tcp4), whole(28, '192.0.2.1', 40_000), 'of no transport')
  t.same(of(0x20, 0x11, tcp4), whole(28, undefined), 'LOCAL, whatever stands behind it')
  t.same(of(0x21, 0x02, tcp4), whole(28, undefined, 0, true), 'of no family')
  const withTlv = v2(0x21, 0x11, Buffer.concat([tcp4.subarray(16), Buffer.from([4, 0, 1, 0])]))
  t.same(readProxyHeader(withTlv), whole(32, '192.0.2.1', 40_000))
  t.same(readProxyHeader(v2(0x20, 0x00, Buffer.alloc(0))), whole(16, undefined), 'LOCAL')
  t.same(readProxyHeader(v2(0x21, 0x31, Buffer.alloc(216))), whole(232, undefined), 'a Unix socket')
  const largest = Buffer.concat([tcp4.subarray(16), Buffer.alloc(4096 - 12)])
  t.same(readProxyHeader(v2(0x21, 0x11, largest)), whole(PROXY_HEADER_BYTES_MAX, '192.0.2.1', 40_000))
  t.equal(readProxyHeader(v2(0x21, 0x11, Buffer.alloc(4097)).subarray(0, 16)).state, 'malformed')
})

t.test('in pieces, it is more until it is whole, and never read past its end', async (t) => {
  for (const header of [latin1('PROXY TCP4 192.0.2.1 198.51.100.7 40000 443\r\n'), tcp4, tcp6]) {
    for (let length = 0; length < header.length; length++) {
      t.equal(readProxyHeader(header.subarray(0, length)).state, 'more', `${length} of ${header.length}`)
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
    latin1('PROXY TCP4 192.0.2.1 198.51.100.7 65536 1\r\n'),
    latin1('PROXY TCP4 192.0.2.1 198.51.100.7 000001 1\r\n'),
    latin1('PROXY TCP4 192.0.2.1 198.51.100.7 1 000001\r\n'),
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
