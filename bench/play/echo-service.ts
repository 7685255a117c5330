// What an actor does for players of a plan, and for the echoes: the contract that docs/performance.md asks of a host of
// the user's own. `skewer bench host` runs it.
//
//   <prefix>.say    one-way        is pushed back as <prefix>.said, reliably
//   <prefix>.call   request        is its own reply
//   <prefix>.move   latest         is pushed back as <prefix>.moved, latest, under the same key
//   <prefix>.shout  unreliable     is pushed back as <prefix>.shouted, unreliably
//   <prefix>.join   one-way        the session hears what is told from now on
//   <prefix>.tell   one-way        is published to all who joined, as <prefix>.told
import { code } from '../../protocols/codes.ts'
import { type Context, service } from '../../sdk/host/index.ts'

const ROOM_LOOK_MS = 5
const EVERYBODY = 'all'

type Hooks = { onStart?: (ctx: Context) => void; onAttached?: (ctx: Context) => void; onAsked?: (ctx: Context) => void }

/** `onAsked` is called for each `say` and `call`. */
export function echoService(name: string, prefix: string, { onAsked, ...hooks }: Hooks = {}) {
  return service(name, {
    keys: 'any',
    ...hooks,
    routes: {
      [`${prefix}.say`]: (ctx, payload) => {
        onAsked?.(ctx)
        return say(ctx, `${prefix}.said`, payload as Uint8Array)
      },
      [`${prefix}.call`]: (ctx, payload) => {
        onAsked?.(ctx)
        return payload
      },
      [`${prefix}.move`]: (ctx, payload) => ctx.latest(ctx.session, `${prefix}.moved`, ctx.latestKey, payload),
      [`${prefix}.shout`]: (ctx, payload) => {
        ctx.unreliable(ctx.session, `${prefix}.shouted`, payload)
      },
      [`${prefix}.join`]: (ctx) => joinEverybody(ctx),
      [`${prefix}.tell`]: (ctx, payload) => publishToEverybody(ctx, `${prefix}.told`, payload as Uint8Array),
    },
  })
}

export function joinEverybody(ctx: Context): void {
  ctx.group(EVERYBODY).join(ctx.session)
}

export function publishToEverybody(ctx: Context, route: string, payload: Uint8Array): void {
  ctx.group(EVERYBODY).publish(route, payload)
}

/** A message that has no room in the session's window holds up its actor, and with it its sender. */
function say(ctx: Context, route: string, payload: Uint8Array): Promise<void> | undefined {
  const refused = ctx.tryPush(ctx.session, route, payload)
  return refused === code.ok ? undefined : sayLater(ctx, route, payload, refused)
}

async function sayLater(ctx: Context, route: string, payload: Uint8Array, refused: number): Promise<void> {
  while (refused === code.window_full) {
    await new Promise((resolve) => setTimeout(resolve, ROOM_LOOK_MS))
    refused = ctx.tryPush(ctx.session, route, payload)
  }
  if (refused !== code.ok) throw new Error(`the echo was refused: ${refused}`)
}
