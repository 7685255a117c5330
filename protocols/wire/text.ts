// Names, keys and sentences inside frames are UTF-8, and each string has one encoding: bytes that are not well-formed
// UTF-8 (overlong forms, surrogates, a cut sequence) make the frame malformed instead of turning into U+FFFD, where two
// different names would become one (WIRE-2.5). A byte order mark is a character like any other.

const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
const SHORT_TEXT_BYTES = 24

/** The string in bytes[start, end), or undefined where that is not well-formed UTF-8. */
export function decodeText(bytes: Uint8Array, start: number, end: number): string | undefined {
  let at = start
  while (at < end && bytes[at] < 0x80) at++
  if (at === end) {
    if (end - start > SHORT_TEXT_BYTES) return decoder.decode(bytes.subarray(start, end))
    // Most names are short and ASCII; for those a call of the decoder costs more than the string.
    let text = ''
    for (at = start; at < end; at++) text += String.fromCharCode(bytes[at])
    return text
  }
  return isWellFormed(bytes, at, end) ? decoder.decode(bytes.subarray(start, end)) : undefined
}

/** Table 3-7 of the Unicode standard: which second byte may follow a first one; all further ones are 80 to BF. */
function isWellFormed(bytes: Uint8Array, start: number, end: number): boolean {
  let at = start
  while (at < end) {
    const first = bytes[at++]
    if (first < 0x80) continue
    let more = 1
    let low = 0x80
    let high = 0xbf
    if (first >= 0xc2 && first <= 0xdf) more = 1
    else if (first >= 0xe0 && first <= 0xef) {
      more = 2
      if (first === 0xe0) low = 0xa0
      else if (first === 0xed) high = 0x9f
    } else if (first >= 0xf0 && first <= 0xf4) {
      more = 3
      if (first === 0xf0) low = 0x90
      else if (first === 0xf4) high = 0x8f
    } else return false
    if (at + more > end) return false
    if (bytes[at] < low || bytes[at] > high) return false
    for (let i = 1; i < more; i++) if (bytes[at + i] < 0x80 || bytes[at + i] > 0xbf) return false
    at += more
  }
  return true
}
