// What the gateway's core costs for each message, without sockets: a read of eight one-way messages goes in, is cut, judged
// and written to the link under other numbers; and the way back. The core is the one that runs, with the default policies;
// carriers are memory, and no deadline comes. Below it what it looks up: a route by name, a host for an actor. `node bench/micro/router.ts`.
import { createHmac, randomBytes } from 'node:crypto'
import { loadSettingsText } from '../../config/settings-from-yaml.ts'
import { Gateway } from '../../gateway/gateway.ts'
import { KeyRingSealer } from '../../gateway/io/sealer.ts'
import { hashName, placementScore } from '../../gateway/placement.ts'
import { RehearsalClient, RehearsalHost } from '../../gateway/rehearsal/peers.ts'
import { RouteTable } from '../../gateway/route-table.ts'
import { writeRoute } from '../../protocols/client/frames.ts'
import { linkKind } from '../../protocols/link/frames.ts'
import { writeOneway } from '../../protocols/wire/lane-frames.ts'
import { Writer } from '../../protocols/wire/writer.ts'
import { measure } from './measure.ts'

const TURN = 8
const CLIENTS = 100
const HOSTS = 16
const TURN_MS = 1
const payload = new Uint8Array(64).fill(7)

const yaml = `
listeners: [{ transport: tcp, port: 0 }]
hosts: [{ name: echo, address: "127.0.0.1:1" }]
services: { echo: { keys: any } }
routes: [{ match: "echo.*", service: echo }]
policies:
  rateLimits:
    messages: { rate: 1000000/s burst 2000000, per: session }
    bytes: { bytes: 1GiB/s burst 2GiB, per: session }
auth: { development: true }
`
const { settings, problems } = loadSettingsText(yaml, { file: 'router', directory: '.' }, {})
if (settings === undefined) throw new Error(JSON.stringify(problems))

let now = 1000
let isFlushDue = false
const dialled: string[] = []
const hmac = (key: Uint8Array, ...parts: Uint8Array[]): Uint8Array => {
  const mac = createHmac('sha256', key)
  for (const part of parts) mac.update(part)
  return new Uint8Array(mac.digest())
}
const gateway = new Gateway(settings, {
  now: () => now,
  wallNow: () => now,
  randomBytes: (length) => new Uint8Array(randomBytes(length)),
  hmac,
  sealer: new KeyRingSealer({ current: { id: '01020304', key: new Uint8Array(randomBytes(32)) } }),
  authenticator: {
    login: (token, _address, done) => done({ ok: true, user: Buffer.from(token).toString(), labels: {} }),
  },
  scheduleFlush: () => {
    isFlushDue = true
  },
  dial: (name) => dialled.push(name),
  observe() {},
})

/** Bytes that peers were given since they are measured. */
let written = 0
const host = new RehearsalHost('echo', ['echo'], new TextEncoder().encode(settings.linkKey ?? ''), hmac)
const clients = Array.from({ length: CLIENTS }, (_, i) => new RehearsalClient(`c${i}`, `10.0.0.${i}`))
const sent = new Uint32Array(CLIENTS)
const back = new Uint32Array(CLIENTS)

function settle(): void {
  for (let isQuiet = false; !isQuiet; ) {
    isQuiet = true
    for (const _ of dialled.splice(0)) host.events = gateway.linkOpened('echo', host, now)
    if (isFlushDue) {
      isFlushDue = false
      gateway.flush(now)
      isQuiet = false
    }
    for (const peer of [host, ...clients]) {
      if (peer.events === undefined) continue
      const [hasRead, hasWritten] = [peer.read(), peer.flush(now)]
      if (hasRead || hasWritten) isQuiet = false
    }
  }
}

settle()
for (const client of clients) {
  client.events = gateway.accept(client, now)
  settle()
  client.login(client.name)
  settle()
  client.attach('echo', client.name)
  settle()
  client.send('send', 'echo.say', payload)
  settle()
  if (client.attachedAs === undefined || client.closedWith !== undefined) throw new Error('a client was not attached')
}
sent.fill(1)
const w = new Writer()
writeRoute(w, linkKind.route, 0, 'echo.said')
host.events!.receive(w.drain(), now)
for (const peer of [host, ...clients]) peer.write = (batch) => void (written = (written + batch.length) & 0xffffff)

function flush(): void {
  now += TURN_MS
  if (isFlushDue) {
    isFlushDue = false
    gateway.flush(now)
  }
}

const routes = Array.from({ length: 40 }, (_, i) => ({
  ...settings.routes[0],
  match: `game${i}.${i % 2 ? '*' : 'move'}`,
}))
const table = new RouteTable(routes)
const hostHashes = Array.from({ length: HOSTS }, (_, i) => hashName(`host-${i}`))
let found = 0

await measure(`router, by message of ${payload.length} bytes`, [
  {
    what: `client to host through the core, ${TURN} a read, ${CLIENTS} clients`,
    run(count) {
      for (let i = 0; i < count; i += TURN) {
        const c = (i / TURN) % CLIENTS
        w.clear()
        for (let j = 0; j < TURN; j++) writeOneway(w, 0, ++sent[c] & 0xffff, 0, payload)
        clients[c].events!.receive(w.view(), now)
        if (c % TURN === TURN - 1) flush()
      }
      flush()
    },
  },
  {
    what: `host to client through the core, ${TURN} of ${TURN} clients a read`,
    run(count) {
      for (let i = 0; i < count; i += TURN) {
        w.clear()
        for (let j = 0; j < TURN; j++) {
          const c = (i + j) % CLIENTS
          writeOneway(w, 2 * c, ++back[c] & 0xffff, 0, payload)
        }
        host.events!.receive(w.view(), now)
        flush()
      }
    },
  },
  {
    what: 'those frames written alone, to be taken away from both',
    run(count) {
      for (let i = 0; i < count; i++) {
        if (i % TURN === 0) w.clear()
        writeOneway(w, 0, i & 0xffff, 0, payload)
      }
    },
  },
  {
    what: `route by name, of ${routes.length} rules, half with a wildcard`,
    run(count) {
      for (let i = 0; i < count; i++)
        if (table.ruleFor('echo', 'game31.jump') !== undefined) found = (found + 1) & 0xffff
    },
  },
  {
    what: `host for an actor, of ${HOSTS}`,
    run(count) {
      for (let i = 0; i < count; i++) {
        const actor = hashName('echo/room-17', i)
        let best = 0
        for (let h = 0; h < HOSTS; h++) if (placementScore(hostHashes[h], actor, 100) > best) best = h
        found = (found + best) & 0xffff
      }
    },
  },
])
if (written === 0 || found === 0) throw new Error('nothing came through')
if (clients.some(({ isOpen }) => !isOpen)) throw new Error('a client was put out')
