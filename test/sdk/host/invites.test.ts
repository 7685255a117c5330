// Reaching sessions from a host (P5): the record waits, INVITE asks, the client attaches.
import t from 'tap'
import { code } from '../../../protocols/codes.ts'
import type { LinkInvite } from '../../../protocols/link/frames.ts'
import { linkKind, writeLinkInvite } from '../../../protocols/link/frames.ts'
import { service } from '../../../sdk/host/service.ts'
import type { ScriptedGateway, Seen } from './scripted-gateway.ts'
import { Bed, text, utf8 } from './scripted-gateway.ts'

function bedOf(options = {}) {
  const ends: string[] = []
  const mail = service('mail', {
    keys: 'any',
    routes: {},
    onEnd: (_ctx, ending) => {
      const list = (items: { payload: unknown }[]) => items.map(({ payload }) => text(payload))
      ends.push(`${ending.name} unknown:${list(ending.unknown)} undelivered:${list(ending.undelivered)}`)
    },
  })
  const bed = new Bed([mail], { keepMs: 20_000, heartbeatMs: 1e9, ...options })
  const push = (what: string) => {
    const actor = bed.core.actorHere('mail', 'box', bed.now)
    actor.hook('push', undefined, (ctx) => ctx.push('S', 'mail.new', utf8(what)))
    bed.turn()
  }
  return { bed, push, ends }
}

const noSession = (g: ScriptedGateway, invite: Seen) => {
  writeLinkInvite(g.w, linkKind.noSession, invite as unknown as LinkInvite)
  g.deliver()
}

t.test('a push to a session without a channel invites it, and is delivered when it attaches', async (t) => {
  const { bed, push, ends } = bedOf()
  const g = bed.gateway('g1', '', 1, 1n)
  const other = bed.gateway('g2', '', 1, 2n)
  push('one')
  push('two')
  const invite = g.one('invite')
  t.match(invite, { session: 'S', service: 'mail', key: 'box' })
  t.match(other.seen(), [{ kind: 'invite', life: invite.life }])
  noSession(other, invite)
  g.attach({ service: 'mail', key: 'box', pinned: true })
  t.match(g.seen(), [
    { kind: 'attached', life: invite.life },
    { kind: 'route' },
    { kind: 'oneway', number: 1, payload: 'one' },
    { kind: 'oneway', number: 2, payload: 'two' },
  ])
  g.ack(0, 2)
  bed.pass(10_000)
  t.same(other.kinds(), [], 'confirmed: nobody is asked any more')
  t.same(ends, [])
})

t.test('NO_SESSION is asked again after a second, and a gateway that links is asked at once', async (t) => {
  const { bed, push } = bedOf()
  const g = bed.gateway('g1', '', 1, 1n)
  push('one')
  const invite = g.one('invite')
  noSession(g, invite)
  bed.pass(999)
  t.same(g.kinds(), [])
  bed.pass(1)
  t.same(g.kinds(), ['invite'])
  bed.pass(3000)
  t.same(g.kinds(), [], 'that gateway has not answered: it may have the session')
  bed.pass(2000)
  t.same(g.kinds(), ['invite'], 'but what it has may be lost')
  const other = bed.dial('g2')
  other.shake('', 1, 2n)
  t.same(other.kinds(), ['proof', 'invite'])
  noSession(g, { ...invite, life: 5n })
  bed.pass(1000)
  t.same(g.kinds(), [], 'NO_SESSION of another life says nothing')
})

t.test('after `keep` without an attach the actor is told that nothing was delivered, certainly', async (t) => {
  const { bed, push, ends } = bedOf()
  const g = bed.gateway()
  push('one')
  bed.pass(20_000)
  t.same(ends, ['undelivered unknown: undelivered:one'])
  g.seen()
  bed.pass(10_000)
  t.same(g.kinds(), [])
})

t.test('what was offered once may have run: then `keep` ends it as expired, with what is unknown', async (t) => {
  const { bed, push, ends } = bedOf()
  const g = bed.gateway()
  push('one')
  g.attach({ service: 'mail', key: 'box' })
  g.closeHandle(0)
  bed.pass(20_000)
  t.same(ends, ['expired unknown:one undelivered:'])
})

t.test('a call to a session that is never reached did not run', async (t) => {
  const { bed } = bedOf({ keepMs: 1000 })
  bed.gateway()
  let told = ''
  const actor = bed.core.actorHere('mail', 'box', bed.now)
  actor.hook('call', undefined, (ctx) =>
    ctx.requestClient('S', 'mail.ask', undefined, (_ctx, error) => {
      told = `${error?.name} ${error?.ran}`
    }),
  )
  bed.turn()
  bed.pass(1000)
  t.equal(told, 'undelivered no')
  actor.hook('call', undefined, (ctx) =>
    ctx.requestClient('T', 'mail.ask', undefined, (_ctx, error) => (told = `${error?.name} ${error?.ran}`), {
      timeoutMs: 500,
    }),
  )
  bed.turn()
  bed.pass(500)
  t.equal(told, 'expired no', 'its deadline comes first')
})

t.test('a kicked session is not invited', async (t) => {
  const { bed } = bedOf()
  const g = bed.gateway()
  bed.core.kick('S', code.kicked, bed.now)
  let name = ''
  const actor = bed.core.actorHere('mail', 'box', bed.now)
  actor.hook('push', undefined, (ctx) => {
    try {
      ctx.push('S', 'mail.new')
    } catch (error) {
      name = (error as Error).name
    }
  })
  bed.turn()
  t.equal(name, 'kicked')
  t.same(g.kinds(), [])
})
