// Clients over TCP, plain, TLS or Noise: one Carrier each.
import type net from 'node:net'
import type { LimitSettings, ListenerSettings } from '../../config/settings.ts'
import type { Carrier, CarrierEvents, Entrance, GatewayEvent } from '../seams.ts'
import { Acceptor, type AcceptorHome } from './acceptor.ts'
import type { HttpHome } from './http-door.ts'
import { ListenerPlaces } from './listener-places.ts'
import type { Loop } from './loop.ts'
import type { NativeTlsStream } from './native-tls.ts'
import type { NoiseIdentity } from './noise-identity.ts'
import { NoiseTerminator } from './noise-terminator.ts'
import { type CarrierHome, StreamCarrier } from './stream-carrier.ts'
import { TlsTerminator } from './tls-terminator.ts'

/** What a listener needs of the process. */
export type ListenerHome = CarrierHome &
  AcceptorHome & {
    /** Has keys where a listener speaks Noise. */
    noise: NoiseIdentity
    /** Among the gateways of a cluster. */
    gatewayName: string
    loop: Loop
    randomBytes(length: number): Uint8Array
    /** As configured now. */
    limits(): LimitSettings
    /** A client has come by this listener: gives it to the core. */
    accept(carrier: Carrier, now: number, entrance: Entrance): CarrierEvents
    http: HttpHome
    observe(event: GatewayEvent): void
  }

/** What the process does with a listener of any transport. */
export interface Listener extends Entrance {
  /** On its own port, or on this one. May be called again after `stop`. */
  listen(port?: number): Promise<{ host: string; port: number }>
  /**
   * Takes settings that differ in certificates, path and origins only: reads certificates again; throws where they do not
   * fit. What it returns puts them into use, for new connections.
   */
  prepareReload(settings: ListenerSettings): () => void
  /** Stops accepting; open connections stay. */
  stop(): void
  /** Where open connections need the port itself: gives it up at once, and them with it. Behind `stop`. */
  vacate?(): void
  /** Ends what is left here and is no carrier: connections of HTTP, the port of UDP. */
  end?(): void
  /** Where there is a choice: what it sends and receives by. */
  readonly socketKind?: string | undefined
}

export class TcpListener implements Listener {
  settings: ListenerSettings
  readonly places: ListenerPlaces
  readonly #home: ListenerHome
  readonly #acceptor: Acceptor
  readonly #tls: TlsTerminator | undefined
  readonly #noise: NoiseTerminator | undefined

  constructor(settings: ListenerSettings, home: ListenerHome) {
    this.settings = settings
    this.places = new ListenerPlaces(settings, home.budget.counters)
    this.#home = home
    const secured = (socket: net.Socket | NativeTlsStream) => {
      this.#carry(new StreamCarrier(home, 'tls', socket, 'accepted', home.clientSlab, undefined))
    }
    const tls = settings.security === 'tls' ? new TlsTerminator(this, home, secured) : undefined
    this.#tls = tls
    this.#noise = settings.security === 'noise' ? new NoiseTerminator(home, this, 'tcp') : undefined
    this.#acceptor = new Acceptor({
      settings,
      home,
      places: this.places,
      pauseOnConnect: true,
      accepted: (socket) => {
        const released = this.#acceptor.releaseOf(socket)
        if (tls !== undefined) tls.accept(socket, released)
        else this.#carry(new StreamCarrier(home, 'tcp', socket, 'accepted', home.clientSlab, released))
      },
    })
  }

  listen(port?: number): Promise<{ host: string; port: number }> {
    return this.#acceptor.listen(port)
  }

  prepareReload(settings: ListenerSettings): () => void {
    const secure = this.#tls?.prepareReload(settings.tls, this.#home.handshakeMs)
    return () => {
      secure?.()
      this.settings = settings
      this.#acceptor.configure(settings)
    }
  }

  stop(): void {
    this.#acceptor.stop()
    this.#noise?.stop()
  }

  #carry(carrier: StreamCarrier): void {
    const home = this.#home
    carrier.start(this.#noise?.terminate(carrier) ?? home.accept(carrier, home.now(), this))
    this.#home.poke()
  }
}
