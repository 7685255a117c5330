import t from 'tap'
import { code } from '../../../protocols/codes.ts'
import { Rig, text } from './rig.ts'

t.test('P6: a loose call names its route by number and its actor by key, and is answered', async (t) => {
  const rig = new Rig()
  const id = rig.online()
  const request = rig.core.callLoose('rank.top', 'eu', text('10'), rig.now + 800, rig.now)
  t.match(rig.frames(id), [
    { kind: 'route', number: 1, name: 'rank.top' },
    { kind: 'loose', request, route: 1, key: 'eu', deadlineMs: 800, payload: text('10') },
  ])
  rig.looseReply(id, request, code.ok, 'top')
  rig.looseReply(id, request, code.ok, 'twice')
  t.match(rig.looseOutcomes, [{ request, outcome: { code: code.ok, ran: 'yes', payload: text('top') } }])
  t.equal(rig.core.loose.lateReplies, 1)
})

t.test('it is refused without a connection, and unknown where the connection ends', async (t) => {
  const rig = new Rig()
  t.equal(rig.core.callLoose('a.b', '', text(''), Infinity, rig.now), -code.detached)
  const id = rig.online()
  const request = rig.core.callLoose('a.b', '', text(''), Infinity, rig.now)
  rig.core.lost(id, rig.now)
  t.match(rig.looseOutcomes, [{ request, outcome: { code: code.unknown, ran: 'unknown' } }])
})

t.test('its deadline passes into the unknown', async (t) => {
  const rig = new Rig()
  rig.online()
  rig.core.callLoose('a.b', '', text(''), rig.now + 300, rig.now)
  rig.core.callLoose('a.b', '', text(''), rig.now + 600, rig.now)
  rig.pass(300)
  t.equal(rig.looseOutcomes.length, 1)
  rig.pass(300)
  t.match(rig.looseOutcomes, [{ outcome: { ran: 'unknown' } }, { outcome: { ran: 'unknown' } }])
})

t.test('refusals on the way did not run; what cannot be told apart is unknown', async (t) => {
  const rig = new Rig()
  const id = rig.online()
  const rows: [number, string][] = [
    [code.rate_limited, 'no'],
    [code.host_away, 'no'],
    [code.not_found, 'no'],
    [code.handler_failed, 'yes'],
    [code.unknown, 'unknown'],
    [code.too_large, 'unknown'],
  ]
  for (const [why, ran] of rows) {
    const request = rig.core.callLoose('a.b', '', text(''), Infinity, rig.now)
    rig.looseReply(id, request, why, '')
    t.match(rig.looseOutcomes.at(-1), { outcome: { code: why, ran } })
  }
})

t.test('at most 64 are open', async (t) => {
  const rig = new Rig()
  rig.online()
  for (let i = 0; i < 64; i++) t.ok(rig.core.callLoose('a.b', '', text(''), Infinity, rig.now) > 0)
  t.equal(rig.core.callLoose('a.b', '', text(''), Infinity, rig.now), -code.too_many_requests)
})
