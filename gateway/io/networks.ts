// A set of networks that an address is looked up in, of tens of thousands: net.BlockList does it in about a microsecond.
// Files have one network a line; `#` begins a comment. Making a large set takes tens of microseconds for each network, so
// that while clients are there it is made in steps.
import fs from 'node:fs'
import { BlockList, isIP } from 'node:net'
import { setImmediate } from 'node:timers/promises'
import { readNetwork } from '../../config/networks.ts'

/** A few milliseconds of work. */
const STEP_COUNT = 100

export class Networks {
  readonly #list = new BlockList()
  count = 0

  /** Throws with the file and line where a network cannot be read. */
  constructor(networks: readonly string[], files: readonly string[] = []) {
    for (const network of written(networks, files)) this.#add(network)
  }

  /** The same, giving the event loop its turn again and again. */
  static async inSteps(networks: readonly string[], files: readonly string[]): Promise<Networks> {
    const made = new Networks([])
    for (const network of written(networks, files)) {
      made.#add(network)
      if (made.count % STEP_COUNT === 0) await setImmediate()
    }
    return made
  }

  has(address: string): boolean {
    const kind = isIP(address)
    return kind !== 0 && this.#list.check(address, kind === 4 ? 'ipv4' : 'ipv6')
  }

  #add(network: string): void {
    const { address, prefix, family } = readNetwork(network)!
    this.#list.addSubnet(address, prefix, family)
    this.count++
  }
}

function* written(networks: readonly string[], files: readonly string[]): Generator<string> {
  yield* networks
  for (const file of files) {
    for (const [i, line] of fs.readFileSync(file, 'utf8').split('\n').entries()) {
      const network = line.replace(/#.*/, '').trim()
      if (network === '') continue
      if (readNetwork(network) === undefined) throw new Error(`${file}:${i + 1}: ${network} is not a network`)
      yield network
    }
  }
}
