// The guide to HTTP, word for word: its configuration, on free ports, and its lines for curl with what they answer.
// needs: curl
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import t from 'tap'
import { loadSettingsText } from '../../config/settings-from-yaml.ts'
import { json } from '../../sdk/codec.ts'
import { service, startHost } from '../../sdk/host/index.ts'
import { eventually, portOf, scratchFolder, started } from '../gateway/io/started.ts'
import { readText } from '../house/sources.ts'

const page = readText('docs/http.md')
const run = promisify(execFile)

t.test('what the guide types answers what the guide says', async (t) => {
  const shop = service('shop', {
    routes: { 'shop.buy': (ctx, order) => ({ user: ctx.user, bought: (order as { item: string }).item }) },
  })
  const host = await startHost({ name: 'local', listen: '127.0.0.1:0', services: [shop], codec: json })
  t.teardown(() => host.close())
  const yaml = /^```yaml\n(.*?)^```$/ms.exec(page)![1]
  const { settings } = loadSettingsText(yaml, { file: 'docs/http.md', directory: '.' }, {})
  const changed = structuredClone(settings!)
  t.match(changed.listeners, [
    { transport: 'http', port: 8081 },
    { transport: 'websocket', port: 8080, http: { calls: true } },
  ])
  changed.stateDir = scratchFolder(t)
  changed.log = { level: 'silent', format: 'json' }
  changed.hosts[0].address = host.address
  for (const listener of [...changed.listeners, changed.admin]) listener.port = 0
  const running = await started(t, changed)
  await eventually(() => running.gateway.readiness().ready, 'the link')
  let typed = 0
  for (const [, lines, answer] of page.matchAll(/^```sh\n(.*?)^```\n\n```json\n(.*?)^```$/gms)) {
    let said = ''
    for (const line of lines.trim().split('\n')) {
      const command = line.replace(':8081', `:${portOf(running, 'http')}`)
      t.not(command, line, line)
      const { stdout } = await run('sh', ['-c', command])
      said += stdout.endsWith('\n') ? stdout : `${stdout}\n`
      typed++
    }
    t.equal(said, answer, lines)
  }
  t.equal(typed, page.match(/^curl /gm)!.length, 'every line was typed')
})
