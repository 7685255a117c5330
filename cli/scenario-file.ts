// Scenarios for `skewer bench` as they are written: YAML with a mix of transports, messages and phases, checked as a whole
// like a configuration, every complaint with line and column. docs/performance.md shows one; bench/plans has ours.
import fs from 'node:fs'
import path from 'node:path'
import { z } from 'zod'
import { messageKinds, PLAN_PAYLOAD_BYTES_MIN, type Plan, planTransports, type Range } from '../bench/play/plan.ts'
import type { JsonSchema } from '../config/json-schema.ts'
import { type Complaint, type PathStep, type Problem, shown, sortedProblems } from '../config/problems.ts'
import { readDuration, readPercent, readRate, readSize, type Reading } from '../config/quantities.ts'
import { schemaProblems } from '../config/schema-problems.ts'
import { count, duration, flag, type IssueParams, text } from '../config/schema-values.ts'
import { YAML_BYTES_MAX, YamlSource } from '../config/yaml-source.ts'

const CLIENTS_MAX = 20_000
const PAYLOAD_MAX = '16KiB'
const WORD = /^[a-z][A-Za-z0-9]{0,31}$/
const WORD_FORM = 'a word of letters and digits that begins with a small letter'

/** One value, or the least and the most of what is chosen from anew each time. */
function range(read: (written: unknown) => Reading<number>, min: string, max: string) {
  const least = read(min).value!
  const most = read(max).value!
  return z.unknown().transform((written, ctx): Range => {
    const ends = Array.isArray(written) && written.length === 2 ? written : [written, written]
    const [from, to] = ends.map(read)
    const misread = from.misread ?? to.misread
    const refuse = (complaint: Complaint): never => {
      ctx.addIssue({ code: 'custom', message: complaint.what, params: { complaint } satisfies IssueParams })
      return z.NEVER
    }
    const got = Array.isArray(written) ? written.map(shown).join(' to ') : shown(written)
    if (misread) return refuse({ what: 'is not a value or a range', got, expected: `${misread.expected}, or two such` })
    if (from.value! > to.value!) return refuse({ what: 'is a range whose end is before its beginning', got })
    if (from.value! < least) return refuse({ what: 'is too small', got, expected: `at least ${min}` })
    if (to.value! > most) return refuse({ what: 'is too large', got, expected: `at most ${max}` })
    return { min: from.value!, max: to.value! }
  })
}

/** A reader's number. */
function quantity(read: (written: unknown) => Reading<number>, what: string) {
  return z.unknown().transform((written, ctx): number => {
    const { value, misread } = read(written)
    if (value !== undefined) return value
    const complaint = { what, got: shown(written), ...misread }
    ctx.addIssue({ code: 'custom', message: what, params: { complaint } satisfies IssueParams })
    return z.NEVER
  })
}

const perSecond =
  (expected: string) =>
  (written: unknown): Reading<number> => {
    const { value, misread } = readRate(written)
    const hasBurst = typeof written === 'string' && written.includes('burst')
    return value === undefined || hasBurst ? { misread: { ...misread, expected } } : { value: value.perSecond }
  }

const message = z.strictObject({
  kind: z.enum(messageKinds),
  payload: range(readSize, `${PLAN_PAYLOAD_BYTES_MIN}B`, PAYLOAD_MAX).optional(),
  rate: quantity(perSecond('a rate such as 10/s or 6/min'), 'is not a rate').optional(),
  think: range(readDuration, '1ms', '1h').optional(),
})

const phase = z.strictObject({
  name: text('How it is called.', WORD, WORD_FORM),
  for: duration('How long it takes.', { min: '100ms', max: '24h' }),
  clients: count('Players there.', 0, CLIENTS_MAX),
  ramp: flag('Reached evenly over the phase.').optional(),
  pace: z.number().min(0).max(100).optional(),
  stay: range(readDuration, '100ms', '24h').optional(),
  reconnects: quantity(perSecond('a rate such as 5/s'), 'is not a rate').optional(),
})

