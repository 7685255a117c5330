// What is published works where it is installed: the package is packed, installed into an empty folder from the registry
// alone (no optional packages, no scripts), and its command, its SDK and its types are used there.
import t from 'tap'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { Running, type RunOptions } from './skewer.ts'

const root = path.join(import.meta.dirname, '../..')
const UNPACKED_BYTES_MAX = 8 * 1024 * 1024

t.setTimeout(180_000)
// Outside the repository: what is installed must not find anything of it.
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'skewer-pack-'))
t.teardown(() => fs.rmSync(folder, { recursive: true, force: true }))
const installed = path.join(folder, 'node_modules/skewer')
const command = path.join(folder, 'node_modules/.bin/skewer')

type Packed = { filename: string; unpackedSize: number; files: { path: string; mode: number }[] }

async function done(program: string, args: string[], options: RunOptions = {}): Promise<string> {
  const { code, stdout, stderr } = await new Running(args, { cwd: folder, ...options, program }).ended
  if (code !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${code}:\n${stdout}${stderr}`)
  return stdout
}
const node = (args: string[]) => done(process.execPath, args)

t.before(async () => {
  await done('npm', ['pack', '--silent', '--pack-destination', folder], { cwd: root })
  fs.writeFileSync(path.join(folder, 'package.json'), '{"type":"module","private":true}')
  const [tarball] = fs.readdirSync(folder).filter((name) => name.endsWith('.tgz'))
  const quietly = ['--no-audit', '--no-fund', '--loglevel=error', '--prefer-offline']
  await done('npm', ['install', '--omit=optional', '--ignore-scripts', ...quietly, `./${tarball}`])
})

t.test('the package holds what runs, and no sources or tests', async (t) => {
  const [packed] = Object.values(
    JSON.parse(await done('npm', ['pack', '--json', '--dry-run', '--ignore-scripts'], { cwd: root })),
  ) as Packed[]
  const names = packed.files.map((file) => file.path)
  for (const name of [
    'bin/skewer',
    'dist/cli/main.js',
    'dist/sdk/client/index.js',
    'dist/sdk/host/index.js',
    'LICENSE',
  ]) {
    t.ok(names.includes(name), name)
  }
  for (const name of ['dist/sdk/client/index.d.ts', 'dist/sdk/host/index.d.ts', 'dist/browser/skewer-client.js']) {
    t.ok(names.includes(name), name)
  }
  t.same(
    names.filter((name) => /\.ts$/.test(name) && !name.endsWith('.d.ts')),
    [],
  )
  t.same(
    names.filter((name) => /^(test|build|node_modules|\.)/.test(name)),
    [],
  )
  t.ok(packed.unpackedSize < UNPACKED_BYTES_MAX, `${packed.unpackedSize} bytes unpacked`)
})

t.test('the installed command checks configurations and makes one', async (t) => {
  const { version } = JSON.parse(fs.readFileSync(path.join(root, 'package.json'), 'utf8'))
  t.equal(await node([command, '--version']), `${version}\n`)
  t.match(await node([command, 'init']), /skewer.yaml is written/)
  t.match(await node([command, 'check']), /^skewer.yaml: ok/)
  const bad = await new Running([command, 'check', '-'], {
    cwd: folder,
    program: process.execPath,
    input: 'servces: {}',
  }).ended
  t.match(bad, { code: 2, stderr: /did you mean services\?/ })
})

t.test('the installed gateway carries a call from the installed client to the installed host', async (t) => {
  const hostScript = `
    import { json, service, startHost } from 'skewer/host'
    const echo = service('arena', { keys: 'any', routes: { 'arena.echo': (ctx, said) => ({ said, user: ctx.user }) } })
    const host = await startHost({ name: 'host-1', listen: '127.0.0.1:0', services: [echo], codec: json })
    console.log('host at ' + host.address)
  `
  const clientScript = `
    import { connect, json } from 'skewer/client'
    const client = connect({ gateways: [process.argv[2]], token: 'ana', codec: json })
    console.log(JSON.stringify(await client.actor('arena', 'a').call('arena.echo', 'hello')))
    await client.close()
  `
  fs.writeFileSync(path.join(folder, 'host.js'), hostScript)
  fs.writeFileSync(path.join(folder, 'client.js'), clientScript)
  const inFolder = { cwd: folder, program: process.execPath }
  const host = new Running([path.join(folder, 'host.js')], inFolder)
  t.teardown(() => host.child.kill('SIGKILL'))
  const [, address] = await host.said(/host at (\S+)/)
  const ports = ['--tcp-port', '0', '--websocket-port', '0', '--admin-port', '0']
  const gateway = new Running([command, 'run', '--json', '--host', address, ...ports], inFolder)
  t.teardown(() => gateway.child.kill('SIGKILL'))
  const [line] = await gateway.said(/^\{"event":"started".*$/m)
  const { listeners, admin } = JSON.parse(line) as { listeners: { port: number }[]; admin: string }
  const [tcp, websocket] = listeners.map((listener) => listener.port)
  for (const url of [`tcp://127.0.0.1:${tcp}`, `ws://127.0.0.1:${websocket}/`]) {
    t.same(JSON.parse(await node(['client.js', url])), { said: 'hello', user: 'ana' }, url)
  }
  t.match(await node([command, 'health', '--admin', admin]), /^ready/)
  gateway.child.kill('SIGTERM')
  t.match(await gateway.ended, { code: 0, signal: null })
})

t.test('both ends of the SDK can be imported by name, and the client by a browser', async (t) => {
  const script = `
    const client = await import('skewer/client')
    const host = await import('skewer/host')
    console.log(typeof client.connect, typeof host.service)
  `
  t.equal(await node(['--input-type=module', '-e', script]), 'function function\n')
  const bundle = path.join(installed, 'dist/browser/skewer-client.js')
  t.notMatch(fs.readFileSync(bundle, 'utf8'), /\bfrom\s*"(?!\.)/, 'the bundle imports nothing')
  const { connect } = await import(pathToFileURL(bundle).href)
  t.type(connect, 'function')
})

t.test('the types of the SDK are found, and are types', async (t) => {
  const source = `
    import { connect } from 'skewer/client'
    import { service } from 'skewer/host'
    // @ts-expect-error what is returned is a client
    const number: number = connect({ gateways: ['tcp://127.0.0.1:1'], token: 'ana' })
    // @ts-expect-error a service has a name
    service({})
    export { number }
  `
  fs.writeFileSync(path.join(folder, 'use.ts'), source)
  const options = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'esnext', '--lib', 'esnext,dom']
  const types = ['--types', 'node', '--typeRoots', path.join(root, 'node_modules/@types')]
  const compiler = path.join(root, 'node_modules/typescript/bin/tsc')
  t.equal(await node([compiler, ...options, ...types, 'use.ts']), '')
})
