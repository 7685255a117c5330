// The `kcp` block of a udp listener: how the gateway's end of each conversation behaves. Ranges are those of the engine
// (protocols/kcp/settings.ts); names are KCP's own where it has them.
import { z } from 'zod'
import { type KcpSettings, kcpSettings } from '../protocols/kcp/settings.ts'
import { count, duration, flag } from './schema-values.ts'

/** The least that every path carries is 1,280 bytes of IPv6; 1,200 leaves room for tunnels. */
const MTU_DEFAULT = 1200

export const kcp = z.strictObject({
  preset: z.enum(['fast', 'normal', 'thrifty']).default('fast').meta({
    description:
      'What the other keys begin with. fast: acknowledges and sends at once, resends early, no congestion control; normal: every 20 ms, with it; thrifty: every 40 ms, and resends only after a time-out.',
  }),
  mtu: count('The largest UDP payload sent, in bytes.', 576, 1500).default(MTU_DEFAULT),
  sendWindow: count('Segments on the way to a client at the same time.', 1, 32_768).optional(),
  receiveWindow: count('Segments kept for what comes out of order.', 128, 32_768).optional(),
  nodelay: count(
    'How the wait grows with each loss: 0 doubles it, 1 adds half of it, 2 half of the current estimate.',
    0,
    2,
  ).optional(),
  interval: duration('The least time between two flushes.', { min: '1ms', max: '5s' }).optional(),
  immediate: flag('Sends at the end of each turn, whatever `interval` says.').optional(),
  resend: count('Sends again what was overtaken so often; 0 waits for the time-out.', 0, 255).optional(),
  nc: flag('No congestion control: the windows alone limit what is on the way.').optional(),
  minRto: duration('The least time before something is sent again.', { min: '1ms', max: '1m' }).optional(),
  deadLinkCount: count('A connection ends when something has been sent so often.', 2, 1000).optional(),
})

export type KcpConfig = z.output<typeof kcp>

/** As the engine takes them; the listener adds what follows from limits and security. */
export function kcpFrom(written: KcpConfig | undefined): KcpSettings {
  const { preset, mtu, interval, minRto, nodelay, ...same } = written ?? kcp.parse({})
  const changes = { ...same, intervalMs: interval, minRtoMs: minRto, nodelay: nodelay as KcpSettings['nodelay'] }
  const given = Object.fromEntries(Object.entries(changes).filter(([, value]) => value !== undefined))
  return kcpSettings(preset, { mtu, peerMtu: 1500, stream: true, ...given })
}
