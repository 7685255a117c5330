// Which socket a listener of UDP gets: the accelerator's where that is on (docs/operations.md), Node's everywhere else.
import type { DatagramCounters } from '../datagram-counters.ts'
import { datagramAccelerator } from './accelerator.ts'
import { DgramSocket } from './dgram-socket.ts'
import { NativeUdpSocket } from './native-udp-socket.ts'
import type { DatagramSink, UdpPlace, UdpSocket } from './udp-socket.ts'

/** Rejects with an error that names the listener and what is wrong. */
export async function openUdpSocket(
  place: UdpPlace,
  counters: DatagramCounters,
  sink: DatagramSink,
): Promise<UdpSocket> {
  const native = datagramAccelerator()
  if (native === undefined) return DgramSocket.open(place, counters, sink)
  return NativeUdpSocket.open(native, place, counters, sink)
}
