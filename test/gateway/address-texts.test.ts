import t from 'tap'
import { AddressTexts } from '../../gateway/address-texts.ts'

t.test('peers that take the same place in turn keep their own address and port', (t) => {
  const texts = new AddressTexts()
  const peers: [string, number][] = [
    ['192.0.2.1', 1],
    ['192.0.2.1', 1 + 4096],
    ['198.51.100.1', 1],
    ['2001:db8::1', 1],
    ['::', 0],
  ]
  for (let round = 0; round < 3; round++) {
    for (const [ip, port] of peers) for (let i = 0; i < 2; i++) t.equal(texts.of(ip, port), `${ip} ${port}`)
  }
  for (let port = 0; port < 65_536; port++) if (texts.of('192.0.2.7', port) !== `192.0.2.7 ${port}`) t.fail(`${port}`)
  t.end()
})
