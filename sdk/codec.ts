// How the application's values become payloads. Both ends of a service use the same codec; the gateway never looks inside.
// Empty bytes stand for `undefined` in every codec.

export interface Codec {
  /** The value as bytes, which the SDK may keep; throws where the value has no encoding. */
  encode(value: unknown): Uint8Array
  /** The value of bytes that are lent for the call; throws where they are malformed. */
  decode(bytes: Uint8Array): unknown
}

const EMPTY = new Uint8Array(0)
const textEncoder = new TextEncoder()
const textDecoder = new TextDecoder('utf-8', { fatal: true })

/** Payloads are bytes as they are; strings are sent as UTF-8. */
export const bytes: Codec = {
  encode(value) {
    if (value === undefined) return EMPTY
    if (typeof value === 'string') return textEncoder.encode(value)
    if (value instanceof Uint8Array) {
      const copy = new Uint8Array(value.length)
      copy.set(value)
      return copy
    }
    throw new TypeError('the bytes codec takes a Uint8Array, a string or undefined')
  },
  decode: (payload) => payload,
}

/** Payloads are JSON. */
export const json: Codec = {
  encode: (value) => (value === undefined ? EMPTY : textEncoder.encode(JSON.stringify(value))),
  decode: (payload) => (payload.length === 0 ? undefined : JSON.parse(textDecoder.decode(payload))),
}

/** A MessagePack library, such as `@msgpack/msgpack`. */
export type MessagePackLibrary = {
  encode(value: unknown): ArrayLike<number>
  decode(bytes: Uint8Array): unknown
}

/**
 * Payloads are MessagePack, by a library that the application brings.
 * @example
 * import * as msgpack from '@msgpack/msgpack'
 * const client = connect({ gateways, token, codec: messagePack(msgpack) })
 */
export function messagePack(library: MessagePackLibrary): Codec {
  return {
    // What libraries return is often a part of a larger buffer that they fill again.
    encode: (value) => (value === undefined ? EMPTY : Uint8Array.from(library.encode(value))),
    decode: (payload) => (payload.length === 0 ? undefined : library.decode(payload)),
  }
}
