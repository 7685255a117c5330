// A UDP relay for one client at a time that writes down the kinds of handshakes that pass (docs/spec/datagram.md, section 2).
import dgram from 'node:dgram'
import { datagramType } from '../../protocols/secure/datagram-codec.ts'
import type { Test } from '../gateway/io/started.ts'

export class FirstDatagrams {
  readonly inits: number[] = []
  readonly port: number

  private constructor(front: dgram.Socket) {
    this.port = front.address().port
  }

  static async start(t: Test, targetPort: number): Promise<FirstDatagrams> {
    const front = dgram.createSocket('udp4')
    const back = dgram.createSocket('udp4')
    t.teardown(() => {
      front.close()
      back.close()
    })
    await new Promise<void>((resolve) => front.bind(0, '127.0.0.1', resolve))
    const relay = new FirstDatagrams(front)
    let clientPort = 0
    front.on('message', (bytes, { port }) => {
      clientPort = port
      if (bytes[0] === datagramType.init) relay.inits.push(bytes[1])
      back.send(bytes, targetPort, '127.0.0.1')
    })
    back.on('message', (bytes) => front.send(bytes, clientPort, '127.0.0.1'))
    return relay
  }
}
