// How numbers with units are written in the configuration, both ways: durations `30s`, sizes `64KiB`, rates
// `50/s burst 100`, shares `50%`. A reader returns the number in the unit that Settings use (milliseconds, bytes, tokens a second) or
// what was expected and, where a slip is plain, the text that was probably meant. A unit is always required: `keep: 120`
// has been read as milliseconds by one person and as minutes by another.
import type { RateSettings } from './settings.ts'

type Misread = { expected: string; suggestion?: string }
export type Reading<T> = { value: T; misread?: undefined } | { value?: undefined; misread: Misread }

const DURATION_UNITS: [unit: string, ms: number][] = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
  ['ms', 1],
]
const SIZE_UNITS: [unit: string, bytes: number][] = [
  ['GiB', 2 ** 30],
  ['MiB', 2 ** 20],
  ['KiB', 2 ** 10],
  ['B', 1],
]
const RATE_PERIODS: [unit: string, seconds: number][] = [
  ['s', 1],
  ['min', 60],
  ['h', 3600],
]

const DURATION_PART = /(\d+(?:\.\d+)?)(ms|s|m|h|d)/y
const SIZE = /^(\d+(?:\.\d+)?)(B|KiB|MiB|GiB)$/
const PERCENT = /^(\d+(?:\.\d+)?)%$/
const RATE = /^(\d+(?:\.\d+)?)\/(s|min|h)(?: burst (\d+))?$/

/** Patterns for the JSON schema; what they accept is what the readers accept. */
export const DURATION_PATTERN = '^(\\d+(\\.\\d+)?(ms|s|m|h|d))+$'
export const SIZE_PATTERN = '^\\d+(\\.\\d+)?(B|KiB|MiB|GiB)$'
export const PERCENT_PATTERN = '^\\d+(\\.\\d+)?%$'
export const RATE_PATTERN = '^\\d+(\\.\\d+)?/(s|min|h)( burst \\d+)?$'

/** `500ms`, `30s`, `1.5s`, `2m`, `1h30m`, `12h`, `7d`, to whole milliseconds. */
export function readDuration(written: unknown): Reading<number> {
  const expected = 'a duration with its unit, such as 500ms, 30s, 2m or 12h'
  if (typeof written === 'number') return { misread: { expected, suggestion: `${written}s` } }
  if (typeof written !== 'string') return { misread: { expected } }
  let ms = 0
  let at = 0
  while (at < written.length) {
    DURATION_PART.lastIndex = at
    const part = DURATION_PART.exec(written)
    if (!part) return { misread: { expected, suggestion: durationMeant(written) } }
    ms += Number(part[1]) * unitOf(DURATION_UNITS, part[2])
    at = DURATION_PART.lastIndex
  }
  if (at === 0) return { misread: { expected } }
  if (!Number.isInteger(ms) || ms > Number.MAX_SAFE_INTEGER) return { misread: { expected: 'whole milliseconds' } }
  return { value: ms }
}

/** `512B`, `64KiB`, `1.5MiB`, `2GiB`, to whole bytes. */
export function readSize(written: unknown): Reading<number> {
  const expected = 'a size with its unit: B, KiB, MiB or GiB, such as 64KiB'
  if (typeof written === 'number') return { misread: { expected, suggestion: formatSize(written) } }
  if (typeof written !== 'string') return { misread: { expected } }
  const part = SIZE.exec(written)
  if (!part) return { misread: { expected, suggestion: sizeMeant(written) } }
  const bytes = Number(part[1]) * unitOf(SIZE_UNITS, part[2])
  if (!Number.isInteger(bytes) || bytes > Number.MAX_SAFE_INTEGER) return { misread: { expected: 'whole bytes' } }
  return { value: bytes }
}

/** `50%`, `0.5%`, to a share of 0 to 1. */
export function readPercent(written: unknown): Reading<number> {
  const expected = 'a percentage such as 50%'
  if (typeof written === 'number') return { misread: { expected, suggestion: `${written}%` } }
  const part = typeof written === 'string' ? PERCENT.exec(written) : null
  return part ? { value: Number(part[1]) / 100 } : { misread: { expected } }
}

