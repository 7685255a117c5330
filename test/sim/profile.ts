// What a seed runs: the size of the system, its limits and its weather. Half of the seeds count with 5 or 6 bits and
// windows of 8, so that numbers wrap and truncated ones collide (N2); faults are drawn per seed, so that each kind of
// trouble also occurs alone.
import type { DatagramWeather } from './datagram-network.ts'
import { Random } from './random.ts'

export type Profile = {
  numberBits: number
  windowCount: number
  windowBytes: number
  openRequestsMax: number
  gateways: number
  hosts: number
  clients: number
  rooms: number
  /** Virtual milliseconds of trouble, then everything heals. */
  troubleMs: number
  keepMs: number
  latencyMs: number
  jitterMs: number
  fragmentation: number
  /** Mean virtual milliseconds between two of the same fault; Infinity: never. */
  faults: {
    cut: number
    gatewayKill: number
    hostKill: number
    linkCut: number
    partition: number
    freeze: number
    hop: number
    /** Cuts in quick succession, so that answers to attaches are lost, too. */
    flap: number
    slowReader: number
    secondProcess: number
    garbage: number
  }
  /** Mean milliseconds between two sends of a client, of a host's pushes. */
  sendMs: number
  pushMs: number
  slowMailbox: number
  /** Share of messages on a route with a tight rate limit. */
  refusedShare: number
  recoverableGroups: boolean
  /** Circuit breakers and limits of requests under way, tight enough to refuse often. */
  guarded: boolean
  /** Gateways have a UDP port, too, and players use it. */
  udp: UdpProfile | undefined
  /** Noise inside the players' streams, and how often a piece of one is corrupted. */
  sealedStreams: { corrupt: number } | undefined
}

export type UdpProfile = {
  /** Inside Noise, or plain for existing clients. */
  isSealed: boolean
  /** Nobody uses anything else. */
  isAlone: boolean
  preset: 'fast' | 'normal'
  weather: DatagramWeather
  faults: {
    /** A NAT forgets, or a player changes networks. */
    rebind: number
    /** Somebody sends again what he has heard, from anywhere. */
    replay: number
    /** Somebody sends what he has made up. */
    forge: number
  }
}

export function drawProfile(random: Random): Profile {
  const small = random.chance(0.6)
  const numberBits = small ? random.pick([5, 6]) : 16
  const maybe = (share: number, low: number, high: number) =>
    random.chance(share) ? random.between(low, high) : Infinity
  return {
    numberBits,
    windowCount: small ? 8 : random.pick([8, 32, 128]),
    windowBytes: 8192,
    openRequestsMax: small ? 4 : 16,
    gateways: random.between(1, 3),
    hosts: random.between(1, 3),
    clients: random.between(2, 6),
    rooms: random.between(1, 3),
    troubleMs: random.between(15_000, 40_000),
    keepMs: 30_000,
    latencyMs: random.pick([0.5, 5, 30, 120]),
    jitterMs: random.pick([0, 5, 60]),
    fragmentation: random.pick([0, 0.1, 0.5]),
    faults: {
      cut: maybe(0.7, 500, 5000),
      gatewayKill: maybe(0.5, 3000, 15_000),
      hostKill: maybe(0.3, 8000, 25_000),
      linkCut: maybe(0.5, 2000, 10_000),
      partition: maybe(0.4, 4000, 15_000),
      freeze: maybe(0.3, 4000, 15_000),
      hop: maybe(0.6, 500, 5000),
      flap: maybe(0.5, 1500, 6000),
      slowReader: maybe(0.3, 4000, 12_000),
      secondProcess: maybe(0.15, 8000, 20_000),
      garbage: maybe(0.1, 3000, 9000),
    },
    sendMs: random.between(20, 300),
    pushMs: random.between(20, 400),
    slowMailbox: random.pick([0, 0, 0.05, 0.3]),
    refusedShare: random.pick([0, 0.1, 0.4]),
    recoverableGroups: random.chance(0.5),
    guarded: random.chance(0.4),
    udp: undefined,
    sealedStreams: undefined,
  }
}

/** From a stream of luck of its own: what else a seed draws stays as it was before there was UDP. */
export function drawUdp(seed: number, latencyMs: number): UdpProfile | undefined {
  const random = new Random(seed ^ 0x0dd5eed)
  if (random.chance(0.6)) return undefined
  const udp = udpOf(random, latencyMs)
  // Who listens in on plain KCP can log in as whom he has heard, as on plain TCP.
  return udp.isSealed ? udp : { ...udp, faults: { ...udp.faults, replay: Infinity } }
}

/** As `drawUdp`: from luck of its own. */
export function drawSealedStreams(seed: number): Profile['sealedStreams'] {
  const random = new Random(seed ^ 0x5ea1ed)
  return random.chance(0.3) ? { corrupt: random.pick([0, 0.002, 0.01]) } : undefined
}

/** Of the lines of a seed without sessions. */
export function drawLine(seed: number): UdpProfile {
  const random = new Random(seed ^ 0x11e)
  return udpOf(random, random.pick([0.5, 5, 30, 120]))
}

function udpOf(random: Random, latencyMs: number): UdpProfile {
  const maybe = (share: number, low: number, high: number) =>
    random.chance(share) ? random.between(low, high) : Infinity
  const isSealed = random.chance(0.8)
  const isBad = random.chance(0.7)
  return {
    isSealed,
    isAlone: random.chance(0.6),
    preset: random.chance(0.7) ? 'fast' : 'normal',
    weather: {
      loss: isBad ? random.pick([0.01, 0.05, 0.2]) : 0,
      twice: random.pick([0, 0, 0.05]),
      // Plain KCP cannot know what was damaged, as little as plain TCP (S1).
      corrupt: isSealed ? random.pick([0, 0.01, 0.05]) : 0,
      latencyMs,
      jitterMs: random.pick([0, 5, 60]),
    },
    faults: {
      rebind: maybe(0.7, 300, 4000),
      replay: maybe(0.5, 100, 1000),
      forge: maybe(0.3, 200, 2000),
    },
  }
}
