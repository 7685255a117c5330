// Reads the PROXY header that a trusted proxy sends first, and gives the socket back as if nothing had been before it, with
// what came behind the header unread. A proxy that sends something else, or nothing in time, is closed.
import type net from 'node:net'
import { claimAddress } from './client-address.ts'
import type { IoCounters } from './io-counters.ts'
import { PROXY_HEADER_BYTES_MAX, readProxyHeader } from './proxy-header.ts'

/** Waits at most `withinMs`; `greeted` is called once the header is whole, and not at all where it is none. */
export function greetProxy(socket: net.Socket, withinMs: number, counters: IoCounters, greeted: () => void): void {
  let read: Buffer = Buffer.alloc(0)
  const timer = setTimeout(failed, withinMs)
  socket.on('readable', more).on('error', ignore).on('close', done)

  function more(): void {
    for (let chunk = socket.read() as Buffer | null; chunk !== null; chunk = socket.read() as Buffer | null) {
      read = read.length === 0 ? chunk : Buffer.concat([read, chunk])
    }
    const header = readProxyHeader(read)
    if (header.state === 'malformed' || (header.state === 'more' && read.length > PROXY_HEADER_BYTES_MAX)) {
      failed()
    } else if (header.state === 'whole') {
      done()
      if (header.address !== undefined) claimAddress(socket, header.address)
      const rest = read.subarray(header.bytes)
      if (rest.length > 0) socket.unshift(rest)
      greeted()
    }
  }

  function failed(): void {
    done()
    counters.proxyHeadersBad++
    socket.on('error', ignore)
    socket.destroy()
  }

  function done(): void {
    clearTimeout(timer)
    socket.off('readable', more).off('error', ignore).off('close', done)
  }
}

function ignore(): void {}
