// What befalls datagrams beside the weather: addresses change, and somebody on the path copies, forges and hurries ahead.
import type { Clock } from './clock.ts'
import type { DatagramNetwork } from './datagram-network.ts'
import { STRANGERS } from './datagram-network.ts'
import type { UdpProfile } from './profile.ts'
import type { Random } from './random.ts'

/** What a side of UDP needs of the world around it. */
export interface UdpWorld {
  readonly clock: Clock
  readonly random: Random
  readonly datagrams: DatagramNetwork
  readonly udp: UdpProfile | undefined
  readonly faults: Record<string, number>
  readonly isQuiet: boolean
  wallNow(): number
}

export type UdpTargets = {
  gateways(): readonly string[]
  /** The address of some player changes. */
  rebind(): void
}

export function startUdpFaults(world: UdpWorld, targets: UdpTargets): void {
  const { random, datagrams, clock } = world
  const { faults, isSealed } = world.udp!
  const every = (meanMs: number, name: string, fault: () => void): void => {
    if (meanMs === Infinity) return
    clock.after(meanMs * (0.2 + 1.6 * random.unit()), () => {
      if (world.isQuiet) return
      world.faults[name] = (world.faults[name] ?? 0) + 1
      fault()
      every(meanMs, name, fault)
    })
  }
  const stranger = () => `${STRANGERS}${random.between(1, 200)} ${random.between(1024, 65_535)}`
  every(faults.rebind, 'rebind', () => targets.rebind())
  every(faults.replay, 'replay', () => {
    for (let i = random.between(1, 20); i > 0 && datagrams.overheard.length > 0; i--) {
      const { from, to, bytes } = random.pick(datagrams.overheard)
      datagrams.inject(random.chance(0.5) ? from : stranger(), to, bytes)
    }
  })
  // A copy that arrives before the original has the highest counter, from an address that is none of the player's.
  every(faults.replay, 'hurry', () => {
    datagrams.hurriedFrom = stranger()
  })
  every(faults.forge, 'forge', () => {
    for (let i = random.between(1, 20); i > 0; i--) {
      if (datagrams.overheard.length === 0 || random.chance(0.3)) {
        datagrams.inject(stranger(), random.pick(targets.gateways()), random.bytes(random.between(0, 1232)))
        continue
      }
      const { from, to, bytes } = random.pick(datagrams.overheard)
      const forged = isSealed ? flipped(bytes, random) : impossible(bytes, random)
      // In the player's own name, too.
      if (forged !== undefined) datagrams.inject(random.chance(0.7) ? from : stranger(), to, forged)
    }
  })
}

function flipped(bytes: Uint8Array, random: Random): Uint8Array | undefined {
  if (bytes.length === 0) return undefined
  const forged = bytes.slice()
  forged[random.between(0, forged.length - 1)] ^= 1 << random.between(0, 7)
  return forged
}

const HEADER_BYTES = 24
const COMMAND_AT = 4
const SN_AT = 12
const UNA_AT = 16
const ACK = 82

/**
 * One segment of plain KCP that no honest peer could send (KCP-2): what is merely false, and possible, nobody can tell from
 * the truth there. It confirms, or is, what lies further ahead than any window.
 */
function impossible(bytes: Uint8Array, random: Random): Uint8Array | undefined {
  if (bytes.length < HEADER_BYTES) return undefined
  const forged = bytes.slice(0, HEADER_BYTES)
  const view = new DataView(forged.buffer)
  const ahead = random.between(1000, 4000)
  view.setUint16(HEADER_BYTES - 4, 0, true)
  view.setUint16(HEADER_BYTES - 2, 0, true)
  if (random.chance(0.5)) {
    view.setUint32(UNA_AT, (view.getUint32(UNA_AT, true) + ahead) >>> 0, true)
  } else {
    forged[COMMAND_AT] = ACK
    view.setUint32(SN_AT, (view.getUint32(UNA_AT, true) + ahead) >>> 0, true)
  }
  return forged
}
