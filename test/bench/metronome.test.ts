// The open loop's beats: finer than a timer's, and never more than one that waits.
import { setImmediate } from 'node:timers/promises'
import t from 'tap'
import { Metronome } from '../../bench/load/metronome.ts'

t.test('beats come closer together than a timer of the event loop can', { timeout: 20_000 }, async (t) => {
  const times: number[] = []
  const { promise: enough, resolve } = Promise.withResolvers<void>()
  const metronome = new Metronome(5000, () => {
    if (times.push(performance.now()) === 200) resolve()
  })
  await enough
  await metronome.end()
  const gaps = times.slice(1).map((at, i) => at - times[i])
  const fine = gaps.filter((gap) => gap < 0.8).length
  t.ok(fine > gaps.length / 4, `${fine} of ${gaps.length} are below 0.8 ms`)
})

t.test('of beats that nobody heard one waits, and none comes behind the end', { timeout: 20_000 }, async (t) => {
  let beats = 0
  const metronome = new Metronome(1000, () => beats++)
  await metronome.begun()
  while (beats === 0) await setImmediate()
  const end = performance.now() + 30
  while (performance.now() < end);
  beats = 0
  await setImmediate()
  await setImmediate()
  t.ok(beats >= 1 && beats <= 3, `${beats} after 30 ms of standing still`)
  await metronome.end()
  const heard = beats
  for (let i = 0; i < 100; i++) await setImmediate()
  t.equal(beats, heard)
})
