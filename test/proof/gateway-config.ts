// The configuration of a gateway in the proof, and the addresses by which players reach it through the network.
import type { TransportName } from './options.ts'

/** A listener: its own port, and the one that the network has before it. */
export type Entrance = { transport: TransportName; port: number; publicPort: number }

export function configOf(
  name: string,
  entrances: readonly Entrance[],
  adminPort: number,
  hostPorts: readonly number[],
  linkKey: string,
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
stateDir: ./state
admin: { port: ${adminPort} }
log: { level: error }
`
}

function listenerOf({ transport, port }: Entrance): string {
  if (transport === 'ws') return `{ transport: websocket, host: 127.0.0.1, port: ${port}, path: / }`
  return `{ transport: tcp, host: 127.0.0.1, port: ${port} }`
}

export function addressOf({ transport, publicPort }: Entrance): string {
  return `${transport}://127.0.0.1:${publicPort}${transport === 'ws' ? '/' : ''}`
}
