// Servers that are no store, or a bad one: slow, away, lying.
import net from 'node:net'
import type { Test } from './started.ts'

/** A server that is no store: what it does with each connection. */
export async function impostor(t: Test, does: (socket: net.Socket) => void): Promise<number> {
  const sockets = new Set<net.Socket>()
  const server = net.createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    does(socket)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return (server.address() as net.AddressInfo).port
}

/** Greets as a store does, so that it is believed, and answers everything after that with these bytes. */
export const believedThen = (answer: string) => (socket: net.Socket) => {
  socket.on('data', (bytes) => {
    for (const command of bytes.toString('latin1').split(/(?=\*\d+\r\n\$)/)) {
      if (/\$4\r\ninfo/i.test(command)) socket.write('$16\r\nredis_version:7\n\r\n')
      else if (/\r\n(auth|client|hello)\r\n/i.test(command)) socket.write('+OK\r\n')
      else if (answer !== '') socket.write(answer)
    }
  })
}

export const impostors: Record<string, (socket: net.Socket) => void> = {
  'accepts and stalls': () => {},
  'is believed and stalls then': believedThen(''),
  'answers garbage from the start': (socket) => void socket.write('HTTP/1.1 400 no\r\n\r\n\0\0'),
  'is believed and answers garbage': believedThen('?!garbage\r\n'),
  'is believed and answers what is no count': believedThen('+OK\r\n'),
  'is believed and answers a number alone': believedThen(':5\r\n'),
  'is believed and answers that time never ends': believedThen('*2\r\n:2\r\n:-1\r\n'),
  'is believed and refuses every command': believedThen('-NOPERM no\r\n'),
  'hangs up': (socket) => void socket.destroy(),
}
