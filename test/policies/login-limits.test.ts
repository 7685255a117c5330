// How often somebody may log in: at the limit, at the end of its time, and with more names than are kept.
import t from 'tap'
import { windowOf } from '../../policies/attempts.ts'
import { LoginLimits } from '../../policies/login-limits.ts'

const tenAMinute = { perSecond: 10 / 60, burst: 10 }
const limitsOf = (settings: LoginLimits['settings']) => {
  const limits = new LoginLimits({ lo: 1, hi: 2 })
  limits.settings = settings
  return limits
}

t.test('exactly as many as the limit says, the next in the time that it says', (t) => {
  const limits = limitsOf({ perAddress: tenAMinute })
  for (let i = 0; i < 10; i++) t.equal(limits.attempt('address', '192.0.2.1', 1000), 0)
  t.equal(Math.round(limits.attempt('address', '192.0.2.1', 1000)), 6000)
  t.equal(Math.round(limits.attempt('address', '192.0.2.1', 6999)), 1)
  t.equal(limits.attempt('address', '192.0.2.1', 7000), 0)
  t.ok(limits.attempt('address', '192.0.2.1', 7000) > 0)
  t.equal(limits.attempt('address', '192.0.2.2', 7000), 0, 'another one is not meant')
  t.equal(limits.attempt('user', '192.0.2.1', 7000), 0, 'nor a user of that name')
  t.end()
})

t.test('whoever is kept out is so until the very end, and the longer time holds', (t) => {
  const limits = limitsOf({ perUser: tenAMinute })
  limits.keepOut('user', 'ann', 5000, 0)
  limits.keepOut('user', 'ann', 1000, 0)
  t.equal(Math.round(limits.attempt('user', 'ann', 4999)), 1)
  t.equal(limits.attempt('user', 'bob', 4999), 0)
  t.equal(limits.attempt('user', 'ann', 5000), 0)
  limits.keepOut('user', 'ann', 5000, 5000)
  limits.settings = {}
  t.equal(limits.attempt('user', 'ann', 5001), 0, 'no limit, nobody is kept out')
  t.end()
})

t.test('half a million names take no more than the tables have', (t) => {
  const limits = limitsOf({ perAddress: tenAMinute })
  for (let i = 0; i < 500_000; i++) {
    limits.attempt('address', `a${i}`, 0)
    if (i % 4 === 0) limits.keepOut('address', `a${i}`, 60_000, 0)
  }
  t.ok(limits.memoryBytes <= 2 * 2 ** 19 * 16, `${limits.memoryBytes} bytes`)
  t.end()
})

t.test('a window of whole seconds lets pass what the rate does', (t) => {
  t.same(windowOf(tenAMinute), { attempts: 10, seconds: 60 })
  t.same(windowOf({ perSecond: 10 / 60, burst: 1 }), { attempts: 1, seconds: 6 })
  t.same(windowOf({ perSecond: 50, burst: 10 }), { attempts: 50, seconds: 1 })
  t.same(windowOf({ perSecond: 1 / 3600, burst: 1_000_000 }), { attempts: 24, seconds: 86_400 }, 'a day at most')
  t.end()
})
