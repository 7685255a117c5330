// A store of a test's own.
import { type ChildProcess, spawn } from 'node:child_process'
import net from 'node:net'
import type { Test } from './started.ts'

export async function freePort(): Promise<number> {
  const server = net.createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as net.AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

export function redisServer(t: Test, port: number, folder: string): ChildProcess {
  const options = [
    '--port',
    String(port),
    '--bind',
    '127.0.0.1',
    '--save',
    '',
    '--dir',
    folder,
    '--requirepass',
    'x-pass',
  ]
  const server = spawn('redis-server', options, { stdio: 'ignore' })
  t.teardown(() => server.kill('SIGKILL'))
  return server
}
