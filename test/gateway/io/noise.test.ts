// Noise at the gateway's ports, on real sockets: clients that are right, and everybody else. What is wrong gets nothing but
// the end, costs nothing, and is counted by what it was.
import { createHmac } from 'node:crypto'
import fs from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import tls from 'node:tls'
import t from 'tap'
import { newNoiseKeyFile, readNoiseKey } from '../../../config/noise-keys.ts'
import type { RunningGateway } from '../../../gateway/io/process.ts'
import { clientKind, openFrame, readClose, writeResume } from '../../../protocols/client/frames.ts'
import { code } from '../../../protocols/codes.ts'
import { Reader } from '../../../protocols/wire/reader.ts'
import { Writer } from '../../../protocols/wire/writer.ts'
import { type NoiseClient, overNoise, type RawPipe, rawPipe } from './noise-pipe.ts'
import { clientShare } from '../../../gateway/io/turn-share.ts'
import { ScriptedHost } from './scripted-host.ts'
import { eventually, portOf, scratchFolder, started, type Test, testSettings } from './started.ts'

const transports = ['tcp', 'websocket'] as const
const keyOf = (running: RunningGateway) => new Uint8Array(Buffer.from(running.noisePublicKey!, 'base64url'))

async function noiseGateway(t: Test, hostAddress = '127.0.0.1:1', handshakeMs = 300) {
  const log: string[] = []
  const settings = testSettings(t, hostAddress, (s) => {
    for (const listener of s.listeners) listener.security = 'noise'
    s.times.handshakeMs = handshakeMs
    s.log.level = 'info'
  })
  const logTarget = { write: (line: string) => void log.push(line) }
  const running = await started(t, settings, { logTarget })
  return { settings, running, log, key: keyOf(running) }
}

async function dialed(t: Test, running: RunningGateway, transport: (typeof transports)[number]): Promise<RawPipe> {
  const pipe = await rawPipe(transport, portOf(running, transport))
  t.teardown(() => pipe.destroy())
  return pipe
}

const metrics = async (running: RunningGateway) => (await fetch(`${running.adminAddress}/metrics`)).text()
const gone = (pipe: RawPipe) => eventually(() => pipe.isGone, 'the end')

for (const transport of transports) {
  t.test(`${transport}: messages of all sizes go to the host and back, also byte by byte`, async (t) => {
    const host = new ScriptedHost({ name: 'local' })
    t.teardown(() => host.close())
    const { running, key } = await noiseGateway(t, await host.listen(), 5000)
    for (const pieces of [Infinity, 1]) {
      const { client } = overNoise(await dialed(t, running, transport), transport, { gatewayKey: key }, pieces)
      await client.login('ada')
      await client.attach('arena', 'a1', client.welcome!.generation)
      const sizes = [0, 1, 100, 127, 128, 1000, 8000, 15000]
      for (const [i, size] of sizes.entries()) {
        client.send(new Uint8Array(size).fill(i))
        await client.until(() => client.received.length === i + 1, `message ${i}`)
        t.ok(client.received[i].length === size && client.received[i].every((byte) => byte === i), `${size} bytes`)
      }
      const { connections } = running.gateway.sessions()[0]
      t.equal(connections[0].transport, `${transport}-noise`)
      const shown = (await (await fetch(`${running.adminAddress}/listeners`)).json()) as { publicKey: string }[]
      t.ok(shown.length === 2 && shown.every(({ publicKey }) => publicKey === running.noisePublicKey))
      client.pipe.destroy()
      await eventually(() => running.gateway.connections.size === 0, 'the end of it')
    }
  })
}

