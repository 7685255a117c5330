// Who sent what is judged: the keys that limits count by, each as a keyed hash made once for a connection, and what checks
// ask about its login. An HTTP client without a session counts by its user, or its address where it has none.
import { type HashKey, type KeyHash, hashText } from './key-hash.ts'
import { addressKey, networkKey } from './network.ts'

/** What a limit can count by; the first five are known of who sends, the others of where it goes. */
export const subjectKeys = ['connection', 'session', 'user', 'address', 'network'] as const
export const placeKeys = ['listener', 'service', 'route', 'global'] as const
export type SubjectKey = (typeof subjectKeys)[number]
export type PlaceKey = (typeof placeKeys)[number]
export type LimitKey = SubjectKey | PlaceKey

export class Subject {
  /** Two words for each of `subjectKeys`. */
  readonly keys = new Int32Array(2 * subjectKeys.length)
  readonly #hashKey: HashKey
  labels: Readonly<Record<string, string>> = {}
  /** The authority of the login has passed (T2). */
  isAuthExpired = false

  constructor(hashKey: HashKey) {
    this.#hashKey = hashKey
  }

  /** Names a key; empty text leaves it as it is. */
  identify(key: SubjectKey, text: string): void {
    if (text === '') return
    const hash: KeyHash = hashText(this.#hashKey, `${key} ${text}`)
    const at = 2 * subjectKeys.indexOf(key)
    this.keys[at] = hash.lo
    this.keys[at + 1] = hash.hi
  }

  /** By address as /32 or /64, by network as /24 or /48. */
  cameFrom(address: string): void {
    this.identify('address', addressKey(address))
    this.identify('network', networkKey(address))
  }
}
