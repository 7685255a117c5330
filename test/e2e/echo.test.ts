// The echo of the README as a stranger runs it: three processes, the files as they stand but for their ports.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { Running } from '../cli/skewer.ts'

/** Three processes, on a machine that may be busy. */
t.setTimeout(120_000)

const sdk = new URL('../../sdk/', import.meta.url).href
const folder = mkdtempSync(join(tmpdir(), 'skewer-echo-'))
t.teardown(() => rmSync(folder, { recursive: true }))

/** A copy of an example's file with other words in it. */
function copy(t: Test, name: string, from: RegExp, to: string): string {
  const source = readFileSync(new URL(`../../examples/echo/${name}`, import.meta.url), 'utf8')
  t.match(source, from, `${name} says where`)
  const file = join(folder, name)
  writeFileSync(file, source.replaceAll('../../sdk/', sdk).replace(from, to))
  return file
}

function start(t: Test, args: string[], file?: string): Running {
  const running = new Running(args, { cwd: folder, file })
  t.teardown(() => running.child.kill('SIGKILL'))
  return running
}

async function echo(t: Test, gatewayArgs: (address: string) => string[]): Promise<void> {
  const host = start(t, [], copy(t, 'host.ts', /127\.0\.0\.1:7800/, '127.0.0.1:0'))
  const [, address] = await host.said(/^listening on (\S+)$/m)
  const gateway = start(t, ['run', ...gatewayArgs(address), '--json'])
  const [line] = await gateway.said(/^\{"event":"started".*$/m)
  const { listeners } = JSON.parse(line) as { listeners: { transport: string; port: number }[] }
  const { port } = listeners.find(({ transport }) => transport === 'tcp')!
  const client = start(t, [], copy(t, 'client.ts', /'tcp:[^\]]*/, `'tcp://127.0.0.1:${port}'`))
  const { code, stdout, stderr } = await client.ended
  t.match({ code, stderr }, { code: 0, stderr: '' })
  t.match(stdout, /^online tcp:.*\n\{ text: 'hello' \}\n\{ text: 'is there anybody' \}\n\{ text: 'out there\?' \}$/m)
}

t.test('the gateway by its file', (t) =>
  echo(t, (address) => {
    const file = copy(t, 'skewer.yaml', /127\.0\.0\.1:7800/, address)
    writeFileSync(file, `${readFileSync(file, 'utf8')}listeners: [{ transport: tcp, port: 0 }]\nadmin: { port: 0 }\n`)
    return ['--config', file]
  }),
)

t.test('the gateway without a file', (t) =>
  echo(t, (address) => {
    const ports = ['--tcp-port', '0', '--websocket-port', '0', '--admin-port', '0']
    return ['--dev', '--service', 'echo', '--host', `echo-1=${address}`, ...ports]
  }),
)
