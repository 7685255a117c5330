// The suite of protocols/secure for SDKs on Node: node:crypto, and sodium-native where the application has it installed.
// The same bytes come out of either, and out of @noble in a browser.
import crypto from 'node:crypto'
import { createRequire } from 'node:module'
import type { CryptoProvider } from '../protocols/secure/crypto.ts'
import { type NodeCrypto, nativeProvider, type Sodium } from '../protocols/secure/native-provider.ts'

let loaded: CryptoProvider | undefined

/** Loaded at the first call. */
export function nodeCryptoProvider(): CryptoProvider {
  loaded ??= nativeProvider(crypto as NodeCrypto, loadSodium())
  return loaded
}

function loadSodium(): Sodium | undefined {
  try {
    return createRequire(import.meta.url)('sodium-native') as Sodium
  } catch {
    return undefined
  }
}
