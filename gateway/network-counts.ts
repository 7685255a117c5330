// How many of something each network has, a network being an IPv4 address or an IPv6 /64: what one subscriber can make up
// addresses in. An entry lives as long as its count is not zero, so this is as bounded as what is counted.

/** The network that an address is counted under. */
export function networkOf(ip: string): string {
  if (!ip.includes(':')) return ip
  return ip.startsWith('::ffff:') && ip.includes('.') ? ip.slice(7) : groupsOf(ip, 4)
}

/** The networks around it: IPv4 /24, IPv6 /48. */
export function neighbourhoodOf(ip: string): string {
  const network = networkOf(ip)
  return network.includes(':') ? groupsOf(ip, 3) : network.slice(0, network.lastIndexOf('.') + 1)
}

/** The first groups of an IPv6 address, those for which `::` stands among them. */
function groupsOf(ip: string, count: number): string {
  const gap = ip.indexOf('::')
  const head = gap === -1 ? ip : ip.slice(0, gap)
  const groups = head === '' ? [] : head.split(':')
  while (groups.length < count) groups.push('0')
  return `${groups.slice(0, count).join(':')}::`
}

export class NetworkCounts {
  readonly #counts = new Map<string, number>()

  of(network: string): number {
    return this.#counts.get(network) ?? 0
  }

  add(network: string): void {
    this.#counts.set(network, this.of(network) + 1)
  }

  take(network: string): void {
    const left = this.of(network) - 1
    if (left > 0) this.#counts.set(network, left)
    else this.#counts.delete(network)
  }
}
