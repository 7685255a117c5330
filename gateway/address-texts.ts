// An address and its port as one text, as the layer of sealed datagrams compares them. The text of a peer that was heard
// lately is the same string again: joined once, not for each datagram, and equal at a glance. One place for each peer,
// which the next one with the same number takes: bounded whatever comes.

const PLACES = 4096
type Known = { readonly ip: string; readonly port: number; readonly text: string }

export class AddressTexts {
  readonly #known: (Known | undefined)[] = new Array(PLACES).fill(undefined)

  of(ip: string, port: number): string {
    const { length } = ip
    // Players behind one address differ in the port, players of one network in the last characters.
    const place = (port ^ (ip.charCodeAt(length - 1) << 4) ^ (ip.charCodeAt(length - 2) << 8)) & (PLACES - 1)
    const known = this.#known[place]
    if (known !== undefined && known.port === port && known.ip === ip) return known.text
    const text = `${ip} ${port}`
    this.#known[place] = { ip, port, text }
    return text
  }
}
