// A gateway core fed by a host: the first byte says how far the link is (handshake, open, a client attached) and how its
// bytes are cut. A host may get its link closed; it may not make the gateway throw, write anything malformed, close a
// client, or leave anything behind.
import { attachedPair, World } from '../../gateway/world.ts'
import { judgeStream } from '../frames.ts'
import { bytesOf, frameVectors } from '../../protocols/vector-files.ts'

const HANDSHAKE = 0
const OPEN = 1

export function fuzz(bytes: Uint8Array): void {
  const first = bytes[0] ?? 0
  const world = new World()
  const isAttached = first % 3 > OPEN
  const pair = isAttached ? attachedPair(world) : undefined
  const client = pair?.client ?? world.client().login('ann')
  const host = pair?.host ?? (first % 3 === HANDSHAKE ? world.dial('h1') : world.host())
  const size = 1 + (first >>> 2) * 8
  for (let at = 1; at < bytes.length; at += size) host.raw(bytes.slice(at, at + size))
  world.pass(50)
  judgeStream('link', host.carrier.got.splice(0))
  judgeStream('client', client.carrier.got.splice(0))
  if (client.carrier.closedWith !== undefined) throw new Error(`a host closed a client: ${client.carrier.closedWith}`)
  host.carrier.events!.closed(world.now)
  world.pass(50)
  judgeStream('client', client.carrier.got.splice(0))
  if (world.gateway.links.size > 0) throw new Error('a link was left behind')
}

/** Conversations made of the vectors, in each state. */
export function seeds(): Uint8Array[] {
  const kinds = [...frameVectors('link'), ...frameVectors('lane'), ...frameVectors('client')]
  const frames = kinds.filter(({ hex }) => hex.length < 600)
  const seeds = frames.flatMap(({ hex }, i) => [0, 1, 2].map((state) => bytesOf(byte(state + 12 * (i % 20)) + hex)))
  // On the pair's own channel: handle 0, a route, a push, an acknowledgement, a group, a publication, the end.
  const route = '0d1f030a6172656e612e6d6f7665'
  const join = '140c00000004726f6f6d000000000000000000'
  seeds.push(bytesOf(`${byte(242)}${route}0701000100036869${route}${join}0735000300006869042f000000`))
  return seeds
}

const byte = (value: number): string => value.toString(16).padStart(2, '0')
