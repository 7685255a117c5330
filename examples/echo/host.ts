// The smallest game server: what a client says comes back.
import { json, service, startHost } from '../../sdk/host/index.ts'

const echo = service('echo', {
  keys: 'any',
  routes: { 'echo.say': (_ctx, payload) => payload },
})
const host = await startHost({ name: 'echo-1', listen: '127.0.0.1:7800', services: [echo], codec: json })
console.log(`listening on ${host.address}`)
