// The suite of protocols/secure on this process's own libraries: node:crypto, and the AEAD of the accelerator where that is
// on, else sodium-native where that is installed and loads, unless SKEWER_SODIUM=off is in the environment (for measuring
// without it). `name` says which.
import crypto from 'node:crypto'
import { createRequire } from 'node:module'
import process from 'node:process'
import type { CryptoProvider } from '../../protocols/secure/crypto.ts'
import { type NodeCrypto, nativeProvider, providerWith, type Sodium } from '../../protocols/secure/native-provider.ts'
import { aeadAccelerator } from './accelerator.ts'
import { nativeAead } from './native-aead.ts'

let loaded: CryptoProvider | undefined

/** The best provider that this process can have; loaded at the first call. */
export function cryptoProvider(): CryptoProvider {
  loaded ??= acceleratedCryptoProvider() ?? packagedCryptoProvider()
  return loaded
}

/** With the accelerator; undefined where that is off. */
export function acceleratedCryptoProvider(): CryptoProvider | undefined {
  const native = aeadAccelerator()
  return native && providerWith(crypto as NodeCrypto, 'accelerator', nativeAead(native))
}

/** Of what npm has installed: sodium-native where it is there. */
export function packagedCryptoProvider(): CryptoProvider {
  return nativeProvider(crypto as NodeCrypto, loadSodium())
}

/** The same without sodium-native: what a process has where that is not installed. */
export function plainCryptoProvider(): CryptoProvider {
  return nativeProvider(crypto as NodeCrypto, undefined)
}

function loadSodium(): Sodium | undefined {
  if (process.env.SKEWER_SODIUM === 'off') return undefined
  try {
    return createRequire(import.meta.url)('sodium-native') as Sodium
  } catch {
    return undefined
  }
}
