// Which libraries a process takes for the secure layer.
import { execFileSync } from 'node:child_process'
import process from 'node:process'
import t from 'tap'
import { cryptoProvider, plainCryptoProvider } from '../../../gateway/io/crypto-provider.ts'

const module = new URL('../../../gateway/io/crypto-provider.ts', import.meta.url).href
const nameWith = (env: NodeJS.ProcessEnv): string => {
  const script = `import(${JSON.stringify(module)}).then((m) => console.log(m.cryptoProvider().name))`
  return execFileSync(process.execPath, ['-e', script], {
    encoding: 'utf8',
    env: { ...process.env, NODE_OPTIONS: '', ...env },
  }).trim()
}

t.test('SKEWER_SODIUM=off leaves sodium-native out, and nothing else does', async (t) => {
  t.equal(nameWith({ SKEWER_SODIUM: 'off' }), plainCryptoProvider().name)
  for (const value of [undefined, '', 'on']) t.equal(nameWith({ SKEWER_SODIUM: value }), cryptoProvider().name)
  t.not(cryptoProvider().name, plainCryptoProvider().name, 'it is installed here')
})
