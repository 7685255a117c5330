// Public keys from a server (JWKS), kept so that the server may be slow, away or wrong without a login noticing whose key
// is known: those keys serve until another set has been read. The set is fetched again from time to time, and when a token
// names a key that is not in it, at most once in `cooldownMs`. Such a token waits for the fetch, `timeoutMs` at most.
import * as errors from 'jose/errors'
import { createLocalJWKSet } from 'jose/jwks/local'
import type { CompactVerifyGetKey } from 'jose/jws/compact/verify'
import { readKeySet } from '../../config/key-sets.ts'
import type { JwksSettings } from '../../config/settings.ts'
import { monotonicNow } from './loop.ts'

const BODY_BYTES_MAX = 1024 * 1024
/** A server that failed is left alone for so long where no token asks for it. */
const AGAIN_MIN_MS = 5000

/** Told to the operator: what failed, and why. */
export type Warn = (what: string, error: Error) => void
export type FindKey = (...asked: Parameters<CompactVerifyGetKey>) => ReturnType<CompactVerifyGetKey>

/** Nobody can say just now whether the key exists. */
export class KeysAway extends Error {}

export class RemoteKeySet {
  readonly #settings: JwksSettings
  readonly #warn: Warn
  #find: FindKey | undefined
  #fetching: Promise<boolean> | undefined
  /** When the last fetch ended, however it did. */
  #triedAt = -Infinity
  #timer: NodeJS.Timeout | undefined
  #isEnded = false

  constructor(settings: JwksSettings, warn: Warn) {
    this.#settings = settings
    this.#warn = warn
  }

  /** Starts with what one before it knows of the same server, and fetches what is there now. */
  begin(before?: RemoteKeySet): void {
    if (before !== undefined && before.#settings.url === this.#settings.url) this.#find = before.#find
    void this.#fetch()
  }

  end(): void {
    this.#isEnded = true
    clearTimeout(this.#timer)
  }

  /** The key of a token; rejects with an error of jose where there is none, with `KeysAway` where nobody can say. */
  readonly find: FindKey = async (header, token) => {
    if (this.#find !== undefined) {
      try {
        return await this.#find(header, token)
      } catch (error) {
        if (!(error instanceof errors.JWKSNoMatchingKey)) throw error
      }
    }
    const isCooling = monotonicNow() - this.#triedAt < this.#settings.cooldownMs
    if (this.#fetching === undefined && isCooling) throw new KeysAway('the server was asked a moment ago')
    if (!(await this.#fetch())) throw new KeysAway('the server did not answer')
    return this.#find!(header, token)
  }

  /** One at a time; true when a set has been read. Never rejects. */
  #fetch(): Promise<boolean> {
    this.#fetching ??= this.#load().finally(() => {
      this.#fetching = undefined
      this.#triedAt = monotonicNow()
    })
    return this.#fetching
  }

  async #load(): Promise<boolean> {
    const { url, refreshMs, cooldownMs } = this.#settings
    let isRead = false
    try {
      this.#find = createLocalJWKSet({ keys: await this.#read(url!) })
      isRead = true
    } catch (error) {
      if (!this.#isEnded)
        this.#warn(`the key set of ${url} could not be read; the keys that are known go on`, asError(error))
    }
    clearTimeout(this.#timer)
    const againMs = isRead ? refreshMs : Math.min(Math.max(cooldownMs, AGAIN_MIN_MS), refreshMs)
    if (!this.#isEnded) this.#timer = setTimeout(() => void this.#fetch(), againMs).unref()
    return isRead
  }

  async #read(url: string) {
    const signal = AbortSignal.timeout(this.#settings.timeoutMs)
    const response = await fetch(url, { headers: { accept: 'application/json' }, redirect: 'error', signal })
    if (response.status !== 200) {
      await response.body?.cancel()
      throw new Error(`it answered ${response.status}`)
    }
    const chunks: Uint8Array[] = []
    let length = 0
    for await (const chunk of response.body ?? []) {
      length += chunk.length
      if (length > BODY_BYTES_MAX) throw new Error('it answered more than 1MiB')
      chunks.push(chunk)
    }
    const read = readKeySet(Buffer.concat(chunks).toString('utf8'))
    if ('what' in read) throw new Error(`what it answered ${read.what}`)
    if (read.keys.length === 0) throw new Error('what it answered holds no public key')
    return read.keys
  }
}

const asError = (error: unknown): Error => (error instanceof Error ? error : new Error(String(error)))
