// Which room may import which (the table below is the house's), and what the pure rooms stay away from. A gateway core that
// reached for a socket could not run in virtual time, and a protocol that did could not run in a browser.
import { posix } from 'node:path'
import t from 'tap'
import { isCode, readText, tracked, withoutComments } from './sources.ts'

const mayImport: Record<string, readonly string[]> = {
  protocols: [],
  policies: ['protocols'],
  config: ['protocols', 'policies'],
  gateway: ['protocols', 'policies', 'config'],
  sdk: ['protocols'],
  cli: ['config', 'gateway', 'bench'],
  bench: ['sdk', 'protocols'],
}

/** Rooms that import what they need; nothing imports them, but for what stands beside it. */
const free = ['test', 'examples', 'docs', 'build', 'bin', 'deploy']

/** Import specifiers of a file, also of `import()` and of types. */
const importsOf = (path: string): string[] =>
  [...withoutComments(readText(path)).matchAll(/(?:\bfrom|\bimport)\s*\(?\s*'([^']+)'/g)].map((match) => match[1])

const roomOf = (path: string): string => path.split('/')[0]
/** Micro benchmarks time single machines, the gateway's among them; the load tool beside them only spawns gateways. */
const mayImportFrom = (path: string): readonly string[] | undefined =>
  path.startsWith('bench/micro/') ? ['sdk', 'protocols', 'policies', 'config', 'gateway'] : mayImport[roomOf(path)]
const code = tracked.filter((path) => isCode(path))

t.test('every file with code in it is in a room', async (t) => {
  for (const path of code) t.ok(mayImport[roomOf(path)] !== undefined || free.includes(roomOf(path)), path)
})

t.test('rooms import what the table lets them', async (t) => {
  let checked = 0
  for (const path of code) {
    const allowed = mayImportFrom(path)
    if (allowed === undefined) continue
    for (const specifier of importsOf(path)) {
      if (!specifier.startsWith('.')) continue
      checked++
      const target = posix.normalize(posix.join(posix.dirname(path), specifier))
      const room = roomOf(target)
      if (room === roomOf(path) || allowed.includes(room)) continue
      // What the package says of itself (name, version) belongs to no room.
      t.equal(target, 'package.json', `${path} imports ${specifier}`)
    }
  }
  t.ok(checked > 100, `${checked} imports checked`)
})

t.test('every relative import names its file with its ending', async (t) => {
  for (const path of code) {
    if (path.startsWith('bin/')) continue
    for (const specifier of importsOf(path)) {
      if (specifier.startsWith('.')) t.match(specifier, /\.(ts|js|json|cjs|mjs)$/, `${path}: ${specifier}`)
    }
  }
})

t.test('the core of the gateway sees interfaces only', async (t) => {
  for (const path of code.filter((path) => /^gateway\/[^/]+\.ts$/.test(path))) {
    for (const specifier of importsOf(path)) {
      t.ok(specifier.startsWith('.'), `${path} imports ${specifier}`)
      t.notMatch(specifier, /^\.\/(io|observe)\//, `${path} imports ${specifier}`)
    }
  }
})

t.test('protocols run in browsers and in virtual time', async (t) => {
  const outside =
    /(?<![.#\w])((Buffer|process|performance)\.|(fetch|setTimeout|setInterval|setImmediate|queueMicrotask)\()/
  const chance = /\bcrypto\.(subtle|getRandomValues|randomUUID)\b/
  const clocks = /\b(Date\.now|new Date|Math\.random)\b/
  for (const path of code.filter((path) => roomOf(path) === 'protocols')) {
    const source = withoutComments(readText(path))
    for (const specifier of importsOf(path)) {
      t.ok(specifier.startsWith('.') || specifier.startsWith('@noble/'), `${path} imports ${specifier}`)
    }
    t.strictSame(source.match(outside), null, path)
    t.strictSame(source.match(clocks), null, path)
    t.strictSame(source.match(chance), null, path)
  }
})

t.test('the core of the gateway asks its environment for the time and for chance', async (t) => {
  const outside =
    /(?<![.#\w])((Buffer|process|performance)\.|set(Timeout|Interval|Immediate)\()|\b(Math\.random|Date\.now)\b/
  for (const path of code.filter((path) => /^gateway\/[^/]+\.ts$/.test(path))) {
    t.strictSame(withoutComments(readText(path)).match(outside), null, path)
  }
})

t.test('S5: the gateway makes no acknowledgement, no message and no number of its own', async (t) => {
  const makes = /\bwrite(Ack|Oneway|Request|Reply|Replay|Fin|Latest|Unreliable)\b/
  const mints = /\bepoch\s*(\+\+|\+=)|\+\+[\w.]*epoch\b|\blife\s*[=:]\s*[\w.]*random/i
  for (const path of code.filter((path) => /^gateway\/[^/]+\.ts$/.test(path))) {
    const source = withoutComments(readText(path))
    t.strictSame(source.match(makes), null, path)
    t.strictSame(source.match(mints), null, path)
  }
})

t.test('the operating system is touched in gateway/io alone, within the gateway', async (t) => {
  const touches = /^node:(net|tls|dgram|http|https|http2|child_process|cluster|worker_threads)$/
  for (const path of code.filter((path) => roomOf(path) === 'gateway' && !path.startsWith('gateway/io/'))) {
    for (const specifier of importsOf(path)) t.notMatch(specifier, touches, `${path} imports ${specifier}`)
  }
})

t.test('nothing is re-exported but by the SDK', async (t) => {
  for (const path of code.filter((path) => mayImport[roomOf(path)] !== undefined && roomOf(path) !== 'sdk')) {
    t.strictSame(withoutComments(readText(path)).match(/^export (\*|(type )?\{[^}]*\}) from /m), null, path)
  }
})
