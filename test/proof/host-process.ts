// A game server of the proof: notes every number that its handler sees, pushes numbers of its own, answers requests and
// calls clients. It hands its books over when asked. `SABOTAGE` makes the relay between handler and books swallow, repeat
// or swap one message, to show that the proof would notice.
import process from 'node:process'
import { code } from '../../protocols/codes.ts'
import { bytes, service, startHost } from '../../sdk/host/index.ts'
import { NumberLog } from './accounts.ts'
import type { FromHost, ToHost } from './messages.ts'
import { numberOf, payloadOf } from './messages.ts'

const PUSH_MS = 20
const CALL_MS = 1000

type Book = { handled: NumberLog; asked: NumberLog; pushed: number }
const books: Map<string, Book> = new Map()
let isStopped = false
let ended = 0
let calls = 0
let callsFailed = 0
let sabotage = process.env.SABOTAGE ?? ''
let held: { book: Book; n: number } | undefined
let delivered = 0

/** The relay between the handler and the books. */
function relay(book: Book, n: number): void {
  const note = () => book.handled.push(n)
  delivered++
  if (sabotage === '' || delivered < 2000) {
    note()
  } else if (sabotage === 'swallow') {
    sabotage = ''
  } else if (sabotage === 'repeat') {
    sabotage = ''
    note()
    note()
  } else if (held === undefined) {
    held = { book, n }
  } else {
    note()
    // Only what comes from the same player can come out of order.
    if (book !== held.book) return
    book.handled.push(held.n)
    sabotage = ''
  }
}

function bookOf(user: string): Book {
  let book = books.get(user)
  if (book === undefined) {
    book = { handled: new NumberLog(), asked: new NumberLog(), pushed: 0 }
    books.set(user, book)
  }
  return book
}

const proof = service('proof', {
  keys: 'user',
  onStart(ctx) {
    const book = bookOf(ctx.key)
    ctx.every(PUSH_MS, () => {
      if (isStopped) return
      for (const session of ctx.sessions) {
        // A full window refuses at once and nothing has happened: the number is used later.
        if (ctx.tryPush(session, 'proof.down', payloadOf(book.pushed + 1)) === 0) book.pushed++
      }
    })
    ctx.every(CALL_MS, () => {
      if (isStopped) return
      for (const session of ctx.sessions) {
        calls++
        void ctx.callClient(session, 'proof.echo', payloadOf(calls), { timeoutMs: 20_000 }).then(
          () => {},
          (error) => {
            // A full window refuses at once, and no call was made.
            if (error.code === code.window_full) calls--
            else callsFailed++
          },
        )
      }
    })
  },
  onEnd() {
    ended++
  },
  routes: {
    'proof.up'(ctx, payload) {
      relay(bookOf(ctx.key), numberOf(payload as Uint8Array))
    },
    'proof.limited'(ctx, payload) {
      bookOf(ctx.key).handled.push(numberOf(payload as Uint8Array))
    },
    'proof.ask'(ctx, payload) {
      bookOf(ctx.key).asked.push(numberOf(payload as Uint8Array))
      return payload
    },
  },
})

const host = await startHost({
  name: process.env.NAME!,
  listen: process.env.LISTEN!,
  services: [proof],
  codec: bytes,
  linkKey: process.env.LINK_KEY,
})

process.on('message', (message: ToHost) => {
  if (message.kind === 'quiet') {
    isStopped = true
  } else if (message.kind === 'books') {
    const answer: FromHost = {
      kind: 'books',
      ended,
      calls,
      callsFailed,
      books: Array.from(books, ([user, book]) => ({
        user,
        handled: book.handled.toArray(),
        asked: book.asked.toArray(),
        pushed: book.pushed,
      })),
    }
    process.send!(answer)
  } else {
    void host.close().finally(() => process.exit(0))
  }
})
process.send!({ kind: 'ready' } satisfies FromHost)
