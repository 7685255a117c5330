// CPU time and memory of a gateway that runs elsewhere: what its admin port says of them.
import type { Target } from './options.ts'
import type { Usage } from './process-usage.ts'

const ADMIN_MS = 5000

/** What a gateway says of itself at `/metrics`. */
export async function adminUsage({ url, token }: NonNullable<Target['admin']>): Promise<Usage> {
  const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` }
  const signal = AbortSignal.timeout(ADMIN_MS)
  const answer = await fetch(new URL('/metrics', url), { headers, signal }).catch((error: Error) => {
    throw new Error(
      `${url} cannot be asked for CPU time and memory: ${(error.cause as Error)?.message ?? error.message}`,
    )
  })
  if (!answer.ok) throw new Error(`${url} answered ${answer.status} when it was asked for CPU time and memory`)
  return usageIn(await answer.text())
}

/** @throws Error where the text is not of a gateway */
export function usageIn(metrics: string): Usage {
  const figure = (name: string): number => {
    const line = metrics.split('\n').find((text) => text.startsWith(`${name} `))
    if (line === undefined) throw new Error(`there is no ${name} among the metrics: is it a skewer's admin port?`)
    return Number(line.slice(name.length + 1))
  }
  return {
    cpuUs: figure('skewer_cpu_seconds_total') * 1e6,
    rssBytes: figure('skewer_memory_bytes{kind="resident"}'),
  }
}
