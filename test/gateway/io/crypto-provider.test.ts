// Which libraries a process takes for the secure layer.
import { execFileSync } from 'node:child_process'
import process from 'node:process'
import t from 'tap'
import {
  acceleratedCryptoProvider,
  cryptoProvider,
  packagedCryptoProvider,
  plainCryptoProvider,
} from '../../../gateway/io/crypto-provider.ts'

const module = new URL('../../../gateway/io/crypto-provider.ts', import.meta.url).href
const nameWith = (env: NodeJS.ProcessEnv): string => {
  const script = `import(${JSON.stringify(module)}).then((m) => console.log(m.cryptoProvider().name))`
  return execFileSync(process.execPath, ['-e', script], {
    encoding: 'utf8',
    env: { ...process.env, NODE_OPTIONS: '', ...env },
  }).trim()
}

t.test('SKEWER_SODIUM=off leaves sodium-native out, and nothing else does', async (t) => {
  const without = { SKEWER_ACCELERATOR: 'off' }
  t.equal(nameWith({ ...without, SKEWER_SODIUM: 'off' }), plainCryptoProvider().name)
  for (const value of [undefined, '', 'on']) {
    t.equal(nameWith({ ...without, SKEWER_SODIUM: value }), packagedCryptoProvider().name)
  }
  t.not(packagedCryptoProvider().name, plainCryptoProvider().name, 'it is installed here')
})

t.test('the AEAD of the accelerator goes before sodium-native where it is on', async (t) => {
  const expected = acceleratedCryptoProvider() ?? packagedCryptoProvider()
  t.equal(nameWith({}), expected.name)
  t.equal(cryptoProvider().name, expected.name)
})
