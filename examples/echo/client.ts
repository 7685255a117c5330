// The smallest client: says something to the echo and shows what comes back.
import { connect, json } from '../../sdk/client/index.ts'

const client = connect({ gateways: ['tcp://127.0.0.1:7777', 'ws://127.0.0.1:8080/'], token: 'ana', codec: json })
client.on('state', (state) => console.log(`${state} ${client.gateway}`))

const echo = client.actor('echo', 'room-1')
for (const text of ['hello', 'is there anybody', 'out there?']) console.log(await echo.call('echo.say', { text }))

await client.close()
