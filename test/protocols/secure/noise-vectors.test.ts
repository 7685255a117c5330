// Every pattern of the suite that the vectors of cacophony have, with both roles and on every provider (SEC-2).
import { readFileSync } from 'node:fs'
import t from 'tap'
import type { KeyPair } from '../../../protocols/secure/crypto.ts'
import { NoiseHandshake } from '../../../protocols/secure/noise-handshake.ts'
import { patternOf } from '../../../protocols/secure/noise-patterns.ts'
import { hexOf, providers } from './keys.ts'

type Vector = {
  protocol_name: string
  init_prologue: string
  resp_prologue: string
  init_psks?: string[]
  resp_psks?: string[]
  init_static?: string
  resp_static?: string
  init_remote_static?: string
  resp_remote_static?: string
  init_ephemeral: string
  resp_ephemeral?: string
  handshake_hash: string
  messages: { payload: string; ciphertext: string }[]
}

const bytesOf = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'))
const file = new URL('../../vectors/cacophony.25519_ChaChaPoly_SHA256.json', import.meta.url)
const { vectors } = JSON.parse(readFileSync(file, 'utf8')) as { vectors: Vector[] }

for (const provider of providers) {
  t.test(`all vectors pass with ${provider.name}`, async (t) => {
    t.equal(vectors.length, 59)
    for (const vector of vectors) {
      const name = vector.protocol_name.split('_')[1]
      const pair = (secret?: string): KeyPair | undefined =>
        secret === undefined ? undefined : provider.dh.generateFrom(bytesOf(secret))
      const initiator = new NoiseHandshake({
        crypto: provider,
        pattern: name,
        isInitiator: true,
        prologue: bytesOf(vector.init_prologue),
        staticPair: pair(vector.init_static),
        remoteStatic: vector.init_remote_static === undefined ? undefined : bytesOf(vector.init_remote_static),
        psks: vector.init_psks?.map(bytesOf),
      })
      const responder = new NoiseHandshake({
        crypto: provider,
        pattern: name,
        isInitiator: false,
        prologue: bytesOf(vector.resp_prologue),
        staticPair: pair(vector.resp_static),
        remoteStatic: vector.resp_remote_static === undefined ? undefined : bytesOf(vector.resp_remote_static),
        psks: vector.resp_psks?.map(bytesOf),
      })
      const count = patternOf(name).messages.length
      const handshake = vector.messages.slice(0, count)
      for (const [i, message] of handshake.entries()) {
        const [from, to] = i % 2 === 0 ? [initiator, responder] : [responder, initiator]
        const ephemeral = i === 0 ? vector.init_ephemeral : i === 1 ? vector.resp_ephemeral : undefined
        const written = from.write(bytesOf(message.payload), ephemeral === undefined ? undefined : bytesOf(ephemeral))
        if (hexOf(written) !== message.ciphertext) t.fail(`${name}: message ${i} differs`)
        const read = to.read(written)
        if (!read.ok || hexOf(read.payload) !== message.payload) t.fail(`${name}: message ${i} is not read`)
      }
      if (!initiator.isFinished || !responder.isFinished) t.fail(`${name}: not finished`)
      for (const end of [initiator, responder]) {
        if (hexOf(end.hash) !== vector.handshake_hash) t.fail(`${name}: the handshake hash differs`)
      }
      const [up, down] = [initiator.split(), responder.split()]
      const isOneWay = count === 1
      for (const [i, message] of vector.messages.slice(count).entries()) {
        const isUp = isOneWay || (count + i) % 2 === 0
        const [send, receive] = isUp ? [up.send, down.receive] : [down.send, up.receive]
        const plain = bytesOf(message.payload)
        const sealed = new Uint8Array(plain.length + 16)
        send.seal(new Uint8Array(0), plain, sealed)
        if (hexOf(sealed) !== message.ciphertext) t.fail(`${name}: record ${i} differs`)
        const opened = new Uint8Array(plain.length)
        if (!receive.open(new Uint8Array(0), sealed, opened) || hexOf(opened) !== message.payload) {
          t.fail(`${name}: record ${i} is not opened`)
        }
      }
      t.pass(name)
    }
  })
}
