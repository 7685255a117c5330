// What a process of the proof says next.
import type { ChildProcess } from 'node:child_process'

/** The next message of this kind; a process that ends instead is an error. */
export function answer<M extends { kind: string }, K extends M['kind'] = M['kind']>(
  child: ChildProcess,
  kind: K,
  withinMs: number,
): Promise<Extract<M, { kind: K }>> {
  return new Promise((resolve, reject) => {
    const limit = setTimeout(() => done(() => reject(new Error(`no '${kind}' from a process of the proof`))), withinMs)
    const onMessage = (message: unknown) => {
      if ((message as M).kind === kind) done(() => resolve(message as Extract<M, { kind: K }>))
    }
    const onExit = (exitCode: number | null) =>
      done(() => reject(new Error(`a process of the proof ended (${exitCode})`)))
    const done = (then: () => void) => {
      clearTimeout(limit)
      child.off('message', onMessage)
      child.off('exit', onExit)
      then()
    }
    child.on('message', onMessage)
    child.on('exit', onExit)
  })
}
