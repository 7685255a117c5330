// What conversations share: views of messages where they were opened, kept where games have theirs and nowhere else.
import t from 'tap'
import { DatagramCounters } from '../../gateway/datagram-counters.ts'
import { type DatagramEnvironment, KcpCarriers } from '../../gateway/kcp-carriers.ts'
import { headerBytes } from '../../protocols/kcp/segment.ts'
import { opened, OPENED_AT } from '../../protocols/secure/datagram-connection.ts'

const carriers = new KcpCarriers({} as DatagramEnvironment, new DatagramCounters())
const whereOf = ({ buffer, byteOffset, length }: Uint8Array) => [buffer, byteOffset, length]

t.test('a message behind up to eight headers has one view, at the right place', async (t) => {
  for (let headers = 1; headers <= 8; headers++) {
    const start = OPENED_AT + headers * headerBytes
    const view = carriers.viewOf(opened, start, start + 64)
    t.same(whereOf(view), [opened.buffer, opened.byteOffset + start, 64])
    t.equal(carriers.viewOf(opened, start, start + 64), view)
  }
})

t.test('one at any other place, which its sender chooses, leaves nothing behind', async (t) => {
  for (const start of [OPENED_AT + headerBytes + 1, OPENED_AT + 9 * headerBytes, 1000]) {
    const view = carriers.viewOf(opened, start, start + 64)
    t.same(whereOf(view), [opened.buffer, opened.byteOffset + start, 64])
    t.not(carriers.viewOf(opened, start, start + 64), view)
  }
})

t.test('bytes that were not opened here are viewed as they are', async (t) => {
  const bytes = new Uint8Array(200)
  const start = OPENED_AT + headerBytes
  t.same(whereOf(carriers.viewOf(bytes, start, start + 64)), [bytes.buffer, start, 64])
})
