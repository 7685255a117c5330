// How a secure stream begins (docs/spec/secure.md, section 5). The first byte is zero: no frame of the plain protocol has
// length zero, no TLS record has type zero and no HTTP request begins so.
//
//   initiator   00 53 4b | kind | versionMin | versionMax | length u16 | message
//   responder   kind | length u16 | message
//   then both   length u16 | record                                     all numbers little-endian
export const PREAMBLE = Uint8Array.of(0x00, 0x53, 0x4b)
export const FIRST_HEAD_BYTES = PREAMBLE.length + 5
export const ANSWER_HEAD_BYTES = 3
export const RECORD_HEAD_BYTES = 2
