// The key by which this gateway is known where Noise is spoken: read from the files that the configuration names, else one
// of its own, made once and kept in the state folder (`noise.key`, PEM, 0600). All listeners ask here at each handshake,
// so that a reload reaches every one of them at once; what is open keeps its keys.
import fs from 'node:fs'
import path from 'node:path'
import { type NoiseKey, newNoiseKeyFile, readNoiseKey } from '../../config/noise-keys.ts'
import type { Settings } from '../../config/settings.ts'
import type { CryptoProvider, KeyPair } from '../../protocols/secure/crypto.ts'
import { Responder, type TicketOpener } from '../../protocols/secure/handshakes.ts'
import { keepFirst, readKept } from './kept-file.ts'

/** `previous` serves those who know only the public key from before the last change. */
export type NoiseKeys = { readonly current: KeyPair; readonly previous?: KeyPair; readonly isShared: boolean }
type NoiseFiles = Pick<Settings, 'noise' | 'stateDir'>

export class NoiseIdentity {
  readonly openTicket: TicketOpener
  readonly #provider: () => CryptoProvider
  #keys: NoiseKeys | undefined
  /** By the transport's name. */
  readonly #responders = new Map<string, Responder>()

  /** `openTicket`: for NKpsk2; `provider` is asked where Noise is spoken only. Without keys before `prepare`. */
  constructor(provider: () => CryptoProvider, openTicket: TicketOpener) {
    this.#provider = provider
    this.openTicket = openTicket
  }

  get crypto(): CryptoProvider {
    return this.#provider()
  }

  /** Throws where Noise is not spoken here. */
  get keys(): NoiseKeys {
    if (this.#keys === undefined) throw new Error('Noise is not spoken here: no key was loaded')
    return this.#keys
  }

  /** Whether other gateways may have the same keys: not those that were made here. */
  get isShared(): boolean {
    return this.#keys?.isShared === true
  }

  /** What clients are given: 43 characters of base64url; undefined where Noise is not spoken. */
  get publicKeyText(): string | undefined {
    return this.#keys && Buffer.from(this.#keys.current.publicKey).toString('base64url')
  }

  /** Reads the files, where Noise is spoken; throws with a sentence for the operator. What it returns puts them in use. */
  prepare(settings: NoiseFiles & Pick<Settings, 'listeners' | 'hosts'>): () => void {
    const keys = isSpoken(settings) ? this.#read(settings) : undefined
    return () => {
      this.#keys = keys
      this.#responders.clear()
    }
  }

  /** Reads first messages of a transport (`tcp`, `websocket`, `udp`); to be asked for at each handshake. */
  responder(transport: string): Responder {
    let responder = this.#responders.get(transport)
    if (responder === undefined) {
      const { crypto, openTicket } = this
      const { current: identity, previous } = this.keys
      responder = new Responder({ crypto, identity, previous, transport, openTicket })
      this.#responders.set(transport, responder)
    }
    return responder
  }

  #read({ noise, stateDir }: NoiseFiles): NoiseKeys {
    const pair = ({ secret }: NoiseKey) => this.crypto.dh.generateFrom(secret)
    if (noise === undefined) return { current: pair(ownKey(stateDir)), isShared: false }
    const previous = noise.previousKeyFile === undefined ? undefined : pair(readKeyFile(noise.previousKeyFile))
    return { current: pair(readKeyFile(noise.keyFile)), previous, isShared: true }
  }
}

function isSpoken({ noise, listeners, hosts }: Pick<Settings, 'noise' | 'listeners' | 'hosts'>): boolean {
  return noise !== undefined || [...listeners, ...hosts].some(({ security }) => security === 'noise')
}

function readKeyFile(file: string): NoiseKey {
  let text: string
  try {
    text = fs.readFileSync(file, 'utf8')
  } catch (error) {
    throw new Error(`the key of Noise ${file} cannot be read (${(error as NodeJS.ErrnoException).code})`)
  }
  const key = readNoiseKey(text)
  if (key === undefined) throw new Error(`${file} does not hold an X25519 private key`)
  return key
}

/** The key in `stateDir`, made if there is none. */
function ownKey(stateDir: string): NoiseKey {
  const file = path.join(stateDir, 'noise.key')
  let text: string | undefined
  try {
    if (readKept(file) === undefined) keepFirst(file, newNoiseKeyFile())
    text = readKept(file)
  } catch (error) {
    throw new Error(`the key of Noise cannot be kept in ${stateDir}: ${(error as Error).message}`)
  }
  const key = text === undefined ? undefined : readNoiseKey(text)
  if (key === undefined)
    throw new Error(`${file} does not hold an X25519 private key; remove it to have a new one made`)
  return key
}
