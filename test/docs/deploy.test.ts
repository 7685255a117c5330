// What is shipped for deployment fits the gateway: its exit codes, its drain, its files.
import { existsSync } from 'node:fs'
import t from 'tap'
import { exitCode } from '../../cli/failure.ts'
import { loadSettings } from '../../config/settings-from-yaml.ts'
import { readText, root } from '../house/sources.ts'

const { settings } = loadSettings(undefined, {})

t.test('the unit for systemd knows the exit codes and leaves a drain its time', async (t) => {
  const unit = readText('deploy/systemd/skewer.service')
  const setting = (key: string): string | undefined => new RegExp(`^${key}=(.*)$`, 'm').exec(unit)?.[1]
  t.equal(setting('RestartPreventExitStatus'), String(exitCode.usage))
  t.equal(setting('SuccessExitStatus'), String(exitCode.drainLate))
  t.ok(Number(setting('TimeoutStopSec')) * 1000 > settings!.times.drainMs, 'longer than the drain')
  t.ok(Number(setting('LimitNOFILE')) > settings!.limits.connectionsMax, 'a file for each connection')
  t.match(setting('ExecStart'), / run --config \S+$/)
  t.match(setting('ExecReload'), /-HUP \$MAINPID$/)
})

t.test('what the Dockerfile copies is in the tree, and every room that is packed is copied', async (t) => {
  const dockerfile = readText('deploy/docker/Dockerfile')
  const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, from]) => from.split(' '))
  for (const path of copied) t.ok(existsSync(root + path), path)
  const { files } = JSON.parse(readText('package.json')) as { files: string[] }
  const [, rooms] = /const rooms = \[(.*)\]/.exec(readText('build/pack.ts')) ?? []
  for (const path of [...files, ...rooms.split(', ').map((room) => room.slice(1, -1)), 'build']) {
    if (path !== 'dist') t.ok(copied.includes(path), path)
  }
})
