// The echo through socket.io, Colyseus and Pinus, with the programs that the load tool brings.
// needs: game-servers
import t from 'tap'
import type { Report } from '../../bench/report.ts'
import { skewer } from '../cli/skewer.ts'

t.setTimeout(180_000)

t.test('each game server hears what its clients say and says it back', async (t) => {
  const args = ['--clients', '20', '--depth', '2', '--seconds', '1', '--rounds', '1', '--warmup', '0']
  const against = ['--against', 'socket.io,colyseus,pinus']
  const { code, stdout, stderr } = await skewer(['bench', 'ws-echo', ...args, ...against, '--json'])
  t.equal(code, 0, stderr)
  const { subjects, ratios, missing } = JSON.parse(stdout) as Report
  t.strictSame(missing, [])
  for (const [i, name] of ['skewer', 'socket.io', 'colyseus', 'pinus'].entries()) {
    t.equal(subjects[i].name, name)
    t.ok(subjects[i].messages > 20 && subjects[i].cpuUsPerMessage! > 0 && subjects[i].p50Us > 0, name)
    const { hostCpuUsPerMessage, serverCpuUsPerMessage } = subjects[i].figures
    if (name === 'skewer') t.ok(serverCpuUsPerMessage > hostCpuUsPerMessage && hostCpuUsPerMessage > 0)
    else t.equal(hostCpuUsPerMessage, 0, 'the game is in the process that clients are connected to')
  }
  t.strictSame(
    ratios.map(({ name, of }) => `${name} ${of}`),
    ['socket.io', 'colyseus', 'pinus'].flatMap((name) => [`${name} cpuUsPerMessage`, `${name} serverCpuUsPerMessage`]),
  )
})

t.test('socket.io tells all clients what the actor publishes to them', async (t) => {
  const args = ['--clients', '20', '--rate', '40', '--seconds', '1', '--rounds', '1', '--warmup', '0']
  const { code, stdout, stderr } = await skewer(['bench', 'broadcast', ...args, '--against', 'socket.io', '--json'])
  t.equal(code, 0, stderr)
  const { subjects, ratios } = JSON.parse(stdout) as Report
  for (const { name, messages, p50Us, figures } of subjects) {
    t.ok(messages > 300 && messages < 1300, `${name}: ${messages} deliveries of 800`)
    t.ok(p50Us > 0 && p50Us < 1e6, `${name}: ${p50Us} us`)
    t.ok(figures.userUsPerMessage + figures.systemUsPerMessage > 0)
  }
  t.equal(ratios.length, 2)
})
