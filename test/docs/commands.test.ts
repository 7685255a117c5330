// What the documents tell a reader to type exists: npm's scripts, skewer's commands with their options, the routes of the
// admin port; and the code that the README shows is the code of the examples.
import t from 'tap'
import { buildProgram } from '../../cli/program.ts'
import { adminRoutes } from '../../gateway/io/admin-routes.ts'
import { readText, tracked } from '../house/sources.ts'

const pages = tracked.filter((path) => path.endsWith('.md') && !path.startsWith('docs/spec/'))

/** What stands in code: inline, and each line of a block for a shell, without its comment. */
function* typed(page: string): Generator<string> {
  const text = readText(page)
  for (const [, block] of text.matchAll(/^```sh\n(.*?)^```$/gms)) {
    for (const line of block.split('\n')) yield line.replace(/\s+#.*$/, '')
  }
  for (const [, code] of text.replace(/^```.*?^```$/gms, '').matchAll(/`([^`\n]+)`/g)) yield code
}

t.test('the scripts of npm that documents name exist', async (t) => {
  const { scripts } = JSON.parse(readText('package.json')) as { scripts: Record<string, string> }
  let named = 0
  for (const page of pages) {
    for (const code of typed(page)) {
      for (const [, run, short] of code.matchAll(/\bnpm (?:run (?:--silent )?([\w:]+)|(test|start)\b)/g)) {
        t.ok(scripts[run ?? short], `${page}: ${code}`)
        named++
      }
    }
  }
  t.ok(named > 20, `${named} named`)
})

t.test('the commands of skewer that documents name exist, with their options', async (t) => {
  const program = buildProgram(() => {})
  let named = 0
  for (const page of pages) {
    for (const code of typed(page)) {
      for (const [, args] of code.matchAll(/(?:^|\s)(?:bin\/)?skewer ([a-z][^&|;)]*)/g)) {
        const words = args.trim().split(/\s+/)
        let command = program
        while (command.commands.length > 0) {
          const name = words[0]
          const next = command.commands.find((one) => one.name() === name)
          // `skewer bench idle`: what is no command of it is an argument.
          if (next === undefined && command.registeredArguments.length > 0) break
          // `skewer session`: a group stands for all that is in it.
          if (next === undefined && name === undefined && command !== program) break
          t.ok(next, `${page}: ${code}`)
          if (next === undefined) break
          command = next
          words.shift()
        }
        const options = command.options.flatMap(({ long, short }) => [long, short])
        for (const word of words.filter((word) => /^--?[a-z]/.test(word) && word !== '--help')) {
          t.ok(options.includes(word.replace(/=.*/, '')), `${page}: ${code}: ${word}`)
        }
        named++
      }
    }
  }
  t.ok(named > 30, `${named} named`)
})

t.test('the routes of the admin port that documents name exist', async (t) => {
  // Building the list asks nothing of what it shows.
  const routes = new Set(adminRoutes({} as never).map(({ method, path }) => `${method} ${path}`))
  let named = 0
  for (const page of pages) {
    for (const code of typed(page)) {
      const [, route] = /^((?:GET|POST) \/[\w/-]*)(?:\?\S*)?$/.exec(code) ?? []
      // The gateway's WebSocket port answers that one, and those of HTTP are on ports for clients.
      if (route === undefined || route === 'GET /health' || page === 'docs/http.md' || route === 'GET /healthz')
        continue
      t.ok(routes.has(route), `${page}: ${code}`)
      named++
    }
  }
  t.ok(named > 8, `${named} named`)
})

t.test('the echo of the README is the one of the examples', async (t) => {
  const blocks = [...readText('README.md').matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code]) => code)
  for (const name of ['host', 'client']) {
    const code = readText(`examples/echo/${name}.ts`).replace(/^(\/\/.*\n)+/, '')
    t.ok(blocks.includes(code), name)
  }
})
