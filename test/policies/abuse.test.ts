// One who floods among those who play: over TCP and over WebSocket he gets what his limit gives and nothing more, and each
// of the others gets every answer.
import net from 'node:net'
import t from 'tap'
import { WebSocket } from 'ws'
import { verdict } from '../../policies/pipeline.ts'
import { eventually, portOf } from '../gateway/io/started.ts'
import { overSocket, overWebSocket, type ScriptedClient } from '../gateway/io/scripted-client.ts'
import { type Cookbook, cookbook } from './cookbook.ts'

/** Many clients, on a machine that may be busy. */
t.setTimeout(60_000)

const PER_SECOND = 100
const BURST = 200
const FLOOD = 20_000
/** How many of them have to be judged, and refused, for the test to mean something. */
const JUDGED = 128
const PLAYERS = 20
const CALLS = 20

const config = `version: 1
services: { arena: { keys: any } }
policies: { rateLimits: { messages: { rate: ${PER_SECOND}/s burst ${BURST}, per: session } } }
`

const transports: [name: string, connect: (book: Cookbook) => Promise<ScriptedClient>][] = [
  ['tcp', async (book) => overSocket(net.connect(portOf(book.running, 'tcp'), '127.0.0.1'))],
  [
    'websocket',
    async (book) => {
      const socket = new WebSocket(`ws://127.0.0.1:${portOf(book.running, 'websocket')}/`)
      const client = overWebSocket(socket)
      await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject))
      return client
    },
  ],
]

for (const [name, connect] of transports) {
  t.test(`over ${name} a flood is held to its limit, and everybody else is answered`, async (t) => {
    const book = await cookbook(t, config, ['arena.echo', 'arena.say'])
    const players = await Promise.all(
      Array.from({ length: PLAYERS }, (_, i) => book.player(`player-${i}`, `room-${i}`)),
    )
    const abuser = await connect(book)
    t.teardown(() => abuser.pipe.destroy())
    await abuser.login('mallory')
    await abuser.attach('arena', 'lair')
    const from = performance.now()
    const payload = new TextEncoder().encode('"x"')
    for (let i = 0; i < FLOOD; i++) abuser.send(payload)
    const answers = await Promise.all(
      players.map((player) =>
        player.calls(
          'arena.say',
          Array.from({ length: CALLS }, (_, i) => i),
        ),
      ),
    )
    t.ok(answers.flat().every((end) => end === 'ok'))
    t.equal(answers.flat().length, PLAYERS * CALLS)
    // What his channel has left when the host has had enough of a client without a window is not judged any more.
    const refused = () => book.count('messages', verdict.reject)
    await eventually(() => refused() > JUDGED || abuser.isGone, 'the flood to be judged')
    const seconds = (performance.now() - from) / 1000
    const passed = book.got.filter((route) => route === 'arena.echo').length
    t.ok(passed >= BURST, `${passed} passed`)
    t.ok(passed <= BURST + Math.ceil(PER_SECOND * seconds), `${passed} passed in ${seconds.toFixed(1)} s`)
    t.ok(refused() > JUDGED, `${refused()} were refused`)
    // What is left of it waits in his own socket: 128 at once, one in a millisecond, and what a portion of 8 KiB brings.
    t.ok(refused() < 1200 + 1000 * seconds, `${refused()} in ${seconds.toFixed(1)} s`)
  })
}
