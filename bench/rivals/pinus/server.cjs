// Pinus as its template has it: a master, and a connector whose handler answers requests, with routes as numbers
// (useDict). `node server.cjs <port> <master's port>` is the connector, without the first port (0) the master.
require('reflect-metadata')
const { pinus } = require('pinus')

const [port, masterPort] = process.argv.splice(2).map(Number)
if (port > 0)
  process.argv.push('id=connector-1', 'serverType=connector', 'frontend=true', 'host=127.0.0.1', `clientPort=${port}`)
else process.argv.push('type=master')

const app = pinus.createApp({ base: __dirname })
app.master.port = masterPort
app.configure('development', 'connector', () => {
  app.set('connectorConfig', {
    connector: pinus.connectors.hybridconnector,
    useDict: true,
    distinctHost: true,
    setNoDelay: true,
  })
})
app.start()
