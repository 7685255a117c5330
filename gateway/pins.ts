// Pins (P1): the sealed name of the host that holds a channel's actor. The client keeps it and shows it at each attach; it
// beats the hash, and it fits one session and one actor only.
//
//   plain: version u8 | session text | service text | key text | host text
import { code } from '../protocols/codes.ts'
import { SESSION_BYTES_MAX } from '../protocols/link/frames.ts'
import { NAME_BYTES_MAX } from '../protocols/wire/lane-frames.ts'
import { Reader } from '../protocols/wire/reader.ts'
import { Writer } from '../protocols/wire/writer.ts'
import type { Sealer } from './seams.ts'

const PIN_CONTEXT = 'pin'
const PLAIN_VERSION = 1

export function sealPin(sealer: Sealer, session: string, service: string, key: string, host: string): Uint8Array {
  const w = new Writer(128)
  w.u8(PLAIN_VERSION).text(session).text(service).text(key).text(host)
  return sealer.seal(PIN_CONTEXT, w.drain())
}

/** The host that a pin names, or why it is not accepted: made for another channel, not ours, or of a key not loaded yet. */
export function openPin(
  sealer: Sealer,
  sealed: Uint8Array,
  session: string,
  service: string,
  key: string,
): { host: string } | { code: number } {
  const opened = sealer.open(PIN_CONTEXT, sealed)
  if ('code' in opened) {
    // A key that this gateway has not loaded yet comes back (T3); what no key of ours sealed does not.
    return { code: opened.code === code.ticket_key_unknown ? code.ticket_key_unknown : code.not_allowed }
  }
  const r = new Reader().over(opened.plain, 0, opened.plain.length)
  const version = r.u8()
  const isOurs =
    r.text(SESSION_BYTES_MAX) === session && r.text(NAME_BYTES_MAX) === service && r.text(NAME_BYTES_MAX) === key
  const host = r.text(NAME_BYTES_MAX)
  if (version !== PLAIN_VERSION || !isOurs || !r.ok || r.rest !== 0) return { code: code.not_allowed }
  return { host }
}
