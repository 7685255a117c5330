// The client SDK on Node.
import type { ConnectOptions } from './client.ts'
import { Client } from './client.ts'
import { nodeTransports } from './node-transports.ts'

export type { Codec } from '../codec.ts'
export { bytes, json, messagePack } from '../codec.ts'
export { Refusal, SkewerError } from '../error.ts'
export type { Channel } from './channel.ts'
export type { Client, ConnectOptions } from './client.ts'
export type { ChannelEnding, ChannelEvents, ClientEvents, Refused } from './events.ts'
export type { Handler, Message } from './inbox.ts'
export type { Carrier, CarrierEvents, Transport, Transports } from './transports.ts'

/**
 * Connects to the first gateway that answers and stays connected until `close` or the session's end: over kcp://, tcp://,
 * tls://, unix://, ws:// and wss://. Channels can be made and sent on at once.
 * @throws RangeError for an address that is no URL or has a scheme without a transport.
 * @example
 * const client = connect({ gateways: ['tcp://127.0.0.1:7777', 'ws://127.0.0.1:8080/'], token: 'ana', codec: json })
 * const room = client.actor('arena', 'room-1')
 * room.on('chat.said', (payload) => console.log(payload))
 * console.log(await room.call('arena.join', { name: 'ana' }))
 */
export function connect(options: ConnectOptions): Client {
  return new Client({ transports: nodeTransports, atTurnEnd: setImmediate }, options)
}
