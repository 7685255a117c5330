// The pages on admission and login limits, running: who is kept out, by address and by user, and how they are told.
import net from 'node:net'
import t from 'tap'
import { code } from '../../protocols/codes.ts'
import { overSocket } from '../gateway/io/scripted-client.ts'
import { portOf, type Test } from '../gateway/io/started.ts'
import { type Cookbook, cookbook, pageText } from './cookbook.ts'

/** What becomes of a connection that the proxy says is of this address. */
function knock(t: Test, book: Cookbook, address: string): Promise<'closed' | 'greeted'> {
  return new Promise((resolve) => {
    const family = address.includes(':') ? 'TCP6' : 'TCP4'
    const to = address.includes(':') ? '2001:db8::1' : '192.0.2.1'
    const socket = net.connect(portOf(book.running, 'tcp'), '127.0.0.1')
    socket.write(`PROXY ${family} ${address} ${to} 40000 7777\r\n`)
    t.teardown(() => socket.destroy())
    socket.once('data', () => resolve('greeted'))
    socket.on('error', () => {})
    socket.once('close', () => resolve('closed'))
  })
}

const times = async <T>(count: number, once: () => Promise<T>): Promise<T[]> => {
  const all: T[] = []
  for (let i = 0; i < count; i++) all.push(await once())
  return all
}

t.test('admission: denied networks and the 21st connection of an address are closed without a word', async (t) => {
  // The test stands where the proxy stands.
  const page = pageText('admission').replace(
    'proxyProtocol: { from: [10.0.0.0/8] }',
    'proxyProtocol: { from: [127.0.0.0/8] }',
  )
  const book = await cookbook(t, page, ['arena.say'])
  t.equal(await knock(t, book, '198.51.100.77'), 'closed')
  t.equal(await knock(t, book, '2001:db8:bad::7'), 'closed')
  t.equal(await knock(t, book, '198.51.101.77'), 'greeted')
  t.same(new Set(await times(20, () => knock(t, book, '203.0.113.9'))), new Set(['greeted']))
  t.equal(await knock(t, book, '203.0.113.9'), 'closed')
  t.equal(await knock(t, book, '203.0.113.10'), 'greeted', 'another one is not meant')
  const metrics = await (await fetch(`${book.running.adminAddress}/metrics`)).text()
  t.match(metrics, /^skewer_admission_refused_total\{reason="denied",mode="enforce"\} 2$/m)
})

t.test('login-limits: ten logins of an address, the next is told when to come back; the store is away', async (t) => {
  const book = await cookbook(t, pageText('login-limits').replace(':6379', ':1'), ['arena.say'])
  const login = async () => {
    const client = overSocket(net.connect(portOf(book.running, 'tcp'), '127.0.0.1'))
    t.teardown(() => client.pipe.destroy())
    return client.tryLogin('ann')
  }
  t.same(await times(10, login), Array(10).fill(undefined))
  const refused = await login()
  t.equal(refused?.code, code.rate_limited)
  t.ok(refused!.retryMs > 0 && refused!.retryMs <= 6000, `${refused!.retryMs}`)
})
