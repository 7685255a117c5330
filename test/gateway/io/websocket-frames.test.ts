import t from 'tap'
import { WebSocketReader, writeFrameHead } from '../../../gateway/io/websocket-frames.ts'

const hex = (text: string) => Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'))

/** What a reader makes of bytes, given whole, byte by byte, or in pieces. */
function read(bytes: Uint8Array, step: number) {
  const reader = new WebSocketReader()
  const result = { data: '', pings: [] as string[], ended: [] as number[] }
  const sink = {
    data: (lent: Uint8Array) => {
      result.data += Buffer.from(lent).toString('hex')
    },
    pinged: (payload: Uint8Array) => result.pings.push(Buffer.from(payload).toString()),
    ended: (answer: number) => result.ended.push(answer),
  }
  for (let at = 0; at < bytes.length; at += step) reader.receive(bytes.slice(at, at + step), sink)
  return result
}

function reads(
  t: { same(found: unknown, wanted: unknown, name: string): unknown },
  text: string,
  wanted: { data?: string; pings?: string[]; ended?: number[] },
) {
  const bytes = hex(text)
  for (const step of [bytes.length, 1, 2, 3, 7]) {
    t.same(read(bytes, step), { data: '', pings: [], ended: [], ...wanted }, `in pieces of ${step}`)
  }
}

t.test('a masked message, as RFC 6455 section 5.7 has it', async (t) => {
  reads(t, '82 85 37fa213d 7f9f4d5158', { data: '48656c6c6f' })
})

t.test('fragments are one stream, with a ping between them', async (t) => {
  reads(t, '02 83 00000000 48656c  89 82 00000000 6869  80 82 00000000 6c6f', { data: '48656c6c6f', pings: ['hi'] })
})

t.test('empty frames carry nothing and disturb nothing', async (t) => {
  reads(t, '02 80 01020304  00 80 01020304  80 81 00000000 41', { data: '41' })
})

t.test('lengths of 16 and 64 bits', async (t) => {
  const body = 'ab'.repeat(300)
  reads(t, `82 fe 012c 00000000 ${body}`, { data: body })
  reads(t, `82 ff 000000000000012c 00000000 ${body}`, { data: body })
})

t.test('what was read before a fault still counts', async (t) => {
  reads(t, '82 81 00000000 41  81 81 00000000 42  82 81 00000000 43', { data: '41', ended: [1003] })
})

t.test('a close is answered with its own code, 1000 where it has none, 1002 where it is not one', async (t) => {
  reads(t, '88 80 00000000', { ended: [1000] })
  reads(t, '88 82 00000000 03e9', { ended: [1001] })
  reads(t, '88 82 00000000 0fa1', { ended: [4001] })
  reads(t, '88 81 00000000 03', { ended: [1002] })
  reads(t, '88 82 00000000 03ed', { ended: [1002] })
})

t.test('nothing is read behind a close', async (t) => {
  reads(t, '88 80 00000000  82 81 00000000 41', { ended: [1000] })
})

for (const [what, text, code] of [
  ['a text message', '81 81 00000000 41', 1003],
  ['a frame without a mask', '82 01 41', 1002],
  ['bits of an extension', 'c2 81 00000000 41', 1002],
  ['an unknown kind', '83 80 00000000', 1002],
  ['an unknown control frame', '8b 80 00000000', 1002],
  ['a control frame in fragments', '09 80 00000000', 1002],
  ['a control frame of 126 bytes', '89 fe 007e 00000000', 1002],
  ['a continuation of nothing', '80 80 00000000', 1002],
  ['a message within a message', '02 80 00000000 82 80 00000000', 1002],
  ['a frame of 2^40 bytes', '82 ff 0000010000000000 00000000', 1009],
] as const) {
  t.test(`${what} is closed with ${code}`, async (t) => reads(t, text, { ended: [code] }))
}

t.test('no bytes make the reader throw or hold more than a header and one control frame', async (t) => {
  let seed = 7
  const random = () => (seed = (Math.imul(seed, 1103515245) + 12345) >>> 0) / 2 ** 32
  for (let round = 0; round < 2000; round++) {
    const bytes = Uint8Array.from({ length: 1 + Math.floor(random() * 60) }, () => random() * 256)
    if (round % 2 === 0) bytes[1] |= 0x80
    read(bytes, 1 + Math.floor(random() * 9))
  }
  t.pass('none did')
})

t.test('headers of our own frames', async (t) => {
  const head = (length: number) => {
    const to = new Uint8Array(12)
    return Buffer.from(to.subarray(1, 1 + writeFrameHead(to, 1, 2, length))).toString('hex')
  }
  t.same([0, 125, 126, 65535, 65536, 2 ** 31].map(head), [
    '8200',
    '827d',
    '827e007e',
    '827effff',
    '827f0000000000010000',
    '827f0000000080000000',
  ])
})

t.test('payloads of every length are unmasked, wherever they lie and however they are cut', async (t) => {
  const mask = [0x9a, 0x01, 0xf0, 0x77]
  for (let length = 0; length <= 70; length++) {
    const payload = Uint8Array.from({ length }, (_, i) => i * 37 + length)
    const frame = [0x82, 0x80 | length, ...mask, ...payload.map((byte, i) => byte ^ mask[i & 3])]
    // The second one is moved to the end of the first.
    const two = Uint8Array.from([...frame, ...frame])
    const wanted = Buffer.concat([payload, payload]).toString('hex')
    for (const step of [two.length, 1, 5, 17, 19, 33]) t.equal(read(two, step).data, wanted, `${length} in ${step}`)
    const around = new Uint8Array(two.length + 9)
    around.set(two, 5)
    let data = ''
    const sink = {
      data: (lent: Uint8Array) => void (data += Buffer.from(lent).toString('hex')),
      pinged() {},
      ended() {},
    }
    new WebSocketReader().receive(around.subarray(5, 5 + two.length), sink)
    t.equal(data, wanted, `${length} inside of another buffer`)
    t.ok(around.subarray(0, 5).every((byte) => byte === 0) && around.subarray(-4).every((byte) => byte === 0))
  }
})
