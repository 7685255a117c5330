// Forged datagrams (test/vectors/kcp-forged.json): each is refused with its reason and leaves no trace, neither in what
// the engine holds nor in what it does afterwards. One that was believed would end the conversation: that is why they are
// judged whole (KCP-2). What is only late must pass, or a bad network would look like an attack.
import { readFileSync } from 'node:fs'
import t from 'tap'
import { kcpVerdict } from '../../../protocols/kcp/datagram-check.ts'
import { type KcpSettings, kcpSettings } from '../../../protocols/kcp/settings.ts'
import { Random } from '../../sim/random.ts'
import { hex, KcpEnd } from './network.ts'
import { snapshot } from './snapshot.ts'

type Step = { now: number; send?: string; receive?: string; flush?: boolean }
type Forged = {
  name: string
  requirement: string
  verdict: keyof typeof kcpVerdict
  datagram: string
  before?: { datagram: string; repeat: number }
}
type Vectors = {
  conv: number
  settings: Partial<KcpSettings>
  scene: Step[]
  judgedAt: number
  forged: Forged[]
  late: { name: string; datagram: string }[]
}

const vectors: Vectors = JSON.parse(readFileSync(new URL('../../vectors/kcp-forged.json', import.meta.url), 'utf8'))
const bytesOf = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'hex'))

function play(before?: Forged['before']): KcpEnd {
  const end = new KcpEnd(vectors.conv, kcpSettings('normal', vectors.settings))
  for (const { now, send, receive, flush } of vectors.scene) {
    if (send !== undefined) end.kcp.send(bytesOf(send), now)
    if (receive !== undefined && end.kcp.receive(bytesOf(receive), now) !== kcpVerdict.accepted)
      throw new Error(receive)
    if (flush === true) end.kcp.flush(now)
  }
  for (let i = 0; before !== undefined && i < before.repeat; i++) {
    if (end.kcp.receive(bytesOf(before.datagram), vectors.judgedAt) !== kcpVerdict.accepted) throw new Error('before')
  }
  end.takePackets()
  end.takeMessages()
  return end
}

/** All that an end still does: it resends, acknowledges, and takes what was missing. */
function future(end: KcpEnd): string {
  const { conv, judgedAt } = vectors
  const push = Buffer.alloc(25)
  push.writeUInt32LE(conv, 0)
  push[4] = 81
  push.writeUInt16LE(128, 6)
  push.writeUInt32LE(1, 12)
  push.writeUInt32LE(1, 20)
  push[24] = 0x7a
  end.kcp.flush(judgedAt)
  end.kcp.receive(push, judgedAt + 1)
  const deadlines: number[] = []
  for (let now = judgedAt + 10; now < judgedAt + 5000; now += 10) {
    end.kcp.tick(now)
    deadlines.push(end.kcp.deadline())
  }
  const { queuedBytes, unackedBytes, ackedBytes, heldBytes, rttMs, rtoMs } = end.kcp
  const told = [queuedBytes, unackedBytes, ackedBytes, heldBytes, rttMs, rtoMs, ...deadlines]
  return [...end.takePackets().map(hex), ...end.takeMessages().map(hex), ...told].join()
}

t.test('the snapshot shows what a class hides', async (t) => {
  const end = play()
  const before = snapshot(end)
  t.ok(before.includes('#probeAt') && before.includes('#congestion'), 'private fields are in it')
  t.equal(snapshot(end), before)
  end.kcp.receive(bytesOf(vectors.late[0].datagram), vectors.judgedAt)
  t.not(snapshot(end), before, 'a datagram that is taken shows')
})

