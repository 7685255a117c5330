// Local misuse is told at once and by name.
import { readFileSync } from 'node:fs'
import t from 'tap'
import { Kcp } from '../../../protocols/kcp/kcp.ts'
import { checkKcpSettings, kcpPresets, type KcpSettings, kcpSettings } from '../../../protocols/kcp/settings.ts'

t.test('every preset is valid, and a change is taken', async (t) => {
  for (const settings of Object.values(kcpPresets)) t.doesNotThrow(() => checkKcpSettings(settings))
  t.equal(kcpSettings('fast', { mtu: 900 }).mtu, 900)
  t.equal(kcpSettings('fast').nc, true)
  t.equal(kcpSettings('normal').mtu, 1200)
})

t.test('a value out of range throws and names the setting', async (t) => {
  const wrong: [keyof KcpSettings, unknown[]][] = [
    ['mtu', [63, 1501, 1200.5, NaN, '1200', undefined]],
    ['peerMtu', [0, 65_536]],
    ['sendWindow', [0, -1, 32_769, Infinity]],
    ['receiveWindow', [127, 32_769]],
    ['nodelay', [-1, 3, true]],
    ['intervalMs', [0, 5001]],
    ['resend', [-1, 256]],
    ['minRtoMs', [0, 60_001]],
    ['deadLinkCount', [1, 1001]],
    ['sendBytesMax', [100, 2 ** 30]],
    ['sendCountMax', [0, 65_537]],
    ['immediate', [1, undefined]],
    ['nc', ['yes']],
    ['stream', [0, null]],
  ]
  t.strictSame(wrong.map(([name]) => name).sort(), Object.keys(kcpPresets.normal).sort(), 'none is left out')
  for (const [name, values] of wrong) {
    for (const value of values) {
      const settings = { ...kcpPresets.normal, [name]: value } as KcpSettings
      t.throws(
        () => checkKcpSettings(settings),
        { name: 'RangeError', message: new RegExp(`^${name}: `) },
        `${name} ${value}`,
      )
    }
  }
})

t.test('an unknown preset and a conversation number of more than 32 bits are refused', async (t) => {
  const sink = { packet: () => {}, message: () => {} }
  t.throws(() => kcpSettings('toString' as 'fast'), { name: 'RangeError', message: /^preset: / })
  for (const conv of [-1, 2 ** 32, 1.5, NaN])
    t.throws(() => new Kcp(conv, kcpPresets.normal, sink), { name: 'RangeError', message: /^conv: / })
  t.doesNotThrow(() => new Kcp(0xffffffff, kcpPresets.normal, sink))
})

t.test('the table of the specification says what the presets are', async (t) => {
  const page = readFileSync(new URL('../../../docs/spec/kcp.md', import.meta.url), 'utf8')
  const rows = page.matchAll(/^\| `(\w+)` \| (\w+) \| (\w+) \| (\w+)(?: \(off\))? \| .*\|$/gm)
  const shown = [...rows].map(([, name, ...values]) => [name, ...values].join(' '))
  const names = Object.keys(kcpPresets.normal) as (keyof KcpSettings)[]
  const { fast, normal, thrifty } = kcpPresets
  t.strictSame(
    shown,
    names.map((name) => [name, fast[name], normal[name], thrifty[name]].join(' ')),
  )
})
