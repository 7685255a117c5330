// One frame of the client protocol, as an end reads it.
import { frameSeeds, readOne } from '../frames.ts'

export const fuzz = (bytes: Uint8Array): void => readOne('client', bytes)
export const seeds = (): Uint8Array[] => [...frameSeeds('client'), ...frameSeeds('lane')]
