// Policy tests as they are written: a YAML file with the configuration they are about, roles, and steps with what is
// expected of each. Read and checked as a whole, every complaint with line and column. docs/policies/testing.md.
import fs from 'node:fs'
import path from 'node:path'
import { encode } from '@msgpack/msgpack'
import { LineCounter, parseDocument } from 'yaml'
import { z } from 'zod'
import { type PathStep, type Problem, pathText, shown } from '../config/problems.ts'
import { readDuration, readSize } from '../config/quantities.ts'
import { codeNames, type Role, type Sending } from '../gateway/rehearsal/rehearsal.ts'

const FILE_BYTES_MAX = 1024 * 1024
const COUNT_MAX = 1_000_000

type Reader = (written: unknown) => { value?: number; misread?: { expected: string } }

/** A number with a unit, as in the configuration. */
function quantity(read: Reader) {
  return z.unknown().transform((written, ctx): number => {
    const { value, misread } = read(written)
    if (value !== undefined) return value
    ctx.addIssue({ code: 'custom', message: `expected ${misread!.expected}`, input: written })
    return z.NEVER
  })
}

const duration = quantity(readDuration)
const bytes = quantity(readSize)
const codeText = z.string().refine((name) => codeNames.includes(name), { error: 'is not the name of a code' })
const count = z.int().min(0).max(COUNT_MAX)

const role = z.strictObject({
  user: z.string().min(1).optional(),
  address: z.string().min(1).optional(),
  labels: z.record(z.string(), z.string()).default({}),
  listener: z.string().default(''),
  key: z.string().default(''),
})

const step = z.strictObject({
  from: z.string().min(1).optional(),
  send: z.string().min(1).optional(),
  call: z.string().min(1).optional(),
  unreliable: z.string().min(1).optional(),
  wait: duration.optional(),
  count: count.default(1),
  over: duration.optional(),
  json: z.unknown().optional(),
  msgpack: z.unknown().optional(),
  text: z.string().optional(),
  bytes: bytes.optional(),
  expect: z
    .strictObject({
      passed: count.optional(),
      rejected: count.optional(),
      lost: count.optional(),
      code: codeText.optional(),
      retry: duration.optional(),
      closed: codeText.optional(),
      refused: codeText.optional(),
    })
    .optional(),
})

const file = z.strictObject({
  config: z.string().min(1).optional(),
  roles: z.record(z.string(), role).default({}),
  tests: z.array(z.strictObject({ name: z.string().min(1), steps: z.array(step).min(1) })).min(1),
})

export type Expected = NonNullable<z.output<typeof step>['expect']>
export type Step = {
  waitMs: number
  from: string
  role: Role
  sending: Sending | undefined
  expected: Expected
  says: string
}
export type PolicyTest = { name: string; steps: Step[] }
export type PolicyTests = { config: string | undefined; tests: PolicyTest[] }

/** The tests of a file, or what is wrong with it. */
export function readPolicyTests(name: string): PolicyTests | { problems: Problem[] } {
  const nowhere = { severity: 'error', file: name, line: 0, column: 0, path: '' } as const
  let text: string
  try {
    if (fs.statSync(name).size > FILE_BYTES_MAX) return { problems: [{ ...nowhere, what: 'is larger than 1MiB' }] }
    text = fs.readFileSync(name, 'utf8')
  } catch (error) {
    return { problems: [{ ...nowhere, what: `cannot be read (${(error as NodeJS.ErrnoException).code})` }] }
  }
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines })
  const placed = (offset: number, at: readonly PathStep[], what: string, got?: string): Problem => {
    const { line, col } = lines.linePos(offset)
    return { severity: 'error', file: name, line, column: col, path: pathText(at), what, ...(got && { got }) }
  }
  if (document.errors.length > 0) {
    return { problems: document.errors.map((error) => placed(error.pos[0], [], error.message.split('\n')[0])) }
  }
  const read = file.safeParse(document.toJS({ maxAliasCount: 100 }))
  const offsetOf = (at: readonly PathStep[]): number => {
    for (let length = at.length; length >= 0; length--) {
      const node = document.getIn(at.slice(0, length), true) as { range?: [number, number, number] } | undefined
      if (node?.range) return node.range[0]
    }
    return 0
  }
  if (!read.success) {
    return {
      problems: read.error.issues.map(({ message, path: at }) =>
        placed(offsetOf(at as PathStep[]), at as PathStep[], message),
      ),
    }
  }
  const problems: Problem[] = []
  const tests = read.data.tests.map(({ name: test, steps }, i) => ({
    name: test,
    steps: steps.map((written, j) => {
      const resolved = stepOf(written, read.data.roles)
      if (typeof resolved !== 'string') return resolved
      const at = ['tests', i, 'steps', j]
      problems.push(placed(offsetOf(at), at, resolved, shown(written)))
      return undefined!
    }),
  }))
  if (problems.length > 0) return { problems }
  const { config } = read.data
  return { config: config === undefined ? undefined : path.resolve(path.dirname(name), config), tests }
}

/** A step with its role looked up, or what is wrong with it. */
function stepOf(written: z.output<typeof step>, roles: Record<string, z.output<typeof role>>): Step | string {
  const { send, call, unreliable, wait, from } = written
  const expected = written.expect ?? {}
  const kinds = [send, call, unreliable, wait].filter((kind) => kind !== undefined)
  if (kinds.length !== 1) return 'is one of `send`, `call`, `unreliable` and `wait`'
  if (wait !== undefined)
    return { waitMs: wait, from: '', role: roleOf('', roles), sending: undefined, expected, says: '' }
  if (from === undefined) return 'says no `from`: whose message it is'
  const route = (send ?? call ?? unreliable)!
  const kind = send !== undefined ? 'send' : call !== undefined ? 'call' : 'unreliable'
  const sending = { kind, route, count: written.count, overMs: written.over ?? 0, payload: payloadOf(written) } as const
  const over = sending.overMs === 0 ? '' : ` over ${sending.overMs} ms`
  const says = `${from} ${kind} ${route} ${written.count} times${over}`
  return { waitMs: 0, from, role: roleOf(from, roles), sending, expected, says }
}

/** A name without a role is a user of that name, with an address of its own. */
function roleOf(name: string, roles: Record<string, z.output<typeof role>>): Role {
  const { user = name, address, labels = {}, listener = '', key = '' } = Object.hasOwn(roles, name) ? roles[name] : {}
  let sum = 0
  for (let i = 0; i < name.length; i++) sum = (sum * 31 + name.charCodeAt(i)) & 0xffff
  return { user, address: address ?? `198.18.${sum >> 8}.${sum & 255}`, labels, listener, key: key === '' ? user : key }
}

function payloadOf({ json, msgpack, text, bytes: length }: z.output<typeof step>): Uint8Array {
  if (length !== undefined) return new Uint8Array(length)
  if (msgpack !== undefined) return Uint8Array.from(encode(msgpack))
  if (text !== undefined) return new TextEncoder().encode(text)
  return json === undefined ? new Uint8Array(0) : new TextEncoder().encode(JSON.stringify(json))
}
