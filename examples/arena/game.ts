// The arena as an actor: one per room. Players steer by reliable messages that carry their own numbers, the room answers
// with numbered news, publishes what everybody sees twenty times a second and keeps the chat recoverable.
import { service } from '../../sdk/host/index.ts'
import { Tally } from './tally.ts'
import { STEP_MS, World } from './world.ts'

type Seat = { tally: Tally; news: number; sent: number }
type Room = { world: World; seats: Map<string, Seat> }

const NEWS_MS = 500
const CHAT_CHARACTERS_MAX = 200

export const arena = service<Room>('arena', {
  keys: 'any',
  state: () => ({ world: new World(Math.random), seats: new Map() }),

  onStart(ctx) {
    const { world, seats } = ctx.state
    ctx.every(STEP_MS, () => {
      for (const collected of world.step()) {
        const seat = seats.get(collected.player)
        if (seat !== undefined) news(ctx, collected.player, seat, { kind: 'coin', score: collected.score })
      }
      ctx.group('view').publish('arena.view', world.view())
    })
    ctx.every(NEWS_MS, () => {
      for (const [session, seat] of seats) news(ctx, session, seat, { kind: 'tally', ...seat.tally.summary })
    })
  },

  onAttached(ctx) {
    const session = ctx.session
    ctx.group('view').join(session)
    ctx.group('chat', { recoverable: true, historyCount: 50 }).join(session)
  },

  /** The channel is over, or its client began a new life: the numbers begin at 1 again. */
  onEnd(ctx) {
    ctx.state.seats.delete(ctx.session)
    ctx.state.world.leave(ctx.session)
  },

  routes: {
    'arena.join'(ctx, payload) {
      const wish = payload as { name?: unknown; bot?: unknown } | undefined
      const name = typeof wish?.name === 'string' && wish.name !== '' ? wish.name : ctx.user
      const player = ctx.state.world.join(ctx.session, name, wish?.bot === true)
      if (!ctx.state.seats.has(ctx.session)) ctx.state.seats.set(ctx.session, { tally: new Tally(), news: 0, sent: 0 })
      return { id: player.id, name: player.name }
    },

    'arena.steer'(ctx, payload) {
      const { n, dx, dy } = payload as { n: number; dx: number; dy: number }
      ctx.state.seats.get(ctx.session)?.tally.take(n)
      ctx.state.world.steer(ctx.session, Number(dx), Number(dy))
    },

    'chat.say'(ctx, payload) {
      const text = String((payload as { text?: unknown }).text ?? '').slice(0, CHAT_CHARACTERS_MAX)
      const player = ctx.state.world.players.get(ctx.session)
      if (text === '' || player === undefined) return
      ctx.group('chat', { recoverable: true, historyCount: 50 }).publish('chat.said', { from: player.name, text })
    },
  },
})

type RoomContext = Parameters<NonNullable<(typeof arena)['definition']['onStart']>>[0]

function news(ctx: RoomContext, session: string, seat: Seat, what: object): void {
  // A full window means that the player is away: the news of this moment is not worth keeping, and costs no number.
  if (ctx.tryPush(session, 'arena.news', { n: seat.news + 1, ...what }) === 0) seat.news++
}
