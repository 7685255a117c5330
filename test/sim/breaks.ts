// `npm run sim:breaks`: breaks one rule at a time, on purpose, in a copy of the sources, and shows that the simulator
// notices within so many seeds. A break that survives is a hole in the proof; a patch that does not fit any more is an
// error too. Exit code 1 in both cases.
import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), '..', '..')
const ROOMS = ['protocols', 'policies', 'config', 'gateway', 'sdk', 'test/sim']

/** [file, what stands there, what stands there when broken]; every occurrence is replaced. */
type Patch = readonly [string, string, string]
type Break = { name: string; rules: string; patches: readonly Patch[] }

const HOST_RECORD = 'protocols/session/host-record.ts'
const CLIENT_CHANNEL = 'protocols/session/client-channel.ts'
const LANES = 'gateway/lanes.ts'
const ATTACHES = 'gateway/attaches.ts'
const GATEWAY_PATHS = 'protocols/secure/gateway-paths.ts'
const DATAGRAM_CHECK = 'protocols/kcp/datagram-check.ts'

const breaks: readonly Break[] = [
  {
    name: 'refusal told to the client only, the host insists on contiguity',
    rules: 'R1 V1',
    patches: [
      [
        LANES,
        '  #writeSkip(attachment: Attachment): void {\n',
        '  #writeSkip(attachment: Attachment): void {\n    attachment.skipCount = 0\n    if (attachment.skipCount === 0) return\n',
      ],
    ],
  },
  {
    name: 'refusal told to the client only, the host accepts the gap',
    rules: 'R1 N3 V1',
    patches: [
      [
        LANES,
        '  #writeSkip(attachment: Attachment): void {\n',
        '  #writeSkip(attachment: Attachment): void {\n    attachment.skipCount = 0\n    if (attachment.skipCount === 0) return\n',
      ],
      [
        'protocols/session/intake.ts',
        '    if (number !== this.received + 1) return taken.gap\n',
        '    while (number > this.received + 1) this.settle(++this.received)\n',
      ],
    ],
  },
  {
    name: 'attach answer without the refused list',
    rules: 'R2 A7',
    patches: [[HOST_RECORD, 'refused: end.in.refused.slice(),', 'refused: [],']],
  },
  {
    name: 'refused list forgotten once it was told',
    rules: 'R2',
    patches: [[HOST_RECORD, 'refused: end.in.refused.slice(),', 'refused: end.in.refused.splice(0),']],
  },
  {
    name: 'old handle still read after the attach answer',
    rules: 'A6 V6',
    patches: [['sdk/host/binding.ts', '    link.closeHandle(handle, code.superseded, 0)\n  }', '  }']],
  },
  {
    name: 'data sent and judged before ATTACHED',
    rules: 'A3 A7 V7',
    patches: [
      [
        CLIENT_CHANNEL,
        '    this.#settledTold = this.end.in.settled\n    return {',
        '    this.#settledTold = this.end.in.settled\n    if (this.life !== 0n) this.end.attached(epoch, this.end.out.acked, 0, this.end.in.settled, now)\n    return {',
      ],
      [
        'sdk/client/attacher.ts',
        "channel.state !== 'attached') continue\n      // What",
        "(channel.state !== 'attached' && !channel.end.isAttached)) continue\n      // What",
      ],
      [
        'sdk/client/gateway-frames.ts',
        "if (channel === undefined || channel.state !== 'attached') {",
        "if (channel === undefined || (channel.state !== 'attached' && !channel.end.isAttached)) {",
      ],
      [
        'protocols/session/channel-end.ts',
        'if (number > this.out.transmitted) return code.protocol',
        'if (number > this.out.sent) return code.protocol',
      ],
      [
        LANES,
        "else this.#gateway.attaches.end(attachment, code.protocol, 0, 'a number was left out')",
        'else this.#gateway.counters.drops[drop.duplicate]++',
      ],
      [
        LANES,
        // A gateway that judges what comes before the host has answered, too, and cannot forward it before it is attaching.
        'if (attachment.state !== attachState.attached) {\n      // Behind',
        'if (attachment.state < attachState.attached && (attachment.state < attachState.attaching || attachment.nextUp < 0 || frame.kind > laneKind.request)) {\n      attachment.nextUp = -1\n      return true\n    }\n    if (attachment.state === attachState.attaching && attachment.nextUp === 0) attachment.nextUp = attachment.request!.acked + 1\n    if (attachment.state !== attachState.attached && attachment.state !== attachState.attaching) {\n      // Behind',
      ],
    ],
  },
  {
    name: 'received and settled made one number',
    rules: 'W2 A7 V8',
    patches: [
      [
        HOST_RECORD,
        '      received: end.in.received,\n      settled: end.in.settled,',
        '      received: end.in.settled,\n      settled: end.in.settled,',
      ],
    ],
  },
  {
    name: 'no life',
    rules: 'S2 V13',
    patches: [
      ['sdk/host/core.ts', 'return life === 0n ? 1n : life', 'return life === 0n ? 1n : 1n'],
      [
        HOST_RECORD,
        "return { verdict: 'new', isReset: true, reason: resetReason.recordLost, hadReceived: 0 }",
        "return { verdict: 'new', isReset: false, reason: resetReason.recordLost, hadReceived: 0 }",
      ],
      [
        HOST_RECORD,
        // Without a record and without lives a host can only believe what the client says.
        '  record.epoch = a.epoch\n',
        '  const { in: intake, out } = record.end\n  if (a.life !== 0n && intake.received === 0 && out.sent === 0) {\n    intake.received = intake.settled = a.acked\n    out.sent = out.acked = out.transmitted = a.received\n  }\n  record.epoch = a.epoch\n',
      ],
    ],
  },
  {
    name: 'epoch minted by the gateway',
    rules: 'A2 V10',
    patches: [
      [
        ATTACHES,
        '    const request = attachment.request!\n    const session = attachment.session\n',
        '    const request = attachment.request!\n    const session = attachment.session\n    const minting = this as unknown as { minted?: number }\n    minting.minted = (minting.minted ?? 0) + 1\n    const own = attachment as unknown as { clientEpoch?: number }\n    own.clientEpoch ??= attachment.epoch\n    ;(attachment as { epoch: number }).epoch = minting.minted\n    ;(request as { epoch: number }).epoch = minting.minted\n',
      ],
      [
        ATTACHES,
        '    if (isCurrent && attachment!.epoch === epoch) {\n',
        '    if (isCurrent && attachment!.epoch === epoch) {\n      ;(attachment as { epoch: number }).epoch = (attachment as unknown as { clientEpoch: number }).clientEpoch\n',
      ],
      [ATTACHES, '{ ...a, channel: attachment.channel', '{ ...a, epoch: attachment.epoch, channel: attachment.channel'],
    ],
  },
  {
    name: 'handle reused without CLOSE from both sides',
    rules: 'L2 V9b',
    patches: [
      [
        'gateway/handles.ts',
        'if (!slot.isOpen || !slot.closeSent || !slot.closeReceived) return',
        'if (!slot.isOpen || !slot.closeSent) return',
      ],
      [
        'sdk/host/handles.ts',
        '    if (!handle.isFree) return undefined\n    return this.#open(handle)',
        '    return this.#open(handle)',
      ],
    ],
  },
  {
    name: 'window not enforced',
    rules: 'W1',
    patches: [
      [
        'protocols/session/outbox.ts',
        'if (this.#count >= this.window.count || this.#bytes + bytes > this.window.bytes) return code.window_full',
        '',
      ],
    ],
  },
  {
    name: 'a host keeps more than its channel was granted',
    rules: 'W5',
    patches: [
      [
        'protocols/session/outbox.ts',
        'if (this.#bytes > 0 && this.#bytes + bytes > this.grantedBytes) return code.window_full',
        '',
      ],
    ],
  },
  {
    name: 'a channel is granted its share whatever the others have',
    rules: 'W5',
    patches: [['gateway/grants.ts', '(grantedBytesMax - granted - kept)', 'grantedBytesMax']],
  },
  {
    name: 'grants of channels that ended are not given back',
    rules: 'W5',
    patches: [['gateway/grants.ts', '    this.bytes -= total\n    this.count--', '    this.count--']],
  },
  {
    name: 'an unconfirmed life offered to any end',
    rules: 'A5 X2, decision 0005',
    patches: [[HOST_RECORD, 'record.offeredTo === 0n || record.offeredTo === a.end', 'record.offeredTo >= 0n']],
  },
  {
    name: 'a record of a stream that does not open believed',
    rules: 'SEC-5.4',
    patches: [['protocols/secure/secure-stream.ts', "        this.#fail('forged')\n        return\n", '']],
  },
  {
    name: 'datagrams taken again',
    rules: 'DGM-6.1 C2',
    patches: [
      [
        'protocols/secure/replay-window.ts',
        'return (this.#bits[wordOf(counter)] & bitOf(counter)) === 0',
        'return this.#bits.length > 0',
      ],
    ],
  },
  {
    name: 'a counter remembered before its datagram was opened',
    rules: 'DGM-6.2',
    patches: [
      [
        'protocols/secure/datagram-keys.ts',
        '    const generation = Math.floor(counter / this.#perKey)\n    const key = this.#keyOf(generation)\n',
        '    this.#window.accept(counter)\n    const generation = Math.floor(counter / this.#perKey)\n    const key = this.#keyOf(generation)\n',
      ],
    ],
  },
  {
    name: 'what does not open believed',
    rules: 'DGM-2.2 DGM-5.1',
    patches: [
      [
        'protocols/secure/datagram-keys.ts',
        "datagram.subarray(SEALED_HEAD_BYTES), out)) return 'forged'",
        'datagram.subarray(SEALED_HEAD_BYTES), out)) out[0] = 1',
      ],
    ],
  },
  {
    name: 'another address believed before it has answered',
    rules: 'DGM-7.1',
    patches: [
      [
        GATEWAY_PATHS,
        '      this.#candidate = pathOf(address, this.#active.id)\n',
        '      this.#active = pathOf(address, this.#active.id)\n      return\n',
      ],
    ],
  },
  {
    name: 'the address never changed',
    rules: 'DGM-7.1',
    patches: [[GATEWAY_PATHS, '      this.#active = candidate\n', '']],
  },
  {
    name: 'an address that has proved nothing asked without end',
    rules: 'DGM-7.3',
    patches: [[GATEWAY_PATHS, 'if (path.sent + CHALLENGE_BYTES > path.received) {', 'if (path.sent < 0) {']],
  },
  {
    name: 'a una from the future believed',
    rules: 'KCP-2.6',
    patches: [
      [DATAGRAM_CHECK, 'if ((sendNext - readInt32(bytes, at + field.una)) >>> 0 > LATE_MAX) return kcpVerdict.una', ''],
    ],
  },
  {
    name: 'an acknowledgement of what was never sent believed',
    rules: 'KCP-2.7',
    patches: [
      [
        DATAGRAM_CHECK,
        'if ((sendNext - 1 - readInt32(bytes, at + field.sn)) >>> 0 > LATE_MAX) return kcpVerdict.ack',
        '',
      ],
    ],
  },
  {
    name: 'strangers sent what they ask for',
    rules: 'KCP-7.3',
    patches: [
      [
        'gateway/plain-kcp.ts',
        'if (path.sentBytes + end - start > STRANGER_FACTOR * path.receivedBytes) return false',
        '',
      ],
    ],
  },
]

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '300' },
    only: { type: 'string', default: '' },
    json: { type: 'boolean', default: false },
  },
})
const results: { name: string; rules: string; seed: number | null; failure: string }[] = []
for (const one of breaks) {
  if (!one.name.includes(values.only)) continue
  const result = attempt(one)
  results.push(result)
  if (!values.json)
    console.log(
      `${result.seed === null ? 'SURVIVED' : `seed ${result.seed}`.padEnd(8)}  ${one.name} (${one.rules}): ${result.failure}`,
    )
}
if (values.json) console.log(JSON.stringify(results))
process.exit(results.every((result) => result.seed !== null) ? 0 : 1)

