// What an address counts as, in one spelling for each: as itself it is what one subscriber has (IPv4 /32, IPv6 /64), and its
// network is what lies around it (IPv4 /24, IPv6 /48), since who has a /48 has 65,536 of the first. IPv4 written as IPv6 is
// that IPv4 address. What is no address (a simulator's name) is its own.

const MAPPED = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i
const IPV4 = /^\d+\.\d+\.\d+\.\d+$/

/** An address as limits by `address` count it. */
export function addressKey(address: string): string {
  const text = MAPPED.exec(address)?.[1] ?? address
  if (IPV4.test(text)) return text
  const groups = groupsOf(text)
  return groups === undefined ? text : cut(groups, 64)
}

/** Its network, as limits by `network` count it. */
export function networkKey(address: string): string {
  const text = MAPPED.exec(address)?.[1] ?? address
  if (IPV4.test(text)) return `${text.slice(0, text.lastIndexOf('.'))}/24`
  const groups = groupsOf(text)
  return groups === undefined ? text : cut(groups, 48)
}

/** How many of something each has. An entry lives as long as its count is not zero: as bounded as what is counted. */
export class NetworkCounts {
  readonly #counts = new Map<string, number>()

  get size(): number {
    return this.#counts.size
  }

  of(key: string): number {
    return this.#counts.get(key) ?? 0
  }

  add(key: string): void {
    this.#counts.set(key, this.of(key) + 1)
  }

  take(key: string): void {
    const left = this.of(key) - 1
    if (left > 0) this.#counts.set(key, left)
    else this.#counts.delete(key)
  }
}

/** The first `bits` of eight groups; a multiple of 16. */
function cut(groups: readonly number[], bits: number): string {
  const kept = groups.slice(0, bits / 16).map((group) => group.toString(16))
  return `${kept.join(':')}::/${bits}`
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
