// How a conversation behaves: three presets and the checks of what the caller wrote. Only ranges are checked here; that
// both ends agree on `mtu` and `stream` is not needed (KCP-5). A wrong value is local misuse and throws.
import { headerBytes } from './segment.ts'
import { mtuMax } from './segment-pool.ts'

export type KcpSettings = {
  /** Largest datagram sent, in bytes; what seals it comes on top. 64 to 1500. */
  mtu: number
  /** Largest datagram taken from the peer: ikcp sends 1400 unless told otherwise. 64 to 1500. */
  peerMtu: number
  /** Segments in flight. 1 to 32768. */
  sendWindow: number
  /** Segments held for a reader that has not taken them. 128 (what a peer assumes before it is told) to 32768. */
  receiveWindow: number
  /** How the wait grows with each loss: 0 doubles, 1 half more, 2 half the current estimate more. */
  nodelay: 0 | 1 | 2
  /** Least time between two flushes, and part of every RTO. 1 to 5000. */
  intervalMs: number
  /** Flush as soon as there is something to send (acknowledgements too), whatever `intervalMs` says. */
  immediate: boolean
  /** Sends again what was overtaken by so many acknowledgements; 0 waits for the RTO. 0 to 255. */
  resend: number
  /** Without congestion control: the windows alone limit what is in flight. */
  nc: boolean
  /** 1 to 60000. */
  minRtoMs: number
  /** The conversation is dead when one segment has been sent so often. 2 to 1000. */
  deadLinkCount: number
  /** Bytes without message boundaries; short sends are joined into full segments. */
  stream: boolean
  /** Payload bytes accepted by `send` and not yet passed by the peer's una. From one segment to 64 MiB. */
  sendBytesMax: number
  /** The same in segments. 1 to 65536. */
  sendCountMax: number
}

const KIB = 1024
const MIB = 1024 * KIB

const normal: KcpSettings = {
  mtu: 1200,
  peerMtu: 1400,
  sendWindow: 128,
  receiveWindow: 128,
  nodelay: 0,
  intervalMs: 20,
  immediate: false,
  resend: 2,
  nc: false,
  minRtoMs: 100,
  deadLinkCount: 20,
  stream: false,
  sendBytesMax: 256 * KIB,
  sendCountMax: 1024,
}

/** `fast` spends datagrams for time, `thrifty` time for datagrams. */
export const kcpPresets = {
  fast: {
    ...normal,
    sendWindow: 256,
    receiveWindow: 256,
    nodelay: 1,
    intervalMs: 10,
    immediate: true,
    nc: true,
    minRtoMs: 30,
  },
  normal,
  thrifty: { ...normal, intervalMs: 40, resend: 0 },
} as const satisfies Record<string, Readonly<KcpSettings>>

export type KcpPreset = keyof typeof kcpPresets

/** A preset with changes, checked. @throws RangeError that names the setting. */
export function kcpSettings(preset: KcpPreset, changes: Partial<KcpSettings> = {}): KcpSettings {
  if (!Object.hasOwn(kcpPresets, preset))
    throw new RangeError(`preset: expected fast, normal or thrifty, got ${preset}`)
  const settings: KcpSettings = { ...kcpPresets[preset], ...changes }
  checkKcpSettings(settings)
  return settings
}

/** @throws RangeError that names the setting. */
export function checkKcpSettings(settings: Readonly<KcpSettings>): void {
  checkInteger('mtu', settings.mtu, 64, mtuMax)
  checkInteger('peerMtu', settings.peerMtu, 64, mtuMax)
  checkInteger('sendWindow', settings.sendWindow, 1, 32_768)
  checkInteger('receiveWindow', settings.receiveWindow, 128, 32_768)
  checkInteger('nodelay', settings.nodelay, 0, 2)
  checkInteger('intervalMs', settings.intervalMs, 1, 5000)
  checkInteger('resend', settings.resend, 0, 255)
  checkInteger('minRtoMs', settings.minRtoMs, 1, 60_000)
  checkInteger('deadLinkCount', settings.deadLinkCount, 2, 1000)
  checkInteger('sendBytesMax', settings.sendBytesMax, settings.mtu - headerBytes, 64 * MIB)
  checkInteger('sendCountMax', settings.sendCountMax, 1, 65_536)
  checkBoolean('immediate', settings.immediate)
  checkBoolean('nc', settings.nc)
  checkBoolean('stream', settings.stream)
}

function checkInteger(name: string, value: unknown, from: number, to: number): void {
  if (!Number.isInteger(value) || (value as number) < from || (value as number) > to) {
    throw new RangeError(`${name}: expected an integer from ${from} to ${to}, got ${String(value)}`)
  }
}

function checkBoolean(name: string, value: unknown): void {
  if (typeof value !== 'boolean') throw new RangeError(`${name}: expected true or false, got ${String(value)}`)
}
