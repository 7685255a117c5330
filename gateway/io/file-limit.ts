// How many sockets the process can have at all. A gateway that lets in more connections than it may open files loses the
// links and the admin port to its clients; so the limit of the system caps `connectionsMax`, with some kept back.
import fs from 'node:fs'

const KEPT_BACK = 128

/** RLIMIT_NOFILE as Linux tells it (node has raised the soft limit to the hard one); undefined elsewhere. */
export function openFilesMax(): number | undefined {
  try {
    const limits = fs.readFileSync('/proc/self/limits', 'utf8')
    const soft = /^Max open files\s+(\d+)/m.exec(limits)?.[1]
    return soft === undefined ? undefined : Number(soft)
  } catch {
    return undefined
  }
}

/** What is left for clients: half of few files, all but some of many. */
export const connectionsFor = (filesMax: number): number => filesMax - Math.min(KEPT_BACK, Math.ceil(filesMax / 2))