/** `50/s burst 100`, `600/min`: tokens a second and the bucket's size; the burst is one second's worth (at least 1) unless written. */
export function readRate(written: unknown): Reading<RateSettings> {
  const expected = 'a rate such as 50/s, 600/min or 50/s burst 100'
  if (typeof written === 'number') return { misread: { expected, suggestion: `${written}/s` } }
  if (typeof written !== 'string') return { misread: { expected } }
  const part = RATE.exec(written)
  if (!part) return { misread: { expected, suggestion: rateMeant(written) } }
  const perSecond = Number(part[1]) / unitOf(RATE_PERIODS, part[2])
  const burst = part[3] === undefined ? Math.max(1, Math.ceil(perSecond)) : Number(part[3])
  if (!(perSecond > 0)) return { misread: { expected: 'a rate above 0' } }
  if (burst < 1 || !Number.isSafeInteger(burst)) return { misread: { expected: 'a burst of at least 1' } }
  return { value: { perSecond, burst } }
}

/** The shortest text that reads back as the same milliseconds: 90000 is `90s`, 7200000 is `2h`. */
export function formatDuration(ms: number): string {
  if (ms === 0) return '0s'
  const [unit, size] = DURATION_UNITS.find(([, size]) => ms % size === 0)!
  return `${ms / size}${unit}`
}

export function formatSize(bytes: number): string {
  const [unit, size] = SIZE_UNITS.find(([, size]) => bytes >= size && bytes % size === 0) ?? ['B', 1]
  return `${bytes / size}${unit}`
}

/** Reads back as the same share, up to a ten-thousandth of a per cent. */
export function formatPercent(share: number): string {
  return `${Number((share * 100).toFixed(4))}%`
}

/** Reads back as the same rate where the period divides evenly, which every written rate does. */
export function formatRate(rate: RateSettings): string {
  const [unit, seconds] = RATE_PERIODS.find(([, seconds]) => isWhole(rate.perSecond * seconds)) ?? ['s', 1]
  const amount = rate.perSecond * seconds
  return `${isWhole(amount) ? Math.round(amount) : amount}/${unit} burst ${rate.burst}`
}

/** Rates by the minute and hour are divided on reading: multiplied back they are whole but for the last bit. */
function isWhole(amount: number): boolean {
  return Math.round(amount) >= 1 && Math.abs(amount - Math.round(amount)) < 1e-9 * amount
}

function unitOf(units: [string, number][], unit: string): number {
  return units.find(([name]) => name === unit)![1]
}

function durationMeant(written: string): string | undefined {
  const slip = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(written.trim())
  if (!slip) return undefined
  const word = slip[2].toLowerCase()
  if (word === '') return `${slip[1]}s`
  if (word.startsWith('ms') || word.startsWith('mil')) return `${slip[1]}ms`
  const unit = ['s', 'm', 'h', 'd'].find((unit) => word.startsWith(unit))
  return unit && `${slip[1]}${unit}`
}

function sizeMeant(written: string): string | undefined {
  const slip = /^(\d+(?:\.\d+)?)\s*([kmg]?)i?b?(?:yte|ytes)?$/i.exec(written.trim())
  if (!slip) return undefined
  return slip[1] + (slip[2] === '' ? 'B' : `${slip[2].toUpperCase()}iB`)
}

function rateMeant(written: string): string | undefined {
  const slip = /^(\d+(?:\.\d+)?)\s*(?:\/|per)?\s*(s|m|h)?[a-z]*(?:[\s,]+burst[\s:=]*(\d+))?$/i.exec(written.trim())
  if (!slip) return undefined
  const period = { s: 's', m: 'min', h: 'h' }[slip[2]?.toLowerCase() ?? 's']
  return `${slip[1]}/${period}${slip[3] ? ` burst ${slip[3]}` : ''}`
}
