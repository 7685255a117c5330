// Tickets (T1): what a session shows to come back, sealed by the cluster's keys so that any gateway can open it, and
// useless without the secret inside it, which the client proves over this connection's nonce (A1).
//
//   plain: version u8 | session text | user text | generation varint | secret 32 | authUntilWallMs varint | labels
//
// No epoch, no pins. Also used by carriers that prove the secret in their own handshake.
import { code } from '../protocols/codes.ts'
import { NONCE_BYTES, SECRET_BYTES } from '../protocols/client/frames.ts'
import type { Labels } from '../protocols/link/frames.ts'
import { LABELS_MAX, readLabels, SESSION_BYTES_MAX, writeLabels } from '../protocols/link/frames.ts'
import { NAME_BYTES_MAX } from '../protocols/wire/lane-frames.ts'
import { Reader } from '../protocols/wire/reader.ts'
import { Writer } from '../protocols/wire/writer.ts'
import type { GatewayEnvironment, Sealer } from './seams.ts'

export const TICKET_CONTEXT = 'ticket'
const PLAIN_VERSION = 1
/** With the longest names, a ticket stays below TICKET_BYTES_MAX. */
const LABELS_BYTES_MAX = 512
const encoder = new TextEncoder()
const RESUME_CONTEXT = encoder.encode('skewer-resume-1')

export type TicketPlain = {
  session: string
  user: string
  generation: number
  secret: Uint8Array
  authUntilWallMs: number
  labels: Labels
}

export function sealTicket(sealer: Sealer, plain: TicketPlain): Uint8Array {
  const w = new Writer(256)
  w.u8(PLAIN_VERSION).text(plain.session).text(plain.user).varint(plain.generation).raw(plain.secret)
  w.varint(plain.authUntilWallMs)
  writeLabels(w, plain.labels)
  return sealer.seal(TICKET_CONTEXT, w.drain())
}

/** The ticket's content, or the code of the table that says why it was not accepted (T3). */
export function openTicket(sealer: Sealer, sealed: Uint8Array): TicketPlain | { code: number } {
  const opened = sealer.open(TICKET_CONTEXT, sealed)
  if ('code' in opened) return opened
  const r = new Reader().over(opened.plain, 0, opened.plain.length)
  const version = r.u8()
  const plain: TicketPlain = {
    session: r.text(SESSION_BYTES_MAX),
    user: r.text(NAME_BYTES_MAX),
    generation: r.varint(),
    secret: r.take(SECRET_BYTES),
    authUntilWallMs: r.varint(),
    labels: readLabels(r),
  }
  if (version !== PLAIN_VERSION || !r.ok || r.rest !== 0) return { code: code.ticket_invalid }
  return plain
}

/** Proof that the shower of a ticket holds its secret, over this connection's nonce and what its carrier is bound to. */
export function resumeProof(
  hmac: GatewayEnvironment['hmac'],
  secret: Uint8Array,
  nonce: Uint8Array,
  binding: Uint8Array,
): Uint8Array {
  return hmac(secret, RESUME_CONTEXT, nonce.subarray(0, NONCE_BYTES), binding)
}

/** Labels travel in every ticket and every LINK_ATTACH: whether these are few and short enough for both. */
export function fitTicket(labels: Labels): boolean {
  const entries = Object.entries(labels)
  if (entries.length > LABELS_MAX) return false
  let total = 0
  for (const pair of entries) {
    for (const text of pair) {
      const length = encoder.encode(text).length
      if (length > NAME_BYTES_MAX) return false
      total += length + 2
    }
  }
  return total <= LABELS_BYTES_MAX
}

/** A new session's name: 16 random bytes in 22 characters of base64url. */
export function sessionName(random: Uint8Array): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  let name = ''
  for (let bit = 0; bit < random.length * 8; bit += 6) {
    const at = bit >>> 3
    const pair = (random[at] << 8) | (at + 1 < random.length ? random[at + 1] : 0)
    name += alphabet[(pair >>> (10 - (bit & 7))) & 63]
  }
  return name
}
