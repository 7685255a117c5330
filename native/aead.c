// ChaCha20-Poly1305 (RFC 8439) in one call for a datagram or record, out of memory that JavaScript names by an ArrayBuffer
// and offsets: handing over six typed arrays costs more than sealing 64 bytes. The two primitives are the assembler of
// the OpenSSL that Node has in it (its EVP asks so much around them that it is slower than libsodium in C); a Node that
// does not show them has no `isUsable`, and neither has one whose results are not those of the RFC.
//
//   control    key 32 | nonce 12                                      of the next call
//   memory     ... | associated data | text | tag 16 | ...            both calls; nothing outside is written
//                  start             at     end
//   scratch    key of Poly1305 64 | text                              one run of the cipher from block 0
#include <node_api.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
  KEY_BYTES = 32,
  NONCE_BYTES = 12,
  CONTROL_BYTES = KEY_BYTES + NONCE_BYTES,
  BLOCK_BYTES = 64,
  TAG_BYTES = 16,
  // What is around the text where Poly1305 reads it: padding and the two lengths.
  TAIL_BYTES = 15 + 16,
  TEXT_BYTES_MAX = 65535,
  // OpenSSL's state of Poly1305 has 248 today.
  STATE_BYTES_MAX = 1024,
};

#define WEAK __attribute__((weak))
WEAK void ChaCha20_ctr32(uint8_t *out, const uint8_t *in, size_t bytes, const uint32_t key[8], const uint32_t counter[4]);
WEAK void Poly1305_Init(void *state, const uint8_t key[32]);
WEAK void Poly1305_Update(void *state, const uint8_t *in, size_t bytes);
WEAK void Poly1305_Final(void *state, uint8_t tag[TAG_BYTES]);
WEAK size_t Poly1305_ctx_size(void);

typedef struct {
  uint8_t *control;
  napi_ref held;
  uint8_t state[STATE_BYTES_MAX] __attribute__((aligned(64)));
  uint8_t scratch[BLOCK_BYTES + TEXT_BYTES_MAX + TAIL_BYTES] __attribute__((aligned(64)));
  uint8_t sealed[TAG_BYTES + TEXT_BYTES_MAX + TAIL_BYTES] __attribute__((aligned(64)));
} aead;

static void put64(uint8_t *to, uint64_t n) {
  for (int i = 0; i < 8; i++) to[i] = (uint8_t)(n >> (8 * i));
}

static uint32_t get32(const uint8_t *from) {
  return (uint32_t)from[0] | (uint32_t)from[1] << 8 | (uint32_t)from[2] << 16 | (uint32_t)from[3] << 24;
}

// Puts text[0, bytes) under the key stream, behind block 0 of it, into scratch. `room`: readable bytes before the text.
static void run(aead *a, const uint8_t *text, size_t bytes, size_t room) {
  uint32_t key[8], counter[4] = {0};
  for (int i = 0; i < 8; i++) key[i] = get32(a->control + 4 * i);
  for (int i = 0; i < 3; i++) counter[i + 1] = get32(a->control + KEY_BYTES + 4 * i);
  if (room >= BLOCK_BYTES) {
    // Together with whatever lies before: of that, the key stream alone is wanted.
    const uint8_t *before = text - BLOCK_BYTES;
    ChaCha20_ctr32(a->scratch, before, BLOCK_BYTES + bytes, key, counter);
    for (int i = 0; i < 32; i++) a->scratch[i] ^= before[i];
    return;
  }
  memset(a->scratch, 0, BLOCK_BYTES);
  ChaCha20_ctr32(a->scratch, a->scratch, BLOCK_BYTES, key, counter);
  counter[0] = 1;
  if (bytes > 0) ChaCha20_ctr32(a->scratch + BLOCK_BYTES, text, bytes, key, counter);
}

