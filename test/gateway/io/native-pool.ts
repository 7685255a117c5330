// The accelerator's streams for tests of them: built into a folder of its own, and what a server accepted as one of them.
import { once } from 'node:events'
import { createRequire } from 'node:module'
import net from 'node:net'
import path from 'node:path'
import { build } from '../../../cli/commands/accelerate.ts'
import { type AcceleratorPart, acceleratorPlace } from '../../../gateway/io/accelerator.ts'
import { NativePool, type NativeStreams } from '../../../gateway/io/native-stream.ts'
import { scratchFolder, type Test } from './started.ts'

/** What native/NAME.c exports, and where it was built; gone when the test of whoever asks ends. */
export function builtPart<Native>(t: Test, name: AcceleratorPart): { native: Native; built: string } {
  const built = path.join(scratchFolder(t), `${name}.node`)
  build(acceleratorPlace(name).source, built)
  return { native: createRequire(import.meta.url)(built) as Native, built }
}

/** A pool of streams, and what they read into. */
export function poolOf(native: NativeStreams): { pool: NativePool; reads: Buffer } {
  const reads = Buffer.alloc(64 * 1024)
  return { pool: new NativePool(native, reads, (length) => reads.subarray(0, length)), reads }
}

type AcceptedFd = net.Socket & { _handle: { fd: number } }

/** A port whose connections are given away with their descriptors; their sockets are destroyed behind that. */
export async function descriptors(t: Test, accepted: (fd: number) => void): Promise<number> {
  const server = net.createServer({ pauseOnConnect: true }, (socket) => {
    accepted((socket as AcceptedFd)._handle.fd)
    socket.destroy()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  return (server.address() as net.AddressInfo).port
}
