// Players that never tire: each steers towards the nearest coin and says something now and then. `GATEWAY` is where they
// connect: the addresses of one gateway, which run a race, with spaces between. `BOTS` is how many they are.
import process from 'node:process'
import { connect, json } from '../../sdk/client/index.ts'
import type { View } from './world.ts'

const NAMES = ['ada', 'bo', 'cy', 'dee', 'eli', 'fay', 'gus', 'hal', 'ivy', 'jo', 'kim', 'lou']
const LINES = ['mine!', 'good game', 'who took that?', 'brb', 'again?', 'so close']
const STEER_MS = 100
const SPEED = 0.5

type Place = View['players'][number]

const ways = (process.env.GATEWAY ?? 'tcp://127.0.0.1:7777').split(' ')
const count = Number(process.env.BOTS ?? 8)

for (let i = 0; i < count; i++) startBot(i)

function startBot(index: number): void {
  const name = NAMES[index % NAMES.length]
  const client = connect({ gateways: [ways], token: `bot-${index + 1}`, codec: json, backoffMaxMs: 1000 })
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
    const [dx, dy] = towardsCoin(own, view)
    if (room.trySend('arena.steer', { n: sent + 1, dx, dy }) === 0) sent++
    if (Math.random() < 0.002) room.trySend('chat.say', { text: LINES[Math.floor(Math.random() * LINES.length)] })
  }, STEER_MS)
}

/** The nearest coin of those that nobody else is nearer to; without one, it stays where it is. */
function towardsCoin([id, , x, y]: Place, { players, coins }: View): [number, number] {
  let best = Infinity
  let direction: [number, number] = [0, 0]
  for (const [, cx, cy] of coins) {
    const distance = Math.hypot(cx - x, cy - y)
    if (distance === 0 || distance >= best) continue
    if (players.some((other) => other[0] !== id && Math.hypot(cx - other[2], cy - other[3]) < distance)) continue
    best = distance
    // Slower than a person, so that a person can win.
    direction = [((cx - x) / distance) * SPEED, ((cy - y) / distance) * SPEED]
  }
  return direction
}
