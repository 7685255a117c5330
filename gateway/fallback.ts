// R5: where an attach goes that its own service cannot take: the host of its actor is away for longer than it may wait, or
// a breaker of that host or of the service is open. It goes to the actor of the same key of the service that the operator
// named (`breaker.fallback`), and the channel keeps that actor for life (S6): its pin names it, and only a channel that
// begins is placed there. The client and its routes know the channel by the service that it asked for.
import { code } from '../protocols/codes.ts'
import type { Attachment } from './attachment.ts'
import type { Gateway } from './gateway.ts'
import { openPin } from './pins.ts'

/** Turns an attach to the service that stands in for its own, where it may; it is to be placed again then. */
export function fallBack(gateway: Gateway, attachment: Attachment): boolean {
  const { service, key, session } = attachment
  const fallback = gateway.services.get(service)?.fallback
  const isNew = attachment.request?.life === 0n && attachment.target === '' && attachment.placedAt === service
  if (!isNew || fallback === undefined) return false
  const offered = gateway.services.get(fallback)
  if (offered === undefined || (session !== undefined && offered.keys === 'user' && key !== session.user)) return false
  if (gateway.hostTable.choose(fallback, key, session?.labels)?.current === undefined) return false
  if (!makePlace(gateway, attachment, fallback)) return false
  attachment.placedAt = fallback
  session?.enter(attachment)
  return true
}

/** A session has one channel to an actor (S2): an older attach of this one gives way, another channel does not. */
function makePlace(gateway: Gateway, attachment: Attachment, fallback: string): boolean {
  const there = attachment.session?.channelOf(fallback, attachment.key)
  if (there === undefined) return true
  const isOlder = there.epoch < attachment.epoch && there.ticketGeneration <= attachment.ticketGeneration
  if (there.service !== attachment.service || !isOlder) return false
  gateway.attaches.supersede(there)
  return true
}

/** P1: the host that an attach is for, as its pin says: sealed for its own service, or for the one that stands in. */
export function takePin(gateway: Gateway, attachment: Attachment, pin: Uint8Array): number {
  if (pin.length === 0) return code.ok
  const { sessionName, service, key } = attachment
  let opened = openPin(gateway.env, pin, sessionName, service, key)
  if ('code' in opened) {
    const refusal = opened.code
    const fallback = gateway.services.get(service)?.fallback
    if (fallback !== undefined) opened = openPin(gateway.env, pin, sessionName, fallback, key)
    if ('code' in opened) return refusal
    attachment.placedAt = fallback!
  }
  attachment.target = opened.host
  attachment.targetIsPin = true
  return code.ok
}
