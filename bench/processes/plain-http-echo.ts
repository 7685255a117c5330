// What HTTP proxies have behind them: says back the body of each request, reading no more of it than that takes.
import { createServer } from 'node:net'
import { answerWith } from '../worker.ts'
import type { PlainEchoStarted } from './plain-echo.ts'

const HEAD_END = Buffer.from('\r\n\r\n')
const head = (length: number) =>
  `HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: ${length}\r\n\r\n`

answerWith<{ kind: 'start' }>(async () => {
  const server = createServer({ noDelay: true }, (socket) => {
    let came: Buffer = Buffer.alloc(0)
    socket.on('error', () => socket.destroy())
    socket.on('data', (bytes: Buffer) => {
      came = came.length === 0 ? bytes : Buffer.concat([came, bytes])
      const bodyAt = came.indexOf(HEAD_END) + HEAD_END.length
      if (bodyAt < HEAD_END.length) return
      const length = Number(/\r\ncontent-length: (\d+)\r\n/i.exec(came.toString('latin1', 0, bodyAt))?.[1])
      if (came.length < bodyAt + length) return
      socket.write(Buffer.concat([Buffer.from(head(length)), came.subarray(bodyAt, bodyAt + length)]))
      came = Buffer.alloc(0)
    })
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', 4096, resolve)
  })
  return { port: (server.address() as { port: number }).port } satisfies PlainEchoStarted
})
