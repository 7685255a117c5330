// Ports for processes that are killed and come back: below the range from which the system takes ports for outgoing
// connections, or one of those would sit on the port while its owner is away.
import { createSocket } from 'node:dgram'
import { createServer } from 'node:net'

const LOWEST = 20_000
const COUNT = 12_000
const TRIES = 100

/** The error code that binding the port on loopback gives, for TCP or for UDP, or undefined where it is free now. */
export async function refusalOf(port: number): Promise<string | undefined> {
  return (await streamRefusalOf(port)) ?? (await datagramRefusalOf(port))
}

function datagramRefusalOf(port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const probe = createSocket('udp4')
    probe.on('error', (error: NodeJS.ErrnoException) => probe.close(() => resolve(error.code ?? error.message)))
    probe.bind(port, '127.0.0.1', () => probe.close(() => resolve(undefined)))
  })
}

function streamRefusalOf(port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const probe = createServer()
    probe.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(undefined)))
  })
}

/** A free port that is not among those taken already; it is added to them. */
export async function freePort(taken: Set<number>): Promise<number> {
  for (let i = 0; i < TRIES; i++) {
    const port = LOWEST + Math.floor(Math.random() * COUNT)
    if (taken.has(port) || (await refusalOf(port)) !== undefined) continue
    taken.add(port)
    return port
  }
  throw new Error(`no free port from ${LOWEST} to ${LOWEST + COUNT} in ${TRIES} tries`)
}
