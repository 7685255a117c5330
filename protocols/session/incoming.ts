// A lane frame as its receiver sees it: names in place of numbers, a deadline in the receiver's own time (Q1), the payload
// copied out of the borrowed bytes. Fields that the frame's kind does not have are empty, whatever was read before.
import type { LaneFrame } from '../wire/lane-frames.ts'
import { laneKind } from '../wire/lane-frames.ts'
import type { Incoming } from './channel-end.ts'

export function incoming(frame: LaneFrame, number: number, route: string, now: number): Incoming {
  const { kind } = frame
  return {
    kind,
    number,
    route,
    request: kind === laneKind.request ? frame.request : 0,
    deadlineAt: kind === laneKind.request && frame.deadlineMs > 0 ? now + frame.deadlineMs : Infinity,
    key: kind === laneKind.latest ? frame.key : '',
    group: kind === laneKind.replay ? frame.group : '',
    life: kind === laneKind.replay ? frame.life : 0n,
    offset: kind === laneKind.replay ? frame.offset : 0,
    payload: frame.payload(),
  }
}
