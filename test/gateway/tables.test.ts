// Route rules, placement, session names: the small tables.
import t from 'tap'
import { hashName, placementScore } from '../../gateway/placement.ts'
import { RouteTable } from '../../gateway/route-table.ts'
import { channelName } from '../../gateway/hosts.ts'
import { sessionName } from '../../gateway/tickets.ts'
import { host, World } from './world.ts'

t.test('the first route that matches wins, in the order of the file', async (t) => {
  const table = new RouteTable([
    { match: 'a.b', service: 's' },
    { match: 'a.*', service: 's' },
    { match: 'a.c', service: 's' },
    { match: '*.end', service: 's' },
    { match: 'x*y*z', service: 's' },
    { match: 'a.b', service: 'other' },
    { match: '*', service: 'other' },
  ])
  const of = (service: string, name: string) => table.ruleFor(service, name)?.index
  t.equal(of('s', 'a.b'), 0)
  t.equal(of('s', 'a.c'), 1)
  t.equal(of('s', 'a.'), 1)
  t.equal(of('s', 'the.end'), 3)
  t.equal(of('s', 'x1y2z'), 4)
  t.equal(of('s', 'xyz'), 4)
  t.equal(of('s', 'xzy'), undefined)
  t.equal(of('s', 'b'), undefined)
  t.equal(of('other', 'a.b'), 5)
  t.equal(of('other', 'anything'), 6)
  t.equal(of('third', 'a.b'), undefined)
  t.equal(of('third', '$recover'), -1)
  t.equal(table.ruleOf('a.b')?.service, 's')
  t.equal(table.ruleOf('zzz')?.service, 'other')
  t.equal(table.ruleOf('a*b')?.index, 6)
})

t.test('a pattern of many stars is matched in linear time', async (t) => {
  const table = new RouteTable([{ match: `${'a*'.repeat(60)}b`, service: 's' }])
  const started = process.hrtime.bigint()
  t.equal(table.ruleFor('s', 'a'.repeat(128)), undefined)
  t.ok(process.hrtime.bigint() - started < 50_000_000n)
})

t.test('P2: placement is even, follows weights, and moves only the share of a host that joins', async (t) => {
  const place = (hosts: [string, number][], key: string) => {
    let best = ''
    let bestScore = 0
    for (const [name, weight] of hosts) {
      const score = placementScore(hashName(name), hashName(key), weight)
      if (score > bestScore) [best, bestScore] = [name, score]
    }
    return best
  }
  const keys = Array.from({ length: 10_000 }, (_, i) => `arena/room-${i}`)
  const three: [string, number][] = [
    ['h1', 1],
    ['h2', 1],
    ['h3', 2],
  ]
  const before = keys.map((key) => place(three, key))
  const share = (name: string) => before.filter((each) => each === name).length / keys.length
  t.ok(Math.abs(share('h1') - 0.25) < 0.03, `${share('h1')}`)
  t.ok(Math.abs(share('h3') - 0.5) < 0.03, `${share('h3')}`)
  const after = keys.map((key) => place([...three, ['h4', 1]], key))
  const moved = keys.filter((_, i) => before[i] !== after[i])
  t.ok(Math.abs(moved.length / keys.length - 0.2) < 0.03, `${moved.length}`)
  t.ok(moved.every((key) => place([...three, ['h4', 1]], key) === 'h4'))
  t.equal(placementScore(1, 2, 0), 0)
})

t.test('P2: a gateway chooses the host with the highest score, in whatever order it met them', async (t) => {
  const weights = { h1: 1, h2: 1, h3: 2, h4: 0 }
  const chosenBy = (names: (keyof typeof weights)[]) => {
    const world = new World({ hosts: names.map((name) => ({ ...host(name), weight: weights[name] })) })
    for (const name of names) world.host(name)
    const keys = Array.from({ length: 2000 }, (_, i) => `room-${i}`)
    return keys.map((key) => [channelName('arena', key), world.gateway.hostTable.choose('arena', key)!.name] as const)
  }
  const chosen = chosenBy(['h1', 'h2', 'h3', 'h4'])
  for (const [actor, name] of chosen) {
    const scores = Object.entries(weights).map(([name, weight]) => ({
      name,
      score: placementScore(hashName(name), hashName(actor), weight),
    }))
    if (scores.toSorted((a, b) => b.score - a.score)[0].name !== name) t.fail(`${actor} went to ${name}`)
  }
  t.ok(chosen.some(([, name]) => name === 'h1') && chosen.some(([, name]) => name === 'h2'))
  t.same(chosenBy(['h4', 'h3', 'h2', 'h1']), chosen)
  t.same(
    chosenBy(['h1', 'h3']).filter(([, name], i) => name !== chosen[i][1] && chosen[i][1] !== 'h2'),
    [],
    'where one is away from the list, only its own actors go elsewhere',
  )
})

t.test('a session name is its 16 bytes in base64url', async (t) => {
  const random = Uint8Array.from({ length: 16 }, (_, i) => (i * 37 + 200) & 255)
  t.equal(sessionName(random), Buffer.from(random).toString('base64url'))
  t.equal(sessionName(random).length, 22)
})