// The tag of what lies at `sealed`, which has TAG_BYTES of room before and TAIL_BYTES behind; the key is at scratch.
static void authenticate(aead *a, const uint8_t *ad, size_t ad_bytes, uint8_t *sealed, size_t bytes, uint8_t *tag) {
  size_t padded = (bytes + 15) & ~(size_t)15;
  memset(sealed + bytes, 0, padded - bytes);
  put64(sealed + padded, ad_bytes);
  put64(sealed + padded + 8, bytes);
  Poly1305_Init(a->state, a->scratch);
  size_t whole = ad_bytes & ~(size_t)15;
  if (whole > 0) Poly1305_Update(a->state, ad, whole);
  uint8_t *from = sealed;
  if (ad_bytes > whole) {
    from -= TAG_BYTES;
    memset(from, 0, 16);
    memcpy(from, ad + whole, ad_bytes - whole);
  }
  Poly1305_Update(a->state, from, (size_t)(sealed - from) + padded + 16);
  Poly1305_Final(a->state, tag);
}

static void seal_text(aead *a, const uint8_t *ad, size_t ad_bytes, uint8_t *text, size_t bytes, size_t room) {
  uint8_t tag[TAG_BYTES];
  run(a, text, bytes, room);
  memcpy(text, a->scratch + BLOCK_BYTES, bytes);
  // The rest of block 0 is room for the associated data.
  authenticate(a, ad, ad_bytes, a->scratch + BLOCK_BYTES, bytes, tag);
  memcpy(text + bytes, tag, TAG_BYTES);
}

// False, and nothing is written, when the tag is wrong.
static bool open_text(aead *a, const uint8_t *ad, size_t ad_bytes, const uint8_t *text, size_t bytes, size_t room,
                      uint8_t *out) {
  uint8_t tag[TAG_BYTES], different = 0;
  run(a, text, bytes, room);
  memcpy(a->sealed + TAG_BYTES, text, bytes);
  authenticate(a, ad, ad_bytes, a->sealed + TAG_BYTES, bytes, tag);
  for (int i = 0; i < TAG_BYTES; i++) different |= tag[i] ^ text[bytes + (size_t)i];
  if (different != 0) return false;
  memcpy(out, a->scratch + BLOCK_BYTES, bytes);
  return true;
}

// ---- what JavaScript calls ----

static napi_value misuse(napi_env env, const char *what) {
  napi_throw_range_error(env, "ERR_OUT_OF_RANGE", what);
  return NULL;
}

// An ArrayBuffer and three offsets in it, ascending, with room for a tag behind the last.
static bool place_of(napi_env env, const napi_value *given, uint8_t **memory, size_t *start, size_t *at, size_t *end) {
  void *data;
  size_t bytes;
  int32_t offsets[3];
  if (napi_get_arraybuffer_info(env, given[0], &data, &bytes) != napi_ok) return false;
  for (int i = 0; i < 3; i++) {
    if (napi_get_value_int32(env, given[i + 1], &offsets[i]) != napi_ok || offsets[i] < 0) return false;
  }
  if (offsets[0] > offsets[1] || offsets[1] > offsets[2] || offsets[2] - offsets[1] > TEXT_BYTES_MAX) return false;
  if ((size_t)offsets[2] + TAG_BYTES > bytes) return false;
  *memory = data;
  *start = (size_t)offsets[0];
  *at = (size_t)offsets[1];
  *end = (size_t)offsets[2];
  return true;
}

// seal(memory, start, at, end): the text [at, end) in place, with [start, at) beside it; the tag goes behind it
static napi_value seal(napi_env env, napi_callback_info info) {
  napi_value given[4];
  size_t count = 4, start, at, end;
  void *data;
  uint8_t *memory;
  if (napi_get_cb_info(env, info, &count, given, NULL, &data) != napi_ok || count < 4 ||
      !place_of(env, given, &memory, &start, &at, &end))
    return misuse(env, "seal: an ArrayBuffer, start, at and end in it, and room for the tag");
  seal_text(data, memory + start, at - start, memory + at, end - at, at);
  return NULL;
}

