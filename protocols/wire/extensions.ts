// Extension blocks: how a later version adds a field to a frame that an older one still reads (WIRE-6).
//
//   [length varint | (tag varint | size varint | bytes)* ]      1 to 256 bytes behind the length
//
// Even tags may be skipped, odd ones are critical: a receiver that does not know them treats the frame as malformed. This
// version defines no tag, so nothing here hands a value out. A gateway carries the block of a lane frame on unread.
import type { Reader } from './reader.ts'

/** Longest extension block behind its length, in bytes. */
export const EXTENSION_BYTES_MAX = 256

/** Steps over a block and judges its tags; false where it is malformed or has a critical tag that is not known. */
export function skipExtensions(r: Reader): boolean {
  const length = r.varint()
  if (!r.ok || length === 0 || length > EXTENSION_BYTES_MAX || length > r.rest) return false
  return judgeTags(r, r.at + length)
}

/** Judges the tags from where the reader stands to `end` (WIRE-6.3, WIRE-6.4). */
export function judgeTags(r: Reader, end: number): boolean {
  while (r.at < end) {
    const tag = r.varint()
    const size = r.varint()
    if (!r.ok || tag % 2 === 1 || size > end - r.at) return false
    r.at += size
  }
  return r.ok && r.at === end
}
