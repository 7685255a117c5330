// The client SDK in a browser.
import { browserTransports } from './browser-transports.ts'
import type { ConnectOptions } from './client.ts'
import { Client } from './client.ts'

export type { Codec } from '../codec.ts'
export { bytes, json, messagePack } from '../codec.ts'
export { Refusal, SkewerError } from '../error.ts'
export type { Channel } from './channel.ts'
export type { Client, ConnectOptions } from './client.ts'
export type { ChannelEnding, ChannelEvents, ClientEvents, Refused } from './events.ts'
export type { Handler, Message } from './inbox.ts'
export type { Carrier, CarrierEvents, Transport, Transports } from './transports.ts'

/**
 * Connects to the first gateway that answers and stays connected until `close` or the session's end: over ws:// and wss://.
 * Channels can be made and sent on at once.
 * @throws RangeError for an address that is no URL or has a scheme without a transport.
 * @example
 * const client = connect({ gateways: ['wss://play.example.org/'], token: () => fetchToken(), codec: json })
 * const room = client.actor('arena', 'room-1')
 * room.on('chat.said', (payload) => console.log(payload))
 */
export function connect(options: ConnectOptions): Client {
  return new Client({ transports: browserTransports, atTurnEnd: queueMicrotask.bind(globalThis) }, options)
}
