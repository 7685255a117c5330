// What judging a message costs: ten policies at its place (eight rate limits by different keys, of messages and of bytes,
// two sizes), for 1,000 sessions. One by one each message is of another session, so that buckets come out of memory; in
// batches of eight a session sends eight messages at one time, as a read from a busy connection brings them. Run it with
// `node bench/micro/policies.ts [sessions]`.
import { BucketTable } from '../../policies/bucket-table.ts'
import { CompiledPolicies, CompileTools, PolicyCounts } from '../../policies/compile.ts'
import { Judgement, type Pipeline, verdict } from '../../policies/pipeline.ts'
import type { RateLimitSettings } from '../../policies/rate-limit.ts'
import { Pressure } from '../../policies/shedding.ts'
import { type LimitKey, Subject } from '../../policies/subject.ts'
import { type Case, measure } from './measure.ts'

const SESSIONS = Number(process.argv[2] ?? 1000)
const BATCH = 8

const hashKey = { lo: 1, hi: 2 }
const perKeys: LimitKey[][] = [
  ['connection'],
  ['session'],
  ['user'],
  ['address'],
  ['network'],
  ['user', 'route'],
  ['service'],
  ['global'],
]
const rateLimits = perKeys.map((per, i): RateLimitSettings => {
  const unit = i % 2 === 0 ? 'messages' : 'bytes'
  return {
    name: `limit ${i}`,
    mode: 'enforce',
    unit,
    perSecond: 1e9,
    burst: 1e9,
    per,
    action: 'reject',
    delayMsMax: 0,
    banMs: 0,
    banOf: 'address',
  }
})
const messageSize = { mode: 'enforce', payloadBytesMax: 1024, action: 'reject' } as const

function pipelineOf(count: number): Pipeline {
  const table = new BucketTable(1_000_000)
  const state = { table, hashKey, counts: new PolicyCounts(), pressure: new Pressure(undefined) }
  const tools = new CompileTools(undefined, state, 0)
  const compiled = new CompiledPolicies(
    {
      listeners: [],
      services: [{ name: 'arena', policies: count >= 10 ? { messageSize } : {} }],
      routes: [{ match: 'arena.move', service: 'arena', policies: count >= 9 ? { messageSize } : {} }],
      policies: { rateLimits: rateLimits.slice(0, count) },
    },
    tools,
  )
  return compiled.pipelines('')[1]
}

const subjects = Array.from({ length: SESSIONS }, (_, i) => {
  const subject = new Subject(hashKey)
  subject.cameFrom(`10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`)
  subject.identify('connection', `${i}`)
  subject.identify('session', `s${i}`)
  subject.identify('user', `u${i}`)
  return subject
})

let now = 1000

function run(pipeline: Pipeline, judgement: Judgement, batch: number, count: number): void {
  let passed = 0
  for (let i = 0; i < count; i += batch) {
    // A stride that visits every session before it comes back to one.
    judgement.subject = subjects[((i / batch) * 7919) % SESSIONS]
    now += 0.001
    for (let j = 0; j < batch; j++) {
      judgement.messageBytes = 64
      judgement.payloadStart = 0
      judgement.payloadEnd = 64
      if (pipeline.judge(judgement, now) === verdict.pass) passed++
    }
  }
  if (passed < count) throw new Error(`${count - passed} messages were refused`)
}

const cases = [1, 10].flatMap((policies) => {
  const pipeline = pipelineOf(policies)
  const judgement = new Judgement(subjects[0])
  return [1, BATCH].map((batch): Case => {
    const how = batch === 1 ? 'one by one' : `in batches of ${batch}`
    return {
      what: `${pipeline.checks.length} policies, ${how}`,
      run: (count) => run(pipeline, judgement, batch, count),
    }
  })
})
await measure(`judging a message, ${SESSIONS} sessions`, cases)
