// Who sent what is judged: the keys that limits count by, each as a keyed hash made once for a connection, and what checks
// ask about its login. An HTTP client without a session counts by its user, or its address where it has none.
import { type HashKey, type KeyHash, hashText } from './key-hash.ts'

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
    this.identify('address', networkOf(address, 32, 64))
    this.identify('network', networkOf(address, 24, 48))
  }
}

/**
 * The network that an address is in, in one spelling for each: IPv4 (also written as IPv6, `::ffff:192.0.2.1`) cut to
 * `bits4`, IPv6 to `bits6`. What is no address is its own network.
 */
export function networkOf(address: string, bits4: number, bits6: number): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)
  const text = mapped === null ? address : mapped[1]
  if (/^\d+\.\d+\.\d+\.\d+$/.test(text)) return cut(text.split('.').map(Number), 8, bits4)
  const groups = groupsOf(text)
  return groups === undefined ? text : cut(groups, 16, bits6)
}

function cut(parts: readonly number[], size: number, bits: number): string {
  const kept = parts.map((part, i) => {
    const rest = Math.max(0, Math.min(size, bits - i * size))
    return part & (2 ** size - 2 ** (size - rest))
  })
  return `${kept.map((part) => part.toString(16)).join(size === 8 ? '.' : ':')}/${bits}`
}

/** The eight groups of an IPv6 address; the text comes from the operating system, so only its shape is looked at. */
function groupsOf(text: string): number[] | undefined {
  const plain = text.split('%')[0]
  if (!/^[0-9a-f:.]*$/i.test(plain) || !plain.includes(':')) return undefined
  const [head, tail] = plain.split('::')
  const before = head === '' ? [] : head.split(':').flatMap(group)
  const after = tail === undefined || tail === '' ? [] : tail.split(':').flatMap(group)
  const missing = 8 - before.length - after.length
  if (missing < 0 || (tail === undefined && missing > 0)) return undefined
  return [...before, ...new Array<number>(missing).fill(0), ...after]
}

function group(text: string): number[] {
  if (!text.includes('.')) return [Number.parseInt(text, 16)]
  const [a, b, c, d] = text.split('.').map(Number)
  return [a * 256 + b, c * 256 + d]
}
