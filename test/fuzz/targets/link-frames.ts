// One frame of the link protocol, as an end reads it.
import { frameSeeds, readOne } from '../frames.ts'

export const fuzz = (bytes: Uint8Array): void => readOne('link', bytes)
export const seeds = (): Uint8Array[] => [...frameSeeds('link'), ...frameSeeds('lane')]
