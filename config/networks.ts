// Networks as they are written in the configuration: `10.0.0.0/8`, `2001:db8::/32`, or a single address.
import { BlockList, isIP } from 'node:net'

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

const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8)
loopback.addAddress('::1', 'ipv6')

/** Whether what listens or is dialled there can be reached from this machine only. */
export function isLoopback(host: string): boolean {
  const version = isIP(host)
  if (version === 0) return host === 'localhost'
  return loopback.check(host, version === 4 ? 'ipv4' : 'ipv6')
}
