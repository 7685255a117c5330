// The proof proves something: a short one finds nothing wrong, and one in which a single message is swallowed, repeated or
// swapped between a handler and its books is found out.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import t from 'tap'

const root = fileURLToPath(new URL('../..', import.meta.url))
const SHORT = ['--seconds', '6', '--clients', '30', '--rate', '60', '--kill-ms', '2500', '--cut-ms', '2000', '--json']
const BAD_NETWORK = [
  '--loss',
  '5',
  '--duplicate',
  '2',
  '--corrupt',
  '1',
  '--reorder',
  '2',
  '--rebind',
  '--rebind-ms',
  '700',
]

/** Without what tap would put into each Node process. */
async function proof(...options: string[]): Promise<{ exitCode: number; result: Record<string, unknown> }> {
  const command = ['-u', 'NODE_OPTIONS', process.execPath, 'test/proof/main.ts', ...SHORT, ...options]
  const child = spawn('env', command, { cwd: root })
  let output = ''
  child.stdout.on('data', (data) => {
    output += data
  })
  child.stderr.on('data', (data) => process.stderr.write(data))
  const [exitCode] = await once(child, 'close')
  return { exitCode, result: JSON.parse(output) }
}

t.test('real processes, kills, cuts, a bad network: nothing is lost, doubled or reordered', async (t) => {
  const { exitCode, result } = await proof(...BAD_NETWORK)
  t.match(result, { lost: 0, doubled: 0, reordered: 0, contradicted: 0, kills: 2, violations: [] })
  t.equal(exitCode, 0)
  t.ok((result['sent'] as number) > 2000, `${result['sent']} messages`)
  const carried = result['carried'] as Record<string, { messages: number }>
  for (const transport of ['tcp', 'ws', 'kcp']) {
    t.ok((carried[transport]?.messages ?? 0) > 100, `${carried[transport]?.messages} messages over ${transport}`)
  }
  for (const trouble of [
    'datagramsLost',
    'datagramsDoubled',
    'datagramsCorrupted',
    'datagramsReordered',
    'rebindings',
  ]) {
    t.ok((result[trouble] as number) > 10, `${trouble}: ${result[trouble]}`)
  }
})

const findings = { swallow: '1 lost', repeat: '1 doubled', swap: '1 reordered' }
for (const [sabotage, finding] of Object.entries(findings)) {
  t.test(`a proof with one message to ${sabotage} says ${finding}`, async (t) => {
    const { exitCode, result } = await proof('--sabotage', sabotage)
    t.same(result['violations'], [finding])
    t.equal(exitCode, 1)
  })
}
