// A second encoder, made from test/vectors/layouts.json alone: it shares no line with protocols/wire/writer.ts, so that a
// mistake there cannot agree with itself. Slow and plain: BigInt varints, one array of numbers.
import { readFileSync } from 'node:fs'

export type Fields = Record<string, unknown>
export type Layout = { kind: number; fields: [name: string, type: string][] }
export type FrameFamily = 'lane' | 'client' | 'link'

type Layouts = Record<FrameFamily, Record<string, Layout>> & {
  lists: Record<string, [string, string][]>
  linkShares: string[]
}

export const layouts: Layouts = JSON.parse(readFileSync(new URL('../vectors/layouts.json', import.meta.url), 'utf8'))

export const layoutOf = (family: FrameFamily, name: string): Layout =>
  layouts.lane[name] ?? layouts[family][name] ?? layouts.client[name]

function pushVarint(out: number[], value: number | bigint): void {
  let rest = BigInt(value)
  do {
    const low = Number(rest & 0x7fn)
    rest >>= 7n
    out.push(rest > 0n ? low + 128 : low)
  } while (rest > 0n)
}

function pushFields(out: number[], fields: readonly [string, string][], values: Fields): void {
  for (const [name, type] of fields) {
    const value = values[name]
    if (type === 'bits') {
      let byte = 0
      for (const [i, flag] of name.split(' ').entries()) if (values[flag] === true) byte += 2 ** i
      out.push(byte)
    } else if (type === 'u8') out.push(Number(value))
    else if (type === 'u16') out.push(Number(value) % 256, Math.floor(Number(value) / 256))
    else if (type === 'u64')
      for (let i = 0n; i < 8n; i++) out.push(Number((BigInt(value as string) >> (8n * i)) % 256n))
    else if (type === 'varint') pushVarint(out, value as number)
    else if (type === 'text' || type === 'blob') {
      const bytes = Buffer.from(value as string, type === 'text' ? 'utf8' : 'hex')
      pushVarint(out, bytes.length)
      out.push(...bytes)
    } else if (type === 'bytes16' || type === 'bytes32' || type === 'rest') {
      out.push(...Buffer.from(value as string, 'hex'))
    } else pushList(out, layouts.lists[type], value as Fields[])
  }
}

function pushList(out: number[], entry: readonly [string, string][], values: Fields[]): void {
  pushVarint(out, values.length)
  const before: Record<string, number> = {}
  for (const value of values) {
    for (const [name, type] of entry) {
      if (type === 'rise') {
        pushVarint(out, (value[name] as number) - (before[name] ?? 0))
        before[name] = value[name] as number
      } else pushFields(out, [[name, type]], value)
    }
  }
}

/** One frame with its length, as hex. */
export function encodeFrame(layout: Layout, values: Fields, skippable = false, extensions = ''): string {
  const body = [layout.kind + (skippable ? 0x80 : 0) + (extensions === '' ? 0 : 0x40)]
  if (extensions !== '') {
    const block = Buffer.from(extensions, 'hex')
    pushVarint(body, block.length)
    body.push(...block)
  }
  pushFields(body, layout.fields, values)
  const frame: number[] = []
  pushVarint(frame, body.length)
  frame.push(...body)
  return Buffer.from(frame).toString('hex')
}
