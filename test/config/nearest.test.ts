import t from 'tap'
import { editDistance, nearest } from '../../config/nearest.ts'
import { isLoopback, readNetwork } from '../../config/networks.ts'

t.test('a slip of the finger finds the name that was meant', async (t) => {
  const names = ['listeners', 'services', 'port', 'hosts']
  t.equal(nearest('listner', names), 'listeners')
  t.equal(nearest('prot', names), 'port', 'two neighbours swapped are one slip')
  t.equal(nearest('Hosts', names), 'hosts')
  t.equal(nearest('colour', names), undefined)
  t.equal(nearest('x', ['y']), undefined, 'short words are not guessed')
  t.equal(nearest('p'.repeat(10_000), ['p'.repeat(9999)]), undefined, 'and endless ones are not measured')
})

t.test('the distance counts single edits', async (t) => {
  t.equal(editDistance('kitten', 'sitting'), 3)
  t.equal(editDistance('', 'abc'), 3)
  t.equal(editDistance('ab', 'ba'), 1)
  t.equal(editDistance('same', 'same'), 0)
})

t.test('networks are addresses with a prefix, single addresses the longest one', async (t) => {
  t.same(readNetwork('10.0.0.0/8'), { address: '10.0.0.0', prefix: 8, family: 'ipv4' })
  t.same(readNetwork('2001:db8::/32'), { address: '2001:db8::', prefix: 32, family: 'ipv6' })
  t.same(readNetwork('10.1.2.3'), { address: '10.1.2.3', prefix: 32, family: 'ipv4' })
  for (const bad of ['', '10.0.0.0/33', '10.0.0/8', '::/129', '10.0.0.0/', '10.0.0.0/8/8', 'localhost/8']) {
    t.equal(readNetwork(bad), undefined, bad)
  }
})

t.test('loopback is 127/8, ::1 and localhost', async (t) => {
  for (const name of ['127.0.0.1', '127.9.9.9', '::1', 'localhost']) t.ok(isLoopback(name), name)
  for (const name of ['0.0.0.0', '::', '10.0.0.1', 'game.internal']) t.notOk(isLoopback(name), name)
})