const file = z.strictObject({
  transports: z.partialRecord(z.enum(planTransports), quantity(readPercent, 'is not a share')).optional(),
  room: count('Players at one actor.', 1, CLIENTS_MAX).optional(),
  messages: z.record(text('Its name.', WORD, WORD_FORM), message),
  phases: z.array(phase).min(1).max(100),
})

type Written = z.output<typeof file>

/** What a file says, or what is wrong with it. */
export function readScenario(name: string): { plan: Plan } | { problems: Problem[] } {
  const nowhere = { severity: 'error', file: name, line: 0, column: 0, path: '' } as const
  let written: string
  try {
    if (fs.statSync(name).size > YAML_BYTES_MAX) return { problems: [{ ...nowhere, what: 'is larger than 1MiB' }] }
    written = fs.readFileSync(name, 'utf8')
  } catch (error) {
    return { problems: [{ ...nowhere, what: `cannot be read (${(error as NodeJS.ErrnoException).code})` }] }
  }
  return readScenarioText(written, name)
}

export function readScenarioText(written: string, name: string): { plan: Plan } | { problems: Problem[] } {
  const source = new YamlSource(name, written, {}, path.dirname(name))
  if (source.problems.length > 0) return { problems: sortedProblems(source.problems) }
  const read = file.safeParse(source.tree ?? {})
  if (!read.success) {
    const schema = z.toJSONSchema(file, { target: 'draft-7', io: 'input' }) as JsonSchema
    return { problems: sortedProblems(schemaProblems(read.error.issues, source, { schema, noun: 'a scenario' })) }
  }
  const problems = crossChecks(read.data).map(([at, complaint]) => source.problem(at, complaint))
  return problems.length > 0 ? { problems: sortedProblems(problems) } : { plan: planOf(read.data, name) }
}

/** What holds between keys. */
function crossChecks({ transports, messages, phases }: Written): [PathStep[], Complaint][] {
  const complaints: [PathStep[], Complaint][] = []
  const shares = Object.values(transports ?? { tcp: 1 })
  const sum = shares.reduce((total, share) => total + share, 0)
  if (Math.abs(sum - 1) > 1e-6) {
    const got = `${Math.round(sum * 1000) / 10}%`
    complaints.push([['transports'], { what: 'the shares do not make a whole', got, expected: '100%' }])
  }
  if (Object.keys(messages).length === 0) {
    complaints.push([['messages'], { what: 'nobody says anything', expected: 'at least one message' }])
  }
  for (const [name, { rate, think }] of Object.entries(messages)) {
    if ((rate === undefined) === (think === undefined)) {
      const what = rate === undefined ? 'has neither a rate nor a think time' : 'has a rate and a think time'
      complaints.push([['messages', name], { what, expected: 'one of rate, think' }])
    }
  }
  if (phases.every(({ clients }) => clients === 0)) {
    complaints.push([['phases'], { what: 'nobody ever comes', expected: 'a phase with clients' }])
  }
  const names = phases.map(({ name }) => name)
  for (const [i, name] of names.entries()) {
    if (names.indexOf(name) < i)
      complaints.push([['phases', i, 'name'], { what: 'there is a phase of this name already' }])
  }
  return complaints
}

function planOf({ transports = { tcp: 1 }, room = 1, messages, phases }: Written, file: string): Plan {
  return {
    name: path.basename(file).replace(/\.ya?ml$/, ''),
    transports: planTransports.flatMap((transport) => {
      const share = transports[transport] ?? 0
      return share > 0 ? [{ transport, share }] : []
    }),
    roomClients: room,
    messages: Object.entries(messages).map(([name, { kind, payload, rate, think }]) => {
      return { name, kind, payloadBytes: payload ?? { min: 64, max: 64 }, rate, thinkMs: think }
    }),
    phases: phases.map((written) => ({
      name: written.name,
      forMs: written.for,
      clients: written.clients,
      isRamp: written.ramp ?? false,
      pace: written.pace ?? 1,
      stayMs: written.stay,
      cuts: written.reconnects ?? 0,
    })),
  }
}
