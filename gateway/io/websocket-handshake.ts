// The opening handshake of RFC 6455, judged and answered in plain words: who comes to the wrong door is told so.
import { createHash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { ListenerSettings } from '../../config/settings.ts'

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'

export type Refusal = { status: number; reason: string; text: string; headers?: string }

/** Undefined where the upgrade may go on. A request without an Origin is not from a browser and not held to the list. */
export function judgeUpgrade(request: IncomingMessage, settings: ListenerSettings): Refusal | undefined {
  const { headers } = request
  if (pathOf(request) !== settings.path) {
    return { status: 404, reason: 'Not Found', text: `nothing is here; the WebSocket path is ${settings.path}` }
  }
  const isWebSocket = headers.upgrade?.toLowerCase() === 'websocket' && request.method === 'GET'
  const version = headers['sec-websocket-version']
  if (!isWebSocket || version !== '13') {
    return {
      status: 426,
      reason: 'Upgrade Required',
      text: 'this door speaks WebSocket version 13',
      headers: 'Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n',
    }
  }
  if (!/^[A-Za-z0-9+/]{22}==$/.test(headers['sec-websocket-key'] ?? '')) {
    return { status: 400, reason: 'Bad Request', text: 'Sec-WebSocket-Key must be 16 bytes in base64' }
  }
  const { origin } = headers
  if (settings.origins.length > 0 && origin !== undefined) {
    const isAllowed = settings.origins.some((allowed) => allowed.toLowerCase() === origin.toLowerCase())
    if (!isAllowed) return { status: 403, reason: 'Forbidden', text: `origin ${origin} is not allowed here` }
  }
  return undefined
}

export function upgradeAnswer(request: IncomingMessage): string {
  const accept = createHash('sha1')
    .update(request.headers['sec-websocket-key'] + GUID)
    .digest('base64')
  const head = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n'
  return `${head}Sec-WebSocket-Accept: ${accept}\r\n\r\n`
}

export function refusalAnswer({ status, reason, text, headers = '' }: Refusal): string {
  const body = `${text}\n`
  const length = Buffer.byteLength(body)
  const fixed = `Content-Type: text/plain; charset=utf-8\r\nContent-Length: ${length}\r\nConnection: close\r\n`
  return `HTTP/1.1 ${status} ${reason}\r\n${headers}${fixed}\r\n${body}`
}

export function pathOf(request: IncomingMessage): string {
  const url = request.url ?? ''
  const query = url.indexOf('?')
  return query < 0 ? url : url.slice(0, query)
}