function attempt(one: Break): (typeof results)[number] {
  const copy = mkdtempSync(path.join(tmpdir(), 'skewer-break-'))
  try {
    for (const room of ROOMS) cpSync(path.join(root, room), path.join(copy, room), { recursive: true })
    cpSync(path.join(root, 'package.json'), path.join(copy, 'package.json'))
    symlinkSync(path.join(root, 'node_modules'), path.join(copy, 'node_modules'))
    writeFileSync(path.join(copy, 'test/sim/seeds.json'), '[]')
    for (const [file, from, to] of one.patches) {
      const text = readFileSync(path.join(copy, file), 'utf8')
      if (!text.includes(from)) {
        console.error(`the break "${one.name}" does not fit ${file} any more`)
        process.exit(1)
      }
      writeFileSync(path.join(copy, file), text.replaceAll(from, to))
    }
    const run = spawnSync(process.execPath, ['test/sim/main.ts', '--seeds', values.seeds, '--json'], {
      cwd: copy,
      encoding: 'utf8',
    })
    const { failures } = JSON.parse(run.stdout) as { failures: { seed: number; failure: string }[] }
    const first = failures.sort((a, b) => a.seed - b.seed)[0]
    return {
      name: one.name,
      rules: one.rules,
      seed: first?.seed ?? null,
      failure: (first?.failure ?? '').slice(0, 100),
    }
  } finally {
    rmSync(copy, { recursive: true, force: true })
  }
}
