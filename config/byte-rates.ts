// How rates of bytes are written in the configuration, both ways: `64KiB/s burst 256KiB`, `1MiB/min`. As the rates of
// messages in quantities.ts, with sizes for numbers.
import { formatSize, type Reading, readSize } from './quantities.ts'
import type { RateSettings } from './settings.ts'

const PERIODS: [unit: string, seconds: number][] = [
  ['s', 1],
  ['min', 60],
  ['h', 3600],
]
const BYTE_RATE = /^([\d.]+[KMG]?i?B)\/(s|min|h)(?: burst ([\d.]+[KMG]?i?B))?$/

/** For the JSON schema; what it accepts is what the reader accepts. */
export const BYTE_RATE_PATTERN = '^\\d+(\\.\\d+)?(B|KiB|MiB|GiB)/(s|min|h)( burst \\d+(\\.\\d+)?(B|KiB|MiB|GiB))?$'

/** Bytes a second and the bucket's size, which is one second's worth unless written. */
export function readByteRate(written: unknown): Reading<RateSettings> {
  const expected = 'a rate of bytes such as 64KiB/s or 64KiB/s burst 256KiB'
  if (typeof written === 'number') return { misread: { expected, suggestion: `${formatSize(written)}/s` } }
  const part = typeof written === 'string' ? BYTE_RATE.exec(written) : null
  if (part === null) return { misread: { expected } }
  const size = readSize(part[1])
  const most = part[3] === undefined ? undefined : readSize(part[3])
  if (size.misread !== undefined || most?.misread !== undefined) return { misread: { expected } }
  const perSecond = size.value / PERIODS.find(([unit]) => unit === part[2])![1]
  const burst = most?.value ?? Math.max(1, Math.ceil(perSecond))
  if (!(perSecond > 0) || burst < 1) return { misread: { expected: 'a rate above 0B and a burst of at least 1B' } }
  return { value: { perSecond, burst } }
}

/** Reads back as the same rate. */
export function formatByteRate({ perSecond, burst }: RateSettings): string {
  const [unit, seconds] = PERIODS.find(([, seconds]) => isWhole(perSecond * seconds)) ?? ['s', 1]
  return `${formatSize(Math.round(perSecond * seconds))}/${unit} burst ${formatSize(burst)}`
}

/** Rates by the minute and hour are divided on reading: multiplied back they are whole but for the last bit. */
function isWhole(bytes: number): boolean {
  return Math.round(bytes) >= 1 && Math.abs(bytes - Math.round(bytes)) < 1e-9 * bytes
}
