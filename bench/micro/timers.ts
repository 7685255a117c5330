// What the gateway's one heap of deadlines costs with many that wait: one set later, as a heartbeat is after it was heard
// from; one set and taken back, as a login's is; one that comes. `node bench/micro/timers.ts [waiting]`.
import { Deadline, Deadlines } from '../../gateway/deadlines.ts'
import { measure } from './measure.ts'

const WAITING = Number(process.argv[2] ?? 10_000)
const HEARTBEAT_MS = 15_000
/** As many steps as there are deadlines visit each once. */
const STRIDE = 7919

const deadlines = new Deadlines()
let expired = 0
const owner = {
  expired(deadline: Deadline, now: number): void {
    expired++
    deadlines.set(deadline, now + HEARTBEAT_MS)
  },
}
const waiting = Array.from({ length: WAITING }, () => new Deadline(owner))
for (const [i, deadline] of waiting.entries()) deadlines.set(deadline, (i * HEARTBEAT_MS) / WAITING)
const other = new Deadline(owner)
let now = 0
let at = 0

await measure(`timers, ${WAITING} waiting`, [
  {
    what: 'set later',
    run(count) {
      for (let i = 0; i < count; i++) {
        at = (at + STRIDE) % WAITING
        deadlines.set(waiting[at], waiting[at].at + 1)
      }
    },
  },
  {
    what: 'set and cleared',
    run(count) {
      for (let i = 0; i < count; i++) {
        deadlines.set(other, now + (i & 0xfff))
        deadlines.clear(other)
      }
    },
  },
  {
    what: 'came, and was set again',
    run(count) {
      const wanted = expired + count
      while (expired < wanted) {
        now = deadlines.next()
        deadlines.expire(now)
      }
    },
  },
  {
    what: 'when is the next',
    run(count) {
      let sum = 0
      for (let i = 0; i < count; i++) sum += deadlines.next()
      if (Number.isNaN(sum)) throw new Error('no deadline')
    },
  },
])
if (deadlines.size !== WAITING) throw new Error(`${deadlines.size} deadlines wait`)
