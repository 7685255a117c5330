// The demo as a visitor meets it: `npm start`, two tabs, the gateway killed with -9 under them, the network cut, and an
// end that leaves nothing behind.
// needs: chromium
import type { ChildProcess } from 'node:child_process'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { stripVTControlCharacters } from 'node:util'
import type { BrowserContext, Page } from 'playwright-core'
import { chromium } from 'playwright-core'
import type { Test } from 'tap'
import t from 'tap'
import { findTool, tools } from '../plan.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const freePorts = ['page', 'tcp', 'ws', 'host', 'admin'].flatMap((name) => [`--${name}-port`, '0'])
const WITHIN_MS = 20_000
const STOP_MS = 5000

type Demo = { child: ChildProcess; page: string; ports: number[]; said: () => string }

function run(options: string[]): { child: ChildProcess; said: () => string } {
  // What tap would put into each Node process is not what a visitor has.
  const command = ['-u', 'NODE_OPTIONS', process.execPath, 'examples/arena/start.ts', ...options]
  const child = spawn('env', command, { cwd: root })
  let output = ''
  for (const stream of [child.stdout!, child.stderr!]) {
    stream.on('data', (data) => {
      output += stripVTControlCharacters(String(data))
    })
  }
  return { child, said: () => output }
}

/** Waits for the addresses, and reads them from what the demo prints. */
async function started(): Promise<Demo> {
  const { child, said } = run([...freePorts, '--bots', '3'])
  await until(() => said().includes('Ctrl-C') || child.exitCode !== null, 'the addresses')
  if (child.exitCode !== null) throw new Error(`the demo ended (${child.exitCode}): ${said()}`)
  const ports = Array.from(said().matchAll(/127\.0\.0\.1:(\d+)/g), (match) => Number(match[1]))
  return { child, page: /http:\/\/127\.0\.0\.1:\d+/.exec(said())![0], ports, said }
}

