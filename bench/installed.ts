// Programs of others: whether they are installed, and whether one that was started has its port.
import { accessSync, constants } from 'node:fs'
import dgram from 'node:dgram'
import net from 'node:net'
import path from 'node:path'
import process from 'node:process'

const FOLDERS = ['/usr/sbin', '/usr/local/sbin', '/usr/local/bin']

/** Debian puts daemons where the path of most users does not lead. */
export function searchedFolders(): string[] {
  return [...(process.env.PATH ?? '').split(path.delimiter), ...FOLDERS]
}

export function programOf(name: string, folders: readonly string[] = searchedFolders()): string | undefined {
  return folders.map((folder) => path.join(folder, name)).find(isExecutable)
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** Whether somebody has the UDP port of 127.0.0.1. */
export function isBound(port: number): Promise<true | undefined> {
  return new Promise((resolve) => {
    const probe = dgram.createSocket('udp4')
    probe.once('error', () => resolve(true))
    probe.bind(port, '127.0.0.1', () => probe.close(() => resolve(undefined)))
  })
}

/** Whether somebody listens at the TCP port of 127.0.0.1. */
export function canConnect(port: number): Promise<true | undefined> {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1')
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(undefined))
  })
}
