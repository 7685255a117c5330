// A gateway with HTTP on a port of its own and on that of WebSocket, and a host with the real SDK, for tests of calls.
import http from 'node:http'
import net from 'node:net'
import type { Settings } from '../../../config/settings.ts'
import type { RunningGateway } from '../../../gateway/io/process.ts'
import { json } from '../../../sdk/codec.ts'
import type { Handler } from '../../../sdk/host/service.ts'
import { service, startHost } from '../../../sdk/host/index.ts'
import { eventually, portOf, started, type Test, testSettings } from './started.ts'

export type Answer = { status: number; headers: http.IncomingHttpHeaders; body: Buffer; text: string; json: Problem }
/** What a problem holds, as far as tests look. */
export type Problem = { [key: string]: unknown }

export const httpSettings = {
  calls: true,
  sessions: true,
  contentType: 'application/json',
  bodyBytesMax: 64 * 1024,
  compressFromBytes: 4096,
  corsOrigins: [] as string[],
  requestMs: 10_000,
  keepAliveMs: 65_000,
  requestsPerConnection: 100_000,
}

/** Services `arena` (the user's own actor) and `lobby` (any), with these handlers. */
export async function httpGateway(
  t: Test,
  routes: Record<string, Handler<undefined>>,
  change: (settings: Settings) => void = () => {},
): Promise<{ running: RunningGateway; port: number; sharedPort: number; host: Awaited<ReturnType<typeof startHost>> }> {
  const host = await startHost({
    name: 'local',
    listen: '127.0.0.1:0',
    codec: json,
    handlerDeadlineMs: 2000,
    services: [service('arena', { routes }), service('lobby', { keys: 'any', routes })],
  })
  t.teardown(() => host.close())
  const settings = testSettings(t, host.address, (s) => {
    s.services = [
      { name: 'arena', keys: 'user', whenAway: 'park' },
      { name: 'lobby', keys: 'any', whenAway: 'park' },
    ]
    s.routes = [
      { match: 'arena.*', service: 'arena' },
      { match: 'lobby.*', service: 'lobby' },
    ]
    const web = s.listeners.find(({ transport }) => transport === 'websocket')!
    web.http = { ...httpSettings }
    s.listeners.push({ ...web, name: 'http', transport: 'http', http: { ...httpSettings } })
    change(s)
  })
  const running = await started(t, settings)
  await eventually(() => running.gateway.readiness().ready, 'the link')
  return { running, host, port: portOf(running, 'http'), sharedPort: portOf(running, 'websocket') }
}

export type Ask = {
  method?: string
  headers?: http.OutgoingHttpHeaders
  body?: string | Uint8Array
  agent?: http.Agent
}

/** One request; a user is shown as a development token, a body is JSON unless headers say otherwise. */
export function ask(port: number, path: string, user: string | undefined, a: Ask = {}): Promise<Answer> {
  const headers: http.OutgoingHttpHeaders = { ...a.headers }
  if (user !== undefined) headers['authorization'] = `Bearer ${user}`
  if (a.body !== undefined && headers['content-type'] === undefined) headers['content-type'] = 'application/json'
  return new Promise((resolve, reject) => {
    const request = http.request(
      { host: '127.0.0.1', port, path, method: a.method ?? 'POST', headers, agent: a.agent ?? false },
      (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('end', () => {
          const body = Buffer.concat(chunks)
          const text = body.toString()
          const isJson = /json/.test(response.headers['content-type'] ?? '') && !response.headers['content-encoding']
          const parsed = isJson && text !== '' ? (JSON.parse(text) as Problem) : {}
          resolve({ status: response.statusCode!, headers: response.headers, body, text, json: parsed })
        })
      },
    )
    request.on('error', reject)
    request.end(a.body)
  })
}

/** What comes back for these bytes until the other side ends the connection. */
export function rawAnswer(port: number, bytes: string | Uint8Array): Promise<string> {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1', () => socket.write(bytes))
    let came = ''
    socket.on('data', (chunk) => (came += chunk.toString()))
    socket.on('error', () => {})
    socket.on('close', () => resolve(came))
  })
}