async function until(holds: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const limit = Date.now() + WITHIN_MS
  while (!(await holds())) {
    if (Date.now() > limit) throw new Error(`not within ${WITHIN_MS / 1000} s: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

async function browser(t: Test): Promise<BrowserContext> {
  const folder = mkdtempSync(path.join(tmpdir(), 'skewer-arena-'))
  const program = tools.chromium.programs.find((name) => findTool([name]))!
  const context = await chromium.launchPersistentContext(folder, {
    executablePath: execFileSync('which', [program], { encoding: 'utf8' }).trim(),
    args: [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
    viewport: { width: 1280, height: 800 },
  })
  t.teardown(async () => {
    await context.close()
    rmSync(folder, { recursive: true, force: true })
  })
  return context
}

/** A tab with a player in it; what goes wrong in its script fails the test. */
async function player(t: Test, context: BrowserContext, url: string, name: string): Promise<Page> {
  const page = await context.newPage()
  page.on('pageerror', (error) => t.fail(`${name}: ${error.message}`))
  await page.goto(`${url}/?name=${name}`)
  return page
}

const number = async (page: Page, id: string) => Number(await page.locator(`#${id}`).textContent())

/** Waits until both directions have moved on by so many messages. */
async function movesOn(page: Page, by: number, why: string): Promise<void> {
  const up = await number(page, 'up-received')
  const down = await number(page, 'down-received')
  await until(
    async () => (await number(page, 'up-received')) >= up + by && (await number(page, 'down-received')) >= down + by,
    why,
  )
}

async function assertNothingHappened(t: Test, page: Page, name: string): Promise<void> {
  for (const direction of ['up', 'down']) {
    for (const what of ['lost', 'doubled', 'reordered']) {
      t.equal(await number(page, `${direction}-${what}`), 0, `${name}: ${what} ${direction}`)
    }
  }
}

const isRefused = (port: number) =>
  new Promise<boolean>((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => resolve(true))
    socket.on('connect', () => {
      socket.destroy()
      resolve(false)
    })
  })

t.test('play goes on over kill -9 and a cut network, and everything stops together', async (t) => {
  const demo = await started()
  // Also where the test failed: its parts end with it.
  t.teardown(() => demo.child.exitCode === null && demo.child.kill('SIGINT'))
  const context = await browser(t)
  const ana = await player(t, context, demo.page, 'ana')
  const ben = await player(t, context, demo.page, 'ben')
  const tabs = { ana, ben }

  await t.test('both tabs play, and see each other', async (t) => {
    for (const [name, page] of Object.entries(tabs)) await movesOn(page, 2, `${name} plays`)
    for (const page of [ana, ben]) {
      const names = () => page.locator('#scores').textContent()
      await until(async () => /ana/.test((await names())!) && /ben/.test((await names())!), 'both are in the arena')
    }
    t.equal(await ana.locator('#state').textContent(), 'attached')
    t.equal(await ana.evaluate('document.documentElement.scrollHeight <= innerHeight'), true, 'the page fits')
  })

  await t.test('the field follows who steers', async () => {
    // Coins are all over the field: whoever goes around it collects some.
    const box = (await ana.locator('#field').boundingBox())!
    await ana.bringToFront()
    await ana.mouse.move(box.x + 40, box.y + 40)
    await ana.mouse.down()
    const corners = [
      [0.9, 0.2],
      [0.9, 0.8],
      [0.1, 0.8],
      [0.1, 0.2],
      [0.5, 0.5],
    ]
    const coins = async () => Number(/\d+$/.exec((await ana.locator('#scores .me').textContent())!)![0])
    let turn = 0
    await until(async () => {
      const [x, y] = corners[Math.floor(turn++ / 40) % corners.length]
      await ana.mouse.move(box.x + x * box.width, box.y + y * box.height)
      return (await coins()) > 0
    }, 'ana has collected a coin')
    await ana.mouse.up()
  })

  await t.test('what one says the other reads', async () => {
    await ana.fill('#text', 'hello ben')
    await ana.press('#text', 'Enter')
    await ben.locator('#chat li', { hasText: 'ana hello ben' }).waitFor({ timeout: WITHIN_MS })
  })

  for (const kill of [1, 2]) {
    await t.test(`the gateway is killed with -9, for the ${kill === 1 ? 'first' : 'second'} time`, async (t) => {
      const before = await number(ben, 'reattaches')
      await ana.click('#kill')
      for (const [name, page] of Object.entries(tabs)) {
        await until(async () => (await number(page, 'reattaches')) >= kill, `${name} is attached again`)
        await movesOn(page, 2, `${name} plays on`)
        await assertNothingHappened(t, page, name)
      }
      t.ok((await number(ben, 'reattaches')) > before)
      t.match(demo.said(), `kill number ${kill}`)
    })
  }

  await t.test('the network of one is cut', async (t) => {
    const before = await number(ana, 'reattaches')
    await ana.click('#cut')
    await ana.locator('#veil', { hasText: 'apart for' }).waitFor({ timeout: WITHIN_MS })
    await ben.fill('#text', 'are you there')
    await ben.press('#text', 'Enter')
    await until(async () => (await number(ana, 'reattaches')) > before, 'ana is attached again')
    for (const [name, page] of Object.entries(tabs)) {
      await movesOn(page, 2, `${name} plays on`)
      await assertNothingHappened(t, page, name)
    }
    await ana.locator('#chat li', { hasText: 'are you there' }).waitFor({ timeout: WITHIN_MS })
    t.equal(await ana.locator('#chat li', { hasText: 'hello ben' }).count(), 1, 'nothing is said twice')
  })

  await t.test(
    'an overloaded gateway refuses who steers: that is counted as refused, and nothing is lost',
    async (t) => {
      const [gateway] = childrenOf(demo.child.pid!).filter((pid) => commandOf(pid).includes('bin/skewer'))
      t.teardown(() => isAlive(gateway) && process.kill(gateway, 'SIGCONT'))
      const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))
      // As on a machine that is far too busy: the process is late at every turn, and sheds.
      await until(async () => {
        for (let turn = 0; turn < 8; turn++) {
          process.kill(gateway, 'SIGSTOP')
          await pause(800)
          process.kill(gateway, 'SIGCONT')
          await pause(40)
        }
        return (await number(ana, 'up-refused')) > 0
      }, 'a refusal')
      for (const [name, page] of Object.entries(tabs)) {
        await movesOn(page, 2, `${name} plays on`)
        await assertNothingHappened(t, page, name)
      }
      t.comment(`${await number(ana, 'up-refused')} refused`)
    },
  )

  await t.test('a session moves to a new connection', async (t) => {
    const before = await number(ana, 'reattaches')
    await ana.click('#switch')
    await until(async () => (await number(ana, 'reattaches')) > before, 'ana is attached again')
    await movesOn(ana, 2, 'ana plays on')
    await assertNothingHappened(t, ana, 'ana')
  })

  await t.test('on a phone nothing is wider than the window', async (t) => {
    await ana.setViewportSize({ width: 360, height: 740 })
    t.equal(await ana.evaluate('document.documentElement.scrollWidth <= innerWidth'), true)
  })

  await t.test('no other site may kill, and only the folders of the demo are served', async (t) => {
    const kill = (headers: Record<string, string>, method = 'POST') =>
      fetch(`${demo.page}/gateway/kill`, { method, headers }).then((response) => response.status)
    t.equal(await kill({ origin: 'https://elsewhere.example' }), 403)
    t.equal(await kill({}, 'GET'), 405)
    for (const name of ['/sdk/%2e%2e/package.json', '/package.json', '/page/none.ts', '/%2e%2e/%2e%2e/package.json']) {
      t.equal((await fetch(demo.page + name)).status, 404, name)
    }
    t.notMatch(demo.said(), 'kill number 3')
  })

  await t.test('Ctrl-C ends every process within five seconds', async (t) => {
    const parts = childrenOf(demo.child.pid!)
    t.equal(parts.length, 3, 'a host, a gateway and the bots')
    const at = Date.now()
    demo.child.kill('SIGINT')
    const [exitCode] = await once(demo.child, 'exit')
    t.equal(exitCode, 0)
    t.ok(Date.now() - at < STOP_MS, `${Date.now() - at} ms`)
    for (const pid of parts) t.throws(() => process.kill(pid, 0), { code: 'ESRCH' })
    for (const port of demo.ports) t.ok(await isRefused(port), `port ${port} is free`)
  })
})

