import t from 'tap'
import { addressKey, NetworkCounts, networkKey } from '../../policies/network.ts'

t.test('addresses are counted by what one subscriber has, and by what lies around it', async (t) => {
  for (const [address, own, around] of [
    ['192.0.2.7', '192.0.2.7', '192.0.2/24'],
    ['::ffff:192.0.2.7', '192.0.2.7', '192.0.2/24'],
    ['::FFFF:192.0.2.7', '192.0.2.7', '192.0.2/24'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64', '2001:db8:1::/48'],
    ['2001:DB8:0001:2::9', '2001:db8:1:2::/64', '2001:db8:1::/48'],
    ['2001:db8::9', '2001:db8:0:0::/64', '2001:db8:0::/48'],
    ['::1', '0:0:0:0::/64', '0:0:0::/48'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64', 'fe80:0:0::/48'],
    ['64:ff9b::192.0.2.7', '64:ff9b:0:0::/64', '64:ff9b:0::/48'],
    ['sim-7', 'sim-7', 'sim-7'],
    ['1:2:3', '1:2:3', '1:2:3'],
    ['1:2:3:4:5:6:7:8:9', '1:2:3:4:5:6:7:8:9', '1:2:3:4:5:6:7:8:9'],
    ['1:2:3:4::5:6:7:8:9', '1:2:3:4::5:6:7:8:9', '1:2:3:4::5:6:7:8:9'],
  ]) {
    t.equal(addressKey(address), own, address)
    t.equal(networkKey(address), around, address)
  }
})

t.test('what is counted down to nothing is forgotten', async (t) => {
  const counts = new NetworkCounts()
  counts.add('a')
  counts.add('a')
  counts.take('a')
  t.equal(counts.of('a'), 1)
  t.equal(counts.size, 1)
  counts.take('a')
  t.equal(counts.of('a'), 0)
  t.equal(counts.size, 0)
})
