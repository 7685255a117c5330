// kcptun as a rival of sealed KCP: a tunnel for TCP connections, whose server stands where the gateway stands and is what is
// measured. Its client stands beside the generator and turns the clients' connections into KCP.
//
//   generator --TCP--> kcptun-client --KCP, AES-128--> kcptun-server --TCP--> echo
//
// kcptun carries many connections in one session of KCP (smux), so that one datagram and one acknowledgement serve many
// players, as no gateway's can whose players are in different places: `kcptun-each` gives each connection a session of its
// own (--conn). Both have what its documentation says for such a load: a fast cipher, no compression of what is small, no
// redundancy on a line that loses nothing. `kcptun-defaults` has what it does where nothing is said.
import path from 'node:path'
import { type Crew, freePort } from './crew.ts'
import { canConnect, isBound, programOf } from './installed.ts'
import type { KcptunName } from './options.ts'

const START_MS = 15_000
const LEAN = ['--crypt', 'aes-128', '--mode', 'fast', '--nocomp', '--datashard', '0', '--parityshard', '0']
const WINDOWS = ['--sndwnd', '1024', '--rcvwnd', '1024']
const SESSIONS_MAX = 65_535

/** @returns the server's process and the port at which the client takes connections for `target` */
export async function startKcptun(crew: Crew, name: KcptunName, folder: string, target: number, clients: number) {
  const [listens, port] = [await freePort(), await freePort()]
  const settings = name === 'kcptun-defaults' ? [] : [...LEAN, ...WINDOWS]
  const sessions = name === 'kcptun-each' ? ['--conn', String(Math.min(clients, SESSIONS_MAX))] : []
  const start = (role: 'client' | 'server', args: string[]) =>
    crew.program(
      `kcptun-${role}`,
      programOf(`kcptun-${role}`)!,
      [...args, '--quiet', ...settings],
      path.join(folder, `${name}-${role}.log`),
    )
  const server = start('server', ['--listen', `127.0.0.1:${listens}`, '--target', `127.0.0.1:${target}`])
  await server.until(() => isBound(listens), START_MS)
  const addresses = ['--localaddr', `127.0.0.1:${port}`, '--remoteaddr', `127.0.0.1:${listens}`]
  const client = start('client', [...addresses, ...sessions])
  await client.until(() => canConnect(port), START_MS)
  return { pid: server.pid, port }
}
