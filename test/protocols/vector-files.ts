// The vector files as tests read them.
import { readFileSync } from 'node:fs'
import type { Fields, FrameFamily } from './independent-encoder.ts'

export type FrameVector = {
  name: string
  hex: string
  kind?: string
  fields?: Fields
  skippable?: boolean
  extensions?: string
  /** Right to receive and never sent: encoding the fields gives other bytes. */
  decodeOnly?: boolean
  skip?: boolean
  error?: boolean
}
export type StreamVector = { name: string; hex: string; frameBytesMax: number; frames: string[]; result: string }

const load = (file: string) => JSON.parse(readFileSync(new URL(`../vectors/${file}`, import.meta.url), 'utf8'))

export const families: readonly FrameFamily[] = ['lane', 'client', 'link']
export const frameVectors = (family: FrameFamily): FrameVector[] => load(`${family}-frames.json`).frames
export const streamVectors = (): StreamVector[] => load('streams.json').streams

/** Of own memory, not a view of Node's pool: a codec that reads outside its frame is then seen to. */
export const bytesOf = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'))
