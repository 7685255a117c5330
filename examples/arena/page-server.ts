// Serves the demo's page to loopback: its files, the SDK's and the demo's TypeScript with the types stripped (browsers run
// the same sources as Node), the few libraries the SDK imports, and the kill button. Nothing outside these folders.
import { readFile } from 'node:fs/promises'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { createServer } from 'node:http'
import { stripTypeScriptTypes } from 'node:module'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

export type PageOptions = { port: number; gateways: string[]; killGateway: () => boolean }

const here = path.dirname(fileURLToPath(import.meta.url))
const root = path.join(here, '..', '..')

/** URL prefix to folder; anything else is not found. */
const folders: [string, string][] = [
  ['/page/', path.join(here, 'page')],
  ['/sdk/', path.join(root, 'sdk')],
  ['/protocols/', path.join(root, 'protocols')],
  ['/modules/@noble/', path.join(root, 'node_modules', '@noble')],
  ['/modules/@msgpack/', path.join(root, 'node_modules', '@msgpack')],
  ['/', here],
]
const types: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.ts': 'text/javascript; charset=utf-8',
}

export async function startPage(options: PageOptions): Promise<Server> {
  const server = createServer((request, response) => {
    answer(options, request, response).catch(() => {
      if (!response.headersSent) response.writeHead(500)
      response.end()
    })
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(options.port, '127.0.0.1', resolve)
  })
  return server
}

async function answer(options: PageOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://localhost')
  const name = url.pathname === '/' ? '/page/index.html' : url.pathname
  if (name === '/gateway/kill') {
    kill(options, request, response)
  } else if (name === '/gateways') {
    send(response, 200, 'application/json', JSON.stringify(options.gateways))
  } else if (name === '/favicon.ico') {
    response.writeHead(204).end()
  } else {
    await sendFile(name, response)
  }
}

/** Only this page may kill: a POST to loopback's own name, so that no other site's page can send it. */
function kill(options: PageOptions, request: IncomingMessage, response: ServerResponse): void {
  const { host = '', origin = `http://${host}` } = request.headers
  const isLoopback = /^(127\.0\.0\.1|localhost)(:\d+)?$/.test(host)
  if (request.method !== 'POST') {
    send(response, 405, 'text/plain', 'POST only')
  } else if (!isLoopback || origin !== `http://${host}`) {
    send(response, 403, 'text/plain', 'not from here')
  } else {
    const killed = options.killGateway()
    send(response, killed ? 200 : 503, 'application/json', JSON.stringify({ killed }))
  }
}

async function sendFile(name: string, response: ServerResponse): Promise<void> {
  const found = folders.find(([prefix]) => name.startsWith(prefix))!
  const file = path.normalize(path.join(found[1], decodeURIComponent(name.slice(found[0].length))))
  const type = types[path.extname(file)]
  if (!file.startsWith(found[1] + path.sep) || type === undefined) return send(response, 404, 'text/plain', 'not found')
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch {
    return send(response, 404, 'text/plain', 'not found')
  }
  send(response, 200, type, file.endsWith('.ts') ? stripTypeScriptTypes(text) : text)
}

function send(response: ServerResponse, status: number, type: string, text: string): void {
  response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' })
  response.end(text)
}
