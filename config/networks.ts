// Networks as they are written in the configuration: `10.0.0.0/8`, `2001:db8::/32`, or a single address.
import { BlockList, isIP, SocketAddress } from 'node:net'

export type NetworkSettings = { address: string; prefix: number; family: 'ipv4' | 'ipv6' }

/** Undefined where the text is not a network. */
export function readNetwork(written: string): NetworkSettings | undefined {
  const [address, prefixText, ...rest] = written.split('/')
  const version = isIP(address)
  const bits = version === 4 ? 32 : 128
  const prefix = prefixText === undefined ? bits : Number(prefixText)
  if (version === 0 || rest.length > 0 || !/^\d{1,3}$/.test(prefixText ?? '0') || prefix > bits) return undefined
  return { address, prefix, family: version === 4 ? 'ipv4' : 'ipv6' }
}

/**
 * The one name of a network, however it was written: bits beyond the prefix cleared, IPv6 in its shortest form, what is
 * mapped into IPv6 as the IPv4 that it is, always with its prefix. Undefined where the text is not a network.
 */
export function networkName(written: string): string | undefined {
  const network = readNetwork(written)
  if (network === undefined) return undefined
  const { address, prefix, family } = network
  if (family === 'ipv4') return `${masked(address.split('.').map(Number), 8, prefix).join('.')}/${prefix}`
  const groups = groupsOf(address)
  if (prefix >= 96 && groups[5] === 0xffff && groups.slice(0, 5).every((group) => group === 0)) {
    const bytes = groups.slice(6).flatMap((group) => [group >> 8, group & 255])
    return `${masked(bytes, 8, prefix - 96).join('.')}/${prefix - 96}`
  }
  const cleared = masked(groups, 16, prefix).map((group) => group.toString(16))
  return `${new SocketAddress({ address: cleared.join(':'), family }).address}/${prefix}`
}

/** The eight groups of an IPv6 address; a zone is left out. */
function groupsOf(written: string): number[] {
  const address = written.split('%', 1)[0].replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, a, b, c, d) => {
    const [high, low] = [Number(a) * 256 + Number(b), Number(c) * 256 + Number(d)]
    return `${high.toString(16)}:${low.toString(16)}`
  })
  const [head, tail] = address.split('::').map((half) => (half === '' ? [] : half.split(':')))
  const known =
    tail === undefined ? head : [...head, ...new Array<string>(8 - head.length - tail.length).fill('0'), ...tail]
  return known.map((group) => Number.parseInt(group, 16))
}

/** What is within the first `prefix` bits, of pieces of so many bits. */
function masked(pieces: readonly number[], bits: number, prefix: number): number[] {
  return pieces.map((piece, i) => {
    const cleared = Math.min(Math.max((i + 1) * bits - prefix, 0), bits)
    return (piece >> cleared) << cleared
  })
}

const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8)
loopback.addAddress('::1', 'ipv6')

/** Whether what listens or is dialled there can be reached from this machine only. */
export function isLoopback(host: string): boolean {
  const version = isIP(host)
  if (version === 0) return host === 'localhost'
  return loopback.check(host, version === 4 ? 'ipv4' : 'ipv6')
}
