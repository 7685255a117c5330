// CPU time and memory of any process by its id, from /proc/<pid>/stat (proc(5)): what a process says of itself would not
// do for nginx. CPU time comes in ticks of 10 ms, so that a run of a second is the least that means anything.
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

export type Usage = { cpuUs: number; rssBytes: number }
/** CPU time told apart: the process's own work, and the kernel's for it. */
export type SplitUsage = Usage & { userUs: number; systemUs: number }
export type Units = { ticksPerSecond: number; pageBytes: number }

// Fields of the line as proc(5) counts them; the first two (pid and name) are cut off before.
const USER_TICKS = 14
const SYSTEM_TICKS = 15
const RSS_PAGES = 24
const FIELDS_CUT = 3

/** The name of a program may hold spaces and brackets: what counts begins behind the last bracket. */
export function parseStat(line: string, units: Units): SplitUsage {
  const fields = line.slice(line.lastIndexOf(')') + 2).split(' ')
  const field = (number: number): number => Number(fields[number - FIELDS_CUT])
  const us = (ticks: number): number => (ticks / units.ticksPerSecond) * 1e6
  const [userUs, systemUs] = [us(field(USER_TICKS)), us(field(SYSTEM_TICKS))]
  return { cpuUs: userUs + systemUs, userUs, systemUs, rssBytes: field(RSS_PAGES) * units.pageBytes }
}

/** What was used in between; memory is that of the later moment. */
export function usedSince(before: SplitUsage, now: SplitUsage): SplitUsage {
  return {
    cpuUs: now.cpuUs - before.cpuUs,
    userUs: now.userUs - before.userUs,
    systemUs: now.systemUs - before.systemUs,
    rssBytes: now.rssBytes,
  }
}

/** @throws Error where there is no such process, or no /proc */
export function usageOf(pid: number): SplitUsage {
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
