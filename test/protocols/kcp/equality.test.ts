// The fast engine against the plain one (reference.ts). First side by side: both are given the same sends, datagrams and
// times over a bad network, and must write the same bytes and hand on the same messages. Then as peers of each other,
// each on its own schedule.
import t from 'tap'
import { type KcpSettings, kcpSettings } from '../../../protocols/kcp/settings.ts'
import { Random } from '../../sim/random.ts'
import { hex, KcpEnd, Network, numbered, type Weather } from './network.ts'
import { ReferenceKcp } from './reference.ts'

function referenceOf(conv: number, settings: KcpSettings, output: (datagram: Uint8Array) => void): ReferenceKcp {
  const reference = new ReferenceKcp(conv, output)
  reference.setMtu(settings.mtu)
  reference.snd_wnd = settings.sendWindow
  reference.rcv_wnd = settings.receiveWindow
  reference.nodelay = settings.nodelay
  reference.interval = settings.intervalMs
  reference.fastresend = settings.resend
  reference.nocwnd = settings.nc
  reference.rx_minrto = settings.minRtoMs
  reference.dead_link = settings.deadLinkCount
  reference.stream = settings.stream
  reference.rtoGrowthMax = 60_000
  reference.probeInit = 500
  reference.timeoutForgetsFastack = true
  reference.overtakenIsDueEarly = true
  if (settings.nc) reference.repeatMax = 16
  return reference
}

/** An engine and, in its shadow, a reference that is told the same. */
class Shadowed {
  readonly end: KcpEnd
  readonly reference: ReferenceKcp
  readonly written: string[] = []
  delivered = 0
  appetite = Infinity

  constructor(settings: KcpSettings, now: number, firstSn: number) {
    this.end = new KcpEnd(0xfedcba98, settings, undefined, firstSn)
    this.reference = referenceOf(0xfedcba98, settings, (datagram) => this.written.push(hex(datagram)))
    this.reference.snd_una = this.reference.snd_nxt = this.reference.rcv_nxt = firstSn
    // The first, empty flush, which opens its congestion window.
    this.reference.update(now)
  }

  send(bytes: Uint8Array, now: number): void {
    if (this.end.kcp.send(bytes, now)) this.reference.send(bytes)
  }

  receive(datagram: Uint8Array, now: number): string[] {
    this.reference.current = now >>> 0
    const verdict = this.end.kcp.receive(datagram, now)
    if (verdict !== 0) return [`verdict ${verdict} on ${hex(datagram)}`]
    this.reference.input(datagram)
    return this.#compareMessages(now)
  }

  eat(appetite: number, now: number): string[] {
    this.appetite = this.end.appetite = appetite
    if (appetite > 0) this.end.kcp.resume(now)
    else this.end.kcp.pause()
    return this.#compareMessages(now)
  }

  flush(now: number): string[] {
    this.end.kcp.flush(now)
    this.reference.current = now >>> 0
    this.reference.flush()
    const ours = this.end.packets.map(hex)
    const theirs = this.written.splice(0)
    const complaints: string[] = []
    if (ours.join() !== theirs.join()) complaints.push(`at ${now}: wrote ${ours.join()} expected ${theirs.join()}`)
    if (this.end.kcp.isDead !== (this.reference.state === -1)) complaints.push(`at ${now}: dead ${this.end.kcp.isDead}`)
    return complaints
  }

  #compareMessages(now: number): string[] {
    const theirs: string[] = []
    while (this.appetite > 0) {
      const message = this.reference.recv()
      if (message === undefined) break
      theirs.push(hex(message))
      this.appetite--
    }
    const ours = this.end.takeMessages().map(hex)
    this.delivered += ours.length
    return ours.join() === theirs.join() ? [] : [`at ${now}: read ${ours.join()} expected ${theirs.join()}`]
  }
}

function* commandsOf(packet: Uint8Array): Generator<number> {
  for (let at = 0; at < packet.length; ) {
    yield packet[at + 4]
    at += 24 + packet[at + 20] + 256 * packet[at + 21]
  }
}

type Run = { complaints: string[]; delivered: number; resent: number; packets: number; commands: Set<number> }

