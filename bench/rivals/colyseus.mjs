// Colyseus as its documentation has it: a room whose message handler says back what a client says. It has no state, so
// it sends no patches of one. `node colyseus.mjs <port>`.
import { Room, Server } from '@colyseus/core'
import { WebSocketTransport } from '@colyseus/ws-transport'

class Echo extends Room {
  patchRate = null
  maxClients = Number.POSITIVE_INFINITY

  onCreate() {
    this.onMessage('m', (client, said) => client.send('m', said))
  }
}

const server = new Server({ transport: new WebSocketTransport(), greet: false })
server.define('echo', Echo)
await server.listen(Number(process.argv[2]), '127.0.0.1', 4096)
