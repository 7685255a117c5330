// Game servers to be compared with: socket.io, Colyseus and Pinus, each with a small program of rivals/ that says back what
// a client says. They carry connections and run the game in one process, where skewer has a gateway and a host.
import { existsSync } from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { type Crew, freePort } from './crew.ts'
import { canConnect } from './installed.ts'
import type { GameServerName } from './options.ts'

const START_MS = 30_000
const rivals = fileURLToPath(new URL('./rivals/', import.meta.url))
/** A package that is there where all are. */
const packages: Record<GameServerName, string> = {
  'socket.io': 'socket.io',
  colyseus: '@colyseus/core',
  pinus: 'pinus',
}

/** What to install for it; undefined where it is there. `folder`: where the packages are looked for. */
export function missingGameServer(name: GameServerName, folder = rivals): string | undefined {
  return existsSync(path.join(folder, 'node_modules', packages[name]))
    ? undefined
    : `${name} is missing: npm ci --prefix ${path.relative(process.cwd(), folder) || '.'}`
}

/**
 * @param publishes what it tells everybody; the echo alone where it is not given
 * @returns the process that clients are connected to, and its port
 */
export async function startGameServer(
  crew: Crew,
  name: GameServerName,
  folder: string,
  publishes: { rate: number; payloadBytes: number } = { rate: 0, payloadBytes: 0 },
) {
  const port = await freePort()
  const start = (title: string, ...args: (string | number)[]) =>
    crew.program(title, process.execPath, args.map(String), path.join(folder, `${title}.log`))
  if (name !== 'pinus') {
    const { rate, payloadBytes } = publishes
    const program = start(name, path.join(rivals, `${name}.mjs`), port, rate, payloadBytes)
    await program.until(() => canConnect(port), START_MS)
    return { pid: program.pid, port }
  }
  // Its connectors answer to a master, which has no part in what is measured.
  const script = path.join(rivals, 'pinus/server.cjs')
  const masterPort = await freePort()
  await start('pinus-master', script, 0, masterPort).until(() => canConnect(masterPort), START_MS)
  const connector = start(name, script, port, masterPort)
  await connector.until(() => canConnect(port), START_MS)
  return { pid: connector.pid, port }
}
