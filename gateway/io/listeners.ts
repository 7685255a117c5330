// All listeners of a gateway, and how they change while it runs: those that keep their place take new certificates, paths
// and origins and are not interrupted; the others stop, and new ones listen. Everything that can fail is done first: where
// one cannot listen, those that had to make room for it listen again, and nothing has changed.
import type { ListenerSettings } from '../../config/settings.ts'
import { HttpListener } from './http-listener.ts'
import { type Listener, type ListenerHome, TcpListener } from './tcp-listener.ts'
import { UdpListener } from './udp-listener.ts'
import { WebSocketListener } from './websocket-listener.ts'

export type ListenerView = Pick<ListenerSettings, 'name' | 'transport' | 'security' | 'host' | 'port'> & {
  /** Of Noise, as clients are given it. */
  publicKey?: string
  /** Of UDP: who reads and writes its datagrams. */
  socket?: string
}
/** Where one listens, with the port it got where 0 was asked for. */
export type ListenerAddress = Pick<ListenerSettings, 'name' | 'transport' | 'host' | 'port'>

export class Listeners {
  readonly #home: ListenerHome
  #listeners: Listener[]
  #isStopped = false
  readonly #places = new WeakMap<Listener, { host: string; port: number }>()

  /** Throws where one cannot be made: a certificate is missing. */
  constructor(settings: readonly ListenerSettings[], home: ListenerHome) {
    this.#home = home
    this.#listeners = settings.map((listener) => listenerOf(listener, home))
  }

  /** Listens with all; rejects with a sentence for the operator where one cannot. */
  async listen(): Promise<void> {
    for (const listener of this.#listeners) await this.#listen(listener)
  }

  /** Those that listen. */
  addresses(): ListenerAddress[] {
    return this.views().map(({ name, transport, host, port }) => ({ name, transport, host, port }))
  }

  views(): ListenerView[] {
    return this.#listeners.flatMap((listener) => {
      const { name, transport, security } = listener.settings
      const place = this.#places.get(listener)
      if (place === undefined) return []
      const view: ListenerView = { name, transport, ...place, security }
      if (security === 'noise') view.publicKey = this.#home.noise.publicKeyText
      if (listener.socketKind !== undefined) view.socket = listener.socketKind
      return [view]
    })
  }

  /** Stops accepting; open connections stay. */
  stop(): void {
    this.#isStopped = true
    for (const listener of this.#listeners) listener.stop()
  }

  /** Ends what is left of those that stopped and is no carrier: requests, and ports that carriers shared. */
  end(): void {
    for (const listener of this.#listeners) listener.end?.()
  }

  /**
   * Makes and opens what other settings need; rejects, and changes nothing, where that fails. What it resolves with puts
   * them in use and returns the listeners that stopped.
   */
  async prepare(settings: readonly ListenerSettings[]): Promise<() => Listener[]> {
    const updates: (() => void)[] = []
    const opened: Listener[] = []
    const next = settings.map((wanted) => {
      const kept = this.#listeners.find((listener) => isSamePlace(listener.settings, wanted))
      if (kept !== undefined) {
        updates.push(kept.prepareReload(wanted))
        return kept
      }
      const listener = listenerOf(wanted, this.#home)
      opened.push(listener)
      return listener
    })
    const removed = this.#listeners.filter((listener) => !next.includes(listener))
    await this.#exchange(opened, removed)
    return () => {
      for (const update of updates) update()
      this.#listeners = next
      for (const listener of removed) listener.stop()
      return removed
    }
  }

  /** Opens the new ones; what holds the port of one makes room for it, and comes back where that was in vain. */
  async #exchange(opened: readonly Listener[], removed: readonly Listener[]): Promise<void> {
    const stopped: Listener[] = []
    try {
      for (const listener of opened) {
        for (const old of removed) {
          if (stopped.includes(old) || !this.#isInTheWay(old, listener.settings)) continue
          old.stop()
          old.vacate?.()
          stopped.push(old)
        }
        await this.#listen(listener)
      }
      if (this.#isStopped) throw new Error('the gateway ends')
    } catch (error) {
      for (const listener of opened) listener.stop()
      // On the port it had, also where it was any free one.
      if (!this.#isStopped) for (const old of stopped) await this.#listen(old)
      throw error
    }
  }

  #isInTheWay(old: Listener, { transport, port }: ListenerSettings): boolean {
    if ((old.settings.transport === 'udp') !== (transport === 'udp')) return false
    return this.#places.get(old)?.port === port
  }

  async #listen(listener: Listener): Promise<void> {
    this.#places.set(listener, await listener.listen(this.#places.get(listener)?.port))
  }
}

/** Whether nothing has changed that needs another socket or another protocol on it. */
function isSamePlace(a: ListenerSettings, b: ListenerSettings): boolean {
  const isSameSocket = a.transport === b.transport && a.host === b.host && a.port === b.port
  return a.name === b.name && isSameSocket && a.security === b.security
}

function listenerOf(settings: ListenerSettings, home: ListenerHome): Listener {
  const { transport } = settings
  if (transport === 'udp') return new UdpListener(settings, home)
  if (transport === 'tcp') return new TcpListener(settings, home)
  if (transport === 'websocket') return new WebSocketListener(settings, home)
  return new HttpListener(settings, home)
}
