// How commands end. Every failure that a user can cause is a Failure with a sentence and an exit code; anything else that
// is thrown is a bug and shows its stack.

export const exitCode = {
  ok: 0,
  /** Failed while running: the port is taken, no gateway answers, not ready. */
  failed: 1,
  /** Wrong usage or configuration: trying again changes nothing, a supervisor must not. */
  usage: 2,
  /** The drain's deadline passed with clients left. */
  drainLate: 3,
} as const

export class Failure extends Error {
  readonly exitCode: number

  constructor(message: string, code: number = exitCode.failed) {
    super(message)
    this.exitCode = code
  }
}
