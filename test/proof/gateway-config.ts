// The configuration of a gateway in the proof, and the addresses by which players reach it through the network. Datagrams
// are sealed: on a path that corrupts them, plain ones could promise nothing.
import type { TransportName } from './options.ts'

/** A listener: its own port, and the one that the network has before it. */
export type Entrance = { transport: TransportName; isSealed: boolean; port: number; publicPort: number }

export function configOf(
  name: string,
  entrances: readonly Entrance[],
  adminPort: number,
  hostPorts: readonly number[],
  linkKey: string,
  noiseKeyFile: string,
): string {
  return `version: 1
name: ${name}
listeners:
${entrances.map((entrance) => `  - ${listenerOf(entrance)}`).join('\n')}
hosts:
${hostPorts.map((port, i) => `  - { name: h${i + 1}, address: '127.0.0.1:${port}' }`).join('\n')}
services:
  proof: { keys: user, whenAway: park }
routes:
  - { match: proof.limited, service: proof, rate: 1/s burst 2 }
  - { match: proof.*, service: proof }
auth: { development: true }
linkKey: ${linkKey}
noise: { keyFile: ${noiseKeyFile} }
stateDir: ./state
admin: { port: ${adminPort} }
log: { level: error }
`
}

function listenerOf({ transport, isSealed, port }: Entrance): string {
  const kinds = { tcp: 'tcp', ws: 'websocket, path: /', kcp: 'udp' }
  const security = isSealed ? 'noise' : 'none'
  return `{ transport: ${kinds[transport]}, host: 127.0.0.1, port: ${port}, security: ${security} }`
}

export function addressOf({ transport, isSealed, publicPort }: Entrance, publicKey: string): string {
  return `${transport}://127.0.0.1:${publicPort}/${isSealed ? `?key=${publicKey}` : ''}`
}
