import t from 'tap'
import { NetworkCounts, neighbourhoodOf, networkOf } from '../../gateway/network-counts.ts'

t.test('addresses are counted by what one subscriber has', async (t) => {
  for (const [ip, network, neighbourhood] of [
    ['192.0.2.7', '192.0.2.7', '192.0.2.'],
    ['::ffff:192.0.2.7', '192.0.2.7', '192.0.2.'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::', '2001:db8:1::'],
    ['2001:db8:1:2::9', '2001:db8:1:2::', '2001:db8:1::'],
    ['2001:db8::9', '2001:db8:0:0::', '2001:db8:0::'],
    ['::1', '0:0:0:0::', '0:0:0::'],
    ['fe80::1%eth0', 'fe80:0:0:0::', 'fe80:0:0::'],
  ]) {
    t.equal(networkOf(ip), network, ip)
    t.equal(neighbourhoodOf(ip), neighbourhood, ip)
  }
})

t.test('what is counted down to nothing is forgotten', async (t) => {
  const counts = new NetworkCounts()
  counts.add('a')
  counts.add('a')
  counts.take('a')
  t.equal(counts.of('a'), 1)
  counts.take('a')
  t.equal(counts.of('a'), 0)
})
