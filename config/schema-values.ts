// The kinds of value that the configuration schema is made of. Each reads the written form, checks its range, and says
// for the JSON schema and the reference what is written. Complaints travel as `params` of a zod issue and keep the shape
// of problems.ts; config/schema-problems.ts gives them their place.
import { z } from 'zod'
import { isIP } from 'node:net'
import { readKey } from './keys.ts'
import type { Complaint } from './problems.ts'
import { shown } from './problems.ts'
import * as quantities from './quantities.ts'
import type { KeySettings, RateSettings } from './settings.ts'

/** What complaints of our own carry through zod. */
export type IssueParams = { complaint: Complaint }

type Range = { min: string; max: string }

/** Milliseconds, written as `30s`. */
export function duration(description: string, range: Range) {
  return ranged(description, range, quantities.readDuration, 'a duration', quantities.DURATION_PATTERN)
}

/** Bytes, written as `64KiB`. */
export function size(description: string, range: Range) {
  return ranged(description, range, quantities.readSize, 'a size', quantities.SIZE_PATTERN)
}

/** A share of 0 to 1, written as `50%`. */
export function percent(description: string, range: Range) {
  return ranged(description, range, quantities.readPercent, 'a percentage', quantities.PERCENT_PATTERN)
}

/** Tokens a second and a burst, written as `50/s burst 100`. */
export function rate(description: string) {
  const read = (written: unknown, ctx: z.RefinementCtx): RateSettings => {
    const { value, misread } = quantities.readRate(written)
    if (value) return value
    complain(ctx, written, { what: 'is not a rate', got: shown(written), ...misread })
    return z.NEVER
  }
  return z
    .unknown()
    .transform(read)
    .meta({ type: 'string', pattern: quantities.RATE_PATTERN, title: 'rate', description })
}

/** A whole number. */
export function count(description: string, min: number, max: number) {
  return z.int().min(min).max(max).meta({ description })
}

export function flag(description: string) {
  return z.boolean().meta({ description })
}

/** Text that must have a form; `form` says it in words, for complaints. */
export function text(description: string, pattern?: RegExp, form?: string) {
  const base = z.string().min(1)
  if (!pattern) return base.meta({ description })
  return base
    .superRefine((written, ctx) => {
      if (pattern.test(written)) return
      complain(ctx, written, { what: 'has not the form of such a name', got: shown(written), expected: form })
    })
    .meta({ description, pattern: pattern.source })
}

/** The name of a listener, host, service, key ...: it is shown in tables, metrics and logs. */
export function name(description: string) {
  return text(description, /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$/, 'at most 64 letters, digits, _, - and .')
}

/** Text that dumps never show; better written as a reference. */
export function secret(description: string) {
  return z
    .string()
    .min(1)
    .meta({ description: `${description} Secret: write \`\${env:NAME}\` or \`\${file:path}\`.`, writeOnly: true })
}

/** 32 secret bytes; the complaint never shows what was written. */
export function sealingKey(description: string) {
  const read = (written: string, ctx: z.RefinementCtx): KeySettings => {
    const key = readKey(written)
    if (key) return key
    const expected = '32 bytes in base64 or hex, as `skewer keygen` makes them'
    complain(ctx, written, { what: 'is not a key', expected })
    return z.NEVER
  }
  return secret(description).transform(read)
}

/** An IP address to listen on. */
export function listenAddress(description: string) {
  const check = (written: string, ctx: z.RefinementCtx) => {
    if (isIP(written) > 0 || written === 'localhost') return
    const expected = 'an IP address of this machine, such as 127.0.0.1, 0.0.0.0 (all) or ::'
    complain(ctx, written, { what: 'is not an address to listen on', got: shown(written), expected })
  }
  return z.string().superRefine(check).meta({ description })
}

/** The name of a file, later resolved from the folder of the configuration. */
export function fileName(description: string) {
  return z
    .string()
    .min(1)
    .meta({ description: `${description} Relative names start at the configuration's folder.` })
}

function complain(ctx: z.RefinementCtx, input: unknown, complaint: Complaint): void {
  const params: IssueParams = { complaint }
  ctx.addIssue({ code: 'custom', message: complaint.what, params, input })
}

function ranged(
  description: string,
  range: Range,
  reader: (written: unknown) => quantities.Reading<number>,
  title: string,
  pattern: string,
) {
  const min = reader(range.min).value!
  const max = reader(range.max).value!
  const read = (written: unknown, ctx: z.RefinementCtx): number => {
    const { value, misread } = reader(written)
    if (misread) complain(ctx, written, { what: `is not ${title}`, got: shown(written), ...misread })
    else if (value < min)
      complain(ctx, written, { what: 'is too small', got: shown(written), expected: `at least ${range.min}` })
    else if (value > max)
      complain(ctx, written, { what: 'is too large', got: shown(written), expected: `at most ${range.max}` })
    else return value
    return z.NEVER
  }
  const says = `${description} From ${range.min} to ${range.max}.`
  return z
    .unknown()
    .transform(read)
    .meta({ type: 'string', pattern, title: title.replace('a ', ''), description: says })
}
