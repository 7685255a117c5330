// The network of the proof: in front of every port a relay that cuts, or a UDP proxy that loses, doubles, corrupts and
// reorders datagrams and gives the players behind it other addresses. A process of its own, so that it costs the players'
// and hosts' processes no time.
import process from 'node:process'
import { ImpairingProxy } from '../../bench/impairing-proxy.ts'
import type { ImpairmentSettings } from '../../bench/impairment.ts'
import { unimpaired } from '../../bench/impairment.ts'
import type { FromNetwork, NetworkCounts, ToNetwork } from './messages.ts'
import { StreamRelay } from './relay.ts'

const links: StreamRelay[] = []
const streams: StreamRelay[] = []
const proxies: ImpairingProxy[] = []

async function open(message: Extract<ToNetwork, { kind: 'open' }>): Promise<void> {
  const ports: number[] = []
  for (const { what, targetPort } of message.ways) {
    if (what === 'datagrams') {
      const proxy = await ImpairingProxy.start({ targetPort, impairment: message.impairment as ImpairmentSettings })
      proxies.push(proxy)
      ports.push(proxy.port)
    } else {
      const relay = await StreamRelay.start(targetPort)
      if (what === 'sealedStreams') relay.corruptShare = message.streamCorruptShare
      const relays = what === 'links' ? links : streams
      relays.push(relay)
      ports.push(relay.port)
    }
  }
  tell({ kind: 'opened', ports })
}

function counts(): NetworkCounts {
  const sum = (numbers: number[]) => numbers.reduce((a, b) => a + b, 0)
  const ways = proxies.flatMap((proxy) => [proxy.counts.up, proxy.counts.down])
  return {
    linkCuts: sum(links.map((relay) => relay.cuts)),
    connectionCuts: sum(streams.map((relay) => relay.cuts)),
    piecesCorrupted: sum(streams.map((relay) => relay.corrupted)),
    rebindings: sum(proxies.map((proxy) => proxy.rebindings)),
    datagrams: sum(ways.map((way) => way.taken)),
    datagramsLost: sum(ways.map((way) => way.lost)),
    datagramsDoubled: sum(ways.map((way) => way.doubled)),
    datagramsCorrupted: sum(ways.map((way) => way.corrupted)),
    datagramsReordered: sum(ways.map((way) => way.heldBack)),
  }
}

function tell(message: FromNetwork): void {
  process.send!(message)
}

process.on('message', (message: ToNetwork) => {
  if (message.kind === 'open') {
    void open(message)
  } else if (message.kind === 'cutLink') {
    links[Math.floor(Math.random() * links.length)].cut(1)
  } else if (message.kind === 'cutConnections') {
    for (const relay of streams) relay.cut(message.share)
  } else if (message.kind === 'rebind') {
    for (const proxy of proxies) proxy.rebind(message.share)
  } else if (message.kind === 'heal') {
    for (const relay of streams) relay.corruptShare = 0
    for (const proxy of proxies) proxy.impair(unimpaired)
  } else {
    tell({ kind: 'counts', counts: counts() })
  }
})
tell({ kind: 'ready' })
