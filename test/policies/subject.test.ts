// Who sent what is judged: each key is a hash of its own, in both of its words, and stays what it was named.
import t from 'tap'
import { hashText } from '../../policies/key-hash.ts'
import { Subject, subjectKeys } from '../../policies/subject.ts'

const hashKey = { lo: 3, hi: 5 }

/** Both words of each key, by its index. */
const wordsOf = (subject: Subject) => subjectKeys.map((_, i) => ({ lo: subject.lo(i), hi: subject.hi(i) }))

t.test('each key that was named has the two words of its own hash, and nothing of the others', async (t) => {
  for (const named of subjectKeys) {
    const subject = new Subject(hashKey)
    subject.identify(named, 'ann')
    t.same(
      wordsOf(subject),
      subjectKeys.map((key) => (key === named ? hashText(hashKey, `${key} ann`) : { lo: 0, hi: 0 })),
      named,
    )
  }
})

t.test('an empty name leaves a key as it is, another one takes its place', async (t) => {
  const subject = new Subject(hashKey)
  for (const key of subjectKeys) subject.identify(key, `${key} of ann`)
  const before = wordsOf(subject)
  for (const key of subjectKeys) subject.identify(key, '')
  t.same(wordsOf(subject), before)
  subject.identify('user', 'bob')
  t.same(wordsOf(subject)[subjectKeys.indexOf('user')], hashText(hashKey, 'user bob'))
  t.equal(new Set(wordsOf(subject).flatMap(({ lo, hi }) => [lo, hi])).size, 10, 'no two words are the same')
})

t.test('an address is two keys: itself or its /64, and the network around it', async (t) => {
  for (const [address, own, network] of [
    ['192.0.2.7', '192.0.2.7', '192.0.2/24'],
    ['::ffff:192.0.2.7', '192.0.2.7', '192.0.2/24'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64', '2001:db8:1::/48'],
  ]) {
    const subject = new Subject(hashKey)
    subject.cameFrom(address)
    const words = wordsOf(subject)
    t.same(words[subjectKeys.indexOf('address')], hashText(hashKey, `address ${own}`), address)
    t.same(words[subjectKeys.indexOf('network')], hashText(hashKey, `network ${network}`), address)
  }
})
