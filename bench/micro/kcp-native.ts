// Our KCP engine beside ikcp as a native addon (node-kcp), on one Node and in one run: round trips of two ends in process, in
// turns. The addon is built for the Node that installs it, so that one runs both; ours is bundled for it. Run it with
// `npm install --allow-scripts=node-kcp --prefix bench/rivals/node-kcp` once, then `node bench/micro/kcp-native.ts [bytes]`.
import { execFileSync } from 'node:child_process'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import process from 'node:process'
import { build } from 'esbuild'

const ROUNDS = 5
const TURNS = 3
const TRIPS = 40_000
const payloadBytes = process.argv[2] ?? '64'
const rivals = path.join(import.meta.dirname, '../rivals/node-kcp')
if (!fs.existsSync(path.join(rivals, 'node_modules/node-kcp/build/Release/kcp.node'))) {
  console.error('node-kcp is missing: npm install --allow-scripts=node-kcp --prefix bench/rivals/node-kcp')
  process.exit(1)
}

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'skewer-kcp-'))
try {
  const ours = path.join(folder, 'kcp.mjs')
  await build({
    entryPoints: [path.join(import.meta.dirname, 'kcp-trips.ts')],
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    outfile: ours,
  })
  const node = nodeOf(path.join(rivals, 'trips.cjs'))
  const spent = { ours: [] as number[], native: [] as number[] }
  const ratios: number[] = []
  for (let turn = 0; turn < TURNS; turn++) {
    const own = trips(node, ours)
    const native = trips(node, path.join(rivals, 'trips.cjs'))
    spent.ours.push(...own)
    spent.native.push(...native)
    ratios.push(median(native) / median(own))
  }
  const version = execFileSync(node, ['-v'], { encoding: 'utf8' }).trim()
  console.log(`${payloadBytes} bytes, Node ${version}, a round trip of two ends:`)
  console.log(`ours ${median(spent.ours).toFixed(0)} ns, node-kcp ${median(spent.native).toFixed(0)} ns`)
  const spread = `${Math.min(...ratios).toFixed(1)} to ${Math.max(...ratios).toFixed(1)}`
  console.log(`node-kcp / ours ${median(ratios).toFixed(1)} (${spread} over ${TURNS} turns)`)
} finally {
  fs.rmSync(folder, { recursive: true })
}

function trips(node: string, file: string): number[] {
  const args = [file, payloadBytes, String(ROUNDS), String(TRIPS)]
  return execFileSync(node, args, { encoding: 'utf8' }).trim().split('\n').map(Number)
}

/** The Node that the addon was built for: this one, or another on the PATH. */
function nodeOf(script: string): string {
  const folders = (process.env.PATH ?? '').split(path.delimiter)
  for (const node of [process.execPath, ...folders.map((folder) => path.join(folder, 'node'))]) {
    try {
      execFileSync(node, [script, '64', '1', '1'], { stdio: 'ignore' })
      return node
    } catch {
      // Another Node's addon, or no Node.
    }
  }
  throw new Error('no Node on the PATH loads the addon: install it again')
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1]
}
