// Players that never tire: each steers towards the nearest coin and says something now and then. `GATEWAY` is where they
// connect, `BOTS` how many they are.
import process from 'node:process'
import { connect, json } from '../../sdk/client/index.ts'
import type { View } from './world.ts'

const NAMES = ['ada', 'bo', 'cy', 'dee', 'eli', 'fay', 'gus', 'hal', 'ivy', 'jo', 'kim', 'lou']
const LINES = ['mine!', 'good game', 'who took that?', 'brb', 'again?', 'so close']
const STEER_MS = 100

const gateway = process.env.GATEWAY ?? 'tcp://127.0.0.1:7777'
const count = Number(process.env.BOTS ?? 8)

for (let i = 0; i < count; i++) startBot(NAMES[i % NAMES.length])

function startBot(name: string): void {
  const client = connect({ gateways: [gateway], token: `bot-${name}`, codec: json })
  const room = client.actor('arena', 'lobby')
  let view: View = { t: 0, players: [], coins: [] }
  let me = ''
  let sent = 0
  const join = () => {
    room.call('arena.join', { name, bot: true }, { timeoutMs: 30_000 }).then(
      (answer) => {
        me = (answer as { id: string }).id
      },
      () => setTimeout(join, 2000),
    )
  }
  room.onGroup('view', (payload) => {
    view = payload as View
  })
  room.on('reset', () => {
    sent = 0
    join()
  })
  room.start()
  join()

  setInterval(() => {
    const own = view.players.find((player) => player[0] === me)
    if (own === undefined) return
    const [dx, dy] = towardsCoin(own[2], own[3], view)
    if (room.trySend('arena.steer', { n: sent + 1, dx, dy }) === 0) sent++
    if (Math.random() < 0.002) room.trySend('chat.say', { text: LINES[Math.floor(Math.random() * LINES.length)] })
  }, STEER_MS)
}

function towardsCoin(x: number, y: number, view: View): [number, number] {
  let best = Number.POSITIVE_INFINITY
  let dx = 0
  let dy = 0
  for (const [, cx, cy] of view.coins) {
    const distance = Math.hypot(cx - x, cy - y)
    if (distance >= best) continue
    best = distance
    dx = (cx - x) / distance
    dy = (cy - y) / distance
  }
  // A little slower than a person, so that a person can win.
  return [dx * 0.6, dy * 0.6]
}
