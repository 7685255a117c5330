// The page: draws the arena, steers, and counts. Everything it knows of the network comes from the client SDK's events.
import { connect, json } from '../../../sdk/client/browser.ts'
import { Tally } from '../tally.ts'
import type { View } from '../world.ts'

const STEER_MS = 100
const CUT_MS = 3000

const byId = (id: string) => document.getElementById(id)!
const set = (id: string, value: string | number) => {
  byId(id).textContent = String(value)
}

const query = new URLSearchParams(location.search)
const name = query.get('name') ?? `guest${Math.floor(Math.random() * 900 + 100)}`
const gateways: string[] = await (await fetch('/gateways')).json()

const client = connect({ gateways, token: name, codec: json })
const room = client.actor('arena', query.get('room') ?? 'lobby')
const down = new Tally()
let view: View = { t: 0, players: [], coins: [] }
let me = ''
let sent = 0
let attaches = 0

room.on('arena.news', (payload) => {
  const news = payload as {
    n: number
    kind: string
    received?: number
    lost?: number
    doubled?: number
    reordered?: number
  }
  down.take(news.n)
  if (news.kind !== 'tally') return
  set('up-received', news.received ?? 0)
  for (const what of ['lost', 'doubled', 'reordered'] as const) show(`up-${what}`, news[what] ?? 0)
})
room.onGroup('view', (payload) => {
  view = payload as View
})
room.onGroup('chat', (payload) => {
  const { from, text } = payload as { from: string; text: string }
  const line = document.createElement('li')
  const who = document.createElement('b')
  who.textContent = from
  line.append(who, ` ${text}`)
  const list = byId('chat')
  list.append(line)
  while (list.childElementCount > 50) list.firstElementChild!.remove()
  list.scrollTop = list.scrollHeight
})
room.on('attached', () => {
  set('reattaches', attaches++)
  note('')
})
room.on('parked', () => note('the host is away, the channel waits for it'))
room.on('reset', () => {
  // The host lost its memory of us: the game's numbers begin again on both sides, and nothing is hidden.
  down.restart()
  sent = 0
  note('the host was restarted: a new life of the channel')
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

// ---- steering ----

const held = new Set<string>()
const keys: Record<string, [number, number]> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
  a: [-1, 0],
  d: [1, 0],
  w: [0, -1],
  s: [0, 1],
}
let pointer: { x: number; y: number } | undefined
const canvas = byId('field') as HTMLCanvasElement
const typing = () => document.activeElement === byId('text')

addEventListener('keydown', (event) => {
  if (!(event.key in keys) || typing()) return
  held.add(event.key)
  event.preventDefault()
})
addEventListener('keyup', (event) => held.delete(event.key))
addEventListener('blur', () => held.clear())
const point = (event: PointerEvent) => {
  const box = canvas.getBoundingClientRect()
  pointer = {
    x: ((event.clientX - box.left) * canvas.width) / box.width,
    y: ((event.clientY - box.top) * canvas.height) / box.height,
  }
}
canvas.addEventListener('pointerdown', (event) => {
  point(event)
  canvas.setPointerCapture(event.pointerId)
})
canvas.addEventListener('pointermove', (event) => {
  if (pointer !== undefined) point(event)
})
for (const end of ['pointerup', 'pointercancel'] as const) {
  canvas.addEventListener(end, () => {
    pointer = undefined
  })
}

function direction(): [number, number] {
  const own = view.players.find((player) => player[0] === me)
  if (pointer !== undefined && own !== undefined) {
    const dx = pointer.x - own[2]
    const dy = pointer.y - own[3]
    return Math.hypot(dx, dy) < 8 ? [0, 0] : [dx / 60, dy / 60]
  }
  let dx = 0
  let dy = 0
  for (const key of held) {
    dx += keys[key][0]
    dy += keys[key][1]
  }
  return [dx, dy]
}

setInterval(() => {
  if (me === '') return
  const [dx, dy] = direction()
  // A full window (a long time apart) refuses at once and nothing has happened: the number is used by the next one.
  if (room.trySend('arena.steer', { n: sent + 1, dx, dy }) === 0) set('up-sent', ++sent)
}, STEER_MS)

// ---- what is shown ----

function show(id: string, value: number): void {
  set(id, value)
  byId(id).classList.toggle('bad', value !== 0)
}

function note(text: string): void {
  set('log', text)
}

function showConnection(): void {
  const connected = room.state === 'attached'
  set('state', client.state === 'online' && !connected ? room.state : client.state)
  set('transport', client.transport || '–')
  set('gateway', client.gateway || '–')
  const veil = byId('veil')
  veil.hidden = connected
  veil.textContent = connected ? '' : 're-attaching … nothing is lost'
}

setInterval(() => {
  showConnection()
  set('rtt', client.rttMs > 0 ? `${client.rttMs.toFixed(1)} ms` : '–')
  set('down-received', down.received)
  show('down-lost', down.lost)
  show('down-doubled', down.doubled)
  show('down-reordered', down.reordered)
}, 200)

const ctx = canvas.getContext('2d')!
function draw(): void {
  ctx.clearRect(0, 0, canvas.width, canvas.height)
  ctx.strokeStyle = '#151c2a'
  for (let x = 60; x < canvas.width; x += 60) line(x, 0, x, canvas.height)
  for (let y = 60; y < canvas.height; y += 60) line(0, y, canvas.width, y)
  for (const [, x, y] of view.coins) {
    ctx.fillStyle = '#ffd166'
    circle(x, y, 7)
  }
  ctx.font = '13px system-ui, sans-serif'
  ctx.textAlign = 'center'
  for (const [id, label, x, y, score, hue, bot] of view.players) {
    ctx.fillStyle = `hsl(${hue} ${bot ? '35%' : '80%'} ${bot ? '50%' : '62%'})`
    circle(x, y, 14)
    if (id === me) {
      ctx.strokeStyle = '#fff'
      ctx.lineWidth = 2
      ctx.beginPath()
      ctx.arc(x, y, 17, 0, Math.PI * 2)
      ctx.stroke()
      ctx.lineWidth = 1
    }
    ctx.fillStyle = '#cdd6e6'
    ctx.fillText(`${label} ${score}`, x, y - 22)
  }
  requestAnimationFrame(draw)
}
function circle(x: number, y: number, radius: number): void {
  ctx.beginPath()
  ctx.arc(x, y, radius, 0, Math.PI * 2)
  ctx.fill()
}
function line(x1: number, y1: number, x2: number, y2: number): void {
  ctx.beginPath()
  ctx.moveTo(x1, y1)
  ctx.lineTo(x2, y2)
  ctx.stroke()
}
requestAnimationFrame(draw)

// ---- chat and breaking things ----

byId('say').addEventListener('submit', (event) => {
  event.preventDefault()
  const input = byId('text') as HTMLInputElement
  if (input.value.trim() !== '') room.trySend('chat.say', { text: input.value.trim() })
  input.value = ''
})
byId('cut').addEventListener('click', () => {
  note('network cut')
  client.interrupt(CUT_MS)
})
byId('switch').addEventListener('click', () => client.switchTo((client.gatewayIndex + 1) % gateways.length))
byId('kill').addEventListener('click', async () => {
  note('kill -9')
  const answer = await fetch('/gateway/kill', { method: 'POST' }).catch(() => undefined)
  note(answer?.ok ? 'the gateway was killed with -9 and starts again' : 'the supervisor did not answer')
})
