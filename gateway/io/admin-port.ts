// The operator's port, put together: what it shows (metrics, views, events, the configuration without secrets) and what may
// be done there. What is answered is in admin-routes.ts, who may ask in admin-server.ts.
import { redactedConfig } from '../../config/redacted.ts'
import type { Log } from '../observe/log.ts'
import { Metrics } from '../observe/metrics.ts'
import { type AdminView, adminRoutes } from './admin-routes.ts'
import { AdminServer } from './admin-server.ts'
import { monotonicNow } from './loop.ts'

/** What it needs of the process. */
export type AdminHome = Omit<AdminView, 'metricsText' | 'config' | 'logLevel'> & { log: Log }

export function adminPort(home: AdminHome): AdminServer {
  const { gateway, io, sample, version, log } = home
  const metrics = new Metrics({
    counters: gateway.counters,
    io,
    policing: gateway.policing,
    hosts: () => gateway.hosts(),
    guards: () => gateway.guards.list(monotonicNow()),
    isReady: () => gateway.readiness().ready,
    sample,
    version,
  })
  const routes = adminRoutes({
    ...home,
    metricsText: () => metrics.text(),
    config: () => redactedConfig(gateway.settings),
    logLevel: (level) => {
      const isLevel = level === 'silent' || log.levels.values[level] !== undefined
      if (isLevel) log.level = level
      return isLevel
    },
  })
  const admin = new AdminServer(gateway.settings.admin, routes)
  admin.onError((error) => log.error({ err: error }, 'an admin request failed'))
  return admin
}
