// A kept message as a frame of the current attach: its route as this connection's number, its deadline as what is left of it
// (S3, Q1). A tombstone travels as SKIP; whoever buried it knows why, so the other end need not remember it (R2).
import { code } from '../codes.ts'
import {
  laneKind,
  writeFin,
  writeOneway,
  writeReplay,
  writeReply,
  writeRequest,
  writeSkip,
} from '../wire/lane-frames.ts'
import type { Writer } from '../wire/writer.ts'
import type { RouteNumbers } from './channel-end.ts'
import type { Item } from './outbox.ts'

export function writeItem(
  w: Writer,
  channel: number,
  item: Item,
  routes: RouteNumbers,
  numberMask: number,
  now: number,
): void {
  const number = item.number & numberMask
  switch (item.kind) {
    case laneKind.oneway:
      writeOneway(w, channel, number, routes.numberOf(item.route, w), item.payload)
      break
    case laneKind.request: {
      // 0 means that there is no deadline; one that is nearly over is still one.
      const remaining = item.deadlineAt === Infinity ? 0 : Math.max(1, Math.ceil(item.deadlineAt - now))
      const route = routes.numberOf(item.route, w)
      writeRequest(w, channel, number, route, item.request, remaining, item.payload)
      break
    }
    case laneKind.reply:
      writeReply(w, channel, number, item.request, item.code, item.payload)
      break
    case laneKind.replay: {
      const route = routes.numberOf(item.route, w)
      writeReplay(w, channel, number, route, item.group, item.life, item.offset, item.payload)
      break
    }
    case laneKind.fin:
      writeFin(w, channel, number, item.code)
      break
    default:
      writeSkip(w, channel, number, 1, code.withdrawn)
  }
}
