// Noise between gateway and host (KK), on real sockets: each knows the other's key. Who does not is refused on either side,
// nothing can be read on the way, and a link that is cut comes back.
import fs from 'node:fs'
import path from 'node:path'
import t, { type Test } from 'tap'
import { newNoiseKeyFile, readNoiseKey } from '../../config/noise-keys.ts'
import type { Settings } from '../../config/settings.ts'
import { connect, json } from '../../sdk/client/index.ts'
import { type HostNoise, service, startHost } from '../../sdk/host/index.ts'
import { eventually, portOf, scratchFolder, started, testSettings } from '../gateway/io/started.ts'
import { Relay } from './relay.ts'

const SECRET_TEXT = 'nobody on the way can read this'
const publicKey = (pem: string): string => readNoiseKey(pem)!.publicKey
const own = newNoiseKeyFile()
const gateway = newNoiseKeyFile()
const other = newNoiseKeyFile()

async function noiseHost(t: Test, noise: HostNoise | undefined) {
  const said: string[] = []
  const arena = service('arena', {
    keys: 'any',
    routes: {
      'arena.say': (_context, payload) => {
        said.push(payload as string)
      },
      'arena.ask': (_context, payload) => payload,
    },
  })
  const host = await startHost({ name: 'local', listen: '127.0.0.1:0', services: [arena], codec: json, noise })
  t.teardown(() => host.close())
  return { host, said }
}

/** Settings of a gateway that links by Noise to the host at `address`, whose key it takes for `hostKey`. */
function linking(t: Test, address: string, hostKey: string, change: (s: Settings) => void = () => {}): Settings {
  const keyFile = path.join(scratchFolder(t), 'gateway.key')
  fs.writeFileSync(keyFile, gateway, { mode: 0o600 })
  return testSettings(t, address, (s) => {
    s.noise = { keyFile }
    s.hosts[0] = { ...s.hosts[0], security: 'noise', publicKey: hostKey }
    s.services = [{ ...s.services[0], name: 'arena', keys: 'any' }]
    s.routes = [{ match: 'arena.*', service: 'arena' }]
    change(s)
  })
}

/** Why the gateway of these settings could not link. */
async function refusal(t: Test, settings: Settings): Promise<string> {
  const lines: string[] = []
  settings.log = { level: 'warn', format: 'json' }
  const running = await started(t, settings, { logTarget: { write: (line: string) => void lines.push(line) } })
  const refused = () => lines.map((line) => JSON.parse(line)).find((line) => line.event === 'link_refused')
  await eventually(() => refused() !== undefined, 'a refusal')
  t.not(running.gateway.hosts()[0].state, 'linked')
  await running.close()
  return refused().text
}

t.test('messages pass inside, a link that is cut comes back, and nothing can be read on the way', async (t) => {
  const { host, said } = await noiseHost(t, { key: own, gateways: [publicKey(other), publicKey(gateway)] })
  const relay = new Relay(Number(host.address.split(':')[1]))
  t.teardown(() => relay.close())
  const settings = linking(t, `127.0.0.1:${await relay.listen()}`, publicKey(own))
  const running = await started(t, settings)
  const client = connect({ gateways: [`tcp://127.0.0.1:${portOf(running, 'tcp')}`], token: 'ana', codec: json })
  t.teardown(() => client.close({ timeoutMs: 0 }))
  const room = client.actor('arena', 'room-1')
  const expected: string[] = []
  for (let cut = 0; cut < 4; cut++) {
    for (let i = 0; i < 20; i++) {
      expected.push(`${cut}:${i} ${SECRET_TEXT}`)
      room.send('arena.say', expected.at(-1))
    }
    relay.cut()
    // Larger than one record.
    const large = { cut, pad: 'x'.repeat(12_000) }
    t.same(await room.call('arena.ask', large, { timeoutMs: 10_000 }), large)
  }
  t.same(said, expected)
  const passed = Buffer.concat(relay.passed)
  t.ok(passed.length > 10_000)
  for (const word of [SECRET_TEXT, 'ana', 'arena', 'local']) t.notOk(passed.includes(word), word)
})

t.test(
  'a reload to another key of the host links anew at once; one that is wrong is taken back, and no message is lost',
  async (t) => {
    const { host, said } = await noiseHost(t, { key: own, gateways: [publicKey(gateway)] })
    const settings = linking(t, host.address, publicKey(own), (s) => {
      s.reload.rollbackWithinMs = 1500
      s.times.backoffMaxMs = 100
      s.log = { level: 'info', format: 'json' }
    })
    const lines: string[] = []
    const running = await started(t, settings, { logTarget: { write: (line: string) => void lines.push(line) } })
    const seen = (event: string) => lines.some((line) => JSON.parse(line).event === event)
    const client = connect({ gateways: [`tcp://127.0.0.1:${portOf(running, 'tcp')}`], token: 'ana', codec: json })
    t.teardown(() => client.close({ timeoutMs: 0 }))
    const room = client.actor('arena', 'room-1')
    room.send('arena.say', 'before')
    await room.call('arena.ask', 1, { timeoutMs: 10_000 })
    const wrong = { ...settings, hosts: [{ ...settings.hosts[0], publicKey: publicKey(other) }] }
    t.match(await running.configure(wrong), {
      outcome: 'reloaded',
      changes: [{ path: 'hosts[local].publicKey', touches: 'hosts' }],
    })
    t.not(running.gateway.hosts()[0].state, 'linked', 'the old link does not serve on')
    room.send('arena.say', 'meanwhile')
    await eventually(() => seen('reload_rolled_back'), 'the way back')
    t.ok(seen('link_refused'))
    t.equal(await room.call('arena.ask', 2, { timeoutMs: 10_000 }), 2)
    t.same(said, ['before', 'meanwhile'])
  },
)

t.test('a gateway or a host that the other does not know is refused, and the log says what to look at', async (t) => {
  const known = await noiseHost(t, { key: own, gateways: [publicKey(gateway)] })
  const closed = await noiseHost(t, { key: own, gateways: [publicKey(other)] })
  const plain = await noiseHost(t, undefined)
  const words = /ended the Noise handshake: does it know this gateway's public key, and is `publicKey` its own\?/
  t.match(await refusal(t, linking(t, known.host.address, publicKey(other))), words)
  t.match(await refusal(t, linking(t, closed.host.address, publicKey(own))), words)
  t.match(await refusal(t, linking(t, plain.host.address, publicKey(own))), /does not speak Noise as it should/)
  const toNoise = linking(t, known.host.address, publicKey(own), (s) => {
    s.hosts[0] = { ...s.hosts[0], security: 'none', publicKey: undefined }
  })
  t.ok(await refusal(t, toNoise), 'a plain gateway at a host with Noise')
  t.equal(known.host.linkCount, 0)
})

t.test('a host with Noise needs keys that are keys, and no other proof beyond loopback (L4)', async (t) => {
  const host = (noise: HostNoise) => startHost({ name: 'h', listen: '0.0.0.0:0', services: [], noise })
  await t.rejects(host({ key: 'junk', gateways: [publicKey(gateway)] }))
  await t.rejects(host({ key: own, gateways: ['junk'] }), RangeError)
  await t.rejects(host({ key: own, gateways: [] }), /names no gateway/)
  await t.resolves(host({ key: own, gateways: [publicKey(gateway)] }).then((started) => started.close()))
})
