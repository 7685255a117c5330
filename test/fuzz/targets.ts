// The fuzz targets: one file each in test/fuzz/targets/, found by its name, and the inputs that once broke it in
// test/fuzz/corpus/<name>/. A target must take any bytes without throwing, hanging or holding more than its limits; where
// it can tell that a limit was passed it throws itself.
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'

export type Target = {
  /** Must never throw. */
  fuzz(bytes: Uint8Array): void
  /** Inputs to begin with: right ones, as a rule. */
  seeds(): Uint8Array[]
}

const folder = new URL('targets/', import.meta.url)
const corpusOf = (name: string): URL => new URL(`corpus/${name}/`, import.meta.url)

export const targetNames: readonly string[] = readdirSync(folder)
  .filter((file) => file.endsWith('.ts'))
  .map((file) => file.slice(0, -'.ts'.length))
  .sort()

export const loadTarget = (name: string): Promise<Target> => import(new URL(`${name}.ts`, folder).href)

/** Inputs that once broke the target. */
export function corpus(name: string): { file: string; bytes: Uint8Array }[] {
  const from = corpusOf(name)
  if (!existsSync(from)) return []
  return readdirSync(from)
    .sort()
    .map((file) => ({ file, bytes: new Uint8Array(readFileSync(new URL(file, from))) }))
}

/** Keeps an input for ever; returns its path inside the repository. */
export function keep(name: string, bytes: Uint8Array): string {
  const file = createHash('sha256').update(bytes).digest('hex').slice(0, 16)
  mkdirSync(corpusOf(name), { recursive: true })
  writeFileSync(new URL(file, corpusOf(name)), bytes)
  return `test/fuzz/corpus/${name}/${file}`
}
