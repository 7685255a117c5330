// Noise inside the pipes of a seed: the gateway's carrier and the SDK's own, between them a path that may corrupt. The
// ephemeral keys are the SDK's own chance; lengths and times are the seed's.
import { NoiseCarrier } from '../../gateway/io/noise-carrier.ts'
import type { Carrier, CarrierEvents } from '../../gateway/seams.ts'
import { SecureStream } from '../../protocols/secure/secure-stream.ts'
import { withNoise } from '../../sdk/client/noise-carrier.ts'
import type { Carrier as ClientCarrier, CarrierEvents as ClientCarrierEvents } from '../../sdk/client/transports.ts'
import type { ClientWire, WireEvents } from './client-wire.ts'
import type { Clock } from './clock.ts'
import type { Connection } from './network.ts'
import type { Random } from './random.ts'
import type { Luggage } from './udp-sides.ts'
import { crypto, gatewayKey, responderFor } from './udp-sides.ts'

const TRANSPORT = 'tcp'
const HANDSHAKE_MS = 3000
const OPEN_MS = 4500
const NO_BINDING = new Uint8Array(0)
const ANYWHERE = new URL('tcp://gateway')

type Surroundings = { readonly clock: Clock; readonly random: Random }

/** What a gateway has between a connection and its core. */
export function sealed(
  { clock, random }: Surroundings,
  inner: Carrier,
  accept: (carrier: Carrier, now: number) => CarrierEvents,
): CarrierEvents {
  const stream = SecureStream.responder(responderFor(TRANSPORT), random.bytes(32))
  const late = clock.after(HANDSHAKE_MS, () => inside.giveUp())
  const inside: NoiseCarrier = new NoiseCarrier(
    {
      noiseOpened: (carrier, now) => {
        clock.cancel(late)
        return accept(carrier, now)
      },
      noiseFailed: () => clock.cancel(late),
      noiseBroken: () => {},
      noiseGone: () => clock.cancel(late),
    },
    inner,
    stream,
  )
  return inside
}

/** A player's stream with Noise inside; opens once the gateway has proved its key. */
export class SealedWire implements ClientWire {
  readonly #clock: Clock
  readonly #connection: Connection
  readonly #carrier: ClientCarrier

  constructor(clock: Clock, connection: Connection, { resume }: Luggage, events: WireEvents) {
    this.#clock = clock
    this.#connection = connection
    const transport = withNoise(
      TRANSPORT,
      (_address, inside) => this.#plain(inside),
      () => crypto,
    )
    const told: ClientCarrierEvents = {
      opened: (binding, isTicketTaken) => events.opened(binding, isTicketTaken === true),
      received: (bytes) => events.receive(bytes),
      drained: () => events.drained(),
      closed: () => events.closed(),
    }
    this.#carrier = transport(ANYWHERE, told, { openMs: OPEN_MS, gatewayKey, resume })
  }

  write(bytes: Uint8Array): void {
    this.#carrier.write(bytes)
  }
  writeDatagram(): boolean {
    return false
  }
  queuedBytes(): number {
    return this.#carrier.queuedBytes()
  }
  close(): void {
    this.#carrier.close()
  }
  cut(lostClose: number): void {
    this.#connection.cut(lostClose)
  }
  stall(ms: number): void {
    this.#connection.toA.isPaused = true
    this.#clock.after(ms, () => {
      this.#connection.toA.isPaused = false
      this.#connection.toA.wake()
    })
  }

  #plain(inside: ClientCarrierEvents): ClientCarrier {
    const { toA, toB } = this.#connection
    toA.side = {
      receive: (bytes) => inside.received(bytes),
      drained: () => inside.drained(),
      closed: () => inside.closed(),
    }
    this.#clock.at(this.#clock.now, () => inside.opened(NO_BINDING))
    toA.wake()
    const end = () => this.#connection.end(toB, toA)
    return { write: (bytes) => toB.write(bytes), queuedBytes: () => toB.queuedBytes(), close: end, destroy: end }
  }
}
