// The page: joins the arena, steers, chats, breaks things and counts. Everything it knows of the network comes from the
// client SDK; nothing here re-sends, re-connects or puts anything in order.
import { connect, json } from '../../../sdk/client/browser.ts'
import { Refusals } from '../refusals.ts'
import { Tally } from '../tally.ts'
import type { View } from '../world.ts'
import { Field } from './field.ts'
import { Steering } from './steering.ts'

type Summary = Tally['summary']
type News = { n: number } & ({ kind: 'coin'; score: number } | ({ kind: 'tally' } & Summary))

const STEER_MS = 100
const CUT_MS = 3000
const LOG_LINES = 3
const CHAT_LINES = 50
const SCORES = 8
const PROBLEMS = ['lost', 'doubled', 'reordered'] as const

const byId = (id: string) => document.getElementById(id)!
const set = (id: string, value: string | number) => {
  byId(id).textContent = String(value)
}

const query = new URLSearchParams(location.search)
const name = query.get('name') ?? `guest${Math.floor(Math.random() * 900 + 100)}`
const gateways: string[] = await (await fetch('/gateways')).json()

// The gateway is back within a second: nobody has to wait for the default of at most five.
const client = connect({ gateways, token: name, codec: json, backoffMaxMs: 1000 })
const room = client.actor('arena', query.get('room') ?? 'lobby')
const canvas = byId('field') as HTMLCanvasElement
const field = new Field(canvas)
const steering = new Steering(canvas, field)
const down = new Tally()
const refusals = new Refusals()
let view: View = { t: 0, players: [], coins: [] }
let me = ''
let sent = 0
let attaches = 0
let apartSince = performance.now()

// ---- what comes ----

room.on('arena.news', (payload) => {
  const news = payload as News
  down.take(news.n)
  if (news.kind !== 'tally') return
  set('up-received', news.received)
  const lost = news.lost - refusals.upTo(news.last)
  for (const what of PROBLEMS) show(`up-${what}`, what === 'lost' ? lost : news[what])
})
room.onGroup('view', (payload) => {
  view = payload as View
  field.show(view, me)
})
room.onGroup('chat', (payload) => {
  const { from, text } = payload as { from: string; text: string }
  const line = document.createElement('li')
  const who = document.createElement('b')
  who.textContent = from
  line.append(who, ` ${text}`)
  const list = byId('chat')
  list.append(line)
  while (list.childElementCount > CHAT_LINES) list.firstElementChild!.remove()
  list.scrollTop = list.scrollHeight
})
room.on('attached', () => {
  const apartMs = Math.round(performance.now() - apartSince)
  set('reattaches', attaches)
  if (attaches++ > 0) note(apartSince > 0 ? `re-attached after ${seconds(apartMs)}` : 'moved, without a gap')
  apartSince = 0
})
room.on('detached', () => {
  if (apartSince === 0) apartSince = performance.now()
})
room.on('parked', () => note('the host is away; the channel waits'))
// An overloaded gateway, or a limit: the message has not run, and says so. The next one steers.
room.on('refused', ({ route, payload }) => {
  if (route !== 'arena.steer') return
  refusals.take((payload as { n: number }).n)
  set('up-refused', refusals.count)
})
room.on('reset', () => {
  // The host lost its memory of us: the game's numbers begin again on both sides, and nothing is hidden.
  down.restart()
  refusals.restart()
  sent = 0
  note('the host was restarted: a new life')
  join()
})
room.on('ended', (ending) => note(`the channel ended: ${ending.name}`))
client.on('state', () => showConnection())
room.start()
join()

function join(): void {
  room.call('arena.join', { name }, { timeoutMs: 20_000 }).then(
    (answer) => {
      me = (answer as { id: string }).id
    },
    (error) => note(`could not join: ${error.message}`),
  )
}

// ---- what goes ----

setInterval(() => {
  if (me === '') return
  const own = view.players.find((player) => player[0] === me)
  const [dx, dy] = steering.direction(own && { x: own[2], y: own[3] })
  // A full window (a long time apart) refuses at once and nothing has happened: the number is used by the next one.
  if (room.trySend('arena.steer', { n: sent + 1, dx, dy }) === 0) set('up-sent', ++sent)
}, STEER_MS)

byId('say').addEventListener('submit', (event) => {
  event.preventDefault()
  const input = byId('text') as HTMLInputElement
  const text = input.value.trim()
  if (text === '' || room.trySend('chat.say', { text }) === 0) input.value = ''
  else note('too much is on its way; try again')
})

// ---- what breaks ----

byId('cut').addEventListener('click', () => {
  note(`my network is cut for ${seconds(CUT_MS)}`)
  client.interrupt(CUT_MS)
})
byId('switch').addEventListener('click', () => {
  note('another connection is made, then used')
  client.switchTo((client.gatewayIndex + 1) % gateways.length)
})
byId('kill').addEventListener('click', async () => {
  const answer = await fetch('/gateway/kill', { method: 'POST' }).catch(() => undefined)
  if (answer === undefined) note('nobody answers: is npm start still there?')
  else note(answer.ok ? 'the gateway was killed with -9' : 'the gateway is dead already')
})

// ---- what is shown ----

function show(id: string, value: number): void {
  set(id, value)
  byId(id).classList.toggle('bad', value !== 0)
}

function note(text: string): void {
  const line = document.createElement('li')
  line.textContent = text
  byId('log').prepend(line)
  while (byId('log').childElementCount > LOG_LINES) byId('log').lastElementChild!.remove()
}

const seconds = (ms: number) => (ms < 1000 ? `${ms} ms` : `${(ms / 1000).toFixed(1)} s`)

function showConnection(): void {
  const isAttached = room.state === 'attached'
  const isOver = room.state === 'ended'
  byId('state').className = `state ${isAttached ? 'attached' : isOver ? 'over' : ''}`
  set('state', client.state === 'degraded' || isAttached || isOver ? room.state : client.state)
  set('gateway', client.gateway.replace(/\/$/, '') || '–')
  const veil = byId('veil')
  veil.hidden = isAttached
  if (isOver) veil.textContent = 'the channel has ended; reload the page'
  else if (attaches === 0) veil.textContent = 'connecting …'
  else if (!isAttached && apartSince > 0) {
    const apart = `apart for ${((performance.now() - apartSince) / 1000).toFixed(1)} s`
    veil.textContent = `${apart} · ${room.unacked} messages wait`
  }
}

function showScores(): void {
  const best = view.players.toSorted((a, b) => b[4] - a[4]).slice(0, SCORES)
  const lines = best.map(([id, label, , , score]) => {
    const line = document.createElement('li')
    const who = document.createElement('span')
    who.textContent = label
    line.append(who, String(score))
    line.classList.toggle('me', id === me)
    return line
  })
  byId('scores').replaceChildren(...lines)
}

setInterval(() => {
  showConnection()
  showScores()
  set('rtt', client.rttMs > 0 ? `${client.rttMs.toFixed(1)} ms` : '–')
  set('up-waiting', room.unacked)
  set('down-received', down.received)
  for (const what of PROBLEMS) show(`down-${what}`, down[what])
}, 200)
