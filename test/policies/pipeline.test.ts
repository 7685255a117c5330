// The list of checks that a message passes: their order, what stops it, and what is only counted.
import t from 'tap'
import {
  type Check,
  Judgement,
  type Mode,
  Pipeline,
  PolicyCount,
  type Verdict,
  verdict,
} from '../../policies/pipeline.ts'
import { Subject } from '../../policies/subject.ts'

function checks(...said: [name: string, cost: number, says: Verdict, mode?: Mode][]) {
  const asked: string[] = []
  const list = said.map(
    ([name, cost, says, mode = 'enforce']): Check => ({
      count: new PolicyCount(name, 'gateway', ''),
      mode,
      cost,
      readsPayload: name === 'schema',
      judge() {
        asked.push(name)
        return says
      },
    }),
  )
  return { asked, list, pipeline: new Pipeline(list) }
}

t.test('the cheapest check is asked first, and the first refusal is the last one asked', async (t) => {
  const { asked, list, pipeline } = checks(
    ['schema', 1000, verdict.close],
    ['rate', 100, verdict.reject],
    ['login', 1, verdict.pass],
    ['size', 2, verdict.pass],
  )
  const judgement = new Judgement(new Subject({ lo: 1, hi: 2 }))
  t.equal(pipeline.judge(judgement, 0), verdict.reject)
  t.same(asked, ['login', 'size', 'rate'])
  t.equal(judgement.by, list[1].count)
  t.same(
    list.map(({ count }) => count.enforced[verdict.reject]),
    [0, 1, 0, 0],
  )
  t.equal(pipeline.readsPayload, true)
})

t.test('what is only observed is counted and does not stop anything', async (t) => {
  const { asked, list, pipeline } = checks(['rate', 1, verdict.ban, 'observe'], ['size', 2, verdict.drop])
  const judgement = new Judgement(new Subject({ lo: 1, hi: 2 }))
  t.equal(pipeline.judge(judgement, 0), verdict.drop)
  t.same(asked, ['rate', 'size'])
  t.equal(judgement.by, list[1].count)
  t.equal(list[0].count.observed[verdict.ban], 1)
  t.equal(list[0].count.enforced[verdict.ban], 0)
  t.equal(pipeline.readsPayload, false)
})
