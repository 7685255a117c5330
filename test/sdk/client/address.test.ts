import t from 'tap'
import { readAddress, readGatewayKey } from '../../../sdk/client/address.ts'

const bytes = Uint8Array.from({ length: 32 }, (_, i) => 255 - 5 * i)
const key = Buffer.from(bytes).toString('base64url')

t.test('a key in the address means Noise inside tcp, ws and kcp, and is not dialed', async (t) => {
  for (const scheme of ['tcp', 'ws', 'kcp']) {
    const read = readAddress(`${scheme}://play.example.org:7777/?key=${key}&room=7`)
    t.equal(read.scheme, scheme)
    t.same(read.gatewayKey, bytes)
    t.equal(read.url.href, `${scheme}://play.example.org:7777/?room=7`)
  }
})

t.test('the option is for addresses without a key', async (t) => {
  const other = new Uint8Array(32).fill(7)
  t.same(readAddress('tcp://h:1', key).gatewayKey, bytes)
  t.same(readAddress('ws://h/', other).gatewayKey, other)
  t.same(readAddress(`ws://h/?key=${key}`, other).gatewayKey, bytes)
  t.equal(readAddress('tcp://h:1').gatewayKey, undefined)
  t.equal(readAddress('unix:///run/s.sock', key).gatewayKey, undefined)
})

t.test('certificates and keys do not go together', async (t) => {
  for (const scheme of ['tls', 'wss']) {
    t.throws(() => readAddress(`${scheme}://h/?key=${key}`), { name: 'RangeError', message: /by its certificate/ })
    t.equal(readAddress(`${scheme}://h/`, key).gatewayKey, undefined, 'the option is for the others')
  }
})

t.test('kcp without encryption has to be said', async (t) => {
  t.throws(() => readAddress('kcp://h:7777'), { name: 'RangeError', message: /needs \?key=.*security=none/ })
  t.equal(readAddress('kcp://h:7777?security=none').gatewayKey, undefined)
  t.equal(readAddress('kcp://h:7777?security=none', key).gatewayKey, undefined)
  t.equal(readAddress('kcp://h:7777?security=none').url.search, '')
  t.throws(() => readAddress(`kcp://h:7777?security=none&key=${key}`), { message: /there is a key/ })
  t.throws(() => readAddress('tcp://h:7777?security=tls'), { message: /the security of an address is none/ })
})

t.test('what is no key is refused', async (t) => {
  for (const wrong of ['', key.slice(1), `${key}A`, `${key}=`, `${key.slice(0, 42)}B`, `*${key.slice(1)}`]) {
    t.throws(() => readGatewayKey(wrong), RangeError, wrong)
  }
  t.throws(() => readGatewayKey(bytes.subarray(1)), RangeError)
  t.throws(() => readAddress('tcp//h'), { message: /is a URL like/ })
  const kept = readGatewayKey(bytes)
  t.not(kept, bytes, 'what the caller has may change')
})
