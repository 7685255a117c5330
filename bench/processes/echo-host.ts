// The game server of a run: says back whatever a client says, or pushes to every attached session at a rate, or publishes
// to a group of all of an actor's sessions, both in ticks of 50 ms as games do. A message that has no room in the session's window holds up its actor, and with it its sender.
import { code } from '../../protocols/codes.ts'
import { bytes, type Context, service, startHost } from '../../sdk/host/index.ts'
import { monotonicUs } from '../clock.ts'
import { STAMP_BYTES, writeStamp } from '../load/client.ts'
import { answerWith } from '../worker.ts'

/** `pushRate`: messages a second to each session; `publishRate`: publications a second of each actor; 0: none. */
export type ToEchoHost = { kind: 'start'; pushRate: number; publishRate: number; payloadBytes: number }
export type EchoHostStarted = { address: string }

const TICK_MS = 50
const ROOM_LOOK_MS = 5
const EVERYBODY = 'all'

function say(ctx: Context, payload: Uint8Array): Promise<void> | undefined {
  const refused = ctx.tryPush(ctx.session, 'echo.said', payload)
  return refused === code.ok ? undefined : sayLater(ctx, payload, refused)
}

async function sayLater(ctx: Context, payload: Uint8Array, refused: number): Promise<void> {
  while (refused === code.window_full) {
    await new Promise((resolve) => setTimeout(resolve, ROOM_LOOK_MS))
    refused = ctx.tryPush(ctx.session, 'echo.said', payload)
  }
  if (refused !== code.ok) throw new Error(`the echo was refused: ${refused}`)
}

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
      ctx.group(EVERYBODY).publish('echo.said', payload)
    }
  })
}

answerWith<ToEchoHost>(async ({ pushRate, publishRate, payloadBytes }) => {
  const payload = new Uint8Array(Math.max(STAMP_BYTES, payloadBytes))
  const echo = service('echo', {
    keys: 'any',
    onStart(ctx) {
      if (pushRate > 0) push(ctx, pushRate, payload)
      if (publishRate > 0) publish(ctx, publishRate, payload)
    },
    onAttached(ctx) {
      if (publishRate > 0) ctx.group(EVERYBODY).join(ctx.session)
    },
    routes: { 'echo.say': (ctx, said) => say(ctx, said as Uint8Array), 'echo.call': (_ctx, said) => said },
  })
  const host = await startHost({ name: 'echo', listen: '127.0.0.1:0', services: [echo], codec: bytes })
  return { address: host.address } satisfies EchoHostStarted
})
