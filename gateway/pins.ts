// Pins (P1): the sealed name of the host that holds a channel's actor. The client keeps it and shows it at each attach; it
// beats the hash, and it fits one session and one actor only.
//
//   plain: version u8 | first 16 bytes of HMAC("skewer-pin-1", session text | service text | key text) | host text
//
// The digest in place of the names keeps a pin below PIN_BYTES_MAX also where the session is an actor with a long key.
import { code } from '../protocols/codes.ts'
import { NAME_BYTES_MAX } from '../protocols/wire/lane-frames.ts'
import { Reader } from '../protocols/wire/reader.ts'
import { Writer } from '../protocols/wire/writer.ts'
import type { GatewayEnvironment } from './seams.ts'

const PIN_CONTEXT = 'pin'
const PLAIN_VERSION = 1
const DIGEST_BYTES = 16
const DIGEST_KEY = new TextEncoder().encode('skewer-pin-1')

type Secrets = Pick<GatewayEnvironment, 'sealer' | 'hmac'>

export function sealPin(env: Secrets, session: string, service: string, key: string, host: string): Uint8Array {
  const w = new Writer(64)
  w.u8(PLAIN_VERSION)
    .raw(digest(env, session, service, key))
    .text(host)
  return env.sealer.seal(PIN_CONTEXT, w.drain())
}

/** The host that a pin names, or why it is not accepted: made for another channel, not ours, or of a key not loaded yet. */
export function openPin(
  env: Secrets,
  sealed: Uint8Array,
  session: string,
  service: string,
  key: string,
): { host: string } | { code: number } {
  const opened = env.sealer.open(PIN_CONTEXT, sealed)
  if ('code' in opened) {
    // A key that this gateway has not loaded yet comes back (T3); what no key of ours sealed does not.
    return { code: opened.code === code.ticket_key_unknown ? code.ticket_key_unknown : code.not_allowed }
  }
  const r = new Reader().over(opened.plain, 0, opened.plain.length)
  const version = r.u8()
  const shown = r.take(DIGEST_BYTES)
  const host = r.text(NAME_BYTES_MAX)
  const isWhole = version === PLAIN_VERSION && r.ok && r.rest === 0
  const expected = digest(env, session, service, key)
  if (!isWhole || !expected.every((byte, i) => byte === shown[i])) return { code: code.not_allowed }
  return { host }
}

function digest(env: Secrets, session: string, service: string, key: string): Uint8Array {
  const w = new Writer(128)
  w.text(session).text(service).text(key)
  return env.hmac(DIGEST_KEY, w.view()).subarray(0, DIGEST_BYTES)
}
