import { spawn } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import t from 'tap'
import { newKey, readKey } from '../../../config/keys.ts'
import { ownKeys } from '../../../gateway/io/key-file.ts'
import { KeyRingSealer, keyRing } from '../../../gateway/io/sealer.ts'
import { code } from '../../../protocols/codes.ts'
import { scratchFolder } from './started.ts'

const key = () => readKey(newKey())!
const plain = new TextEncoder().encode(
  'a ticket of about a hundred bytes: session, user, generation, secret, authority',
)

t.test('what is sealed opens again, under its context only', async (t) => {
  const sealer = new KeyRingSealer({ current: key() })
  const sealed = sealer.seal('ticket', plain)
  t.equal(sealed.length, plain.length + 4 + 12 + 16)
  const opened = sealer.open('ticket', sealed)
  t.ok('plain' in opened && Buffer.from(opened.plain).equals(plain))
  t.same(sealer.open('pin', sealed), { code: code.ticket_invalid })
  const empty = sealer.open('pin', sealer.seal('pin', new Uint8Array(0)))
  t.ok('plain' in empty && empty.plain.length === 0)
})

t.test('two seals of the same are different', async (t) => {
  const sealer = new KeyRingSealer({ current: key() })
  t.notOk(Buffer.from(sealer.seal('ticket', plain)).equals(sealer.seal('ticket', plain)))
})

t.test('a change of any byte is found', async (t) => {
  const sealer = new KeyRingSealer({ current: key() })
  const sealed = sealer.seal('ticket', plain)
  for (let i = 0; i < sealed.length; i++) {
    const changed = sealed.slice()
    changed[i] ^= 1
    t.same(sealer.open('ticket', changed), { code: i < 4 ? code.ticket_key_unknown : code.ticket_invalid })
  }
  for (const length of [0, 3, 31, sealed.length - 1]) {
    t.same(sealer.open('ticket', sealed.subarray(0, length)), { code: code.ticket_invalid })
  }
})

t.test('T3: next, current and previous keys open, current seals, any other is unknown and comes back', async (t) => {
  const [a, b, c, d] = [key(), key(), key(), key()]
  const sealedBy = (k: typeof a) => new KeyRingSealer({ current: k }).seal('ticket', plain)
  const sealer = new KeyRingSealer({ next: c, current: b, previous: a })
  for (const k of [a, b, c]) t.ok('plain' in sealer.open('ticket', sealedBy(k)))
  t.same(sealer.open('ticket', sealedBy(d)), { code: code.ticket_key_unknown })
  t.ok('plain' in new KeyRingSealer({ current: b }).open('ticket', sealer.seal('ticket', plain)))
  sealer.reload(keyRing({ next: d, current: c, previous: b }))
  t.same(sealer.open('ticket', sealedBy(a)), { code: code.ticket_key_unknown })
  t.ok('plain' in sealer.open('ticket', sealedBy(d)))
})

t.test('T3: a gateway without keys makes its own once, readable by its owner only', async (t) => {
  const folder = path.join(scratchFolder(t), 'state')
  const keys = ownKeys(folder)
  t.same(ownKeys(folder), keys)
  t.same(fs.readdirSync(folder), ['keys.json'])
  t.equal(fs.statSync(path.join(folder, 'keys.json')).mode & 0o777, 0o600)
  const sealed = new KeyRingSealer(keys).seal('ticket', plain)
  t.ok('plain' in new KeyRingSealer(ownKeys(folder)).open('ticket', sealed))
})

t.test('T3: processes that start at once in one folder get the same key', async (t) => {
  const folder = scratchFolder(t)
  const file = new URL('../../../gateway/io/key-file.ts', import.meta.url).href
  const program = `
    const { ownKeys } = await import(${JSON.stringify(file)})
    process.stdin.once('data', () => { console.log(ownKeys(process.argv[1]).current.id); process.exit() })
    console.log('up')`
  const racers = Array.from({ length: 4 }, () => {
    const child = spawn(process.execPath, ['--input-type=module', '-e', program, folder], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    t.teardown(() => child.kill('SIGKILL'))
    const lines = child.stdout.setEncoding('utf8')
    return { child, up: new Promise((resolve) => lines.once('data', resolve)), lines }
  })
  await Promise.all(racers.map(({ up }) => up))
  const ids = racers.map(({ lines }) => new Promise((resolve) => lines.once('data', resolve)))
  for (const { child } of racers) child.stdin.write('go\n')
  const found = new Set(await Promise.all(ids))
  t.equal(found.size, 1)
})

t.test('T3: a file cut short or of other content is an error, not a new key', async (t) => {
  for (const text of ['', '{"keys":', '{"keys":[]}', '{"keys":["short"]}', 'null']) {
    const folder = scratchFolder(t)
    fs.writeFileSync(path.join(folder, 'keys.json'), text)
    t.throws(() => ownKeys(folder), /does not hold ticket keys; remove it/)
  }
})

t.test('a draft that a killed process left behind does no harm', async (t) => {
  const folder = scratchFolder(t)
  fs.writeFileSync(path.join(folder, 'keys.1234.abcdef'), '{"ke')
  t.ok(ownKeys(folder).current)
})
