// The host on real sockets: TCP, TLS and Unix, its clock, its timer, its end.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync } from 'node:fs'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import t from 'tap'
import { openFrame, readAttached } from '../../../protocols/client/frames.ts'
import {
  linkKind,
  readLinkHello,
  writeLinkAttach,
  writeLinkHello,
  writeLinkProof,
} from '../../../protocols/link/frames.ts'
import { writeLocated, readLocate } from '../../../protocols/link/frames.ts'
import { writeRoute } from '../../../protocols/client/frames.ts'
import { linkProof } from '../../../protocols/link/proof.ts'
import {
  KIND_MASK,
  LaneFrame,
  laneKind,
  readLaneBody,
  readLaneHeader,
  writeRequest,
} from '../../../protocols/wire/lane-frames.ts'
import { FrameSplitter } from '../../../protocols/wire/splitter.ts'
import { Writer } from '../../../protocols/wire/writer.ts'
import { json } from '../../../sdk/codec.ts'
import { startHost } from '../../../sdk/host/host.ts'
import { isLoopback, listenOptions } from '../../../sdk/host/listener.ts'
import { service } from '../../../sdk/host/service.ts'
import { attachDefaults, hmac, utf8 } from './scripted-gateway.ts'

const stops: string[] = []
const echo = service('echo', {
  keys: 'any',
  routes: {
    'echo.say': (_ctx, payload) => payload,
    'echo.later': (_ctx, payload) => new Promise((resolve) => setTimeout(resolve, 5, payload)),
    'echo.timer': (ctx) =>
      new Promise((resolve) => {
        const started = ctx.now
        setTimeout(() => resolve(ctx.now - started), 20)
      }),
  },
  onStop: (ctx) => {
    stops.push(ctx.key)
  },
})

/** A gateway on a real socket: links, attaches, calls, and waits for what it wants to see. */
class Wire {
  readonly socket: Socket
  readonly #splitter = new FrameSplitter(1 << 20)
  readonly #frames: Uint8Array[] = []
  #arrived: () => void = () => {}
  isEnded = false

  constructor(socket: Socket) {
    this.socket = socket
    socket.on('error', () => {})
    socket.on('close', () => {
      this.isEnded = true
      this.#arrived()
    })
    socket.on('data', (bytes: Uint8Array) => {
      this.#splitter.receive(bytes, {
        frame: (b, start, end) => {
          this.#frames.push(Uint8Array.from(b.subarray(start, end)))
          return true
        },
      })
      this.#arrived()
    })
  }

  send(write: (w: Writer) => void): void {
    const w = new Writer()
    write(w)
    this.socket.write(w.drain())
  }

  /** The next frame of a kind; others are skipped. */
  async frame(kind: number): Promise<Uint8Array> {
    for (;;) {
      const frame = this.#frames.shift()
      if (frame !== undefined && (frame[0] & KIND_MASK) === kind) return frame
      if (frame !== undefined) continue
      if (this.isEnded) throw new Error('the link has ended')
      await new Promise<void>((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`no frame ${kind} in time`)), 10_000)
        this.#arrived = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
  }

  async shake(key = ''): Promise<void> {
    const nonce = new Uint8Array(16).fill(3)
    this.send((w) =>
      writeLinkHello(w, {
        versionMin: 1,
        versionMax: 1,
        nonce,
        name: 'g1',
        instance: 1n,
        serial: 1,
        services: [],
        labels: {},
      }),
    )
    const frame = await this.frame(linkKind.hello)
    const hello = readLinkHello(openFrame(frame, 0, frame.length)!)!
    const proof = linkProof(hmac, utf8(key), 'gateway', { nonce, name: 'g1' }, { nonce: hello.nonce, name: hello.name })
    this.send((w) => writeLinkProof(w, proof))
    await this.frame(linkKind.proof)
  }

  async attach(key = 'room'): Promise<void> {
    this.send((w) => writeLinkAttach(w, { ...attachDefaults, key, pinned: true }))
    const frame = await this.frame(linkKind.attached)
    readAttached(openFrame(frame, 0, frame.length)!)
    this.send((w) => {
      writeRoute(w, linkKind.route, 0, 'echo.say')
      writeRoute(w, linkKind.route, 1, 'echo.later')
      writeRoute(w, linkKind.route, 2, 'echo.timer')
    })
  }

  async call(number: number, route: number, value: unknown): Promise<unknown> {
    this.send((w) => writeRequest(w, 0, number, route, number, 0, json.encode(value)))
    const bytes = await this.frame(laneKind.reply)
    const frame = new LaneFrame()
    readLaneHeader(frame, bytes, 0, bytes.length)
    readLaneBody(frame)
    return json.decode(frame.payload())
  }
}

const dial = (address: string): Wire => {
  const { host, port, path } = listenOptions(address)
  return new Wire(path === undefined ? connect(port!, host!) : connect(path))
}

t.test('a host on a port: link, attach, call; close runs onStop and says GOODBYE', async (t) => {
  const host = await startHost({ name: 'h1', listen: '127.0.0.1:0', services: [echo], codec: json })
  const g = dial(host.address)
  await g.shake()
  await g.attach()
  t.same(await g.call(1, 0, { hello: ['world'] }), { hello: ['world'] })
  t.same(await g.call(2, 1, 'later'), 'later')
  t.ok(((await g.call(3, 2, undefined)) as number) >= 15, 'the clock of a handler runs on behind a promise')
  t.equal(host.sessionCount, 1)
  t.equal(host.linkCount, 1)
  t.equal(host.counters.handled, 3)
  t.equal(host.name, 'h1')
  t.equal(await host.drain({ withinMs: 1 }), 1)
  await g.frame(linkKind.drain)
  const goodbye = g.frame(linkKind.goodbye)
  await Promise.all([host.close(), host.close(), goodbye])
  t.same(stops, ['room'])
  t.equal(host.sessionCount, 0)
})

