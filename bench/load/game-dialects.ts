// The frames of three game servers, as far as an echo needs them: Engine.IO 4 with Socket.IO 5 (text), Colyseus 0.18 (a
// byte, the message's type, MessagePack) and Pinus 1 (packages of requests and responses with JSON inside).
import type { GameServerName } from '../options.ts'
import type { Dialect } from './game-client.ts'

/** `42["m","..."]` is a message; 0 opens, 40 connects, 2 is a ping. */
const socketIo = (): Dialect => {
  const start = '42["m","'
  return {
    address: (port) => `ws://127.0.0.1:${port}/socket.io/?EIO=4&transport=websocket`,
    isText: true,
    textAt: (frame) => (frame[0] === 0x34 && frame[1] === 0x32 ? start.length : -1),
    answer(frame) {
      const said = frame.toString()
      if (said.startsWith('0')) return { says: '40' }
      if (said.startsWith('40')) return { ready: true }
      if (said === '2') return { says: '3' }
      return { failed: `socket.io said ${said.slice(0, 100)}` }
    },
    message: (text) => ({ frame: Buffer.from(`${start}${text}"]`), at: start.length }),
  }
}

/** JOIN_ROOM is answered by the same; ROOM_DATA is a type (MessagePack's fixstr) and a value (str8, str16). */
const colyseus = (): Dialect => {
  const [joinRoom, roomData] = [10, 13]
  return {
    async address(port) {
      const url = `http://127.0.0.1:${port}/matchmake/joinOrCreate/echo`
      const headers = { 'content-type': 'application/json' }
      const answer = await fetch(url, { method: 'POST', headers, body: '{}' })
      const { processId, roomId, sessionId } = (await answer.json()) as Record<string, string>
      if (sessionId === undefined) throw new Error(`Colyseus answered ${answer.status} to a client`)
      return `ws://127.0.0.1:${port}/${processId}/${roomId}?sessionId=${sessionId}`
    },
    isText: false,
    textAt: (frame) => (frame[0] !== roomData ? -1 : frame[3] === 0xda ? 6 : 5),
    answer(frame) {
      if (frame[0] === joinRoom) return { says: Buffer.of(joinRoom), ready: true }
      return { failed: `Colyseus said ${frame.toString('hex', 0, 50)}` }
    },
    message(text) {
      const { length } = text
      const head = length < 256 ? [0xd9, length] : [0xda, length >> 8, length & 0xff]
      const frame = Buffer.concat([Buffer.of(roomData, 0xa1, 'm'.charCodeAt(0), ...head), Buffer.from(text)])
      return { frame, at: 3 + head.length }
    },
  }
}

/**
 * Packages: a type, three bytes of length, a body. A request is 0x01 (route by number), its id in groups of seven bits,
 * the route, JSON; a response 0x04, the id, JSON.
 */
const pinus = (): Dialect => {
  const [handshake, ack, heartbeat, data] = [1, 2, 3, 4]
  const jsonStart = '{"m":"'
  let route = 0
  const packed = (type: number, body: Buffer): Buffer =>
    Buffer.concat([Buffer.of(type, body.length >> 16, (body.length >> 8) & 0xff, body.length & 0xff), body])
  return {
    address: (port) => `ws://127.0.0.1:${port}/`,
    hello: packed(handshake, Buffer.from('{"sys":{"type":"skewer-bench","version":"1"},"user":{}}')),
    isText: false,
    textAt: (frame) => (frame[0] === data ? frame.indexOf(jsonStart, 5) + jsonStart.length : -1),
    answer(frame) {
      if (frame[0] === heartbeat) return { says: packed(heartbeat, Buffer.alloc(0)) }
      if (frame[0] !== handshake) return { failed: `Pinus said ${frame.toString('latin1', 0, 100)}` }
      const { code, sys } = JSON.parse(frame.toString('utf8', 4)) as { code: number; sys: { dict: object } }
      if (code !== 200) return { failed: `Pinus answered ${code} to a handshake` }
      route = (sys.dict as Record<string, number>)['connector.echoHandler.say']
      return { says: packed(ack, Buffer.alloc(0)), ready: true }
    },
    message(text, n) {
      const id: number[] = []
      for (let rest = n; rest > 0 || id.length === 0; rest >>>= 7) id.push((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0))
      const head = Buffer.of(0x01, ...id, route >> 8, route & 0xff)
      const frame = packed(data, Buffer.concat([head, Buffer.from(`${jsonStart}${text}"}`)]))
      return { frame, at: 4 + head.length + jsonStart.length }
    },
  }
}

const dialects: Record<GameServerName, () => Dialect> = { 'socket.io': socketIo, colyseus, pinus }

/** One for each client, since some keep what the server has told. */
export const dialectOf = (name: GameServerName): Dialect => dialects[name]()
