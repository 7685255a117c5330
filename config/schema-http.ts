// The keys of HTTP: calls (H1), sessions of clients that can have nothing else (H2) and a health page, on a listener of
// their own or beside WebSocket on its port.
import { z } from 'zod'
import { count, duration, flag, size, text } from './schema-values.ts'

const ORIGIN = /^(\*|[a-z][a-z0-9+.-]*:\/\/[^\s/]+)$/

export const http = z.strictObject({
  calls: flag('Whether `POST /call/{route}` is answered (H1).').default(true),
  sessions: flag('Whether clients may have sessions by POST and server-sent events (H2).').default(true),
  contentType: text(
    'What the bodies of calls and replies are: as the codec of the hosts. Other bodies are answered 415.',
    /^[\w.+-]+\/[\w.+-]+$/,
    'a media type such as application/json',
  ).default('application/json'),
  bodyBytesMax: size('The largest body of a call; larger ones are answered 413.', { min: '1B', max: '1MiB' }).prefault(
    '64KiB',
  ),
  compressFrom: size('Replies from this size on are compressed where the caller takes it. 0B: never.', {
    min: '0B',
    max: '64MiB',
  }).prefault('4KiB'),
  cors: z
    .array(text('', ORIGIN, 'an origin such as https://play.example.org, or `*`'))
    .default([])
    .meta({ description: 'The origins whose pages may call from a browser; `*`: all. Default: none.' }),
  requestTime: duration('Within which a request must have come whole.', { min: '100ms', max: '10m' }).prefault('10s'),
  keepAlive: duration('How long a connection stays open between two requests.', { min: '1s', max: '1h' }).prefault(
    '65s',
  ),
  requestsPerConnection: count('After so many a connection is closed. 0: never.', 0, 1_000_000_000).default(100_000),
})