function runSideBySide(seed: number): Run {
  const random = new Random(seed)
  const pick = <T>(...values: T[]): T => values[Math.floor(random.unit() * values.length)]
  const settings = kcpSettings('normal', {
    mtu: pick(64, 200, 576, 1200, 1400),
    sendWindow: pick(4, 32, 128, 200),
    receiveWindow: pick(128, 200, 256),
    nodelay: pick(0, 1, 2),
    intervalMs: pick(1, 10, 40, 100),
    resend: pick(0, 1, 2, 3),
    nc: pick(true, false),
    minRtoMs: pick(10, 30, 100),
    stream: pick(true, false, false),
  })
  const weather: Weather = {
    loss: pick(0, 0.02, 0.3, 0.6),
    duplicate: pick(0, 0.1),
    delayMs: pick(0, 5, 40, 200),
    jitterMs: pick(0, 3, 60),
  }
  const firstSn = pick(0, 0xfffffff0, 0x7ffffff0)
  // Half of the runs pass 2^32 or 2^31 milliseconds on their way.
  let now = pick(1, 2 ** 32 - 2000, 2 ** 31 - 2000, 123_456)
  const maxLength = pick(20, 300, 5000)
  const a = new Shadowed(settings, now, firstSn)
  const b = new Shadowed(settings, now, firstSn)
  const there = new Network(seed * 2, weather)
  const back = new Network(seed * 2 + 1, weather)
  const run: Run = { complaints: [], delivered: 0, resent: 0, packets: 0, commands: new Set() }
  const turn = (end: Shadowed, from: Network, to: Network): void => {
    for (const datagram of from.arrived(now)) run.complaints.push(...end.receive(datagram, now))
    if (random.unit() < 0.5) {
      const count = Math.floor(random.unit() * 4)
      for (let i = 0; i < count; i++) end.send(numbered(i + now, Math.floor(random.unit() * maxLength)), now)
    }
    // A reader that stalls for long, then takes a few, then all.
    if (random.unit() < 0.02) run.complaints.push(...end.eat(pick(0, 0, 1, 5, Infinity, Infinity), now))
    if (random.unit() < 0.7) {
      run.complaints.push(...end.flush(now))
      for (const packet of end.end.takePackets()) {
        run.packets++
        for (const command of commandsOf(packet)) run.commands.add(command)
        to.send(packet, now)
      }
    }
  }
  for (let step = 0; step < 400 && run.complaints.length === 0; step++) {
    turn(a, back, there)
    turn(b, there, back)
    if (a.end.kcp.isDead || b.end.kcp.isDead) break
    now += 1 + Math.floor(random.unit() * pick(2, 20, 20, 200))
  }
  run.delivered = a.delivered + b.delivered
  run.resent = a.end.kcp.timedOut + a.end.kcp.fastResent + b.end.kcp.timedOut + b.end.kcp.fastResent
  return run
}

t.test('the same calls give the same datagrams and the same messages as ikcp', async (t) => {
  let delivered = 0
  let resent = 0
  let packets = 0
  const probing = { 83: 0, 84: 0 }
  for (let seed = 1; seed <= 100; seed++) {
    const run = runSideBySide(seed)
    if (run.complaints.length > 0) t.fail(`seed ${seed}: ${run.complaints[0].slice(0, 1000)}`)
    delivered += run.delivered
    resent += run.resent
    packets += run.packets
    for (const command of [83, 84] as const) if (run.commands.has(command)) probing[command]++
  }
  t.ok(probing[83] > 5 && probing[84] > 5, `runs with a closed window asked about and told: ${JSON.stringify(probing)}`)
  t.comment(`${packets} datagrams, ${delivered} messages, ${resent} segments sent again`)
  t.ok(packets > 50_000 && delivered > 10_000 && resent > 10_000, 'the traces are not empty')
})

/** `fast` is driven by its deadline, the reference by ikcp_update every few milliseconds. */
function runAsPeers(seed: number, settings: KcpSettings): string[] {
  const random = new Random(seed)
  const weather: Weather = { loss: 0.1, duplicate: 0.05, delayMs: 20, jitterMs: 15 }
  const there = new Network(seed, weather)
  const back = new Network(seed + 1, weather)
  let now = 1000
  const fast = new KcpEnd(9, settings)
  const reference = referenceOf(9, settings, (datagram) => back.send(datagram, now))
  const sentThere: string[] = []
  const sentBack: string[] = []
  const gotThere: string[] = []
  const total = 150
  // Payload on its way.
  let missing = 0
  let taken = 0
  for (let number = 0; number < total || missing > 0; now++) {
    if (now > 200_000) return ['did not end']
    if (number < total && random.unit() < 0.3) {
      const message = numbered(number, 1 + Math.floor(random.unit() * 3000))
      number++
      if (fast.kcp.send(message, now)) {
        sentThere.push(hex(message))
        missing += message.length
      }
      if (reference.snd_queue.length < 200) {
        reference.send(message)
        sentBack.push(hex(message))
        missing += message.length
      }
    }
    reference.update(now)
    for (const datagram of there.arrived(now)) reference.input(datagram)
    for (let message = reference.recv(); message !== undefined; message = reference.recv()) {
      gotThere.push(hex(message))
      missing -= message.length
    }
    for (const datagram of back.arrived(now)) {
      const verdict = fast.kcp.receive(datagram, now)
      if (verdict !== 0) return [`verdict ${verdict}`]
    }
    for (; taken < fast.messages.length; taken++) missing -= fast.messages[taken].length
    fast.kcp.tick(now)
    for (const packet of fast.takePackets()) there.send(packet, now)
  }
  const glue = settings.stream ? '' : ','
  const complaints: string[] = []
  if (gotThere.join(glue) !== sentThere.join(glue)) complaints.push('the reference read something else')
  if (fast.messages.map(hex).join(glue) !== sentBack.join(glue)) complaints.push('the engine read something else')
  return complaints
}

for (const preset of ['fast', 'normal', 'thrifty'] as const) {
  t.test(`an engine with the settings ${preset} and a reference understand each other`, async (t) => {
    t.strictSame(runAsPeers(11, kcpSettings(preset)), [])
    t.strictSame(runAsPeers(12, kcpSettings(preset, { stream: true })), [])
  })
}
