// What the admin interface shows of sessions and hosts: plain copies, made when asked for.
import { attachState } from './attachment.ts'
import type { Host } from './host.ts'
import type { Session } from './session.ts'

export type ChannelSnapshot = { service: string; key: string; host: string; state: string; epoch: number }
export type SessionSnapshot = {
  session: string
  user: string
  labels: Record<string, string>
  connections: { transport: string; address: string; ageMs: number; rttMs: number; heldBytes: number }[]
  channels: ChannelSnapshot[]
}
export type HostSnapshot = {
  host: string
  address: string
  state: 'linked' | 'away' | 'gone'
  isDraining: boolean
  services: string[]
  links: number
  channels: number
  parked: number
  rttMs: number
  queuedBytes: number
  busyThousandths: number
}

const stateNames = Object.fromEntries(Object.entries(attachState).map(([name, value]) => [value, name]))

export function sessionSnapshot(session: Session, now: number): SessionSnapshot {
  return {
    session: session.id,
    user: session.user,
    labels: { ...session.labels },
    connections: session.connections.map((connection) => ({
      transport: connection.outlet.carrier.transport,
      address: connection.outlet.carrier.address,
      ageMs: Math.round(now - connection.openedAt),
      rttMs: connection.rttMs,
      heldBytes: connection.outlet.held,
    })),
    channels: session.channels.map((attachment) => ({
      service: attachment.service,
      key: attachment.key,
      host: attachment.host?.name ?? '',
      state: stateNames[attachment.state],
      epoch: attachment.epoch,
    })),
  }
}

export function hostSnapshot(host: Host): HostSnapshot {
  const link = host.current
  let channels = 0
  for (const each of host.links) channels += each.handles.openCount
  return {
    host: host.name,
    address: host.settings?.address ?? '',
    state: host.isGone ? 'gone' : link === undefined ? 'away' : 'linked',
    isDraining: host.isDraining || host.isAside || host.isRemoved,
    services: [...(host.offers?.keys() ?? [])],
    links: host.links.length,
    channels,
    parked: host.lot.waiting.size,
    rttMs: link?.rttMs ?? 0,
    queuedBytes: link?.outlet.held ?? 0,
    busyThousandths: host.busyThousandths,
  }
}