t.test('a client that knows another key gets no answer, and an operator reads why', async (t) => {
  for (const transport of transports) {
    const { running, log } = await noiseGateway(t)
    const pipe = await dialed(t, running, transport)
    overNoise(pipe, transport, { gatewayKey: new Uint8Array(32).fill(9) })
    await gone(pipe)
    t.equal(Buffer.concat(pipe.received).length, 0, 'SEC-2.3')
    t.match(await metrics(running), 'skewer_handshakes_failed_total{reason="noise"} 1')
    t.match(log.join(''), /"what":"the client knows another public key than ours/)
    t.match(await metrics(running), 'skewer_sockets_open 0')
  }
})

t.test('garbage, half a handshake and silence cost a place for the handshake time at most', async (t) => {
  const { running, key } = await noiseGateway(t)
  const whole = Buffer.concat(await firstBytes(key))
  const starts = [
    Buffer.from('00534b', 'hex'),
    Buffer.from('00534b0101ffff', 'hex'),
    whole.subarray(0, 7),
    whole.subarray(0, whole.length - 1),
    Buffer.alloc(0),
    Buffer.from('00534b010101ffff', 'hex'),
    Buffer.from('00534b0901013000', 'hex'),
    Buffer.alloc(2000, 0xff),
  ]
  for (const start of starts) {
    const pipe = await dialed(t, running, 'tcp')
    pipe.write(start)
    await gone(pipe)
    t.equal(Buffer.concat(pipe.received).length, 0, start.subarray(0, 8).toString('hex'))
  }
  t.equal(running.gateway.connections.size, 0)
  t.match(await metrics(running), 'skewer_handshakes_failed_total{reason="noise_timeout"} 6')
  t.match(await metrics(running), 'skewer_sockets_open 0')
})

t.test('O1: a handshake that waits here is not too late, for as long again at most', async (t) => {
  const { running, key } = await noiseGateway(t)
  const { isSpent } = clientShare
  t.teardown(() => Object.assign(clientShare, { isSpent }))
  clientShare.isSpent = () => true
  const pipe = await dialed(t, running, 'tcp')
  const { client } = overNoise(pipe, 'tcp', { gatewayKey: key })
  await eventually(() => clientShare.keptBytes > 0, 'the first message')
  // One and a half times that of the handshake.
  await new Promise((resolve) => setTimeout(resolve, 450))
  t.notOk(pipe.isGone)
  Object.assign(clientShare, { isSpent })
  await client.login('ada')
  t.equal(client.welcome?.user, 'ada')
  clientShare.isSpent = () => true
  const inVain = await dialed(t, running, 'tcp')
  overNoise(inVain, 'tcp', { gatewayKey: key })
  await gone(inVain)
  t.match(await metrics(running), 'skewer_handshakes_failed_total{reason="noise_timeout"} 1')
})

/** What a client would send first. */
async function firstBytes(gatewayKey: Uint8Array): Promise<Uint8Array[]> {
  const sent: Uint8Array[] = []
  const pipe = { write: (bytes: Uint8Array) => void sent.push(Uint8Array.from(bytes)), destroy() {} }
  overNoise(pipe as unknown as RawPipe, 'tcp', { gatewayKey })
  return sent
}

t.test('what was recorded and is sent again is answered, and then nothing of it can be opened', async (t) => {
  const { running, key } = await noiseGateway(t)
  const sent: Uint8Array[] = []
  const pipe = await dialed(t, running, 'tcp')
  const write = pipe.write.bind(pipe)
  pipe.write = (bytes) => {
    sent.push(Uint8Array.from(bytes))
    write(bytes)
  }
  const { client } = overNoise(pipe, 'tcp', { gatewayKey: key })
  await client.login('ada')
  const before = running.gateway.sessions().length
  const again = await dialed(t, running, 'tcp')
  for (const bytes of sent) again.write(bytes)
  await gone(again)
  t.equal(running.gateway.sessions().length, before, 'the login was not repeated')
  t.equal(running.gateway.connections.size, 1)
})

t.test('one changed bit in a record is the end of the connection, and of nothing else', async (t) => {
  const { running, key } = await noiseGateway(t)
  const pipe = await dialed(t, running, 'tcp')
  const { client } = overNoise(pipe, 'tcp', { gatewayKey: key })
  await client.login('ada')
  const write = pipe.write.bind(pipe)
  pipe.write = (bytes) => {
    const changed = Uint8Array.from(bytes)
    changed[changed.length - 1] ^= 1
    write(changed)
  }
  client.send(new Uint8Array(10))
  await gone(pipe)
  t.equal(client.closedWith, undefined, 'without an answer (SEC-5.4)')
  const { client: next } = overNoise(await dialed(t, running, 'tcp'), 'tcp', { gatewayKey: key })
  await next.login('bob')
})

// ---- tickets (A1, CLI-4.9) ----

const NO_BYTES = new Uint8Array(0)

/** RESUME as the first record; `ticket` empty: that of the handshake. */
function resume({ client, established }: NoiseClient, secret: Uint8Array, ticket: Uint8Array): void {
  const proof = createHmac('sha256', secret).update('skewer-resume-1').update(client.nonce!)
  const w = new Writer(2048)
  writeResume(w, {
    version: 1,
    proof: new Uint8Array(proof.update(established()!.binding).digest()),
    ticket,
    agent: 'test',
  })
  client.pipe.write(w.drain())
}

t.test('a ticket in the handshake resumes the session, once its secret was proved by a record', async (t) => {
  const { running, key } = await noiseGateway(t)
  const { client: first } = overNoise(await dialed(t, running, 'tcp'), 'tcp', { gatewayKey: key })
  await first.login('ada')
  const { secret, ticket, session } = first.welcome!
  const again = overNoise(await dialed(t, running, 'tcp'), 'tcp', { gatewayKey: key, resume: { ticket, secret } })
  await again.client.until(() => again.client.isGreeted, 'HELLO')
  t.equal(again.established()!.code, code.ok)
  resume(again, secret, NO_BYTES)
  await again.client.until(() => again.client.welcome !== undefined, 'WELCOME')
  t.equal(again.client.welcome!.session, session)
  t.same(again.client.welcome!.ticket, ticket, 'CLI-4.4')

  const stolen = overNoise(await dialed(t, running, 'tcp'), 'tcp', {
    gatewayKey: key,
    resume: { ticket, secret: new Uint8Array(32).fill(1) },
  })
  await stolen.client.until(() => stolen.stream.failure !== undefined || stolen.client.isGreeted, 'an answer')
  t.equal(stolen.stream.failure, 'forged', 'who has stolen a ticket without its secret cannot read the answer')

  const without = overNoise(await dialed(t, running, 'tcp'), 'tcp', { gatewayKey: key })
  await without.client.until(() => without.client.isGreeted, 'HELLO')
  resume(without, secret, NO_BYTES)
  await without.client.until(() => without.client.closedWith !== undefined, 'CLOSE')
  t.equal(without.client.closedWith!.code, code.ticket_invalid, 'there was no ticket in that handshake')
})

t.test('a ticket that is refused leaves a connection of first contact', async (t) => {
  const { running, key } = await noiseGateway(t)
  const forged = { ticket: new Uint8Array(120).fill(3), secret: new Uint8Array(32) }
  for (const what of ['RESUME', 'LOGIN'] as const) {
    const refused = overNoise(await dialed(t, running, 'tcp'), 'tcp', { gatewayKey: key, resume: forged })
    await refused.client.until(() => refused.client.isGreeted, 'HELLO')
    t.equal(refused.established()!.code, code.ticket_key_unknown)
    if (what === 'LOGIN') {
      await refused.client.login('ada')
      t.equal(refused.client.welcome!.user, 'ada')
      continue
    }
    resume(refused, forged.secret, forged.ticket)
    await refused.client.until(() => refused.client.closedWith !== undefined, 'CLOSE')
    t.equal(refused.client.closedWith!.code, code.ticket_key_unknown, 'as without Noise')
  }
})

// ---- another security than the port's ----

/** What a bare socket gets that sends these bytes and waits for the end. */
async function answerTo(t: Test, running: RunningGateway, transport: string, bytes: string | Uint8Array) {
  const socket = net.connect(portOf(running, transport), '127.0.0.1')
  t.teardown(() => socket.destroy())
  const chunks: Buffer[] = []
  socket.on('data', (chunk) => chunks.push(chunk as Buffer)).on('error', () => {})
  socket.write(bytes)
  await new Promise((resolve) => socket.once('close', resolve))
  return Buffer.concat(chunks)
}

function closeIn(answer: Uint8Array): { code: number; text: string } | undefined {
  for (let at = 0; at < answer.length; ) {
    const r = new Reader().over(answer, at, answer.length)
    const length = r.varint()
    const start = at + (length < 0x80 ? 1 : 2)
    if (answer[start] === clientKind.close) return readClose(openFrame(answer, start, start + length)!)
    at = start + length
  }
  return undefined
}

t.test('TLS, HTTP and plain frames on a port of Noise are told so in their own words', async (t) => {
  const { running, log } = await noiseGateway(t, '127.0.0.1:1', 2000)
  const ping = Uint8Array.of(3, clientKind.login, 0, 0)
  t.match(closeIn(await answerTo(t, running, 'tcp', ping)), {
    code: code.wrong_security,
    text: /this port speaks Noise/,
  })
  t.match(
    String(await answerTo(t, running, 'tcp', 'GET / HTTP/1.1\r\nHost: x\r\n\r\n')),
    /^HTTP\/1\.1 400 .*speaks Noise/s,
  )
  const error = await new Promise<NodeJS.ErrnoException>((resolve) => {
    const socket = tls.connect({ port: portOf(running, 'tcp'), host: '127.0.0.1', rejectUnauthorized: false })
    socket.on('error', resolve)
  })
  t.match(error.code, /ALERT_HANDSHAKE_FAILURE/)
  t.match(await metrics(running), 'skewer_handshakes_failed_total{reason="wrong_security"} 3')
  for (const spoken of ['skewer-plain', 'http', 'tls']) {
    t.ok(
      log.some((line) => line.includes('wrong security') && line.includes(`"spoken":"${spoken}"`)),
      spoken,
    )
  }
})

t.test('Noise, TLS and HTTP on a plain port are closed with wrong_security', async (t) => {
  const settings = testSettings(t, '127.0.0.1:1', (s) => {
    s.log.level = 'info'
  })
  const log: string[] = []
  const running = await started(t, settings, { logTarget: { write: (line: string) => void log.push(line) } })
  const hello = Buffer.concat([Buffer.from('16030100c8010000c40303', 'hex'), Buffer.alloc(200, 7)])
  const noise = Buffer.concat(await firstBytes(new Uint8Array(32).fill(9)))
  for (const [bytes, spoken] of [
    [noise, 'skewer-noise'],
    [hello, 'tls'],
    ['GET / HTTP/1.1\r\n\r\n', 'http'],
  ] as const) {
    const answer = closeIn(await answerTo(t, running, 'tcp', bytes))
    t.match(answer, { code: code.wrong_security, text: `this port speaks the plain protocol, not ${spoken}` })
    t.ok(
      log.some((line) => line.includes('"listener":"tcp-') && line.includes(`"spoken":"${spoken}"`)),
      spoken,
    )
  }
  t.match(await metrics(running), 'skewer_connections_closed_total{code="wrong_security"} 3')
  for (const bytes of [noise, hello]) await answerTo(t, running, 'websocket', bytes)
  t.match(await metrics(running), 'skewer_handshakes_failed_total{reason="wrong_security"} 2')
})

// ---- keys ----

t.test('another key takes effect by a reload, for new connections, and what is open goes on', async (t) => {
  const folder = scratchFolder(t)
  const write = (name: string) => {
    const pem = newNoiseKeyFile()
    const file = path.join(folder, name)
    fs.writeFileSync(file, pem, { mode: 0o600 })
    return { file, key: new Uint8Array(Buffer.from(readNoiseKey(pem)!.publicKey, 'base64url')) }
  }
  const [a, b] = [write('a.pem'), write('b.pem')]
  const settings = testSettings(t, '127.0.0.1:1', (s) => {
    for (const listener of s.listeners) listener.security = 'noise'
    s.noise = { keyFile: a.file }
  })
  const running = await started(t, settings)
  const { client: open } = overNoise(await dialed(t, running, 'tcp'), 'tcp', { gatewayKey: a.key })
  await open.login('ada')
  const change = async (noise: { keyFile: string; previousKeyFile?: string }) => {
    const { outcome } = await running.configure({ ...structuredClone(settings), noise })
    t.equal(outcome, 'reloaded')
  }
  const isLetIn = async (gatewayKey: Uint8Array) => {
    const pipe = await dialed(t, running, 'websocket')
    const { client } = overNoise(pipe, 'websocket', { gatewayKey })
    await client.until(() => client.isGreeted || client.isGone, 'HELLO or the end')
    return client.isGreeted
  }
  await change({ keyFile: b.file, previousKeyFile: a.file })
  t.same([await isLetIn(a.key), await isLetIn(b.key)], [true, true])
  await change({ keyFile: b.file })
  t.same([await isLetIn(a.key), await isLetIn(b.key)], [false, true])
  const broken = await running.configure({ ...structuredClone(settings), noise: { keyFile: path.join(folder, 'no') } })
  t.match(broken, { outcome: 'refused', reason: /no cannot be read \(ENOENT\)/ })
  t.ok(await isLetIn(b.key))
  t.notOk(open.isGone, 'what is open goes on')
  t.equal(running.noisePublicKey, Buffer.from(b.key).toString('base64url'))
})

t.test('a listener that goes takes the handshakes under way with it', async (t) => {
  const { settings, running } = await noiseGateway(t, '127.0.0.1:1', 60_000)
  const pipe = await dialed(t, running, 'tcp')
  pipe.write(Buffer.from('00534b01', 'hex'))
  await eventually(() => running.gateway.connections.size === 0, 'nothing')
  const fewer = structuredClone(settings)
  fewer.listeners = fewer.listeners.filter(({ transport }) => transport !== 'tcp')
  await running.configure(fewer)
  await gone(pipe)
  t.pass('it is closed')
})
