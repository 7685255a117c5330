// What connections may cost a turn: a clock that only moves when a reader works, and turns that end when the test says so.
import t from 'tap'
import { Portions, type PortionReader } from '../../../gateway/io/portions.ts'
import { KEPT_BYTES_MAX, TurnShare, type Waiting } from '../../../gateway/io/turn-share.ts'

const TURN_MS = 10
const EACH_MS = 1
const PORTION_BYTES = 8 * 1024

class World {
  now = 0
  #ends: (() => void)[] = []
  readonly share = new TurnShare(
    { turnMs: TURN_MS, eachMs: EACH_MS },
    () => this.now,
    (then) => this.#ends.push(then),
  )
  /** Names of readers, in the order in which they were given portions. */
  readonly order: string[] = []

  get hasWork(): boolean {
    return this.#ends.length > 0
  }

  endTurn(): void {
    const ends = this.#ends
    this.#ends = []
    for (const end of ends) end()
  }
}

/** Takes `costMs` for a portion; notes what came, and whether its socket is read. */
class Reader implements PortionReader {
  isOpen = true
  isRead = true
  onTake: () => void = () => {}
  readonly got: number[] = []
  readonly portions: Portions
  readonly #world: World
  readonly #name: string
  readonly #costMs: number

  constructor(world: World, name: string, costMs: number) {
    this.#world = world
    this.#name = name
    this.#costMs = costMs
    this.portions = new Portions(world.share, this)
  }

  take(portion: Uint8Array): void {
    this.#world.now += this.#costMs
    this.#world.order.push(this.#name)
    this.got.push(...portion)
    this.onTake()
  }
  stopReading(): void {
    this.isRead = false
  }
  goOnReading(): void {
    this.isRead = true
  }
}

const numbered = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => i & 0xff)

t.test('a small read is handed on at once', async (t) => {
  const world = new World()
  const reader = new Reader(world, 'a', 0.01)
  reader.portions.read(numbered(100))
  t.equal(reader.got.length, 100)
  t.ok(reader.isRead)
})

t.test(
  'a connection whose read takes long gets its time of each turn, all its bytes in order, and is not read',
  async (t) => {
    const world = new World()
    const reader = new Reader(world, 'a', 0.6)
    const bytes = numbered(8 * PORTION_BYTES)
    const lent = bytes.slice()
    reader.portions.read(lent)
    // The next read of any socket overwrites what was lent.
    lent.fill(0xee)
    const turns: number[] = [world.now]
    t.notOk(reader.isRead)
    while (world.hasWork) {
      const before = world.now
      world.endTurn()
      if (world.now > before) turns.push(world.now - before)
    }
    for (const ms of turns) t.ok(ms < EACH_MS + 0.6, `${ms} ms`)
    t.ok(turns.length >= 4, `${turns.length} turns`)
    t.strictSame(Uint8Array.from(reader.got), bytes)
    t.ok(reader.isRead)
  },
)

t.test('many small reads take no more of a turn than it has; the rest is served before what comes later', async (t) => {
  const world = new World()
  const readers = Array.from({ length: 500 }, (_, i) => new Reader(world, `${i}`, 0.05))
  for (const reader of readers) reader.portions.read(numbered(10))
  const late = new Reader(world, 'late', 0.05)
  late.portions.read(numbered(10))
  let longest = world.now
  t.ok(world.share.waitedMs(world.now) >= 0)
  while (world.hasWork) {
    const before = world.now
    world.endTurn()
    longest = Math.max(longest, world.now - before)
  }
  t.ok(longest <= TURN_MS + 8 * 0.05 + 1e-6, `${longest} ms`)
  t.strictSame(world.order, [...readers.map((_, i) => `${i}`), 'late'])
  t.ok(readers.every(({ isRead, got }) => isRead && got.length === 10))
  t.equal(world.share.waitedMs(world.now), 0)
})

t.test('one that always has more does not keep others waiting: each is served once a turn', async (t) => {
  const world = new World()
  const flood = new Reader(world, 'flood', 0.9)
  const honest = new Reader(world, 'honest', 0.01)
  flood.portions.read(numbered(8 * PORTION_BYTES))
  for (let i = 0; i < 3; i++) {
    const before = world.now
    honest.portions.read(numbered(10))
    t.equal(honest.got.length, 10 * (i + 1), 'at once')
    world.endTurn()
    t.ok(world.now - before <= 2, `${world.now - before} ms`)
  }
})

