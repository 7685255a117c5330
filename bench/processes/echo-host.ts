// The game server of a run: says back whatever a client says, or pushes to every attached session at a rate, or publishes
// to a group of all of an actor's sessions, both in ticks of 50 ms as games do. What it does with each route is what a host
// of the user's own must do to be played with (docs/performance.md); `skewer bench host` is this one.
import { bytes, type Context, startHost } from '../../sdk/host/index.ts'
import { monotonicUs } from '../clock.ts'
import { STAMP_BYTES, writeStamp } from '../load/client.ts'
import { echoService, joinEverybody, publishToEverybody } from '../play/echo-service.ts'
import { answerWith } from '../worker.ts'

/**
 * `pushRate`: messages a second to each session; `publishRate`: publications a second of each actor; 0: none. `counted`: what the
 * keys of actors begin with whose messages and calls are counted; empty: none. got: how many each of them has run.
 */
export type ToEchoHost =
  | { kind: 'start'; pushRate: number; publishRate: number; payloadBytes: number; counted: string }
  | { kind: 'got' }
export type EchoHostStarted = { address: string }
export type EchoHostGot = { got: Record<string, number> }

const TICK_MS = 50

/** Calls `tick` with how often something at a rate is due. */
function atRate(ctx: Context, perSecond: number, tick: (count: number) => void): void {
  let due = 0
  ctx.every(TICK_MS, () => {
    due += (perSecond * TICK_MS) / 1000
    const count = Math.floor(due)
    due -= count
    tick(count)
  })
}

function push(ctx: Context, pushRate: number, payload: Uint8Array): void {
  atRate(ctx, pushRate, (count) => {
    for (const session of ctx.sessions) {
      if (!ctx.isAttached(session)) continue
      for (let i = 0; i < count; i++) {
        writeStamp(payload, monotonicUs())
        // A full window leaves the push out; nothing has happened then.
        ctx.tryPush(session, 'echo.said', payload)
      }
    }
  })
}

function publish(ctx: Context, publishRate: number, payload: Uint8Array): void {
  atRate(ctx, publishRate, (count) => {
    for (let i = 0; i < count; i++) {
      writeStamp(payload, monotonicUs())
      publishToEverybody(ctx, 'echo.said', payload)
    }
  })
}

const got = new Map<string, number>()

answerWith<ToEchoHost>(async (message) => {
  if (message.kind === 'got') return { got: Object.fromEntries(got) } satisfies EchoHostGot
  const { pushRate, publishRate, payloadBytes, counted } = message
  const payload = new Uint8Array(Math.max(STAMP_BYTES, payloadBytes))
  const echo = echoService('echo', 'echo', {
    onStart(ctx) {
      if (pushRate > 0) push(ctx, pushRate, payload)
      if (publishRate > 0) publish(ctx, publishRate, payload)
    },
    onAsked({ key }) {
      if (counted !== '' && key.startsWith(counted)) got.set(key, (got.get(key) ?? 0) + 1)
    },
    onAttached(ctx) {
      if (publishRate > 0) joinEverybody(ctx)
    },
  })
  const host = await startHost({ name: 'echo', listen: '127.0.0.1:0', services: [echo], codec: bytes })
  return { address: host.address } satisfies EchoHostStarted
})
