// How large the payload of a message may be. What `limits.windowBytes` allows at most (W1) and a frame holds is judged
// before; this is for routes that never need as much. The smallest of those that hold at a place decides, and each counts
// for itself. docs/policies/message-size.md.
import { code } from '../protocols/codes.ts'
import type { CompileTools, Place } from './compile.ts'
import { type Check, type Judgement, type Mode, type PolicyCount, type Verdict, verdict } from './pipeline.ts'

export type MessageSizeSettings = {
  readonly mode: Mode
  readonly payloadBytesMax: number
  readonly action: 'reject' | 'drop' | 'close'
}

const COST = 2

export class MessageSizeCheck implements Check {
  readonly count: PolicyCount
  readonly mode: Mode
  readonly cost = COST
  readonly readsPayload = true
  readonly #payloadBytesMax: number
  readonly #action: Verdict

  constructor(settings: MessageSizeSettings, count: PolicyCount) {
    this.count = count
    this.mode = settings.mode
    this.#payloadBytesMax = settings.payloadBytesMax
    this.#action = verdict[settings.action]
  }

  judge(judgement: Judgement): Verdict {
    if (judgement.payloadEnd - judgement.payloadStart <= this.#payloadBytesMax) return verdict.pass
    judgement.code = code.too_large
    judgement.retryMs = 0
    return this.#action
  }
}

export function messageSizeChecks(place: Place, tools: CompileTools): Check[] {
  return place.levels.flatMap(({ scope, policies }) => {
    const { messageSize } = policies
    return messageSize === undefined
      ? []
      : [new MessageSizeCheck(messageSize, tools.counts.of('message_size', scope, ''))]
  })
}
