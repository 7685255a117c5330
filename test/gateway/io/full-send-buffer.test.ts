// needs: gcc
// What native/datagrams.c does when the kernel has no room for what a turn sends. Loopback never fills, so the system call
// in it is replaced: it takes as many datagrams as the script in the environment says, in calls of a few each, and then says
// what it says; the datagrams that it takes go to the real one.
import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import process from 'node:process'
import t from 'tap'
import { acceleratorPlace } from '../../../gateway/io/accelerator.ts'
import { type NativeDatagrams, NativeUdpSocket } from '../../../gateway/io/native-udp-socket.ts'
import { Kcp } from '../../../protocols/kcp/kcp.ts'
import { kcpSettings } from '../../../protocols/kcp/settings.ts'
import { Random } from '../../sim/random.ts'
import { eventually, scratchFolder } from './started.ts'
import { dropsOf, opened, peer } from './udp-socket-duties.ts'

const folder = scratchFolder(t)
const built = path.join(folder, 'scripted.node')
fs.writeFileSync(
  path.join(folder, 'scripted.c'),
  `#define _GNU_SOURCE
  #include <errno.h>
  #include <stdlib.h>
  #include <stdio.h>
  #include <sys/socket.h>
  static int setting(const char *name) { const char *text = getenv(name); return text == NULL ? 0 : atoi(text); }
  static void set(const char *name, int n) { char text[16]; snprintf(text, sizeof text, "%d", n); setenv(name, text, 1); }
  static int scripted(int fd, struct mmsghdr *messages, unsigned count, int flags) {
    set("SCRIPT_CALLS", setting("SCRIPT_CALLS") + 1);
    int room = setting("SCRIPT_ROOM"), interrupts = setting("SCRIPT_INTERRUPTS");
    if (interrupts > 0) { set("SCRIPT_INTERRUPTS", interrupts - 1); errno = EINTR; return -1; }
    if (room == 0) { errno = setting("SCRIPT_ERROR"); return -1; }
    unsigned each = (unsigned)setting("SCRIPT_EACH"), taken = count < each ? count : each;
    if (taken > (unsigned)room) taken = (unsigned)room;
    set("SCRIPT_ROOM", room - (int)taken);
    return sendmmsg(fd, messages, taken, flags);
  }
  #define sendmmsg scripted
  #include "${acceleratorPlace('datagrams').source}"
  `,
)
const headers = path.join(path.dirname(process.execPath), '..', 'include', 'node')
const args = ['-O2', '-Wall', '-shared', '-fPIC', `-I${headers}`, path.join(folder, 'scripted.c'), '-o', built]
const { status, stderr } = spawnSync(process.env.CC ?? 'cc', args, { encoding: 'utf8' })
if (status !== 0) throw new Error(stderr)
const native = createRequire(import.meta.url)(built) as NativeDatagrams

const { EAGAIN, ENOBUFS } = (await import('node:os')).constants.errno
const MANY = 1_000_000

/** From now on the kernel takes `room` datagrams, `each` a call, and says `error` then. */
function script(room: number, each = MANY, error = EAGAIN, interrupts = 0): void {
  process.env.SCRIPT_ROOM = `${room}`
  process.env.SCRIPT_EACH = `${each}`
  process.env.SCRIPT_ERROR = `${error}`
  process.env.SCRIPT_INTERRUPTS = `${interrupts}`
  process.env.SCRIPT_CALLS = '0'
}
const calls = () => Number(process.env.SCRIPT_CALLS)

const open: Parameters<typeof opened>[1] = async (place, counters, sink) =>
  NativeUdpSocket.open(native, place, counters, sink)

t.test('what there is room for leaves in order, the rest is dropped and counted, in two calls', async (t) => {
  for (const error of [EAGAIN, ENOBUFS]) {
    const { socket, counters } = await opened(t, open)
    const client = await peer(t)
    const send = (from: number, to: number) => {
      for (let n = from; n < to; n++) socket.send(new Uint8Array(10 + n).fill(n), 0, 10 + n, '127.0.0.1', client.port)
      socket.flush()
    }
    script(4, MANY, error)
    send(0, 10)
    t.equal(calls(), 2, 'it does not ask again and again')
    t.same(dropsOf(counters), { send_buffer_full: 6 })
    t.same([counters.sent, counters.sentBytes, counters.socketErrors], [4, 10 + 11 + 12 + 13, 0])
    t.equal(socket.isHolding, false, 'nothing is kept for later')
    script(0, MANY, error)
    send(10, 12)
    t.equal(calls(), 1)
    t.equal(dropsOf(counters).send_buffer_full, 8)
    // There is room again: nothing old comes before or behind what is new.
    script(MANY)
    send(12, 20)
    const expected = [0, 1, 2, 3, 12, 13, 14, 15, 16, 17, 18, 19]
    await eventually(() => client.received.length === expected.length, 'all that was taken')
    t.same(
      client.received,
      expected.map((n) => Buffer.alloc(10 + n, n)),
    )
    t.equal(counters.sent, expected.length)
  }
})

t.test('a kernel that takes few a call is asked until it has all, one that is interrupted too', async (t) => {
  const { socket, counters } = await opened(t, open)
  const client = await peer(t)
  const count = 3 * native.batch + 5
  script(MANY, 7, EAGAIN, 3)
  for (let n = 0; n < count; n++) socket.send(Uint8Array.of(n), 0, 1, '127.0.0.1', client.port)
  socket.flush()
  await eventually(() => client.received.length === count, 'all of them')
  t.same(
    client.received.map(([n]) => n),
    Array.from({ length: count }, (_, n) => n & 0xff),
  )
  t.equal(calls(), 3 * Math.ceil(native.batch / 7) + 1 + 3)
  t.same([counters.sent, dropsOf(counters)], [count, {}])
})

t.test('what had no room is sent again by KCP: everything arrives, once and in order', async (t) => {
  const settings = { ...kcpSettings('fast', { stream: false }), mtu: 200 }
  const heard: number[] = []
  const { socket, counters, heard: acks } = await opened(t, open)
  const client = await peer(t)
  const clientKcp = new Kcp(7, settings, {
    packet: (bytes, start, end) => client.send(bytes.slice(start, end), socket),
    message: (bytes, start) => void heard.push(bytes[start] | (bytes[start + 1] << 8)),
  })
  const kcp = new Kcp(7, settings, {
    packet: (bytes, start, end) => socket.send(bytes, start, end, '127.0.0.1', client.port),
    message() {},
  })
  const count = 300
  const random = new Random(4)
  let sent = 0
  // In one turn of three there is room for a part, or for nothing.
  await eventually(() => {
    const now = performance.now()
    for (let i = 0; i < 10 && sent < count; i++) {
      if (kcp.send(Uint8Array.of(sent, sent >>> 8, ...new Uint8Array(60)), now)) sent++
    }
    for (const { bytes } of acks.splice(0)) kcp.receive(bytes, now)
    for (const bytes of client.received.splice(0)) clientKcp.receive(bytes, now)
    kcp.tick(now)
    clientKcp.tick(now)
    script(random.between(0, 2) === 0 ? random.between(0, 3) : MANY, 3)
    socket.flush()
    return heard.length >= count && kcp.unackedBytes === 0
  }, 'all messages, confirmed')
  t.same(
    heard,
    Array.from({ length: count }, (_, n) => n),
  )
  t.ok(dropsOf(counters).send_buffer_full > 0, `${dropsOf(counters).send_buffer_full} had no room`)
  t.equal(kcp.isDead, false)
})
