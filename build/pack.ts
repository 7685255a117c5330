// What is published, made from the sources (`prepack`): Node runs no TypeScript under node_modules.
//
//   dist/<room>/**/*.js      every room with its types stripped: blanks in their place, so that lines and columns of a
//                            stack trace are those of the sources; imports end in .js
//   dist/sdk, dist/protocols/**/*.d.ts   types of the two SDK ends and of what they name
//   dist/browser/skewer-client.js        the client SDK for a browser, one ES module
import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import path from 'node:path'
import process from 'node:process'
import { build } from 'esbuild'

const root = path.join(import.meta.dirname, '..')
const dist = path.join(root, 'dist')
const rooms = ['protocols', 'policies', 'config', 'gateway', 'sdk', 'cli', 'bench']
const IMPORT_OF_TS = /(\bfrom\s*|\bimport\s*\(?\s*|\bnew URL\(\s*)(['"])(\.{1,2}\/[^'"\n]+)\.ts\2/g

// Stripping is stable enough to run the gateway itself by it; its warning is not for whoever packs.
process.removeAllListeners('warning')
fs.rmSync(dist, { recursive: true, force: true })
const counts = { js: 0, types: 0 }
for (const room of rooms) stripRoom(room)
writePackageFile()
declareTypes()
checkImports()
await bundleForBrowsers()
console.log(`dist: ${counts.js} modules, ${counts.types} type declarations, a browser bundle of ${browserKib()} KiB`)

function stripRoom(room: string): void {
  for (const name of filesIn(path.join(root, room))) {
    const source = path.join(root, room, name)
    const target = path.join(dist, room, name)
    fs.mkdirSync(path.dirname(target), { recursive: true })
    if (!name.endsWith('.ts')) fs.copyFileSync(source, target)
    else {
      const stripped = stripTypeScriptTypes(fs.readFileSync(source, 'utf8'), { mode: 'strip' })
      fs.writeFileSync(target.replace(/\.ts$/, '.js'), withJsEndings(stripped))
      counts.js++
    }
  }
}

/** Modules find version and module type in the nearest package.json, one folder above their room as in the sources. */
function writePackageFile(): void {
  const { name, version, type } = JSON.parse(fs.readFileSync(path.join(root, 'package.json'), 'utf8'))
  fs.writeFileSync(path.join(dist, 'package.json'), `${JSON.stringify({ name, version, type }, undefined, 2)}\n`)
}

function declareTypes(): void {
  const compiler = path.join(root, 'node_modules/typescript/bin/tsc')
  const run = spawnSync(process.execPath, [compiler, '-p', path.join(root, 'build/tsconfig.types.json')], {
    stdio: 'inherit',
  })
  if (run.status !== 0) throw new Error('the type declarations could not be made')
  for (const name of filesIn(dist).filter((name) => name.endsWith('.d.ts'))) {
    const file = path.join(dist, name)
    fs.writeFileSync(file, withJsEndings(fs.readFileSync(file, 'utf8')))
    counts.types++
  }
}

/** Every import of a file of ours must have its file, in modules and in declarations. */
function checkImports(): void {
  for (const name of filesIn(dist).filter((name) => /\.(js|d\.ts)$/.test(name))) {
    const text = fs.readFileSync(path.join(dist, name), 'utf8')
    for (const [, , , imported] of text.matchAll(/(\bfrom\s*|\bimport\s*\(?\s*)(['"])(\.{1,2}\/[^'"\n]+)\2/g)) {
      const file = path.resolve(dist, path.dirname(name), imported)
      const found = name.endsWith('.d.ts') ? file.replace(/\.js$/, '.d.ts') : file
      if (!fs.existsSync(found)) throw new Error(`${name} imports ${imported}, which was not built`)
    }
  }
}

async function bundleForBrowsers(): Promise<void> {
  await build({
    entryPoints: [path.join(root, 'sdk/client/browser.ts')],
    outfile: path.join(dist, 'browser/skewer-client.js'),
    bundle: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    minify: true,
    legalComments: 'none',
    logLevel: 'warning',
  })
}

function withJsEndings(text: string): string {
  return text.replace(IMPORT_OF_TS, '$1$2$3.js$2')
}

function filesIn(folder: string): string[] {
  if (!fs.existsSync(folder)) return []
  const entries = fs.readdirSync(folder, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile() && !entry.parentPath.split(path.sep).includes('node_modules'))
  return files.map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name))).sort()
}

function browserKib(): number {
  return Math.round(fs.statSync(path.join(dist, 'browser/skewer-client.js')).size / 1024)
}
