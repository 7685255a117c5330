// What a reload changes: two configurations compared, in the key names that the operator wrote, secrets shown by name
// only. Entries of lists are matched by what names them (listeners, hosts: `name`; routes: `match`), so that one that was
// put in the middle is one change. What each change touches is in change-effects.ts. Pure.
import { type Effect, effectOf } from './change-effects.ts'
import { type PathStep, pathText } from './problems.ts'
import { type PlainConfig, type PlainValue, redactedConfig } from './redacted.ts'
import type { KeySettings, Settings } from './settings.ts'

export type Change = Effect & {
  /** `routes[arena.move].rate` */
  path: string
  /** Absent where the key was not set, or the entry not there. */
  before?: PlainValue
  after?: PlainValue
}

/** Everything that differs, in the order of the file's sections; empty where the two mean the same. */
export function compareSettings(before: Settings, after: Settings): Change[] {
  return [...compareConfigs(redactedConfig(before), redactedConfig(after)), ...secretChanges(before, after)]
}

/** The same of two dumps, in which secrets are a word each: a secret that was replaced by another is not seen. */
export function compareConfigs(before: PlainConfig, after: PlainConfig): Change[] {
  const changes: Change[] = []
  compareMappings([], before, after, changes)
  return changes
}

function compareMappings(path: PathStep[], before: PlainConfig, after: PlainConfig, changes: Change[]): void {
  for (const key of new Set([...Object.keys(before), ...Object.keys(after)])) {
    compareValues([...path, key], before[key], after[key], changes)
  }
}

function compareValues(
  path: PathStep[],
  before: PlainValue | undefined,
  after: PlainValue | undefined,
  changes: Change[],
): void {
  const keysOf = path.length === 1 ? listKeys[path[0]] : undefined
  if (keysOf !== undefined) compareLists(path, before, after, keysOf, changes)
  else if (isMapping(before) && isMapping(after)) compareMappings(path, before, after, changes)
  else if (!isSame(before, after)) changes.push(changeOf(pathText(path), before, after))
}

/** The key that names the entries of a list; what has the same name as an earlier one is numbered. */
const listKeys: Record<PathStep, string | undefined> = { listeners: 'name', hosts: 'name', routes: 'match' }

function compareLists(
  path: PathStep[],
  before: PlainValue | undefined,
  after: PlainValue | undefined,
  key: string,
  changes: Change[],
): void {
  const olds = named(before, key)
  const news = named(after, key)
  for (const name of new Set([...olds.keys(), ...news.keys()])) {
    const old = olds.get(name)
    const now = news.get(name)
    const entry = `${pathText(path)}[${name}]`
    if (old === undefined || now === undefined) {
      changes.push(changeOf(entry, old, now))
      continue
    }
    const inner: Change[] = []
    compareMappings([], old, now, inner)
    for (const change of inner) changes.push(changeOf(`${entry}.${change.path}`, change.before, change.after))
  }
  if (key === 'match') compareOrder(pathText(path), olds, news, changes)
}

/** The first route that fits wins: moving one past another is a change. */
function compareOrder(path: string, olds: Map<string, unknown>, news: Map<string, unknown>, changes: Change[]): void {
  const before = [...olds.keys()].filter((name) => news.has(name)).join(', ')
  const after = [...news.keys()].filter((name) => olds.has(name)).join(', ')
  if (before !== after) changes.push(changeOf(path, before, after))
}

function named(list: PlainValue | undefined, key: string): Map<string, PlainConfig> {
  const entries = new Map<string, PlainConfig>()
  for (const entry of Array.isArray(list) ? list.filter(isMapping) : []) {
    const name = String(entry[key])
    let label = name
    for (let i = 2; entries.has(label); i++) label = `${name}#${i}`
    entries.set(label, entry)
  }
  return entries
}

/** Secrets that were set and are set, to something else: the dumps say the same of both. */
function secretChanges(before: Settings, after: Settings): Change[] {
  const changes: Change[] = []
  const secretOf = ({ auth }: Settings) => (auth.kind === 'jwt' ? auth.secret : undefined)
  const secrets: [path: string, old: string | undefined, now: string | undefined][] = [
    ['auth.jwt.secret', secretOf(before), secretOf(after)],
    ['linkKey', before.linkKey, after.linkKey],
    ['store.redis.url', before.store?.redis.url, after.store?.redis.url],
    ['admin.token', before.admin.token, after.admin.token],
  ]
  for (const [path, old, now] of secrets) {
    if (isReplaced(old, now)) changes.push(changeOf(path, 'a secret', 'another secret'))
  }
  for (const role of ['next', 'current', 'previous'] as const) {
    const old = keyName(before.ticketKeys?.[role])
    const now = keyName(after.ticketKeys?.[role])
    if (isReplaced(old, now)) changes.push(changeOf(`ticketKeys.${role}`, old, now))
  }
  return changes
}

const isReplaced = (old: string | undefined, now: string | undefined): boolean =>
  old !== undefined && now !== undefined && old !== now

/** The id is a hash of the key, and stands in every ticket that the key seals. */
const keyName = (key: KeySettings | undefined): string | undefined => key && `key ${key.id}`

function changeOf(path: string, before: PlainValue | undefined, after: PlainValue | undefined): Change {
  const effect = effectOf(path, before === undefined ? 'added' : after === undefined ? 'removed' : 'changed')
  return {
    path,
    ...(before === undefined ? {} : { before }),
    ...(after === undefined ? {} : { after }),
    ...effect,
  }
}

function isMapping(value: PlainValue | undefined): value is PlainConfig {
  return typeof value === 'object' && !Array.isArray(value)
}

/** Mappings are made by one function with their keys in one order, or come from its JSON. */
const isSame = (a: PlainValue | undefined, b: PlainValue | undefined): boolean =>
  JSON.stringify(a) === JSON.stringify(b)
