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

/** Index of each in `subjectKeys`. */
const at = { connection: 0, session: 1, user: 2, address: 3, network: 4 } as const satisfies Record<SubjectKey, number>

const NO_LABELS: Readonly<Record<string, string>> = Object.freeze({})

export class Subject {
  labels: Readonly<Record<string, string>> = NO_LABELS
  /** The authority of the login has passed (T2). */
  isAuthExpired = false
  readonly #hashKey: HashKey
  // Fields and not an array: a message of a connection that was idle then costs one wait for memory and not three.
  #connectionLo = 0
  #connectionHi = 0
  #sessionLo = 0
  #sessionHi = 0
  #userLo = 0
  #userHi = 0
  #addressLo = 0
  #addressHi = 0
  #networkLo = 0
  #networkHi = 0

  constructor(hashKey: HashKey) {
    this.#hashKey = hashKey
  }

  /** The first word of a key's hash, by the key's index in `subjectKeys`. */
  lo(key: number): number {
    if (key === at.connection) return this.#connectionLo
    if (key === at.session) return this.#sessionLo
    if (key === at.user) return this.#userLo
    return key === at.address ? this.#addressLo : this.#networkLo
  }

  /** The second word. */
  hi(key: number): number {
    if (key === at.connection) return this.#connectionHi
    if (key === at.session) return this.#sessionHi
    if (key === at.user) return this.#userHi
    return key === at.address ? this.#addressHi : this.#networkHi
  }

  /** Names a key; empty text leaves it as it is. */
  identify(key: SubjectKey, text: string): void {
    if (text === '') return
    const { lo, hi }: KeyHash = hashText(this.#hashKey, `${key} ${text}`)
    switch (key) {
      case 'connection':
        this.#connectionLo = lo
        this.#connectionHi = hi
        return
      case 'session':
        this.#sessionLo = lo
        this.#sessionHi = hi
        return
      case 'user':
        this.#userLo = lo
        this.#userHi = hi
        return
      case 'address':
        this.#addressLo = lo
        this.#addressHi = hi
        return
      case 'network':
        this.#networkLo = lo
        this.#networkHi = hi
    }
  }

  /** By address as /32 or /64, by network as /24 or /48. */
  cameFrom(address: string): void {
    this.identify('address', addressKey(address))
    this.identify('network', networkKey(address))
  }
}
