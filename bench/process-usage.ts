// CPU time and memory of any process by its id, from /proc/<pid>/stat (proc(5)): what a process says of itself would not
// do for nginx. CPU time comes in ticks of 10 ms, so that a run of a second is the least that means anything.
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

export type Usage = { cpuUs: number; rssBytes: number }
export type Units = { ticksPerSecond: number; pageBytes: number }

// Fields of the line as proc(5) counts them; the first two (pid and name) are cut off before.
const USER_TICKS = 14
const SYSTEM_TICKS = 15
const RSS_PAGES = 24
const FIELDS_CUT = 3

/** The name of a program may hold spaces and brackets: what counts begins behind the last bracket. */
export function parseStat(line: string, units: Units): Usage {
  const fields = line.slice(line.lastIndexOf(')') + 2).split(' ')
  const field = (number: number): number => Number(fields[number - FIELDS_CUT])
  return {
    cpuUs: ((field(USER_TICKS) + field(SYSTEM_TICKS)) / units.ticksPerSecond) * 1e6,
    rssBytes: field(RSS_PAGES) * units.pageBytes,
  }
}

/** @throws Error where there is no such process, or no /proc */
export function usageOf(pid: number): Usage {
  return parseStat(readFileSync(`/proc/${pid}/stat`, 'utf8'), units())
}

let known: Units | undefined

function units(): Units {
  known ??= { ticksPerSecond: ask('CLK_TCK', 100), pageBytes: ask('PAGESIZE', 4096) }
  return known
}

/** A system without getconf has the usual values, as far as anybody knows. */
function ask(name: string, usual: number): number {
  try {
    return Number(execFileSync('getconf', [name], { encoding: 'utf8' })) || usual
  } catch {
    return usual
  }
}
