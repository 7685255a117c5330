// The configured routes, compiled: which rule judges a message of this name on a channel of this service. First match
// wins, in the order of the file. Names that start with `$` are lane routes of the SDK ends themselves (`$recover`) and
// belong to every service. Looked up once for each interned number, not for each frame. What the rules allow is compiled
// apart (policies/compile.ts), by their index.
import type { CallSettings, RouteSettings } from '../config/settings.ts'

export type Rule = {
  /** Place in the file; -1 for reserved names. */
  readonly index: number
  readonly match: string
  readonly service: string
  /** Deadlines and retries of loose calls; undefined: the gateway's own. */
  readonly calls: CallSettings | undefined
  /** The longest deadline of a request on a channel; Infinity: any, or none. */
  readonly requestMsMax: number
}

type Pattern = { readonly parts: string[]; readonly rule: Rule }

const reservedRule: Rule = { index: -1, match: '$*', service: '', calls: undefined, requestMsMax: Infinity }

export class RouteTable {
  readonly #routes: readonly RouteSettings[]
  readonly #exact = new Map<string, Rule[]>()
  readonly #patterns: Pattern[] = []

  constructor(routes: readonly RouteSettings[]) {
    this.#routes = routes
    for (const [index, route] of routes.entries()) {
      const { match, service, calls, requestMsMax = Infinity } = route
      const rule: Rule = { index, match, service, calls, requestMsMax }
      if (route.match.includes('*')) {
        this.#patterns.push({ parts: route.match.split('*'), rule })
      } else {
        const same = this.#exact.get(route.match)
        if (same === undefined) this.#exact.set(route.match, [rule])
        else same.push(rule)
      }
    }
  }

  /** Whether these routes would make the same table. */
  isMadeOf(routes: readonly RouteSettings[]): boolean {
    return JSON.stringify(routes) === JSON.stringify(this.#routes)
  }

  /** The rule for this name on a channel of `service`; undefined: no such route (REJECT no_route). */
  ruleFor(service: string, name: string): Rule | undefined {
    if (name.startsWith('$')) return reservedRule
    return this.#first(name, service)
  }

  /** The first rule for this name whatever the service: where a loose call goes (H1). */
  ruleOf(name: string): Rule | undefined {
    return this.#first(name, undefined)
  }

  #first(name: string, service: string | undefined): Rule | undefined {
    let found: Rule | undefined
    const exact = this.#exact.get(name)
    if (exact !== undefined) found = exact.find((rule) => service === undefined || rule.service === service)
    for (const { parts, rule } of this.#patterns) {
      if (found !== undefined && rule.index > found.index) break
      if ((service === undefined || rule.service === service) && matches(parts, name)) return rule
    }
    return found
  }
}

/** Whether `name` fits a pattern split at its `*`s, each standing for any run of characters. */
function matches(parts: readonly string[], name: string): boolean {
  const first = parts[0]
  const last = parts[parts.length - 1]
  if (name.length < first.length + last.length || !name.startsWith(first) || !name.endsWith(last)) return false
  let at = first.length
  const end = name.length - last.length
  for (let i = 1; i < parts.length - 1; i++) {
    const found = name.indexOf(parts[i], at)
    if (found === -1 || found + parts[i].length > end) return false
    at = found + parts[i].length
  }
  return true
}
