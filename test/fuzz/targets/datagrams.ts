// The tables behind a UDP listener, plain and sealed: the first byte says which, from whose address, and how the rest is cut
// into datagrams. A player is in and talking meanwhile. Nothing may throw or grow; a stranger is sent no more than is his, and
// cannot be heard by the player or for him.
import { STRANGER_FACTOR } from '../../../gateway/plain-kcp.ts'
import { plainClient, plainWorld, sealedClient, sealedWorld } from '../../gateway/datagram-world.ts'
import { bytesOf } from '../../protocols/vector-files.ts'

const SEGMENTS_MAX = 2 * 512
const PLAYER: [string, number] = ['192.0.2.1', 4000]
const STRANGER: [string, number] = ['198.51.100.1', 5000]

export function fuzz(bytes: Uint8Array): void {
  const first = bytes[0] ?? 0
  const isPlain = (first & 1) === 0
  const [ip, port] = (first & 2) === 0 ? STRANGER : PLAYER
  const size = 1 + (first >>> 2) * 8
  const world = isPlain ? plainWorld() : sealedWorld()
  const client = isPlain ? plainClient(world as never, ...PLAYER) : sealedClient(world as never, ...PLAYER)
  world.pass(120)
  const [player] = world.heard
  player.isLoggedIn = true
  player.text = ''
  const heard = (): string => player.text
  for (let at = 1; at < bytes.length; at += size) world.inject(ip, port, bytes.slice(at, at + size))
  world.pass(2000)
  const { carriers } = world.table
  if (carriers.open.size > 5) throw new Error(`${carriers.open.size} conversations of one address`)
  if (carriers.pool.takenCount > SEGMENTS_MAX) throw new Error(`${carriers.pool.takenCount} segments held`)
  const sent = world.bytesOut.get(STRANGER.join(' ')) ?? 0
  const came = world.bytesIn.get(STRANGER.join(' ')) ?? 0
  if (sent > STRANGER_FACTOR * came) throw new Error(`${sent} bytes to a stranger for ${came}`)
  // On plain KCP whoever sends from a player's address speaks for him: that is what its documentation says.
  if (isPlain && ip === PLAYER[0]) return
  if (heard() !== '' || player.ends > 0) throw new Error('a stranger was heard for the player')
  client.say('still here')
  world.pass(400)
  if (heard() !== 'still here') throw new Error('the player is not heard any more')
}

/** Segments of KCP as they come, and beginnings of every kind of sealed datagram. */
export function seeds(): Uint8Array[] {
  const segment = (command: number, sn: number, payload: string) => {
    const bytes = Buffer.alloc(24)
    bytes.writeUInt32LE(77, 0)
    bytes[4] = command
    bytes[6] = 128
    bytes.writeUInt32LE(sn, 12)
    bytes.writeUInt32LE(payload.length, 20)
    return `${bytes.toString('hex')}${Buffer.from(payload).toString('hex')}`
  }
  const begin = segment(81, 0, 'hi')
  const plain = [begin, begin + begin, segment(81, 1, 'hi'), segment(82, 0, ''), segment(83, 0, ''), segment(84, 0, '')]
  const sealed = [
    `01010101${'00'.repeat(300)}`,
    `10${'a5'.repeat(40)}`,
    '10',
    `02${'11'.repeat(24)}`,
    `03${'22'.repeat(90)}`,
  ]
  const cut = ['fc', 'fe', '0c', '0e']
  const odd = ['fd', 'ff', '0d', '0f']
  const of = (heads: string[], bodies: string[]) => heads.flatMap((head) => bodies.map((body) => bytesOf(head + body)))
  return [...of(cut, plain), ...of(odd, sealed)]
}
