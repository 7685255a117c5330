// The handshake of a link (L4), the gateway's side: hellos cross, then each proves the shared key over both. The order is
// free: each side sends its HELLO at once and its PROOF as soon as it has the other's HELLO.
//
//   gateway -- LINK_HELLO(name, instance, serial, nonce) --> host
//           <-- LINK_HELLO(... services, labels) ----------
//           -- LINK_PROOF ------------------------------->
//           <-- LINK_PROOF ------------------------------- verified: open
import { NONCE_BYTES, openFrame, readClose } from '../protocols/client/frames.ts'
import { code } from '../protocols/codes.ts'
import type { LinkHello } from '../protocols/link/frames.ts'
import {
  LINK_VERSION,
  linkKind,
  readLinkHello,
  readLinkProof,
  writeLinkHello,
  writeLinkProof,
} from '../protocols/link/frames.ts'
import type { LinkEnd } from '../protocols/link/proof.ts'
import { linkProof, sameBytes } from '../protocols/link/proof.ts'
import type { Gateway } from './gateway.ts'
import type { Link } from './link.ts'

export class LinkHandshake {
  readonly #gateway: Gateway
  readonly #link: Link
  readonly #own: LinkEnd
  #peer: LinkEnd | undefined = undefined

  constructor(gateway: Gateway, link: Link) {
    this.#gateway = gateway
    this.#link = link
    this.#own = { nonce: gateway.env.randomBytes(NONCE_BYTES), name: gateway.settings.name }
  }

  begin(): void {
    writeLinkHello(this.#link.outlet.writer, {
      versionMin: LINK_VERSION,
      versionMax: LINK_VERSION,
      nonce: this.#own.nonce,
      name: this.#own.name,
      instance: this.#gateway.instance,
      serial: this.#gateway.takeLinkSerial(),
      services: [],
      labels: {},
    })
    this.#link.outlet.touch()
  }

  /** Takes a frame of the host before the link is open; false when that closed it. */
  take(kind: number, bytes: Uint8Array, start: number, end: number, now: number): boolean {
    const r = openFrame(bytes, start, end)
    if (r === undefined) return this.#link.violate('malformed frame')
    if (kind === linkKind.hello && this.#peer === undefined) {
      const hello = readLinkHello(r)
      return hello === undefined ? this.#link.violate('malformed LINK_HELLO') : this.#hello(hello, now)
    }
    if (kind === linkKind.proof && this.#peer !== undefined) {
      const proof = readLinkProof(r)
      return proof === undefined ? this.#link.violate('malformed LINK_PROOF') : this.#proof(proof, this.#peer, now)
    }
    if (kind === linkKind.close) {
      const close = readClose(r)
      this.#link.close(close?.code ?? code.protocol, `the host says: ${close?.text ?? ''}`.slice(0, 80), now)
      return false
    }
    return this.#link.violate('not a frame of the handshake')
  }

  #hello(hello: LinkHello, now: number): boolean {
    const link = this.#link
    if (hello.versionMin > LINK_VERSION || hello.versionMax < LINK_VERSION) {
      link.close(code.version, 'no link protocol version in common', now)
      return false
    }
    // Pins and the hash name hosts: both ends must mean the same one.
    if (hello.name !== link.host.name) {
      link.close(code.link_auth, `the host is called ${hello.name}, expected ${link.host.name}`.slice(0, 80), now)
      return false
    }
    if (this.#gateway.hostTable.isOutdated(link.host)) {
      link.close(code.going_away, 'the way to the host changed while it was dialled', now)
      return false
    }
    link.instance = hello.instance
    link.serial = hello.serial
    link.offers = hello.services
    this.#peer = { nonce: hello.nonce, name: hello.name }
    const { env, linkKey } = this.#gateway
    writeLinkProof(link.outlet.writer, linkProof(env.hmac, linkKey, 'gateway', this.#own, this.#peer))
    link.outlet.touch()
    return true
  }

  #proof(proof: Uint8Array, peer: LinkEnd, now: number): boolean {
    const { env, linkKey } = this.#gateway
    if (!sameBytes(proof, linkProof(env.hmac, linkKey, 'host', peer, this.#own))) {
      this.#link.close(code.link_auth, 'the link key was not accepted', now)
      return false
    }
    this.#link.opened(now)
    return true
  }
}
