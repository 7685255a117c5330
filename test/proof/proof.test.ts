// The proof proves something: a short one finds nothing wrong, and one in which a single message is swallowed, repeated or
// swapped between a handler and its books is found out.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import t from 'tap'

const root = fileURLToPath(new URL('../..', import.meta.url))
const SHORT = ['--seconds', '6', '--clients', '30', '--rate', '60', '--kill-ms', '2500', '--cut-ms', '2000', '--json']

/** Without what tap would put into each Node process. */
async function proof(sabotage: string): Promise<{ exitCode: number; result: Record<string, unknown> }> {
  const command = ['-u', 'NODE_OPTIONS', process.execPath, 'test/proof/main.ts', ...SHORT]
  const child = spawn('env', sabotage === '' ? command : [...command, '--sabotage', sabotage], { cwd: root })
  let output = ''
  child.stdout.on('data', (data) => {
    output += data
  })
  child.stderr.on('data', (data) => process.stderr.write(data))
  const [exitCode] = await once(child, 'close')
  return { exitCode, result: JSON.parse(output) }
}

t.test('real processes, two kills and some cuts: nothing is lost, doubled or reordered', async (t) => {
  const { exitCode, result } = await proof('')
  t.match(result, { lost: 0, doubled: 0, reordered: 0, contradicted: 0, kills: 2, violations: [] })
  t.equal(exitCode, 0)
  t.ok((result['sent'] as number) > 2000, `${result['sent']} messages`)
})

const findings = { swallow: '1 lost', repeat: '1 doubled', swap: '1 reordered' }
for (const [sabotage, finding] of Object.entries(findings)) {
  t.test(`a proof with one message to ${sabotage} says ${finding}`, async (t) => {
    const { exitCode, result } = await proof(sabotage)
    t.same(result['violations'], [finding])
    t.equal(exitCode, 1)
  })
}
