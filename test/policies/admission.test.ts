// Admission: each rule at its limit, and that what is remembered is bounded by what is open.
import t from 'tap'
import { Admission, type AdmissionSettings, type Lists } from '../../policies/admission.ts'

const open: AdmissionSettings = { isObserved: false, perAddress: Infinity, perNetwork: Infinity }
const everybody: Lists = { allowed: undefined, denied: undefined, isBanned: () => false }
const only = (...addresses: string[]) => ({ has: (address: string) => addresses.includes(address) })

function admissionOf(settings: Partial<AdmissionSettings> = {}, lists: Partial<Lists> = {}): Admission {
  return new Admission({ ...open, ...settings }, { ...everybody, ...lists }, { lo: 1, hi: 2 })
}

t.test('bans, then denied networks, then allowed ones', async (t) => {
  const admission = admissionOf(
    {},
    { allowed: only('a', 'b', 'c'), denied: only('b', 'c'), isBanned: (a) => a === 'c' },
  )
  t.same(
    ['a', 'b', 'c', 'd'].map((address) => admission.refuses(address, 0)),
    [undefined, 'denied', 'banned', 'not_allowed'],
  )
})

t.test('so many connections of one address and of its network, exactly', async (t) => {
  const admission = admissionOf({ perAddress: 2, perNetwork: 3 })
  const enter = (address: string) => {
    const reason = admission.refuses(address, 0)
    if (reason === undefined) admission.entered(address)
    return reason
  }
  t.same([enter('10.0.0.1'), enter('10.0.0.1'), enter('10.0.0.1')], [undefined, undefined, 'per_address'])
  t.same([enter('10.0.0.2'), enter('10.0.0.3')], [undefined, 'per_network'])
  t.equal(enter('10.0.1.1'), undefined, 'another network')
  admission.left('10.0.0.1')
  t.same([enter('10.0.0.3'), enter('10.0.0.3')], [undefined, 'per_network'])
})

t.test('IPv6 counts by /64 and /48, however the last half is spread', async (t) => {
  const admission = admissionOf({ perAddress: 5, perNetwork: 8 })
  let entered = 0
  for (let i = 0; i < 100; i++) {
    const address = `2001:db8:1:${i < 50 ? 1 : 2}::${i.toString(16)}`
    if (admission.refuses(address, 0) !== undefined) continue
    admission.entered(address)
    entered++
  }
  t.equal(entered, 8, 'five of the first /64, three of the second')
  t.equal(admission.size, 3)
})

t.test('what has left leaves nothing behind', async (t) => {
  const admission = admissionOf({ perAddress: 10 })
  for (let i = 0; i < 10_000; i++) admission.entered(`10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`)
  for (let i = 0; i < 10_000; i++) admission.left(`10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`)
  t.equal(admission.size, 0)
})

t.test('new connections have a rate by address', async (t) => {
  const admission = admissionOf({ rate: { perSecond: 1, burst: 2 } })
  const at = (now: number, address = '10.0.0.1') => admission.refuses(address, now)
  t.same([at(0), at(0), at(0), at(999), at(1000), at(1000)], [undefined, undefined, 'rate', 'rate', undefined, 'rate'])
  t.equal(at(1000, '10.0.0.2'), undefined)
})
