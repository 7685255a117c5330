// A plain TCP echo, what proxies without sessions have behind them.
import { createServer } from 'node:net'
import { answerWith } from '../worker.ts'

export type PlainEchoStarted = { port: number }

answerWith<{ kind: 'start' }>(async () => {
  const server = createServer({ noDelay: true }, (socket) => {
    socket.on('error', () => socket.destroy())
    socket.on('data', (bytes) => socket.write(bytes))
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', 4096, resolve)
  })
  return { port: (server.address() as { port: number }).port } satisfies PlainEchoStarted
})