t.test('how long the first has waited is told, for shedding', async (t) => {
  const world = new World()
  const waiting: Waiting = { waitsSince: 0, turnCame() {} }
  world.now = 5
  world.share.wait(waiting)
  t.equal(world.share.waitedMs(25), 20)
  world.endTurn()
  t.equal(world.share.waitedMs(26), 0)
})

t.test('one that its owner holds gets nothing, not even what was read before; then all of it', async (t) => {
  const world = new World()
  const reader = new Reader(world, 'a', 0.01)
  reader.onTake = () => reader.portions.hold()
  const bytes = numbered(3 * PORTION_BYTES)
  reader.portions.read(bytes)
  t.equal(reader.got.length, PORTION_BYTES)
  for (let i = 0; i < 5; i++) world.endTurn()
  t.equal(reader.got.length, PORTION_BYTES)
  t.notOk(reader.isRead)
  reader.onTake = () => {}
  reader.portions.goOn()
  t.notOk(reader.isRead, 'not before what waits is gone')
  while (world.hasWork) world.endTurn()
  t.strictSame(Uint8Array.from(reader.got), bytes)
  t.ok(reader.isRead)
})

t.test('what a stopped socket still brings keeps its place', async (t) => {
  const world = new World()
  const reader = new Reader(world, 'a', 2)
  const bytes = numbered(4 * PORTION_BYTES)
  reader.portions.read(bytes.subarray(0, 2 * PORTION_BYTES))
  reader.portions.read(bytes.subarray(2 * PORTION_BYTES, 2 * PORTION_BYTES + 10))
  reader.portions.read(bytes.subarray(2 * PORTION_BYTES + 10))
  while (world.hasWork) world.endTurn()
  t.strictSame(Uint8Array.from(reader.got), bytes)
})

t.test('of one that is closed meanwhile nothing more is handed on', async (t) => {
  const world = new World()
  const reader = new Reader(world, 'a', 2)
  reader.portions.read(numbered(4 * PORTION_BYTES))
  const got = reader.got.length
  reader.isOpen = false
  while (world.hasWork) world.endTurn()
  t.equal(reader.got.length, got)
})

t.test('what waits when the peer ends is handed on before the end', async (t) => {
  const world = new World()
  const reader = new Reader(world, 'a', 2)
  reader.portions.read(numbered(4 * PORTION_BYTES))
  reader.portions.finish()
  t.strictSame(Uint8Array.from(reader.got), numbered(4 * PORTION_BYTES))
})

t.test('of one that its owner holds the same: it will not be read any more', async (t) => {
  const world = new World()
  const reader = new Reader(world, 'a', 0.01)
  reader.onTake = () => reader.portions.hold()
  reader.portions.read(numbered(3 * PORTION_BYTES))
  t.equal(reader.got.length, PORTION_BYTES)
  reader.onTake = () => {}
  reader.portions.finish()
  t.strictSame(Uint8Array.from(reader.got), numbered(3 * PORTION_BYTES))
  t.equal(world.share.keptBytes, 0)
})

t.test('what all keep together is bounded: beyond it a read is handed on at once, behind what was kept', async (t) => {
  const world = new World()
  const read = numbered(64 * 1024)
  const spender = new Reader(world, 'spender', TURN_MS)
  spender.portions.read(numbered(10))
  const readers = Array.from({ length: 1500 }, (_, i) => new Reader(world, `${i}`, 0))
  let most = 0
  for (const reader of readers) {
    reader.portions.read(read)
    most = Math.max(most, world.share.keptBytes)
  }
  t.ok(most > KEPT_BYTES_MAX - 2 * read.length && most <= KEPT_BYTES_MAX, `${most} bytes`)
  const keeper = readers.find(({ got }) => got.length === 0)!
  t.ok(keeper.portions.holds)
  const next = read.toReversed()
  keeper.portions.read(next)
  t.strictSame(Uint8Array.from(keeper.got), new Uint8Array(Buffer.concat([read, next])), 'in order')
  t.notOk(keeper.portions.holds)
  while (world.hasWork) world.endTurn()
  t.equal(world.share.keptBytes, 0)
  t.ok(readers.every(({ got, isRead }) => got.length >= read.length && isRead))
})

t.test('what was kept of one that is gone is counted no more', async (t) => {
  const world = new World()
  const reader = new Reader(world, 'a', 2)
  reader.portions.read(numbered(4 * PORTION_BYTES))
  t.ok(world.share.keptBytes > 0)
  reader.isOpen = false
  reader.portions.finish()
  t.equal(world.share.keptBytes, 0)
})
