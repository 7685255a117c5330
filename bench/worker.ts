// The other side of a Worker: answers each message of the process that started it, ends with it, and tells failures
// instead of dying of them.
import process from 'node:process'

export function answerWith<M extends { kind: string }>(answer: (message: M) => object | Promise<object>): void {
  const tell = (said: object) => process.send?.(said)
  process.on('message', (message) => {
    Promise.resolve()
      .then(() => answer(message as M))
      .then(tell, (error: Error) => tell({ failed: `failed: ${error.message}` }))
  })
  process.on('disconnect', () => process.exit(0))
}
