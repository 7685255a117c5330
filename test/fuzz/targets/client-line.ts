// A client's KCP line fed by whoever can send to its socket: the first byte says whether it is sealed, whether it stands, and
// how the bytes are cut into datagrams. It may not throw or queue anything, and a sealed one goes on as if nothing had come.
import { LineWorld, patterned } from '../../sdk/client/line-world.ts'

const RUN_MS = 20_000

export function fuzz(bytes: Uint8Array): void {
  const first = bytes[0] ?? 0
  const plain = (first & 1) === 1
  const isOpen = (first & 2) === 2
  const size = 1 + (first >>> 2) * 24
  const world = new LineWorld({ plain })
  if (isOpen) {
    // What a client of plain KCP opens at.
    if (plain) world.kcp.send(Uint8Array.of(1, 0), world.now)
    world.run(RUN_MS, () => world.log.includes('opened'))
  }
  for (let at = 1; at < bytes.length; at += size) world.inject(bytes.slice(at, at + size))
  if (world.line.queuedBytes > 64) throw new Error(`it queues ${world.line.queuedBytes} bytes of nobody's`)
  // One forged acknowledgement ends what plain KCP can promise.
  if (plain) return
  if (!world.run(RUN_MS, () => world.log.includes('opened'))) throw new Error('it does not open any more')
  const up = patterned(5000)
  const before = world.atGateway.reduce((sum, { length }) => sum + length, 0)
  world.line.write(up, world.now)
  world.pump()
  const taken = () => world.atGateway.reduce((sum, { length }) => sum + length, 0) - before
  if (!world.run(RUN_MS, () => taken() >= up.length)) throw new Error(`${taken()} of ${up.length} bytes arrived`)
  if (!Buffer.concat(world.atGateway).subarray(before).equals(up)) throw new Error('other bytes arrived')
}

/** Datagrams that begin as the real ones do. */
export function seeds(): Uint8Array[] {
  const seeds: Uint8Array[] = []
  for (const mode of [0, 1, 2, 3]) {
    for (const type of [0x01, 0x02, 0x03, 0x10]) {
      const bytes = new Uint8Array(1 + 96).fill(7)
      bytes[0] = mode | (4 << 2)
      bytes[1] = type
      seeds.push(bytes)
    }
    // PUSH, ACK, WASK, WINS of conversation 1 (KCP-1.2).
    for (const command of [81, 82, 83, 84]) {
      const bytes = new Uint8Array(1 + 25)
      bytes.set([mode | (1 << 2), 1, 0, 0, 0, command])
      bytes[21] = command === 81 ? 1 : 0
      seeds.push(bytes)
    }
  }
  return seeds
}
