// The schema of `limits`, which bound memory, and `times`, which bound waiting.
import { z } from 'zod'
import { count, duration, size } from './schema-values.ts'

/** Lane frames carry the low 16 bits of a number (N2). */
const WINDOW_COUNT_MAX = 2 ** 14

export const limits = z.strictObject({
  windowCount: count('Messages of one channel and direction not yet acknowledged (W1).', 1, WINDOW_COUNT_MAX).default(
    256,
  ),
  windowBytes: size('Bytes of them; one message is at most a quarter (W1).', { min: '1KiB', max: '16MiB' }).prefault(
    '64KiB',
  ),
  channelsPerSession: count('Channels of one session (W6).', 1, 16).default(16),
  connectionBytesMax: size(
    'What the gateway holds for one connection; past it the connection closes and its session lives (W5).',
    { min: '16KiB', max: '1GiB' },
  ).prefault('512KiB'),
  grantedBytesMax: size(
    'What the windows and reserved replies of the channels of one connection add up to; below `connectionBytesMax` (W5).',
    { min: '2KiB', max: '1GiB' },
  ).prefault('256KiB'),
  replyBytesMax: size('What the open requests of one channel reserve for their replies (W5).', {
    min: '1KiB',
    max: '16MiB',
  }).prefault('64KiB'),
  queueBytesMax: size('What the gateway holds for all connections together (W5).', {
    min: '1MiB',
    max: '1024GiB',
  }).prefault('256MiB'),
  linkBytesMax: size('What waits on one link before its clients are no longer read (W6).', {
    min: '64KiB',
    max: '4GiB',
  }).prefault('8MiB'),
  connectionsMax: count('Connections at the same time.', 1, 10_000_000).default(50_000),
  frameBytesMax: size('The largest frame of a client.', { min: '1KiB', max: '16MiB' }).prefault('64KiB'),
  handshakeFrameBytesMax: size('The largest frame before login.', { min: '512B', max: '64KiB' }).prefault('10KiB'),
  parkedMax: count('Channels that wait for hosts that are away (A4).', 0, 10_000_000).default(10_000),
  looseReplyBytesMax: size('The largest reply to a request without a channel (W1).', {
    min: '1KiB',
    max: '64MiB',
  }).prefault('1MiB'),
  rateKeysMax: count(
    'Token buckets kept at once, one for each key of each rate limit; 64 bytes each at most.',
    1000,
    10_000_000,
  ).default(1_000_000),
})

export const times = z.strictObject({
  handshake: duration('From the first byte to the login.', { min: '100ms', max: '5m' }).prefault('10s'),
  heartbeat: duration('A connection that was silent for two of them is closed.', { min: '100ms', max: '10m' }).prefault(
    '10s',
  ),
  keep: duration('How long both ends keep a channel while they are apart (S2).', { min: '1s', max: '1d' }).prefault(
    '2m',
  ),
  parkMax: duration('How long an attach waits for its host (A4).', { min: '0s', max: '1h' }).prefault('30s'),
  backoffMax: duration('The longest pause of a client between two tries.', { min: '100ms', max: '10m' }).prefault('5s'),
  drain: duration('Within which clients are told to go elsewhere when the gateway stops.', {
    min: '0s',
    max: '1h',
  }).prefault('30s'),
  authUntil: duration('How long a login holds before a new token is asked for (T2).', {
    min: '1m',
    max: '30d',
  }).prefault('12h'),
  linkHeartbeat: duration('A link that was silent for two of them is closed.', { min: '100ms', max: '10m' }).prefault(
    '5s',
  ),
  linkFlushDelay: duration('How long a link may wait to write more at once; 0s: until the end of the turn.', {
    min: '0s',
    max: '20ms',
  }).prefault('0s'),
  goneAfter: duration('A known host without a link is given up after this (P3). Default: `keep`.', {
    min: '1s',
    max: '1d',
  }).optional(),
})
