// Trusted proxies in front of a UDP listener (`listeners[].proxyProtocol`): what comes from them begins with a PROXY header
// of version 2, in each datagram or in the first of a flow only (a flow: the proxy's address and port), which names the
// client. To everything behind this the client is where the header says; answers go back by the flow that it came by.
// What comes from anybody else is never read as a header: to the protocols behind it is garbage, and gets silence.
import type { ListenerSettings } from '../../config/settings.ts'
import { Networks } from './networks.ts'
import { readProxyHeader } from './proxy-header.ts'

/** Flows that are remembered; those that were silent longest go first. */
const FLOWS_MAX = 65_536

type Flow = { readonly proxyIp: string; readonly proxyPort: number; readonly ip: string; readonly port: number }

export class DatagramProxies {
  /** Of the datagram that was read last: who sent it, and where its content begins. */
  ip = ''
  port = 0
  start = 0
  #proxies: Networks | undefined
  readonly #flowsMax: number
  /** By the proxy's end, the one heard last at the end; and by the client's. */
  readonly #byProxy = new Map<string, Flow>()
  readonly #byClient = new Map<string, Flow>()

  constructor(settings: ListenerSettings, flowsMax = FLOWS_MAX) {
    this.#flowsMax = flowsMax
    this.configure(settings)
  }

  /** Other networks are trusted from now on; flows that are known are answered as before. */
  configure({ proxyProtocol }: ListenerSettings): void {
    this.#proxies = proxyProtocol && new Networks(proxyProtocol)
  }

  /** Whether a datagram is somebody's; false: a trusted proxy does not say whose. */
  read(datagram: Uint8Array, ip: string, port: number): boolean {
    this.ip = ip
    this.port = port
    this.start = 0
    if (this.#proxies === undefined || !this.#proxies.has(ip)) return true
    const key = `${ip} ${port}`
    const known = this.#byProxy.get(key)
    const header = readProxyHeader(datagram)
    if (header.state !== 'whole') {
      // Without a header: a flow that has begun with one goes on.
      return header.state === 'malformed' && known !== undefined && this.#use(key, known)
    }
    const { address, isDatagram, sourcePort } = header
    if (address === undefined || !isDatagram) return false
    this.start = header.bytes
    if (known !== undefined && known.ip === address && known.port === sourcePort) return this.#use(key, known)
    return this.#use(key, { proxyIp: ip, proxyPort: port, ip: address, port: sourcePort })
  }

  #use(key: string, flow: Flow): true {
    this.ip = flow.ip
    this.port = flow.port
    const before = this.#byProxy.get(key)
    if (before !== flow && before !== undefined) this.#forget(key, before)
    this.#byProxy.delete(key)
    this.#byProxy.set(key, flow)
    this.#byClient.set(`${flow.ip} ${flow.port}`, flow)
    if (this.#byProxy.size > this.#flowsMax) {
      const [oldest, its] = this.#byProxy.entries().next().value!
      this.#forget(oldest, its)
    }
    return true
  }

  #forget(key: string, flow: Flow): void {
    this.#byProxy.delete(key)
    const client = `${flow.ip} ${flow.port}`
    if (this.#byClient.get(client) === flow) this.#byClient.delete(client)
  }

  /** The proxy's end of the flow that a client came by last; undefined: it came by none. */
  towards(ip: string, port: number): Flow | undefined {
    return this.#byClient.size === 0 ? undefined : this.#byClient.get(`${ip} ${port}`)
  }
}
