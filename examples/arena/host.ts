// The game server of the demo: one actor host with the arena in it. `LISTEN` says where gateways find it.
import process from 'node:process'
import { json, startHost } from '../../sdk/host/index.ts'
import { arena } from './game.ts'

const host = await startHost({
  name: 'arena-1',
  listen: process.env.LISTEN ?? '127.0.0.1:7800',
  services: [arena],
  codec: json,
})
console.log('ready')

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.on(signal, () => {
    void host.close().finally(() => process.exit(0))
  })
}
