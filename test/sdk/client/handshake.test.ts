import t from 'tap'
import { Rig, string } from './rig.ts'

t.test('a client logs in, attaches and sends', async (t) => {
  const rig = new Rig()
  const channel = rig.channel()
  t.equal(channel.send('arena.move', new TextEncoder().encode('x'), rig.now), 1, 'before there is a connection')
  rig.core.connect(rig.now)
  const id = rig.lastDial
  rig.hello(id)
  const [login] = rig.frames(id)
  t.match(login, { kind: 'login', version: 1 })
  t.equal(string(login.token as Uint8Array), 'ana')
  rig.welcome(id)
  const attach = rig.accept(id)
  t.match(attach, { alias: 0, epoch: 1, ticketGeneration: 1, service: 'arena', key: 'room', life: 0n, sent: 1 })
  t.match(rig.frames(id), [
    { kind: 'route', name: 'arena.move' },
    { kind: 'oneway', channel: 0, n: 1, payload: 'x' },
  ])
  t.same(rig.log, [
    'state connecting',
    'welcomed s1 ana new 0',
    'state degraded',
    'attached arena/room',
    'state online',
  ])
})