t.test('a Unix socket, also where a dead host has left its file', async (t) => {
  const path = `unix:${join(mkdtempSync(join(tmpdir(), 'skewer-')), 'host.sock')}`
  const script = `require('node:net').createServer().listen(${JSON.stringify(path.slice(5))}, () => process.kill(process.pid, 'SIGKILL'))`
  spawnSync(process.execPath, ['-e', script])
  const host = await startHost({ name: 'h1', listen: path, services: [echo], codec: json })
  t.equal(host.address, path)
  const g = dial(host.address)
  await g.shake()
  await g.attach()
  t.equal(await g.call(1, 0, 1), 1)
  await t.rejects(startHost({ name: 'h2', listen: path, services: [echo] }), { code: 'EADDRINUSE' })
  await host.close()
})

t.test('an actor of the host is reached from outside of any handler', async (t) => {
  const host = await startHost({ name: 'h1', listen: '127.0.0.1:0', services: [echo], codec: json })
  const g = dial(host.address)
  await g.shake()
  host.actor('echo', 'room').push('S', 'news', { of: 'today' })
  await g.frame(linkKind.invite)
  await g.attach()
  const bytes = await g.frame(laneKind.oneway)
  const frame = new LaneFrame()
  readLaneHeader(frame, bytes, 0, bytes.length)
  readLaneBody(frame)
  t.same(json.decode(frame.payload()), { of: 'today' })
  t.throws(() => host.actor('chess', 'x'), { name: 'no_service' })
  host.kick('S')
  await g.frame(linkKind.kick)
  await host.close()
})

t.test('LOCATE times out by the timer of the host', async () => {
  const host = await startHost({ name: 'h1', listen: '127.0.0.1:0', services: [echo], codec: json, locateMs: 10 })
  const g = dial(host.address)
  await g.shake()
  g.send((w) => writeLinkAttach(w, { ...attachDefaults, key: 'room' }))
  await g.frame(linkKind.locate)
  await g.frame(linkKind.refused)
  g.send((w) => writeLinkAttach(w, { ...attachDefaults, handle: 2, key: 'room' }))
  const asked = await g.frame(linkKind.locate)
  const { id } = readLocate(openFrame(asked, 0, asked.length)!)!
  g.send((w) => writeLocated(w, { id, here: false, host: '' }))
  await g.frame(linkKind.attached)
  await host.close()
})

t.test('a gateway with another key is closed out', async (t) => {
  const host = await startHost({ name: 'h1', listen: '127.0.0.1:0', services: [echo], linkKey: 'k' })
  const g = dial(host.address)
  await t.rejects(g.shake('other'), /ended/)
  await host.close()
})

t.test('TLS, with certificates on both sides', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'skewer-'))
  const file = (name: string) => join(dir, name)
  const made = spawnSync('openssl', [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'],
    ...[
      '-subj',
      '/CN=localhost',
      '-addext',
      'subjectAltName=DNS:localhost',
      '-keyout',
      file('key'),
      '-out',
      file('cert'),
    ],
  ])
  if (made.status !== 0) return t.comment('no openssl here')
  const cert = readFileSync(file('cert'), 'utf8')
  const key = readFileSync(file('key'), 'utf8')
  const host = await startHost({
    name: 'h1',
    listen: '127.0.0.1:0',
    services: [echo],
    codec: json,
    tls: { cert, key, ca: cert },
  })
  const { port } = listenOptions(host.address)
  const tls = { port: port!, host: '127.0.0.1', servername: 'localhost', ca: cert }
  const stranger = new Wire(connectTls(tls))
  await t.rejects(stranger.shake())
  const g = new Wire(connectTls({ ...tls, cert, key }))
  await g.shake()
  await g.attach()
  t.equal(await g.call(1, 0, 'sealed'), 'sealed')
  await host.close()
})

t.test('a host that is bound beyond loopback without a key or certificates does not start (L4)', async (t) => {
  for (const listen of ['0.0.0.0:0', '[::]:0', 'example.test:0']) {
    await t.rejects(startHost({ name: 'h1', listen, services: [echo] }), /linkKey/, listen)
    await t.rejects(startHost({ name: 'h1', listen, services: [echo], linkKey: '' }), /linkKey/, listen)
  }
  const host = await startHost({ name: 'h1', listen: '0.0.0.0:0', services: [echo], linkKey: 'k' })
  await host.close()
})

t.test('what can be listened on', async (t) => {
  t.same(listenOptions('127.0.0.1:7800'), { host: '127.0.0.1', port: 7800 })
  t.same(listenOptions(':7800'), { host: '127.0.0.1', port: 7800 })
  t.same(listenOptions('[::1]:7800'), { host: '::1', port: 7800 })
  t.same(listenOptions('unix:/run/h.sock'), { path: '/run/h.sock' })
  for (const bad of ['7800', 'h:70000', '::1:80', 'h:x', '']) t.throws(() => listenOptions(bad), TypeError, bad)
  t.equal(isLoopback({ host: '127.8.9.1' }), true)
  t.equal(isLoopback({ host: '127.evil.example.1' }), false)
  await t.rejects(startHost({ name: 'h1', listen: 'nowhere', services: [echo] }), TypeError)
})

t.test('a service says what is wrong with it', async (t) => {
  t.throws(() => service('a/b', { routes: {} }), TypeError)
  t.throws(() => service('', { routes: {} }), TypeError)
  t.throws(() => service('a', { routes: { $recover: () => {} } }), TypeError)
})
