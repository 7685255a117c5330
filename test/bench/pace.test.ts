// When messages are sent, and which time they carry.
import t from 'tap'
import { monotonicUs } from '../../bench/clock.ts'
import type { LoadClient } from '../../bench/load/client.ts'
import { Pace } from '../../bench/load/pace.ts'

class ScriptedClient implements LoadClient {
  free = Infinity
  flushes = 0
  readonly stamps: number[] = []

  room(): number {
    return this.free
  }
  send(stampUs: number): void {
    this.stamps.push(stampUs)
    this.free--
  }
  flush(): void {
    this.flushes++
  }
  tick(): void {}
  close(): void {}
}

/** Lets so many milliseconds go by. */
function spin(ms: number): void {
  const end = performance.now() + ms
  while (performance.now() < end);
}

t.test('a closed loop keeps its depth and sends one for each that comes back', async (t) => {
  const clients = [new ScriptedClient(), new ScriptedClient()]
  const pace = new Pace(clients, 3, 0)
  pace.begin()
  for (const client of clients) t.match(client, { stamps: { length: 3 }, flushes: 1 })
  pace.heard(clients[0])
  pace.heard(clients[0])
  pace.turnEnded(clients[0])
  t.equal(clients[0].stamps.length, 5)
  pace.turnEnded(clients[0])
  t.equal(clients[0].stamps.length, 5, 'nothing came back')
  t.equal(clients[1].stamps.length, 3)
})

t.test('a closed loop keeps the window', async (t) => {
  const client = new ScriptedClient()
  client.free = 2
  new Pace([client], 8, 0).begin()
  t.equal(client.stamps.length, 2)
})

t.test('an open loop spreads its rate over the clients, evenly in time', async (t) => {
  const clients = [new ScriptedClient(), new ScriptedClient()]
  const pace = new Pace(clients, 1000, 10_000)
  pace.begin()
  spin(10)
  pace.tick()
  const all = clients.flatMap(({ stamps }) => stamps).sort((a, b) => a - b)
  t.ok(all.length >= 100, `${all.length} in 10 ms`)
  t.ok(Math.abs(clients[0].stamps.length - clients[1].stamps.length) <= 1)
  for (let i = 1; i < all.length; i++) {
    if (Math.abs(all[i] - all[i - 1] - 100) > 1) t.fail(`${all[i] - all[i - 1]} us apart`)
  }
  t.ok(all.at(-1)! <= monotonicUs(), 'nothing before its time')
})

t.test('a message that had to wait carries the time at which it was due', async (t) => {
  const client = new ScriptedClient()
  client.free = 1
  const pace = new Pace([client], 1, 1000)
  pace.begin()
  spin(5)
  pace.tick()
  t.equal(client.stamps.length, 1, 'the first one is under way')
  spin(20)
  client.free = 1
  pace.heard(client)
  pace.turnEnded(client)
  t.equal(client.stamps.length, 2)
  t.ok(Math.abs(client.stamps[1] - client.stamps[0] - 1000) < 1, 'due 1 ms after the first, sent 20 ms later')
})
