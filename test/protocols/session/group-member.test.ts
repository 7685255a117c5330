import t from 'tap'
import {
  decodeRecover,
  decodeRecovered,
  encodeRecover,
  encodeRecovered,
  GroupMember,
  memberVerdict,
} from '../../../protocols/session/group-member.ts'

function member(offset = 5): GroupMember {
  const one = new GroupMember('chat')
  one.joined(1, true, 3n, offset)
  return one
}

/** Hands a publication on if it is to be delivered. */
function take(one: GroupMember, offset: number): boolean {
  const verdict = one.judge(offset)
  if (verdict === memberVerdict.deliver) one.delivered(offset)
  return verdict === memberVerdict.deliver
}

t.test('G3: delivers last + 1, drops what is not above, and wants one RECOVER on anything further', async (t) => {
  const one = member()
  t.same(
    [5, 6, 6, 7].map((offset) => take(one, offset)),
    [false, true, false, true],
  )
  t.notOk(one.wantsRecover)
  t.equal(one.judge(9), memberVerdict.recover)
  t.ok(one.wantsRecover)
  one.recovering(11)
  t.equal(one.judge(10), memberVerdict.recover)
  t.notOk(one.wantsRecover, 'one at a time')
  t.same(one.place, { name: 'chat', life: 3n, offset: 7 })
})

t.test('G3: replays advance it; the answer closes the matter when nothing further was heard of', async (t) => {
  const one = member()
  one.judge(8)
  one.recovering(11)
  for (const offset of [6, 7, 8]) {
    t.equal(one.judgeReplay(3n, offset), memberVerdict.deliver)
    one.delivered(offset)
  }
  t.equal(one.recovered({ missed: false, life: 3n, offset: 8 }), undefined)
  t.notOk(one.wantsRecover)
})

t.test('G2: what is not kept is missed, and what is kept behind it is asked for again', async (t) => {
  const one = member()
  one.lagged()
  one.recovering(11)
  t.same(one.recovered({ missed: true, life: 3n, offset: 40 }), { from: 6, to: 40 })
  t.ok(one.wantsRecover, 'the rest may be in the history')
  one.recovering(12)
  t.ok(one.judgeReplay(3n, 41) === memberVerdict.deliver)
  one.delivered(41)
  t.equal(one.recovered({ missed: false, life: 3n, offset: 41 }), undefined)
  t.notOk(one.wantsRecover)
})

t.test('G2: another life is missed whole, whoever says it', async (t) => {
  const one = member()
  t.same(one.joined(2, true, 4n, 9), { from: 1, to: 9 })
  one.lagged()
  one.recovering(11)
  t.same(one.recovered({ missed: true, life: 5n, offset: 2 }), { from: 1, to: 2 })
  t.same(one.place, { name: 'chat', life: 5n, offset: 2 })
})

t.test('a JOIN that is older than what was delivered takes nothing back', async (t) => {
  const one = member()
  take(one, 6)
  t.equal(one.joined(1, true, 3n, 5), undefined)
  t.equal(one.last, 6)
  t.notOk(one.wantsRecover)
})

t.test('what was replayed before a first JOIN that was lost begins the place', async (t) => {
  const one = new GroupMember('chat')
  t.equal(one.judgeReplay(3n, 7), memberVerdict.deliver)
  one.delivered(7)
  t.equal(one.joined(1, true, 3n, 7), undefined)
  t.ok(take(one, 8))
  t.equal(one.judgeReplay(9n, 9), memberVerdict.drop, 'of another life')
})

t.test('three answers in a row that bring nothing are believed', async (t) => {
  const one = member()
  one.judge(9)
  for (let i = 0; i < 2; i++) {
    one.recovering(11 + i)
    t.equal(one.recovered({ missed: false, life: 3n, offset: 9 }), undefined)
    t.ok(one.wantsRecover)
  }
  one.recovering(13)
  t.same(one.recovered({ missed: false, life: 3n, offset: 9 }), { from: 6, to: 9 })
  t.ok(take(one, 10))
})

t.test('a plain group delivers all and recovers nothing', async (t) => {
  const one = new GroupMember('view')
  t.equal(one.joined(1, false, 0n, 0), undefined)
  t.ok(take(one, 0))
  t.ok(take(one, 0))
  one.lagged()
  t.notOk(one.wantsRecover)
})

t.test('RECOVER and its answer, in bytes', async (t) => {
  const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
  const asked = { name: 'chat', life: 3n, offset: 300 }
  t.equal(hex(encodeRecover(asked)), '0463686174' + '0300000000000000' + 'ac02')
  t.same(decodeRecover(encodeRecover(asked)), asked)
  const answer = { missed: true, life: 3n, offset: 300 }
  t.equal(hex(encodeRecovered(answer)), '01' + '0300000000000000' + 'ac02')
  t.same(decodeRecovered(encodeRecovered(answer)), answer)
  t.equal(decodeRecover(Uint8Array.of(4, 1)), undefined)
  t.equal(decodeRecovered(new Uint8Array(0)), undefined)
  t.equal(decodeRecovered(Uint8Array.of(...encodeRecovered(answer), 0)), undefined, 'nothing may be left over')
})
