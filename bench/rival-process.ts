// Proxies to be compared with, in front of a plain echo, with the configurations of rivals/. One that is not installed is
// named with the Debian packages that bring it.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { certificateIn } from './certificate.ts'
import { type Crew, freePort } from './crew.ts'
import { canConnect, isBound, programOf, searchedFolders } from './installed.ts'
import { startKcptun } from './kcptun-process.ts'
import { type KcptunName, kcptunNames, type ProxyName } from './options.ts'

const START_MS = 15_000
/** Connections of the last turn that are not gone yet, and those that look whether it listens. */
const SPARE = 500
/** Clients over datagrams do not say when they go: those of so many turns have room at once. */
const TURNS_KEPT = 4
const NGINX_STREAM_MODULE = '/usr/lib/nginx/modules/ngx_stream_module.so'

/** What is proxied, and so which configuration of rivals/ is used. */
export type ProxyStyle = 'tcp' | 'tls' | 'udp' | 'websocket' | 'http'

const proxies = {
  nginx: {
    configs: {
      tcp: 'nginx.conf',
      tls: 'nginx-tls.conf',
      udp: 'nginx-udp.conf',
      websocket: 'nginx-websocket.conf',
      http: 'nginx-http.conf',
    },
    debianPackages: 'nginx libnginx-mod-stream',
    args: (file: string, folder: string) => ['-p', folder, '-c', file],
  },
  haproxy: {
    configs: { tcp: 'haproxy.cfg', http: 'haproxy-http.cfg' },
    debianPackages: 'haproxy',
    args: (file: string) => ['-db', '-f', file],
  },
} as const

/** What to install for it; undefined where it is there. */
export function missingRival(name: ProxyName, searched = searchedFolders()): string | undefined {
  const [program, packages] = isKcptun(name) ? ['kcptun-server', 'kcptun'] : [name, proxies[name].debianPackages]
  return programOf(program, searched) === undefined ? `${name} is missing: apt-get install ${packages}` : undefined
}

const isKcptun = (name: ProxyName): name is KcptunName => kcptunNames.some((kcptun) => kcptun === name)

/** @returns the process and the port at which it proxies to `target` */
export async function startProxy(
  crew: Crew,
  name: ProxyName,
  folder: string,
  target: number,
  clients: number,
  style: ProxyStyle = 'tcp',
) {
  if (isKcptun(name)) return startKcptun(crew, name, folder, target, clients)
  const port = await freePort()
  const { configs, args } = proxies[name]
  const config = (configs as Partial<Record<ProxyStyle, string>>)[style]
  if (config === undefined) throw new Error(`${name} has no configuration for ${style}`)
  const file = path.join(folder, config)
  const loadModule = existsSync(NGINX_STREAM_MODULE) ? `load_module ${NGINX_STREAM_MODULE};` : ''
  const values: Record<string, string | number> = {
    port,
    target,
    folder,
    loadModule,
    connections: clients + SPARE,
    descriptors: 2 * (TURNS_KEPT * clients + SPARE),
    ...(style === 'tls' ? certificateIn(folder) : {}),
  }
  const filled = readFileSync(new URL(`./rivals/${config}`, import.meta.url), 'utf8').replace(
    /\{\{(\w+)\}\}/g,
    (_, key: string) => String(values[key] ?? ''),
  )
  writeFileSync(file, filled)
  const program = crew.program(name, programOf(name)!, args(file, folder), path.join(folder, `${name}.log`))
  await program.until(() => (style === 'udp' ? isBound(port) : canConnect(port)), START_MS)
  return { pid: program.pid, port }
}
