// Our KCP beside kcp-go on a network that loses: the same load over the same impairing proxy, 25 ms each way and so much
// lost each way, in turns. Latency: small messages at a fixed rate on several conversations, echoed, counted from when each
// was due. Goodput: what one conversation brings across as fast as its window lets it. Both engines have the settings of
// the preset `fast` (nodelay 1, 10 ms, resend 2, no congestion control, windows of 256, datagrams of 1,200 bytes, stream, at
// once), and neither seals. `datagrams` is what the network was given, both ways, for each message of the latency part: what
// is bought with what. Needs Go and the sources of kcp-go:
//
//   npm run bench:loss -- [--loss 0,1,5,10,30] [--seconds 6] [--turns 2] [--conversations 20] [--rate 30]
//                             [--part latency|goodput]
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import process from 'node:process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { GO_SOURCES, goEnvironment } from '../go.ts'
import { Histogram } from '../histogram.ts'
import { ImpairingProxy } from '../impairing-proxy.ts'

const DELAY_MS = 25
const PAYLOAD_BYTES = 64
const BULK_WARMUP_MS = 1000
/** Of a conversation: the first estimate of the round trip is a guess. */
const WARMUP_SECONDS = 1
const names = ['skewer', 'kcp-go'] as const
type Name = (typeof names)[number]
type Network = { lossShare: number; delayMs: number }
type Found = { latencies: Histogram; datagrams: number; messages: number; bytesPerSecond: number[] }

const { values } = parseArgs({
  options: {
    loss: { type: 'string', default: '0,1,5,10,30' },
    seconds: { type: 'string', default: '6' },
    turns: { type: 'string', default: '2' },
    conversations: { type: 'string', default: '20' },
    rate: { type: 'string', default: '30' },
    part: { type: 'string', default: 'latency and goodput' },
  },
})
const [seconds, turns, conversations, rate] = [values.seconds, values.turns, values.conversations, values.rate].map(
  Number,
)

const folder = mkdtempSync(path.join(os.tmpdir(), 'skewer-kcp-loss-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
const commands: Record<Name, string[]> = {
  skewer: [process.execPath, fileURLToPath(new URL('../processes/kcp-peer.ts', import.meta.url))],
  'kcp-go': [builtPeer()],
}

const head = ['loss', 'engine', 'p50', 'p99', 'max', 'datagrams', 'goodput']
console.log(`| ${head.join(' | ')} |\n| ---: | --- | ---: | ---: | ---: | ---: | ---: |`)
for (const percent of values.loss.split(',').map(Number)) {
  const found = new Map(names.map((name) => [name, empty()]))
  for (let turn = 0; turn < turns; turn++) {
    for (const name of turn % 2 === 0 ? names : [...names].reverse()) {
      const impairment = { lossShare: percent / 100, delayMs: DELAY_MS }
      if (values.part.includes('latency')) await pace(name, impairment, found.get(name)!)
      if (values.part.includes('goodput')) await fill(name, impairment, found.get(name)!)
    }
  }
  for (const [name, { latencies, datagrams, messages, bytesPerSecond }] of found) {
    const ms = (share: number): string => `${(latencies.percentile(share) / 1000).toFixed(1)} ms`
    const megabytes = bytesPerSecond.reduce((sum, bytes) => sum + bytes, 0) / bytesPerSecond.length / 1e6
    const paced = messages === 0 ? ['', '', '', ''] : [ms(0.5), ms(0.99), ms(1), (datagrams / messages).toFixed(2)]
    const goodput = bytesPerSecond.length === 0 ? '' : `${megabytes.toFixed(2)} MB/s`
    console.log(`| ${[`${percent} %`, name, ...paced, goodput].join(' | ')} |`)
  }
}

function empty(): Found {
  return { latencies: new Histogram(), datagrams: 0, messages: 0, bytesPerSecond: [] }
}

function builtPeer(): string {
  const env = goEnvironment()
  if (!existsSync(path.join(GO_SOURCES, 'src/github.com/xtaci/kcp-go'))) {
    return fail('kcp-go is missing: apt-get install golang-github-xtaci-kcp-dev')
  }
  const program = path.join(folder, 'peer')
  try {
    execFileSync('go', ['build', '-o', program, '.'], { cwd: path.join(import.meta.dirname, '../rivals/kcp-go'), env })
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    return fail(code === 'ENOENT' ? 'Go is missing: apt-get install golang-go' : 'the program in Go could not be built')
  }
  return program
}

function fail(why: string): never {
  console.error(why)
  process.exit(1)
}

async function pace(name: Name, impairment: Network, found: Found): Promise<void> {
  await beside(name, 'echo', impairment, async (proxy) => {
    const args = [proxy.port, conversations, rate, seconds + WARMUP_SECONDS, PAYLOAD_BYTES].map(String)
    const all = JSON.parse(await said(start(name, 'pace', ...args))) as number[][]
    for (const own of all) for (const us of own.slice(rate * WARMUP_SECONDS)) found.latencies.record(us)
    found.messages += all.reduce((sum, own) => sum + own.length, 0)
    found.datagrams += proxy.counts.up.taken + proxy.counts.down.taken
  })
}

async function fill(name: Name, impairment: Network, found: Found): Promise<void> {
  await beside(name, 'sink', impairment, async (proxy, count) => {
    const client = start(name, 'bulk', String(proxy.port), String(seconds + 2))
    const ended = said(client)
    await new Promise((resolve) => setTimeout(resolve, BULK_WARMUP_MS))
    const [from, before] = [performance.now(), await count()]
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000))
    found.bytesPerSecond.push(((await count()) - before) / ((performance.now() - from) / 1000))
    client.kill('SIGKILL')
    await ended.catch(() => {})
  })
}

/** A server and the network before it, for as long as `run` takes; `count` asks the server how many bytes came. */
async function beside(
  name: Name,
  kind: 'echo' | 'sink',
  impairment: Network,
  run: (proxy: ImpairingProxy, count: () => Promise<number>) => Promise<void>,
): Promise<void> {
  const server = start(name, 'server', kind)
  const lines = createInterface({ input: server.stdout! })[Symbol.asyncIterator]()
  const next = async (): Promise<number> => Number((await lines.next()).value)
  const proxy = await ImpairingProxy.start({ targetPort: await next(), impairment })
  try {
    await run(proxy, () => {
      server.stdin!.write('\n')
      return next()
    })
  } finally {
    proxy.close()
    server.kill('SIGKILL')
    await once(server, 'close')
  }
}

function start(name: Name, ...args: string[]): ChildProcess {
  const [program, ...first] = commands[name]
  return spawn(program, [...first, ...args], { stdio: ['pipe', 'pipe', 'inherit'] })
}

/** All that it says; rejects where it fails. */
async function said(child: ChildProcess): Promise<string> {
  let text = ''
  child.stdout!.setEncoding('utf8').on('data', (piece: string) => {
    text += piece
  })
  const [code] = (await once(child, 'close')) as [number | null]
  if (code !== 0) throw new Error(`a client ended with ${code}`)
  return text
}
