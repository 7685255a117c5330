// The page at `/` of the admin port: no file beside it, nothing fetched from elsewhere, works without a network. It asks
// /stats once a second and shows what matters at a glance; where a token is required it asks for it and keeps it for the
// tab only.

export const adminPage = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>skewer</title>
<style>
:root { color-scheme: light dark; --line: #8884; --good: #1a8f4a; --bad: #c4372c }
body { font: 14px/1.45 system-ui, sans-serif; margin: 0 auto; max-width: 70rem; padding: 1rem }
h1 { font-size: 1.2rem; margin: 0 } h2 { font-size: .95rem; margin: 1.4rem 0 .4rem }
header { display: flex; gap: .8rem; align-items: baseline; flex-wrap: wrap }
.state { font-weight: 600 } .state.good { color: var(--good) } .state.bad { color: var(--bad) }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr)); gap: .5rem; margin-top: 1rem }
.card { border: 1px solid var(--line); border-radius: .4rem; padding: .5rem .7rem }
.card b { display: block; font-size: 1.35rem; font-variant-numeric: tabular-nums; font-weight: 600 }
.card span { opacity: .7; font-size: .8rem }
table { border-collapse: collapse; width: 100% } td, th { text-align: left; padding: .2rem .5rem; border-bottom: 1px solid var(--line) }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums }
.none { opacity: .6 }
</style></head><body>
<header><h1>skewer</h1><span id="name"></span><span id="state" class="state"></span><span id="why"></span></header>
<div class="cards" id="cards"></div>
<h2>Hosts</h2><div id="hosts"></div>
<h2>Refused, dropped, closed</h2><div id="refused"></div>
<script>
let token = sessionStorage.getItem('token'), last
const el = (id) => document.getElementById(id)
const text = (value) => String(value).replace(/[&<>"]/g, (c) => '&#' + c.charCodeAt(0) + ';')
const number = (n) => n >= 1e6 ? (n / 1e6).toFixed(1) + ' M' : n >= 1e4 ? (n / 1e3).toFixed(1) + ' k' : Math.round(n * 10) / 10
const bytes = (n) => n >= 1 << 20 ? (n / (1 << 20)).toFixed(1) + ' MiB' : n >= 1024 ? (n / 1024).toFixed(1) + ' KiB' : n + ' B'
async function ask(path) {
  const answer = await fetch(path, { headers: token ? { authorization: 'Bearer ' + token } : {} })
  if (answer.status === 401) {
    token = prompt('The admin token of this gateway') || ''
    if (token) sessionStorage.setItem('token', token)
    throw new Error('a token is required')
  }
  return answer.json()
}
function table(rows, columns) {
  if (rows.length === 0) return '<span class="none">none</span>'
  const cell = (tag, value, isNumber = typeof value === 'number') => '<' + tag + (isNumber ? ' class="n"' : '') + '>' + text(value) + '</' + tag + '>'
  return '<table><tr>' + columns.map((c, i) => cell('th', c, typeof rows[0][i] === 'number')).join('') + '</tr>' +
    rows.map((row) => '<tr>' + row.map((value) => cell('td', value)).join('') + '</tr>').join('') + '</table>'
}
async function show() {
  const [stats, hosts] = await Promise.all([ask('stats'), ask('hosts')])
  const at = performance.now(), c = stats.counters, before = last
  last = { at, c, cpu: stats.process.cpuSeconds }
  const rate = (...names) => before ? names.reduce((sum, name) => sum + c[name] - before.c[name], 0) / (at - before.at) * 1000 : 0
  el('name').textContent = stats.name + ' ' + stats.version
  el('state').textContent = stats.ready ? 'ready' : 'not ready'
  el('state').className = 'state ' + (stats.ready ? 'good' : 'bad')
  el('why').textContent = stats.reasons.join('; ')
  const cpu = before ? (stats.process.cpuSeconds - before.cpu) / (at - before.at) * 1e5 : 0
  el('cards').innerHTML = [
    ['connections', number(c.connectionsOpen)], ['sessions', number(c.sessionsOpen)], ['channels', number(hosts.reduce((sum, h) => sum + h.channels, 0))],
    ['parked', number(c.parked)], ['links', number(c.linksOpen)],
    ['frames in / s', number(rate('clientFramesIn', 'linkFramesIn'))], ['frames out / s', number(rate('clientFramesOut', 'linkFramesOut'))],
    ['bytes out / s', bytes(Math.round(rate('clientBytesOut', 'linkBytesOut')))],
    ['waiting for clients', bytes(c.clientQueueBytes)], ['waiting for hosts', bytes(c.linkQueueBytes)],
    ['CPU', cpu.toFixed(0) + ' %'], ['memory', bytes(stats.process.rssBytes)],
    ['loop delay p99', stats.process.delayMs.p99.toFixed(1) + ' ms'],
  ].map(([label, value]) => '<div class="card"><b>' + text(value) + '</b><span>' + text(label) + '</span></div>').join('')
  el('hosts').innerHTML = table(hosts.map((h) => [h.host, h.state + (h.isDraining ? ', draining' : ''), h.address, h.services.join(' '), h.channels, h.parked, Math.round(h.rttMs)]),
    ['host', 'state', 'address', 'services', 'channels', 'parked', 'rtt ms'])
  const refused = []
  for (const kind of ['messagesRefused', 'attachesRefused', 'connectionsClosed', 'channelsDetached', 'dropped'])
    for (const [why, count] of Object.entries(stats[kind])) if (count > 0) refused.push([kind, why, count])
  el('refused').innerHTML = table(refused, ['what', 'why', 'count'])
}
async function loop() {
  try { await show() } catch (error) { el('state').textContent = 'unreachable'; el('state').className = 'state bad'; el('why').textContent = error.message }
  setTimeout(loop, 1000)
}
loop()
</script></body></html>
`
