import type { Test } from 'tap'
import t from 'tap'
import { clientKind } from '../../../protocols/client/frames.ts'
import { code } from '../../../protocols/codes.ts'
import type { ChannelEnd, Incoming } from '../../../protocols/session/channel-end.ts'
import { laneKind } from '../../../protocols/wire/lane-frames.ts'
import type { CoreChannel } from '../../../sdk/client/core-channel.ts'
import { UNNUMBERED_MAX } from '../../../sdk/client/deliveries.ts'
import { Inbox } from '../../../sdk/client/inbox.ts'
import { json } from '../../../sdk/codec.ts'

const end = {} as ChannelEnd

/** An inbox, and what it replied and settled. */
function inboxOf(t: Test, handlerDeadlineMs = 60_000) {
  const log: string[] = []
  const core = {
    reply: (_end: ChannelEnd, request: number, why: number) => log.push(`reply ${request} ${why}`),
    settle: (_end: ChannelEnd, number: number) => log.push(`settle ${number}`),
  } as unknown as CoreChannel
  const inbox = new Inbox(core, {
    codec: json,
    handlerDeadlineMs,
    now: () => 1000,
    handlerFailed: () => log.push('failed'),
  })
  t.teardown(() => inbox.start())
  return { inbox, log }
}

function message(changes: Partial<Incoming>): Incoming {
  const none = { request: 0, deadlineAt: Infinity, key: '', group: '', life: 0n, offset: 0, payload: new Uint8Array(0) }
  return { kind: laneKind.oneway, number: 0, route: 'r', ...none, ...changes }
}

t.test('C2: a waiting `latest` takes the newer value and keeps its place', async (t) => {
  const { inbox } = inboxOf(t)
  const seen: unknown[] = []
  inbox.onRoute('r', (payload, { key }) => seen.push(`${key}${payload}`))
  const latest = (key: string, value: number) =>
    inbox.receive(message({ kind: laneKind.latest, key, payload: json.encode(value) }), end)
  latest('a', 1)
  latest('b', 1)
  latest('a', 2)
  inbox.start()
  t.same(seen, ['a2', 'b1'])
})

t.test('unnumbered messages that wait are bounded, numbered ones by their window', async (t) => {
  const { inbox } = inboxOf(t)
  for (let i = 0; i < UNNUMBERED_MAX; i++) t.ok(inbox.receive(message({ kind: laneKind.unreliable }), end))
  t.notOk(
    inbox.receive(message({ kind: clientKind.published, group: 'g' }), end),
    'a group is told that there is no room',
  )
  t.ok(inbox.receive(message({ number: 1 }), end))
  t.equal(inbox.dropped, 1)
  inbox.start()
  t.ok(inbox.receive(message({ kind: laneKind.unreliable }), end))
})

t.test('X1: what waits at a reset is not handled any more; a handler that runs keeps its turn', async (t) => {
  const { inbox, log } = inboxOf(t)
  const seen: number[] = []
  let release = () => {}
  inbox.onRoute('r', (_payload, { number }) => {
    seen.push(number)
    // biome-ignore lint/suspicious/noThenProperty: a thenable is what handlers may return
    if (number === 1) return { then: (ok: () => void) => void (release = ok) }
    return undefined
  })
  inbox.start()
  inbox.receive(message({ number: 1 }), end)
  inbox.receive(message({ number: 2 }), end)
  inbox.tell('reset', { code: code.reset, name: 'reset', unknown: [], lostFrom: 0, lostTo: 0 })
  inbox.receive(message({ number: 3 }), end)
  t.same(seen, [1])
  release()
  t.same(seen, [1, 3])
  t.same(log, ['settle 1', 'settle 3'])
})

t.test('Q1: a request whose deadline passed while it waited is not run', async (t) => {
  const { inbox, log } = inboxOf(t)
  inbox.onRoute('r', () => t.fail('it ran'))
  inbox.receive(message({ kind: laneKind.request, number: 1, request: 7, deadlineAt: 1000 }), end)
  inbox.start()
  t.same(log, [`reply 7 ${code.expired}`, 'settle 1'])
})

t.test('W2: each message is settled once: handled, thrown, malformed, or without a handler', async (t) => {
  const { inbox, log } = inboxOf(t)
  inbox.onRoute('bad', () => {
    throw new Error('no')
  })
  inbox.start()
  inbox.receive(message({ number: 1, route: 'nobody' }), end)
  inbox.receive(message({ number: 2, route: 'bad' }), end)
  inbox.receive(message({ number: 3, route: 'bad', payload: Uint8Array.of(0x7b) }), end)
  t.same(log, ['settle 1', 'failed', 'settle 2', 'failed', 'settle 3'])
  t.equal(inbox.unhandled, 1)
})

t.test('a handler may send to itself without end of the stack', async (t) => {
  const { inbox } = inboxOf(t)
  let count = 0
  inbox.onRoute('r', () => {
    if (++count < 20_000) inbox.receive(message({ number: count + 1 }), end)
  })
  inbox.start()
  inbox.receive(message({ number: 1 }), end)
  t.equal(count, 20_000)
})

t.test('a thenable is taken by its `then`, at once, and settles once', async (t) => {
  const { inbox, log } = inboxOf(t)
  inbox.onRoute('r', () => ({
    // biome-ignore lint/suspicious/noThenProperty: a thenable is what handlers may return
    then: (ok: (value: unknown) => void, fail: (error: unknown) => void) => {
      ok('first')
      fail(new Error('second'))
      ok('third')
    },
  }))
  inbox.start()
  inbox.receive(message({ kind: laneKind.request, number: 1, request: 5 }), end)
  t.same(log, ['reply 5 0', 'settle 1'])
})

t.test('`*` handles what no other does', async (t) => {
  const { inbox } = inboxOf(t)
  const seen: string[] = []
  inbox.onRoute('*', (_payload, { route }) => seen.push(`* ${route}`))
  inbox.onRoute('known', () => seen.push('known'))
  inbox.start()
  inbox.receive(message({ number: 1, route: 'known' }), end)
  inbox.receive(message({ number: 2, route: 'other' }), end)
  inbox.receive(message({ kind: clientKind.published, route: 'known', group: 'g' }), end)
  t.same(seen, ['known', '* other', 'known'])
})
