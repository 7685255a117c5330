// What the edge knows of a socket beside what the operating system does: whose it is where a proxy said so, and what gives
// its place back. Kept on the socket itself, and passed on when its handle is moved into another (onread-socket.ts).
import type net from 'node:net'

export type SocketNotes = {
  /** The client's, as a trusted proxy named it. */
  address?: string
  /** Gives back what was counted when it was let in; called once, when it is closed. */
  release?: () => void
}

const key = Symbol('notes')
type Noted = net.Socket & { [key]?: SocketNotes; _parent?: Noted | null }

/** Those of a TLS socket are those of the one beneath it. */
export function notesOf(socket: object): SocketNotes | undefined {
  const { [key]: own, _parent: beneath } = socket as Noted
  return own ?? beneath?.[key]
}

export function note(socket: object, notes: SocketNotes): void {
  const noted = socket as Noted
  noted[key] = { ...noted[key], ...notes }
}

export function passNotes(from: net.Socket, to: net.Socket): void {
  const own = (from as Noted)[key]
  if (own !== undefined) (to as Noted)[key] = own
}