// open(memory, start, at, end, out, outAt) -> whether the tag behind [at, end) is right; the text is at outAt of `out` then
static napi_value open(napi_env env, napi_callback_info info) {
  napi_value given[6], value = NULL;
  size_t count = 6, start, at, end, out_bytes;
  int32_t out_at;
  void *data, *out;
  uint8_t *memory;
  if (napi_get_cb_info(env, info, &count, given, NULL, &data) != napi_ok || count < 6 ||
      !place_of(env, given, &memory, &start, &at, &end) ||
      napi_get_arraybuffer_info(env, given[4], &out, &out_bytes) != napi_ok ||
      napi_get_value_int32(env, given[5], &out_at) != napi_ok || out_at < 0 || (size_t)out_at + (end - at) > out_bytes)
    return misuse(env, "open: an ArrayBuffer, start, at and end in it with a tag behind, an ArrayBuffer with room");
  bool is_right = open_text(data, memory + start, at - start, memory + at, end - at, at, (uint8_t *)out + out_at);
  napi_get_boolean(env, is_right, &value);
  return value;
}

// Section 2.8.2 of the RFC, with and without a block of memory before the text; a wrong tag opens nothing.
static bool agrees_with_rfc(aead *a) {
  static const char text[] =
      "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.";
  static const uint8_t ad[] = {0x50, 0x51, 0x52, 0x53, 0xc0, 0xc1, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7};
  static const uint8_t tag[] = {0x1a, 0xe1, 0x0b, 0x59, 0x4f, 0x09, 0xe2, 0x6a, 0x7e, 0x90, 0x2e, 0xcb, 0xd0, 0x60, 0x06, 0x91};
  static const uint8_t nonce[] = {7, 0, 0, 0, 0x40, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47};
  const size_t bytes = sizeof text - 1;
  uint8_t memory[BLOCK_BYTES + sizeof text + TAG_BYTES], opened[sizeof text];
  for (int i = 0; i < KEY_BYTES; i++) a->control[i] = (uint8_t)(0x80 + i);
  memcpy(a->control + KEY_BYTES, nonce, NONCE_BYTES);
  for (size_t room = 0; room <= BLOCK_BYTES; room += BLOCK_BYTES) {
    memset(memory, 0xa5, sizeof memory);
    uint8_t *at = memory + BLOCK_BYTES;
    memcpy(at, text, bytes);
    seal_text(a, ad, sizeof ad, at, bytes, room);
    if (memcmp(at + bytes, tag, TAG_BYTES) != 0) return false;
    if (!open_text(a, ad, sizeof ad, at, bytes, room, opened) || memcmp(opened, text, bytes) != 0) return false;
    at[bytes] ^= 1;
    if (open_text(a, ad, sizeof ad, at, bytes, room, opened)) return false;
  }
  memset(a->control, 0, CONTROL_BYTES);
  return true;
}

static void ended(napi_env env, void *data, void *hint) {
  (void)env;
  (void)hint;
  free(data);
}

NAPI_MODULE_INIT() {
  napi_value control, value;
  bool is_usable = ChaCha20_ctr32 != NULL && Poly1305_Init != NULL && Poly1305_Update != NULL &&
                   Poly1305_Final != NULL && Poly1305_ctx_size != NULL && Poly1305_ctx_size() <= STATE_BYTES_MAX;
  aead *a = NULL;
  if (is_usable && posix_memalign((void **)&a, 64, sizeof *a) == 0) {
    memset(a, 0, sizeof *a);
    napi_set_instance_data(env, a, ended, NULL);
    napi_create_arraybuffer(env, CONTROL_BYTES, (void **)&a->control, &control);
    napi_create_reference(env, control, 1, &a->held);
    napi_set_named_property(env, exports, "control", control);
    is_usable = agrees_with_rfc(a);
    napi_create_function(env, "seal", NAPI_AUTO_LENGTH, seal, a, &value);
    napi_set_named_property(env, exports, "seal", value);
    napi_create_function(env, "open", NAPI_AUTO_LENGTH, open, a, &value);
    napi_set_named_property(env, exports, "open", value);
  } else {
    is_usable = false;
  }
  napi_get_boolean(env, is_usable, &value);
  napi_set_named_property(env, exports, "isUsable", value);
  return exports;
}
