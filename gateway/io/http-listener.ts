// HTTP on a port of its own, plain or TLS. What is answered is in http-door.ts, how strictly requests are read in
// http-server.ts.
import type http from 'node:http'
import type { ListenerSettings } from '../../config/settings.ts'
import { HttpFront, type HttpFrontOwner } from './http-front.ts'
import type { HttpTimes } from './http-server.ts'
import { ListenerPlaces } from './listener-places.ts'
import type { Listener, ListenerHome } from './tcp-listener.ts'
import { pathOf } from './websocket-handshake.ts'

export class HttpListener implements Listener, HttpFrontOwner {
  settings: ListenerSettings
  readonly places: ListenerPlaces
  readonly #front: HttpFront

  constructor(settings: ListenerSettings, home: ListenerHome) {
    this.settings = settings
    this.places = new ListenerPlaces(settings, home.budget.counters)
    this.#front = new HttpFront(this, home)
  }

  listen(port?: number): Promise<{ host: string; port: number }> {
    return this.#front.listen(port)
  }

  prepareReload(settings: ListenerSettings): () => void {
    const prepared = this.#front.prepareReload(settings)
    return () => {
      this.settings = settings
      prepared()
    }
  }

  stop(): void {
    this.#front.stop()
  }

  end(): void {
    this.#front.end()
  }

  times({ http }: ListenerSettings): HttpTimes {
    return http!
  }

  greets(): void {}

  answer(request: http.IncomingMessage, response: http.ServerResponse): void {
    const { door } = this.#front
    const path = pathOf(request)
    if (!door.answer(request, response, path)) door.nothing(request, response, path)
  }
}
