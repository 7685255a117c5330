// References in the configuration: `${env:NAME}` is an environment variable, `${file:path}` the content of a file beside
// the configuration (without its last line end), `$${` a plain `${`. They may stand anywhere in a value, in quotes or
// not. YAML itself would read the brace of an unquoted one as the start of a mapping inside `{ ... }`; `shield` therefore
// replaces braces by two private characters before YAML sees the text, one for one, so that columns stay right.
import fs from 'node:fs'
import path from 'node:path'
import { nearest } from './nearest.ts'
import type { Complaint } from './problems.ts'

const OPEN = '\uE000'
const CLOSE = '\uE001'
const REFERENCE_FILE_BYTES_MAX = 64 * 1024

export function shield(text: string): string {
  return text.replace(/\$\{([^{}\n]*)\}/g, `$$${OPEN}$1${CLOSE}`)
}

/** The text as the operator wrote it. */
export function unshield(text: string): string {
  return text.replaceAll(OPEN, '{').replaceAll(CLOSE, '}')
}

export function holdsReference(shielded: string): boolean {
  return shielded.includes(`$${OPEN}`)
}

export type Resolved = { text: string; complaint?: undefined } | { text?: undefined; complaint: Complaint }

/** A value with its references replaced; relative file names start at `directory`. */
export function resolveReferences(shielded: string, env: NodeJS.ProcessEnv, directory: string): Resolved {
  let complaint: Complaint | undefined
  const text = shielded.replace(/(\$?)\$\uE000([^\uE001]*)\uE001/g, (_, escaped: string, inner: string) => {
    if (escaped) return `\${${inner}}`
    const found = lookUp(inner, env, directory)
    if (typeof found === 'string') return found
    complaint ??= found
    return ''
  })
  return complaint ? { complaint } : { text: unshield(text) }
}

function lookUp(inner: string, env: NodeJS.ProcessEnv, directory: string): string | Complaint {
  const colon = inner.indexOf(':')
  const kind = inner.slice(0, colon)
  const name = inner.slice(colon + 1).trim()
  if (colon > 0 && kind === 'env' && name !== '') return environmentVariable(name, env)
  if (colon > 0 && kind === 'file' && name !== '') return fileContent(name, directory)
  return {
    what: 'is not a reference that skewer knows',
    got: `\${${inner}}`,
    expected: `\${env:NAME} or \${file:path}`,
    suggestion: /^\w+$/.test(inner) ? `\${env:${inner}}` : undefined,
  }
}

function environmentVariable(name: string, env: NodeJS.ProcessEnv): string | Complaint {
  const value = env[name]
  if (value !== undefined && value !== '') return value
  const meant = value === undefined ? nearest(name, Object.keys(env)) : undefined
  return {
    what: `the environment variable ${name} is ${value === undefined ? 'not set' : 'empty'}`,
    got: `\${env:${name}}`,
    suggestion: meant && `\${env:${meant}}`,
  }
}

function fileContent(name: string, directory: string): string | Complaint {
  const file = path.resolve(directory, name)
  const got = `\${file:${name}}`
  try {
    if (fs.statSync(file).size > REFERENCE_FILE_BYTES_MAX) return { what: `${file} is larger than 64KiB`, got }
    const text = fs.readFileSync(file, 'utf8').replace(/\r?\n$/, '')
    return text === '' ? { what: `${file} is empty`, got } : text
  } catch (error) {
    return { what: `${file} cannot be read (${(error as NodeJS.ErrnoException).code})`, got }
  }
}
