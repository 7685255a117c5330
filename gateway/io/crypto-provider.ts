// The suite of protocols/secure on this process's own libraries: node:crypto, and sodium-native where that is installed and
// loads, unless SKEWER_SODIUM=off is in the environment (for measuring without it). `name` says which.
import crypto from 'node:crypto'
import { createRequire } from 'node:module'
import process from 'node:process'
import type { CryptoProvider } from '../../protocols/secure/crypto.ts'
import { type NodeCrypto, nativeProvider, type Sodium } from '../../protocols/secure/native-provider.ts'

let loaded: CryptoProvider | undefined

/** The best provider that this process can have; loaded at the first call. */
export function cryptoProvider(): CryptoProvider {
  loaded ??= nativeProvider(crypto as NodeCrypto, loadSodium())
  return loaded
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
