// Providers and keys that the tests of the secure layer share. Secrets are made from one letter: nothing here is random.
import {
  acceleratedCryptoProvider,
  cryptoProvider,
  packagedCryptoProvider,
  plainCryptoProvider,
} from '../../../gateway/io/crypto-provider.ts'
import type { CryptoProvider, KeyPair } from '../../../protocols/secure/crypto.ts'
import { nobleProvider } from '../../../protocols/secure/noble-provider.ts'

export const native: CryptoProvider = cryptoProvider()
export const noble: CryptoProvider = nobleProvider
/** All that a gateway may run on; the accelerator's where that is built. */
export const providers: readonly CryptoProvider[] = [
  nobleProvider,
  packagedCryptoProvider(),
  plainCryptoProvider(),
  acceleratedCryptoProvider(),
].filter((provider) => provider !== undefined)

export const secretOf = (letter: string): Uint8Array => new Uint8Array(32).fill(letter.charCodeAt(0))
export const pairOf = (provider: CryptoProvider, letter: string): KeyPair => provider.dh.generateFrom(secretOf(letter))
export const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
export const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString()
export const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)
