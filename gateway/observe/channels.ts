// Every event on a diagnostics_channel of its own, `skewer:<event>`, for whatever runs in the same process: tests, tracing,
// an operator's own hooks. Nothing is made for a channel without subscribers.
import diagnostics from 'node:diagnostics_channel'
import type { GatewayEvent } from '../seams.ts'

const channels = new Map<string, diagnostics.Channel>()

export function publish(event: GatewayEvent): void {
  let channel = channels.get(event.event)
  if (channel === undefined) {
    channel = diagnostics.channel(`skewer:${event.event}`)
    channels.set(event.event, channel)
  }
  if (channel.hasSubscribers) channel.publish(event)
}
