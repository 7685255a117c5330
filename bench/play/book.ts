// What the players of one process did and heard in one phase. Books travel between processes as counts and add up.
import { Histogram, type HistogramCounts } from '../histogram.ts'

export type MessageCounts = {
  sent: number
  heard: number
  refused: number
  skipped: number
  latencies: HistogramCounts
}
export type BookCounts = {
  messages: MessageCounts[]
  logins: HistogramCounts
  returns: HistogramCounts
  left: number
  cuts: number
}

class MessageBook {
  sent = 0
  heard = 0
  /** Told the sender: it did not run. */
  refused = 0
  /** Never sent: too much waited for room. */
  skipped = 0
  readonly latencies = new Histogram()
}

export class Book {
  readonly messages: MessageBook[]
  /** From the first dial to the first attached channel; from a lost connection to an attached channel. */
  readonly logins = new Histogram()
  readonly returns = new Histogram()
  left = 0
  cuts = 0

  constructor(messages: number) {
    this.messages = Array.from({ length: messages }, () => new MessageBook())
  }

  counts(): BookCounts {
    const messages = this.messages.map(({ sent, heard, refused, skipped, latencies }) => {
      return { sent, heard, refused, skipped, latencies: latencies.counts() }
    })
    const { left, cuts } = this
    return { messages, logins: this.logins.counts(), returns: this.returns.counts(), left, cuts }
  }

  add(counts: BookCounts): void {
    for (const [i, { sent, heard, refused, skipped, latencies }] of counts.messages.entries()) {
      const own = this.messages[i]
      own.sent += sent
      own.heard += heard
      own.refused += refused
      own.skipped += skipped
      own.latencies.add(latencies)
    }
    this.logins.add(counts.logins)
    this.returns.add(counts.returns)
    this.left += counts.left
    this.cuts += counts.cuts
  }
}
