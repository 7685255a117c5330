// Watches the configuration file by looking at it twice a second: that survives editors which put a new file in its place,
// folders that are swapped under it (Kubernetes), and file systems that report nothing. A file that is being written is
// left to rest; one that is gone for a moment is waited for.
import fs from 'node:fs'

const LOOK_MS = 500
const REST_MS = 150

export class ConfigWatch {
  readonly #file: string
  readonly #changed: () => void
  #timer: NodeJS.Timeout | undefined

  /** `changed` is called once the file rests after a change. */
  constructor(file: string, changed: () => void) {
    this.#file = file
    this.#changed = changed
    fs.watchFile(file, { interval: LOOK_MS, persistent: false }, this.#looked)
  }

  stop(): void {
    fs.unwatchFile(this.#file, this.#looked)
    clearTimeout(this.#timer)
  }

  readonly #looked = (now: fs.Stats): void => {
    clearTimeout(this.#timer)
    // All zero: there is no such file.
    if (now.ino === 0 && now.mtimeMs === 0) return
    this.#timer = setTimeout(() => this.#rested(now), REST_MS)
  }

  #rested(before: fs.Stats): void {
    fs.stat(this.#file, (error, now) => {
      if (error !== null) return
      if (now.mtimeMs === before.mtimeMs && now.size === before.size && now.ino === before.ino) this.#changed()
      else this.#looked(now)
    })
  }
}
