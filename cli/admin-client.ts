// Calls to the admin port of a running gateway. Where it is: --admin, else $SKEWER_ADMIN, else what the configuration
// file says, else http://127.0.0.1:9902. The token: $SKEWER_ADMIN_TOKEN, else that of the configuration file; never an
// argument, which other users of the machine could read.
import process from 'node:process'
import { loadSettings } from '../config/settings-from-yaml.ts'
import { configFile } from './load.ts'
import { Failure, exitCode } from './failure.ts'
import { printProblems } from './output.ts'

export type AdminFlags = { admin?: string; config?: string }
export type AdminAnswer = { status: number; body: unknown }

const TIMEOUT_MS = 5000

/** One request; the body is parsed where it is JSON. Fails where nobody answers or the token is refused. */
export async function callAdmin(
  method: 'GET' | 'POST',
  path: string,
  flags: AdminFlags,
  send?: object,
): Promise<AdminAnswer> {
  const { url, token } = adminAddress(flags)
  const headers: Record<string, string> = { accept: 'application/json' }
  if (token !== undefined) headers.authorization = `Bearer ${token}`
  if (send !== undefined) headers['content-type'] = 'application/json'
  const signal = AbortSignal.timeout(TIMEOUT_MS)
  const { status, text } = await fetch(new URL(path, url), {
    method,
    headers,
    body: send && JSON.stringify(send),
    signal,
  })
    .then(async (response) => ({ status: response.status, text: await response.text() }))
    .catch((error: Error) => {
      throw new Failure(`no gateway answers at ${url} (${reasonOf(error)})`)
    })
  if (status === 401) {
    throw new Failure(
      `the gateway at ${url} wants a token: set SKEWER_ADMIN_TOKEN to the \`admin.token\` of its configuration`,
    )
  }
  return { status, body: parsed(text) }
}

/** As `callAdmin`, failing on every answer but success. */
export async function askAdmin(
  method: 'GET' | 'POST',
  path: string,
  flags: AdminFlags,
  send?: object,
): Promise<unknown> {
  const { status, body } = await callAdmin(method, path, flags, send)
  if (status >= 200 && status < 300) return body
  const says = (body as { error?: unknown } | null)?.error ?? body
  const text = typeof says === 'string' ? says : JSON.stringify(says)
  throw new Failure(`the gateway answered ${status} to ${method} ${path}: ${text}`)
}

function adminAddress(flags: AdminFlags): { url: string; token: string | undefined } {
  // Empty is not set, as with $SKEWER_CONFIG.
  const token = process.env.SKEWER_ADMIN_TOKEN || undefined
  const written = flags.admin ?? (process.env.SKEWER_ADMIN || undefined)
  if (written !== undefined) return { url: checkedUrl(written), token }
  const file = configFile(flags)
  if (file === undefined) return { url: 'http://127.0.0.1:9902', token }
  const { settings, problems } = loadSettings(file, process.env)
  if (!settings) {
    printProblems(problems)
    throw new Failure(`${file} does not say where the admin port is (\`skewer check\`); --admin does`, exitCode.usage)
  }
  const { admin } = settings
  if (!admin.enabled) throw new Failure(`${file} has the admin port switched off`)
  const host =
    { '0.0.0.0': '127.0.0.1', '::': '[::1]' }[admin.host] ?? (admin.host.includes(':') ? `[${admin.host}]` : admin.host)
  return { url: `http://${host}:${admin.port}`, token: token ?? admin.token }
}

function checkedUrl(written: string): string {
  const url = /^https?:\/\//.test(written) ? written : `http://${written}`
  if (URL.canParse(url)) return url
  throw new Failure(`${written} is not an address of an admin port, such as http://127.0.0.1:9902`, exitCode.usage)
}

function reasonOf(error: Error): string {
  if (error.name === 'TimeoutError') return `nothing within ${TIMEOUT_MS / 1000} s`
  const cause = error.cause as NodeJS.ErrnoException | undefined
  return cause?.code ?? cause?.message ?? error.message
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
