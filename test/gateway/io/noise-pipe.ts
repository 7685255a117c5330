// A scripted client inside Noise, over a socket or a WebSocket, with every part of the handshake in the test's hands.
import { randomBytes } from 'node:crypto'
import net from 'node:net'
import { WebSocket } from 'ws'
import { cryptoProvider } from '../../../gateway/io/crypto-provider.ts'
import type { Established, InitiatorOptions } from '../../../protocols/secure/handshakes.ts'
import { SecureStream } from '../../../protocols/secure/secure-stream.ts'
import { ScriptedClient } from './scripted-client.ts'

/** Bytes to a gateway and back, whatever they are. */
export class RawPipe {
  readonly received: Uint8Array[] = []
  isGone = false
  onBytes: (bytes: Uint8Array) => void = () => {}
  onGone: () => void = () => {}
  readonly #write: (bytes: Uint8Array) => void
  readonly #destroy: () => void

  constructor(write: (bytes: Uint8Array) => void, destroy: () => void) {
    this.#write = write
    this.#destroy = destroy
  }

  took(bytes: Uint8Array): void {
    this.received.push(Uint8Array.from(bytes))
    this.onBytes(bytes)
  }

  gone(): void {
    this.isGone = true
    this.onGone()
  }

  write(bytes: Uint8Array): void {
    this.#write(bytes)
  }

  destroy(): void {
    this.#destroy()
  }
}

export async function rawPipe(transport: 'tcp' | 'websocket', port: number): Promise<RawPipe> {
  if (transport === 'tcp') {
    const socket = net.connect(port, '127.0.0.1')
    const pipe = new RawPipe(
      (bytes) => void socket.write(bytes),
      () => void socket.destroy(),
    )
    socket.on('data', (bytes) => pipe.took(bytes as Buffer)).on('error', () => {})
    socket.on('close', () => pipe.gone())
    await new Promise((resolve) => socket.once('connect', resolve))
    return pipe
  }
  const socket = new WebSocket(`ws://127.0.0.1:${port}/`)
  const pipe = new RawPipe(
    (bytes) => socket.send(bytes),
    () => socket.terminate(),
  )
  socket.on('message', (data) => pipe.took(data as Buffer)).on('error', () => {})
  socket.on('close', () => pipe.gone())
  await new Promise((resolve) => socket.once('open', resolve))
  return pipe
}

export type NoiseClient = { client: ScriptedClient; established: () => Established | undefined; stream: SecureStream }

/** A scripted client inside Noise; `pieces`: what is written goes out in pieces of so many bytes. */
export function overNoise(
  pipe: RawPipe,
  transport: 'tcp' | 'websocket',
  options: Pick<InitiatorOptions, 'gatewayKey' | 'resume'>,
  pieces = Infinity,
): NoiseClient {
  const stream = SecureStream.initiator({
    crypto: cryptoProvider(),
    transport,
    ephemeralSecret: randomBytes(32),
    ...options,
  })
  let established: Established | undefined
  const waiting: Uint8Array[] = []
  const drain = () => {
    const bytes = Uint8Array.from(stream.drain())
    for (let at = 0; at < bytes.length; at += pieces)
      pipe.write(bytes.subarray(at, Math.min(bytes.length, at + pieces)))
  }
  const client = new ScriptedClient({
    write: (bytes) => {
      if (established === undefined) {
        waiting.push(Uint8Array.from(bytes))
        return
      }
      stream.send(bytes)
      drain()
    },
    destroy: () => pipe.destroy(),
    pause: () => {},
    resume: () => {},
  })
  pipe.onGone = () => client.gone()
  pipe.onBytes = (bytes) => {
    stream.receive(bytes, {
      opened: (made) => {
        established = made
      },
      confirmed: () => {},
      received: (plain) => client.take(plain),
    })
    if (established !== undefined) for (const held of waiting.splice(0)) stream.send(held)
    drain()
  }
  drain()
  return { client, established: () => established, stream }
}
