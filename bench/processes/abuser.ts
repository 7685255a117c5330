// One abuser, in a process of its own: sends as fast as the gateway takes it, or at a rate. It gives way to everything else
// on the machine, as if it were on another, so that what the others lose they lose to what the gateway does about it.
import { execFileSync } from 'node:child_process'
import os from 'node:os'
import process from 'node:process'
import { CallFlood, DatagramFlood, type Flood, GarbageFlood, LaneFlood } from '../load/floods.ts'
import { kcpOpener } from '../load/kcp-stream.ts'
import { TICK_MS } from '../load/lane-client.ts'
import { type OpenStream, openTcp, openWebSocket } from '../load/stream.ts'
import type { AbuserKind } from '../options.ts'
import { answerWith } from '../worker.ts'

/** `rate`: tries a second, 0 for as many as can be; `gatewayKey` in base64url for KCP. */
export type AbuserPlan = {
  abuser: AbuserKind
  port: number
  gatewayKey?: string
  name: string
  rate: number
  payloadBytes: number
}
export type AbuserState = { tried: number; heard: number; logins: number; ends: Record<string, number> }
export type ToAbuser = { kind: 'connect'; plan: AbuserPlan } | { kind: 'begin' | 'quiet' | 'state' }

const FULL_WAIT_MS = 1
let flood: Flood | undefined
let rate = 0
let isQuiet = false

function floodOf({ abuser, port, name, payloadBytes, gatewayKey = '' }: AbuserPlan): Flood {
  const lanes = (open: OpenStream) =>
    new LaneFlood(open, port, name, payloadBytes, abuser.endsWith('-flood') ? 'rude' : 'sly')
  switch (abuser) {
    case 'tcp':
    case 'tcp-flood':
      return lanes(openTcp)
    case 'websocket':
    case 'websocket-flood':
      return lanes(openWebSocket)
    case 'kcp':
    case 'kcp-flood':
      return lanes(kcpOpener(gatewayKey))
    case 'http':
      return new CallFlood(port, name, payloadBytes)
    case 'garbage':
      return new GarbageFlood(port)
    case 'datagrams':
      return new DatagramFlood(port)
  }
}

function begin(on: Flood): void {
  let due = 0
  let last = performance.now()
  const go = (): void => {
    if (isQuiet) return
    const now = performance.now()
    due = rate === 0 ? Infinity : Math.min(due + ((now - last) * rate) / 1000, rate)
    last = now
    const sent = due < 1 ? 0 : on.pump(Math.floor(due))
    due -= sent
    if (sent === 0) setTimeout(go, FULL_WAIT_MS)
    else setImmediate(go)
  }
  go()
}

/**
 * Below the lowest nice value, where the system has such a class: with that value alone whoever wakes up still waits for the
 * rest of the abuser's slice.
 */
function giveWay(): void {
  os.setPriority(os.constants.priority.PRIORITY_LOW)
  try {
    execFileSync('chrt', ['--all-tasks', '--idle', '--pid', '0', String(process.pid)], { stdio: 'ignore' })
  } catch {
    // Not Linux, or without util-linux: the lowest nice value has to do.
  }
}

answerWith<ToAbuser>((message) => {
  if (message.kind === 'connect') {
    giveWay()
    rate = message.plan.rate
    const opened = floodOf(message.plan)
    flood = opened
    setInterval(() => opened.tick(performance.now()), TICK_MS)
  } else if (message.kind === 'begin') {
    begin(flood!)
  } else if (message.kind === 'quiet') {
    isQuiet = true
    flood!.close()
  }
  const { tried, heard, logins, ends } = flood!
  return { tried, heard, logins, ends } satisfies AbuserState
})
