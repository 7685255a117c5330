// What the sample configurations name: certificates and keys made for the test in a folder of its own.
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import fs from 'node:fs'
import path from 'node:path'
import { newKey } from '../../config/keys.ts'
import { makeCertificate } from './certificate.ts'

export const sampleNames = ['development', 'production', 'cluster'] as const
export const samplesFolder = path.join(import.meta.dirname, '../../examples/config')

export const sampleEnv = {
  JWT_SECRET: randomBytes(32).toString('hex'),
  SKEWER_TICKET_KEY: newKey(),
  SKEWER_LINK_KEY: newKey(),
  GATEWAY_NAME: 'gateway-7',
}

/** Copies the samples and makes every file that they name; returns the file of each. */
export function layOutSamples(folder: string): Record<(typeof sampleNames)[number], string> {
  for (const name of sampleNames)
    fs.copyFileSync(path.join(samplesFolder, `${name}.yaml`), path.join(folder, `${name}.yaml`))
  makeCertificate(path.join(folder, 'tls/fullchain.pem'), path.join(folder, 'tls/privkey.pem'))
  fs.mkdirSync(path.join(folder, 'keys'))
  const accounts = generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'pem' })
  fs.writeFileSync(path.join(folder, 'keys/accounts.pem'), accounts)
  fs.mkdirSync(path.join(folder, 'secrets'))
  for (const name of ['ticket-key', 'ticket-key-next', 'ticket-key-before', 'link-key', 'admin-token']) {
    fs.writeFileSync(path.join(folder, 'secrets', name), `${newKey()}\n`)
  }
  const file = (name: string) => path.join(folder, `${name}.yaml`)
  return { development: file('development'), production: file('production'), cluster: file('cluster') }
}