t.test('a forged datagram is refused with its reason and changes nothing', async (t) => {
  for (const { name, requirement, verdict, datagram, before } of vectors.forged) {
    const end = play(before)
    const untouched = snapshot(end)
    const bytes = bytesOf(datagram)
    const now = vectors.judgedAt
    const found = end.kcp.receive(bytes, now)
    t.equal(found, kcpVerdict[verdict], `${requirement} ${name}: ${verdict}`)
    t.ok(snapshot(end) === untouched, `${name}: nothing changed`)
    t.equal(future(end), future(play(before)), `${name}: nothing becomes of it`)
    t.equal(hex(bytes), datagram, `${name}: the bytes are as they were`)
  }
})

t.test('every reason to refuse has a vector', async (t) => {
  const shown = new Set(vectors.forged.map(({ verdict }) => verdict))
  // `dead` says nothing about the datagram.
  for (const name of Object.keys(kcpVerdict)) {
    if (name !== 'accepted' && name !== 'dead') t.ok(shown.has(name as keyof typeof kcpVerdict), name)
  }
})

t.test('what is only late or doubled is taken', async (t) => {
  for (const { name, datagram } of vectors.late) {
    t.equal(play().kcp.receive(bytesOf(datagram), vectors.judgedAt), kcpVerdict.accepted, name)
  }
})

t.test('a message whose first fragment came last is handed on whole', async (t) => {
  const end = play()
  const completes = vectors.late.find(({ name }) => name === 'a message that completes what is held')!
  end.kcp.receive(bytesOf(completes.datagram), vectors.judgedAt)
  // Segment 1 alone, then 2 (held, one to follow) with 3.
  t.strictSame(
    end.takeMessages().map((message) => Buffer.from(message).toString()),
    ['x', 'bx'],
  )
})

t.test('no prefix of a good datagram is taken, unless segments end there', async (t) => {
  const { datagram } = vectors.late.find(({ name }) => name === 'a message that completes what is held')!
  const whole = bytesOf(datagram)
  for (let length = 0; length < whole.length; length++) {
    const verdict = play().kcp.receive(whole.subarray(0, length), vectors.judgedAt)
    if (length === 25) t.equal(verdict, kcpVerdict.accepted)
    else if (verdict === kcpVerdict.accepted) t.fail(`taken at ${length}`)
  }
})

t.test(
  'a hundred thousand random and mutilated datagrams never throw and never hold more than the window',
  async (t) => {
    const random = new Random(20_260_101)
    const end = new KcpEnd(vectors.conv, kcpSettings('fast', { receiveWindow: 128 }))
    const good = [...vectors.forged, ...vectors.late]
      .map(({ datagram }) => bytesOf(datagram))
      .filter(({ length }) => length >= 24)
    const verdicts = new Array<number>(Object.keys(kcpVerdict).length).fill(0)
    const heldMax = 2 * 128 * 1376
    let now = 1000
    let worst = 0
    for (let i = 0; i < 100_000; i++) {
      let datagram: Uint8Array
      if (i % 4 === 0) {
        datagram = random.bytes(random.between(0, 60))
      } else {
        datagram = random.pick(good).slice()
        for (let flips = random.between(0, 3); flips > 0; flips--) {
          datagram[random.between(4, Math.min(datagram.length, 48) - 1)] = random.pick([
            0, 1, 2, 3, 81, 82, 127, 128, 255,
          ])
        }
      }
      if (i % 3 === 0) end.kcp.send(datagram.subarray(0, 100), now)
      verdicts[end.kcp.receive(datagram, now)]++
      if (i % 16 === 0) end.kcp.tick((now += random.between(0, 5)))
      if (random.chance(0.01)) end.kcp.pause()
      if (random.chance(0.02)) end.kcp.resume(now)
      if (end.kcp.isDead) t.fail(`dead at ${i}`)
      worst = Math.max(worst, end.kcp.heldBytes)
      end.packets = []
      end.messages = []
    }
    t.ok(worst <= heldMax, `held at most ${worst} bytes`)
    t.ok(verdicts[kcpVerdict.accepted] > 5000 && verdicts.filter((count) => count > 0).length >= 11, verdicts.join(' '))
  },
)
