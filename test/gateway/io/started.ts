// A whole gateway on free ports of this machine, with a scripted host, for tests; everything ends with the test.
import fs from 'node:fs'
import net from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { defaultConfigYaml } from '../../../config/default-config.ts'
import { loadSettingsText } from '../../../config/settings-from-yaml.ts'
import type { Settings } from '../../../config/settings.ts'
import { type RunningGateway, type StartOptions, startGateway } from '../../../gateway/io/process.ts'
import { overSocket, type ScriptedClient } from './scripted-client.ts'

/** What a test needs of tap. */
export type Test = { teardown(end: () => unknown): unknown }

export function scratchFolder(t: Test): string {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'skewer-'))
  t.teardown(() => fs.rmSync(folder, { recursive: true }))
  return folder
}

/** The built-in configuration on free ports, silent, with what `change` does to it. */
export function testSettings(t: Test, hostAddress: string, change: (settings: Settings) => void = () => {}): Settings {
  const { settings, problems } = loadSettingsText(defaultConfigYaml(), { file: 'built-in', directory: '.' }, {})
  if (settings === undefined) throw new Error(problems.map(({ what }) => what).join('; '))
  const changed = structuredClone(settings)
  changed.stateDir = scratchFolder(t)
  changed.log = { level: 'silent', format: 'json' }
  changed.admin.port = 0
  for (const listener of changed.listeners) listener.port = 0
  for (const host of changed.hosts) host.address = hostAddress
  change(changed)
  return changed
}

export async function started(t: Test, settings: Settings, options: StartOptions = {}): Promise<RunningGateway> {
  const running = await startGateway(settings, options)
  t.teardown(() => running.close())
  return running
}

export const portOf = (running: RunningGateway, transport: string): number =>
  running.addresses.find((address) => address.transport === transport)!.port

export async function tcpClient(t: Test, running: RunningGateway, user: string): Promise<ScriptedClient> {
  const client = overSocket(net.connect(portOf(running, 'tcp'), '127.0.0.1'))
  t.teardown(() => client.pipe.destroy())
  await client.login(user)
  return client
}

/** Looks every few milliseconds, at most five seconds: for what tells nobody when it changes. */
export async function eventually(isSo: () => boolean, what: string): Promise<void> {
  const until = performance.now() + 5000
  while (!isSo()) {
    if (performance.now() > until) throw new Error(`waited in vain for ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