t.test('where the demo itself is killed with -9, its parts end as well', async (t) => {
  const demo = await started()
  const parts = childrenOf(demo.child.pid!)
  t.equal(parts.length, 3, 'a host, a gateway and the bots')
  t.teardown(() => {
    for (const pid of parts) if (isAlive(pid)) process.kill(pid, 'SIGKILL')
  })
  demo.child.kill('SIGKILL')
  await until(() => !parts.some(isAlive), 'nothing of it runs')
  for (const port of demo.ports) t.ok(await isRefused(port), `port ${port} is free`)
})

t.test('a port that is busy is named, with what to do', async (t) => {
  const other = createServer().listen(0, '127.0.0.1')
  await once(other, 'listening')
  t.teardown(() => other.close())
  const { port } = other.address() as AddressInfo
  const { child, said } = run([...freePorts, '--page-port', String(port)])
  const [exitCode] = await once(child, 'close')
  t.equal(exitCode, 1)
  t.equal(said().trim(), `port ${port} is busy; take a free one with: npm start -- --page-port 0`)
})

/** Processes that this one has started, as Linux tells. */
function childrenOf(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number)
}

const commandOf = (pid: number): string => readFileSync(`/proc/${pid}/cmdline`, 'utf8')

/** Whether it runs: one that has ended and that nobody asks about has no command any more. */
function isAlive(pid: number): boolean {
  try {
    return commandOf(pid).length > 0
  } catch {
    return false
  }
}
