// What the generator says to other game servers: the frames of an echo in each of their protocols, in hex where the
// protocol has a document.
import t from 'tap'
import { readDigits, STAMP_DIGITS, writeDigits } from '../../bench/load/game-client.ts'
import { dialectOf } from '../../bench/load/game-dialects.ts'
import { gameServerNames } from '../../bench/options.ts'

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex')

t.test('a time travels as sixteen digits, in whole microseconds', async (t) => {
  const bytes = Buffer.from('x'.repeat(STAMP_DIGITS + 2))
  for (const us of [0, 7, 123_456_789, 9_007_199_254_740_991]) {
    writeDigits(bytes, 1, us)
    t.equal(bytes.toString(), `x${String(us).padStart(16, '0')}x`)
    t.equal(readDigits(bytes, 1), us)
  }
  writeDigits(bytes, 1, 41.6)
  t.equal(readDigits(bytes, 1), 42)
})

t.test('what comes back as it was sent is heard where its text begins', async (t) => {
  for (const name of gameServerNames.filter((name) => name !== 'pinus')) {
    for (const length of [16, 64, 300]) {
      const dialect = dialectOf(name)
      const text = 'a'.repeat(length)
      const { frame, at } = dialect.message(text, 1)
      t.equal(dialect.textAt(frame), at, name)
      t.equal(frame.toString('latin1', at, at + length), text, name)
    }
  }
})

t.test('socket.io: a session is opened, connected and kept by pongs', async (t) => {
  const dialect = dialectOf('socket.io')
  const said = (text: string) => dialect.answer(Buffer.from(text))
  t.strictSame(said('0{"sid":"a"}'), { says: '40' })
  t.strictSame(said('40{"sid":"b"}'), { ready: true })
  t.strictSame(said('2'), { says: '3' })
  t.match(said('44{"message":"no"}').failed, /44/)
  t.equal(dialect.message('abc', 1).frame.toString(), '42["m","abc"]')
})

t.test('Colyseus: a join is answered, a message is a type and a text in MessagePack', async (t) => {
  const dialect = dialectOf('colyseus')
  t.strictSame(dialect.answer(hex('0a 09')), { says: hex('0a'), ready: true })
  t.match(dialect.answer(hex('0b 01')).failed, /0b01/)
  t.strictSame(dialect.message('abc', 1).frame, hex('0d a1 6d d9 03 61 62 63'))
  t.strictSame(dialect.message('a'.repeat(300), 1).frame.subarray(0, 7), hex('0d a1 6d da 01 2c 61'))
})

t.test('Pinus: the handshake tells the number of the route; ids grow by groups of seven bits', async (t) => {
  const dialect = dialectOf('pinus')
  t.strictSame(Buffer.from(dialect.hello!).subarray(0, 3), hex('01 00 00'))
  const dict = Buffer.from('{"code":200,"sys":{"dict":{"connector.echoHandler.say":258}}}')
  const { says, ready } = dialect.answer(Buffer.concat([hex('01 00 00'), Buffer.of(dict.length), dict]))
  t.strictSame(says, hex('02 00 00 00'))
  t.equal(ready, true)
  t.strictSame(dialect.answer(hex('03 00 00 00')).says, hex('03 00 00 00'))
  t.strictSame(
    dialect.message('ab', 1).frame,
    Buffer.concat([hex('04 00 00 0e 01 01 01 02'), Buffer.from('{"m":"ab"}')]),
  )
  t.strictSame(dialect.message('ab', 300).frame.subarray(4, 9), hex('01 ac 02 01 02'))
  const response = Buffer.concat([hex('04 00 00 0c 04 01'), Buffer.from('{"m":"ab"}')])
  t.equal(dialect.textAt(response), response.indexOf('ab'))
  const refused = Buffer.from('{"code":500}')
  t.match(dialect.answer(Buffer.concat([hex('01 00 00'), Buffer.of(refused.length), refused])).failed, /500/)
})
