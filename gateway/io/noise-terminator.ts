// Noise in front of a listener: takes the carriers of accepted connections, and gives the core what is inside once their
// handshake is done. Whoever is not done in the handshake's time, whatever it sends meanwhile, is gone; what was sent and
// waits here is heard before, for as long again at most. Keys and tickets are asked for at each handshake (noise-identity.ts).
import { code } from '../../protocols/codes.ts'
import { SecureStream, type StreamFailure } from '../../protocols/secure/secure-stream.ts'
import type { Spoken } from '../../protocols/secure/sniff.ts'
import type { Carrier, CarrierEvents, Entrance } from '../seams.ts'
import { NoiseCarrier, type NoiseHome } from './noise-carrier.ts'
import type { ListenerHome } from './tcp-listener.ts'

const SECRET_BYTES = 32

/** While what a client has sent waits here, it is not late. */
const AGAIN_MS = 250

export class NoiseTerminator implements NoiseHome {
  readonly #home: ListenerHome
  readonly #entrance: Entrance
  readonly #transport: string
  /** Those whose handshake is not done, each with its deadline. */
  readonly #waiting = new Map<NoiseCarrier, NodeJS.Timeout>()

  /** `transport`: the name in the handshake's prologue, `tcp` or `websocket`. */
  constructor(home: ListenerHome, entrance: Entrance, transport: string) {
    this.#home = home
    this.#entrance = entrance
    this.#transport = transport
  }

  /** What the carrier's events are for. */
  terminate(carrier: Carrier): CarrierEvents {
    const { noise, randomBytes, handshakeMs } = this.#home
    const stream = SecureStream.responder(noise.responder(this.#transport), randomBytes(SECRET_BYTES))
    const inside = new NoiseCarrier(this, carrier, stream)
    const lateAt = this.#home.now() + 2 * handshakeMs
    const late = () => {
      if (carrier.holdsUnread && this.#home.now() < lateAt) {
        this.#waiting.set(inside, setTimeout(late, AGAIN_MS))
        return
      }
      this.#home.counters.noiseHandshakesTimedOut++
      inside.giveUp()
    }
    this.#waiting.set(inside, setTimeout(late, handshakeMs))
    return inside
  }

  /** Lets nobody in any more; open connections stay. */
  stop(): void {
    for (const carrier of this.#waiting.keys()) carrier.destroy()
  }

  noiseOpened(carrier: NoiseCarrier, now: number): CarrierEvents {
    this.#forget(carrier)
    return this.#home.accept(carrier, now, this.#entrance)
  }

  noiseFailed({ address }: NoiseCarrier, why: StreamFailure, spoken: Spoken | undefined): void {
    const { counters, observe } = this.#home
    const { name, security: expected } = this.#entrance.settings
    if (spoken === undefined) {
      counters.noiseHandshakesFailed++
      observe({ event: 'handshake_failed', listener: name, address, what: sentences[why] ?? why })
    } else {
      counters.wrongSecurity++
      observe({ event: 'wrong_security', listener: name, address, code: code.wrong_security, expected, spoken })
    }
  }

  noiseBroken({ address }: NoiseCarrier, why: number, what: string): void {
    this.#home.observe({ event: 'peer_violation', side: 'client', address, code: why, what })
  }

  noiseGone(carrier: NoiseCarrier): void {
    this.#forget(carrier)
  }

  #forget(carrier: NoiseCarrier): void {
    clearTimeout(this.#waiting.get(carrier))
    this.#waiting.delete(carrier)
  }
}

/** What an operator reads of a handshake that failed. */
const sentences: Partial<Record<StreamFailure, string>> = {
  forged: 'the client knows another public key than ours, or the message was changed',
  version: 'the client speaks other versions of the secure layer',
  unknown_kind: 'a kind of handshake that is not offered here',
}
