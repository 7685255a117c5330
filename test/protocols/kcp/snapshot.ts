// Everything an object holds, its private fields too, as text: "changes nothing" should mean nothing, not what the object
// chooses to show. The debugger can see what a class hides, so it is asked.
import { Session } from 'node:inspector'

type Shown = { type: string; subtype?: string; value?: unknown; description?: string; objectId?: string }
type Property = { name: string; value?: Shown }

const session = new Session()
session.connect()

function ask<T>(method: string, parameters: object): T {
  let answer: T | undefined
  // The inspector of one's own thread answers before `post` returns.
  session.post(method, parameters, (error, result) => {
    if (error !== null) throw error
    answer = result as T
  })
  return answer as T
}

function show(shown: Shown, seen: Set<string>, identity: (objectId: string) => string): unknown {
  if (shown.objectId === undefined) return String(shown.value ?? shown.description)
  if (shown.type === 'function') return 'function'
  if (shown.subtype === 'typedarray') {
    const joined = {
      objectId: shown.objectId,
      functionDeclaration: 'function () { return this.join() }',
      returnByValue: true,
    }
    return ask<{ result: Shown }>('Runtime.callFunctionOn', joined).result.value
  }
  const id = identity(shown.objectId)
  if (seen.has(id)) return `see ${id}`
  seen.add(id)
  const { result, privateProperties = [] } = ask<{ result: Property[]; privateProperties?: Property[] }>(
    'Runtime.getProperties',
    { objectId: shown.objectId, ownProperties: true },
  )
  const fields: Record<string, unknown> = { id }
  for (const { name, value } of [...result, ...privateProperties]) {
    if (value !== undefined && name !== '__proto__') fields[name] = show(value, seen, identity)
  }
  return fields
}

const numbers = new WeakMap<object, number>()
let count = 0

/** Numbers objects by identity, so that another object with the same fields does not pass for this one. */
function numberOf(object: object): number {
  const known = numbers.get(object)
  if (known !== undefined) return known
  numbers.set(object, ++count)
  return count
}

export function snapshot(object: object): string {
  const asked = globalThis as unknown as { snapshotOf?: object; numberOf?: typeof numberOf }
  asked.snapshotOf = object
  asked.numberOf = numberOf
  const identity = (objectId: string): string => {
    const functionDeclaration = 'function () { return globalThis.numberOf(this) }'
    const parameters = { objectId, functionDeclaration, returnByValue: true }
    return `#${ask<{ result: Shown }>('Runtime.callFunctionOn', parameters).result.value}`
  }
  const { result } = ask<{ result: Shown }>('Runtime.evaluate', { expression: 'globalThis.snapshotOf' })
  const text = JSON.stringify(show(result, new Set(), identity))
  ask('Runtime.releaseObjectGroup', { objectGroup: '' })
  delete asked.snapshotOf
  delete asked.numberOf
  return text
}
