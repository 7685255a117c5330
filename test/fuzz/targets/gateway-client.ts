// A gateway core fed by a client: the first byte says how far its conversation is (greeting, logged in, attached) and how
// its bytes are cut, the rest is what it sends. It may get itself closed; it may not make the gateway throw, write
// anything malformed, harm the link, or leave anything behind.
import { code } from '../../../protocols/codes.ts'
import { attachedPair, World } from '../../gateway/world.ts'
import { judgeStream } from '../frames.ts'
import { bytesOf, frameVectors } from '../../protocols/vector-files.ts'

const GREETING = 0
const LOGGED_IN = 1

export function fuzz(bytes: Uint8Array): void {
  const first = bytes[0] ?? 0
  const world = new World()
  const h = world.host()
  const client =
    first % 3 === GREETING
      ? world.client()
      : first % 3 === LOGGED_IN
        ? world.client().login('ann')
        : attachedPair(world, 'room', h).client
  const size = 1 + (first >>> 2) * 8
  for (let at = 1; at < bytes.length; at += size) client.raw(bytes.slice(at, at + size))
  world.pass(50)
  judgeStream('client', client.carrier.got.splice(0))
  judgeStream('link', h.carrier.got.splice(0))
  if (h.carrier.closedWith !== undefined) throw new Error('a client closed the link to a host')
  const closed = client.carrier.closedWith
  if (
    closed !== undefined &&
    closed < code.protocol &&
    closed !== code.rate_limited &&
    closed !== code.ticket_key_unknown
  ) {
    throw new Error(`closed with ${closed}, which is no fault of a client's`)
  }
  client.carrier.events!.closed(world.now)
  world.pass(50)
  judgeStream('link', h.carrier.got.splice(0))
  if (world.gateway.connections.size > 0) throw new Error('a connection was left behind')
  if (world.gateway.parking.count > 0) throw new Error('a parked attach was left behind')
}

/** Conversations made of the vectors, in each state. */
export function seeds(): Uint8Array[] {
  const frames = [...frameVectors('client'), ...frameVectors('lane')].filter(({ hex }) => hex.length < 600)
  const seeds = frames.flatMap(({ hex }, i) => [1, 2].map((state) => bytesOf(byte(state + 12 * (i % 20)) + hex)))
  const login = frames.filter(({ kind }) => kind === 'LOGIN' || kind === 'RESUME' || kind === 'PING')
  seeds.push(...login.map(({ hex }) => bytesOf(byte(240) + hex)))
  const sent = ['ROUTE', 'ATTACH', 'PING', 'LOOSE', 'ONEWAY', 'REQUEST', 'SKIP', 'ACK', 'LATEST', 'FIN', 'DETACH']
  const talk = sent.map((kind) => frames.find((frame) => frame.kind === kind)!.hex).join('')
  seeds.push(bytesOf(byte(1) + talk), bytesOf(byte(2) + talk), bytesOf(byte(250) + talk + talk))
  // The pair's own numbering: alias 0, numbers 1 and 2, route 0.
  seeds.push(bytesOf(`${byte(242)}0601000100006869${'0601000200006869'}0400000100`))
  return seeds
}

const byte = (value: number): string => value.toString(16).padStart(2, '0')
