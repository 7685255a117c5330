// TLS of accepted sockets, by the OpenSSL that Node has in it, without what Node puts between OpenSSL and a socket: a read
// is one recv into OpenSSL's buffer and records opened into the buffer of all streams, a write one send. Only OpenSSL's
// public functions are used; a Node that does not show them, or has another OpenSSL than the headers say, has no `isUsable`.
//
// A session belongs to a descriptor of native/streams.c, which watches and closes it: `attach` begins it, `release` ends it,
// before `close`. Nothing here calls JavaScript. What is decided (when to read, whom to refuse, what to log) is
// gateway/io/native-tls.ts.
#define NAPI_VERSION 8
#include <errno.h>
#include <node_api.h>
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#pragma weak BIO_clear_flags
#pragma weak BIO_free
#pragma weak BIO_get_data
#pragma weak BIO_get_new_index
#pragma weak BIO_meth_free
#pragma weak BIO_meth_new
#pragma weak BIO_meth_set_ctrl
#pragma weak BIO_meth_set_read
#pragma weak BIO_meth_set_write
#pragma weak BIO_new
#pragma weak BIO_new_mem_buf
#pragma weak BIO_set_data
#pragma weak BIO_set_flags
#pragma weak BIO_set_init
#pragma weak ERR_clear_error
#pragma weak ERR_error_string_n
#pragma weak ERR_peek_error
#pragma weak EVP_PKEY_free
#pragma weak OpenSSL_version_num
#pragma weak PEM_read_bio_PrivateKey
#pragma weak PEM_read_bio_X509
#pragma weak PEM_read_bio_X509_AUX
#pragma weak SSL_CTX_add_client_CA
#pragma weak SSL_CTX_check_private_key
#pragma weak SSL_CTX_ctrl
#pragma weak SSL_CTX_free
#pragma weak SSL_CTX_get_cert_store
#pragma weak SSL_CTX_new
#pragma weak SSL_CTX_set_cipher_list
#pragma weak SSL_CTX_set_ciphersuites
#pragma weak SSL_CTX_set_options
#pragma weak SSL_CTX_set_session_id_context
#pragma weak SSL_CTX_set_verify
#pragma weak SSL_CTX_use_PrivateKey
#pragma weak SSL_CTX_use_certificate
#pragma weak SSL_do_handshake
#pragma weak SSL_free
#pragma weak SSL_has_pending
#pragma weak SSL_get_error
#pragma weak SSL_is_init_finished
#pragma weak SSL_new
#pragma weak SSL_read_ex
#pragma weak SSL_set_accept_state
#pragma weak SSL_set_bio
#pragma weak SSL_shutdown
#pragma weak SSL_write_ex
#pragma weak TLS_server_method
#pragma weak X509_STORE_add_cert
#pragma weak X509_free

// More than OpenSSL keeps of what it has read: so one `receive` empties it.
#define READS_BYTES_MIN (32 * 1024)
// Results of `receive`: MORE is added where the next call has something to say at once.
#define MORE (1 << 30)
// Results of `handshake`, beside 0 (done) and minus errno: bytes that are no TLS.
#define SPEAKS_HTTP 1
#define SPEAKS_OTHERWISE 2
// It cannot go on before it has written.
#define BLOCKED (-EBUSY)
#define TICKET_KEYS_BYTES 80

typedef struct {
  SSL *ssl;
  int fd;
  // Of the socket, if a system call has failed.
  int error;
  // The rest of a socket that was not read to its end is told again: one recv a call is enough.
  bool may_read;
  bool has_ended;
  bool is_broken;
} Session;

typedef struct {
  BIO_METHOD *method;
  napi_ref reads_ref;
  uint8_t *reads;
  size_t reads_length;
  // By descriptor.
  Session **sessions;
  size_t capacity;
} Tls;

// ---- what OpenSSL calls ----

static int bio_read(BIO *bio, char *to, int length) {
  Session *s = BIO_get_data(bio);
  BIO_clear_retry_flags(bio);
  if (!s->may_read) {
    BIO_set_retry_read(bio);
    return -1;
  }
  ssize_t got;
  do got = recv(s->fd, to, (size_t)length, MSG_DONTWAIT);
  while (got < 0 && errno == EINTR);
  s->may_read = false;
  if (got > 0) return (int)got;
  if (got == 0) s->has_ended = true;
  else if (errno == EAGAIN) BIO_set_retry_read(bio);
  else s->error = errno;
  return got == 0 ? 0 : -1;
}

static int bio_write(BIO *bio, const char *bytes, int length) {
  Session *s = BIO_get_data(bio);
  BIO_clear_retry_flags(bio);
  ssize_t sent;
  do sent = send(s->fd, bytes, (size_t)length, MSG_DONTWAIT | MSG_NOSIGNAL);
  while (sent < 0 && errno == EINTR);
  if (sent >= 0) return (int)sent;
  if (errno == EAGAIN) BIO_set_retry_write(bio);
  else s->error = errno;
  return -1;
}

static long bio_ctrl(BIO *bio, int what, long number, void *pointer) {
  (void)number;
  (void)pointer;
  if (what == BIO_CTRL_FLUSH) return 1;
  if (what == BIO_CTRL_EOF) return ((Session *)BIO_get_data(bio))->has_ended;
  return 0;
}

// A key that needs a password is refused, not asked for on a terminal.
static int no_password(char *to, int size, int writing, void *data) {
  (void)to;
  (void)size;
  (void)writing;
  (void)data;
  return -1;
}

// ---- what JavaScript calls ----

static napi_value number(napi_env env, int64_t value) {
  napi_value result;
  napi_create_int32(env, (int32_t)value, &result);
  return result;
}

static napi_value fail(napi_env env, const char *what) {
  napi_throw_error(env, NULL, what);
  return NULL;
}

// With what OpenSSL says of it.
static napi_value fail_of(napi_env env, const char *what) {
  char why[256], text[512];
  ERR_error_string_n(ERR_peek_error(), why, sizeof why);
  snprintf(text, sizeof text, "%s: %s", what, why);
  ERR_clear_error();
  return fail(env, text);
}

static bool arguments(napi_env env, napi_callback_info info, size_t count, napi_value *values, Tls **tls) {
  size_t given = count;
  napi_get_cb_info(env, info, &given, values, NULL, (void **)tls);
  if (given >= count) return true;
  fail(env, "too few arguments");
  return false;
}

static bool bytes_of(napi_env env, napi_value value, uint8_t **bytes, size_t *length) {
  void *data;
  if (napi_get_typedarray_info(env, value, NULL, length, &data, NULL, NULL) != napi_ok) return false;
  *bytes = data;
  return true;
}

static Session *session_of(napi_env env, napi_value value, Tls *tls) {
  int32_t fd = -1;
  napi_get_value_int32(env, value, &fd);
  return fd < 0 || (size_t)fd >= tls->capacity ? NULL : tls->sessions[fd];
}

static bool is_usable(void) {
  return BIO_get_data && BIO_meth_new && BIO_new_mem_buf && BIO_set_flags && ERR_peek_error && OpenSSL_version_num &&
         PEM_read_bio_PrivateKey && SSL_CTX_new && SSL_do_handshake && SSL_get_error && SSL_read_ex && SSL_set_bio &&
         SSL_write_ex && TLS_server_method && X509_STORE_add_cert &&
         OpenSSL_version_num() >> 28 == OPENSSL_VERSION_NUMBER >> 28;
}

// open(reads: Uint8Array): void. Once; all sessions are read into it.
static napi_value open_tls(napi_env env, napi_callback_info info) {
  napi_value a[1];
  Tls *tls;
  if (!arguments(env, info, 1, a, &tls)) return NULL;
  if (tls->method != NULL) return fail(env, "open already");
  if (!is_usable()) return fail(env, "this Node has no OpenSSL to be used");
  if (!bytes_of(env, a[0], &tls->reads, &tls->reads_length) || tls->reads_length < READS_BYTES_MIN)
    return fail(env, "reads go into a Uint8Array of 32 KiB and more");
  BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "skewer");
  if (method == NULL) return fail(env, "out of memory");
  BIO_meth_set_read(method, bio_read);
  BIO_meth_set_write(method, bio_write);
  BIO_meth_set_ctrl(method, bio_ctrl);
  napi_create_reference(env, a[0], 1, &tls->reads_ref);
  tls->method = method;
  return NULL;
}

static void free_context(napi_env env, void *context, void *hint) {
  (void)env;
  (void)hint;
  SSL_CTX_free(context);
}

// The first certificate is the server's own, the others are those that lead to it.
static bool use_certificates(SSL_CTX *context, BIO *pem) {
  X509 *one = PEM_read_bio_X509_AUX(pem, NULL, no_password, NULL);
  bool is_used = one != NULL && SSL_CTX_use_certificate(context, one) == 1;
  while (is_used) {
    X509_free(one);
    one = PEM_read_bio_X509(pem, NULL, no_password, NULL);
    // That nothing follows is an error, too.
    ERR_clear_error();
    if (one == NULL) return true;
    is_used = SSL_CTX_add1_chain_cert(context, one) == 1;
  }
  if (one != NULL) X509_free(one);
  return false;
}

static bool use_key(SSL_CTX *context, BIO *pem) {
  EVP_PKEY *key = PEM_read_bio_PrivateKey(pem, NULL, no_password, NULL);
  if (key == NULL) return false;
  int taken = SSL_CTX_use_PrivateKey(context, key);
  EVP_PKEY_free(key);
  return taken == 1 && SSL_CTX_check_private_key(context) == 1;
}

static bool use_authorities(SSL_CTX *context, BIO *pem) {
  int count = 0;
  for (X509 *one; (one = PEM_read_bio_X509(pem, NULL, no_password, NULL)) != NULL; count++) {
    int taken = X509_STORE_add_cert(SSL_CTX_get_cert_store(context), one) & SSL_CTX_add_client_CA(context, one);
    X509_free(one);
    if (taken != 1) return false;
  }
  if (count > 0) ERR_clear_error();
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
  return count > 0;
}

static bool use_pem(napi_env env, napi_value value, SSL_CTX *context, bool (*use)(SSL_CTX *, BIO *)) {
  uint8_t *bytes;
  size_t length;
  if (!bytes_of(env, value, &bytes, &length) || length == 0 || length > INT32_MAX) return false;
  BIO *pem = BIO_new_mem_buf(bytes, (int)length);
  if (pem == NULL) return false;
  bool is_used = use(context, pem);
  BIO_free(pem);
  return is_used;
}

static bool is_given(napi_env env, napi_value value) {
  napi_valuetype type;
  return napi_typeof(env, value, &type) == napi_ok && type != napi_undefined;
}

// context(certificates, key, authorities | undefined, ciphers: string, suites: string, ticketKeys | undefined): an external.
// Throws with what OpenSSL says. `ciphers` are of TLS 1.2, `suites` of 1.3; nothing older is spoken.
static napi_value make_context(napi_env env, napi_callback_info info) {
  napi_value a[6];
  Tls *tls;
  if (!arguments(env, info, 6, a, &tls)) return NULL;
  if (!is_usable()) return fail(env, "this Node has no OpenSSL to be used");
  char ciphers[1024], suites[512];
  size_t length;
  if (napi_get_value_string_utf8(env, a[3], ciphers, sizeof ciphers, &length) != napi_ok ||
      napi_get_value_string_utf8(env, a[4], suites, sizeof suites, &length) != napi_ok)
    return fail(env, "ciphers and suites are strings");
  ERR_clear_error();
  SSL_CTX *context = SSL_CTX_new(TLS_server_method());
  if (context == NULL) return fail_of(env, "no context");
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  // A stream that is cut off is noticed by what it carries: an end without a word of TLS is an end.
  SSL_CTX_set_options(context, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                   SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_read_ahead(context, 1);
  // Who comes again shows a ticket; nothing is kept here.
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  const char *wrong = NULL;
  uint8_t *keys;
  if (SSL_CTX_set_session_id_context(context, (const unsigned char *)"skewer", 6) != 1) wrong = "session context";
  else if (SSL_CTX_set_cipher_list(context, ciphers) != 1) wrong = "ciphers";
  else if (SSL_CTX_set_ciphersuites(context, suites) != 1) wrong = "suites";
  else if (!use_pem(env, a[0], context, use_certificates)) wrong = "certificate";
  else if (!use_pem(env, a[1], context, use_key)) wrong = "key";
  else if (is_given(env, a[2]) && !use_pem(env, a[2], context, use_authorities)) wrong = "client CA";
  else if (is_given(env, a[5]) && (!bytes_of(env, a[5], &keys, &length) || length != TICKET_KEYS_BYTES ||
                                   SSL_CTX_set_tlsext_ticket_keys(context, keys, (long)length) != 1))
    wrong = "ticket keys";
  if (wrong != NULL) {
    fail_of(env, wrong);
    SSL_CTX_free(context);
    return NULL;
  }
  napi_value external;
  if (napi_create_external(env, context, free_context, NULL, &external) == napi_ok) return external;
  SSL_CTX_free(context);
  return fail(env, "out of memory");
}

// ticketKeys(context): what another context needs to know its tickets by.
static napi_value ticket_keys(napi_env env, napi_callback_info info) {
  napi_value a[1], buffer, array;
  Tls *tls;
  if (!arguments(env, info, 1, a, &tls)) return NULL;
  void *context, *keys;
  if (napi_get_value_external(env, a[0], &context) != napi_ok) return fail(env, "not a context");
  if (napi_create_arraybuffer(env, TICKET_KEYS_BYTES, &keys, &buffer) != napi_ok) return fail(env, "out of memory");
  if (SSL_CTX_get_tlsext_ticket_keys((SSL_CTX *)context, keys, TICKET_KEYS_BYTES) != 1) return fail_of(env, "ticket keys");
  napi_create_typedarray(env, napi_uint8_array, TICKET_KEYS_BYTES, buffer, 0, &array);
  return array;
}

// attach(context, fd): 0, or minus errno. The descriptor must have no session yet.
static napi_value attach(napi_env env, napi_callback_info info) {
  napi_value a[2];
  Tls *tls;
  if (!arguments(env, info, 2, a, &tls)) return NULL;
  if (tls->method == NULL) return fail(env, "not open");
  void *context;
  int32_t fd = -1;
  if (napi_get_value_external(env, a[0], &context) != napi_ok) return fail(env, "not a context");
  if (napi_get_value_int32(env, a[1], &fd) != napi_ok || fd < 0) return number(env, -EBADF);
  if ((size_t)fd >= tls->capacity) {
    size_t capacity = tls->capacity == 0 ? 1024 : tls->capacity;
    while (capacity <= (size_t)fd) capacity *= 2;
    Session **sessions = realloc(tls->sessions, capacity * sizeof(Session *));
    if (sessions == NULL) return number(env, -ENOMEM);
    memset(sessions + tls->capacity, 0, (capacity - tls->capacity) * sizeof(Session *));
    tls->sessions = sessions;
    tls->capacity = capacity;
  }
  if (tls->sessions[fd] != NULL) return number(env, -EEXIST);
  Session *s = calloc(1, sizeof(Session));
  if (s == NULL) return number(env, -ENOMEM);
  s->fd = fd;
  s->ssl = SSL_new(context);
  BIO *bio = s->ssl == NULL ? NULL : BIO_new(tls->method);
  if (bio == NULL) {
    if (s->ssl != NULL) SSL_free(s->ssl);
    free(s);
    return number(env, -ENOMEM);
  }
  BIO_set_data(bio, s);
  BIO_set_init(bio, 1);
  SSL_set_bio(s->ssl, bio, bio);
  SSL_set_accept_state(s->ssl);
  tls->sessions[fd] = s;
  return number(env, 0);
}

// What a call that took or gave nothing says: minus errno, or 0 for the end.
static int why(Session *s, int result) {
  switch (SSL_get_error(s->ssl, result)) {
    case SSL_ERROR_WANT_READ:
      return -EAGAIN;
    case SSL_ERROR_WANT_WRITE:
      return BLOCKED;
    case SSL_ERROR_ZERO_RETURN:
      return 0;
    case SSL_ERROR_SYSCALL:
      s->is_broken = true;
      return s->error > 0 ? -s->error : 0;
    default:
      s->is_broken = true;
      return -EPROTO;
  }
}

// What others have left in OpenSSL's queue of errors would be taken for an error of the next call's.
static void forget_errors(void) {
  if (ERR_peek_error() != 0) ERR_clear_error();
}

// handshake(fd): 0 when it is done, -EAGAIN while more has to be read, BLOCKED while more has to be written; what peers
// speak that do not speak TLS; minus errno.
static napi_value handshake(napi_env env, napi_callback_info info) {
  napi_value a[1];
  Tls *tls;
  if (!arguments(env, info, 1, a, &tls)) return NULL;
  Session *s = session_of(env, a[0], tls);
  if (s == NULL) return number(env, -EBADF);
  forget_errors();
  s->may_read = true;
  int result = SSL_do_handshake(s->ssl);
  if (result == 1) return number(env, 0);
  int reason = why(s, result);
  if (reason == -EPROTO) {
    switch (ERR_GET_REASON(ERR_peek_error())) {
      case SSL_R_HTTP_REQUEST:
        reason = SPEAKS_HTTP;
        break;
      case SSL_R_WRONG_VERSION_NUMBER:
      case SSL_R_PACKET_LENGTH_TOO_LONG:
        reason = SPEAKS_OTHERWISE;
        break;
    }
    ERR_clear_error();
  }
  // It ended in the middle.
  return number(env, reason == 0 ? -ECONNRESET : reason);
}

// receive(fd): how many bytes lie in `reads`, MORE added where there is more to say; 0: the end; minus errno.
static napi_value receive(napi_env env, napi_callback_info info) {
  napi_value a[1];
  Tls *tls;
  if (!arguments(env, info, 1, a, &tls)) return NULL;
  Session *s = session_of(env, a[0], tls);
  if (s == NULL) return number(env, -EBADF);
  forget_errors();
  s->may_read = true;
  size_t length = 0;
  while (length < tls->reads_length) {
    size_t got;
    int result = SSL_read_ex(s->ssl, tls->reads + length, tls->reads_length - length, &got);
    if (result != 1) {
      int reason = why(s, result);
      if (length == 0) return number(env, reason);
      return number(env, reason == -EAGAIN ? (int64_t)length : (int64_t)length + MORE);
    }
    length += got;
    if (!SSL_has_pending(s->ssl)) return number(env, (int64_t)length);
  }
  return number(env, (int64_t)length + MORE);
}

// send(fd, bytes: Uint8Array): how many of them were taken, or minus errno. What was not taken has to be given again, the same
// bytes first.
static napi_value send_bytes(napi_env env, napi_callback_info info) {
  napi_value a[2];
  Tls *tls;
  if (!arguments(env, info, 2, a, &tls)) return NULL;
  Session *s = session_of(env, a[0], tls);
  if (s == NULL) return number(env, -EBADF);
  uint8_t *bytes;
  size_t length, taken = 0;
  if (!bytes_of(env, a[1], &bytes, &length)) return fail(env, "bytes are a Uint8Array");
  forget_errors();
  while (taken < length) {
    size_t some;
    int result = SSL_write_ex(s->ssl, bytes + taken, length - taken, &some);
    if (result != 1) {
      int reason = why(s, result);
      if (taken > 0) break;
      // Nothing is left to be read for: renegotiation is not spoken.
      return number(env, reason == BLOCKED ? -EAGAIN : reason == -EAGAIN ? -EPROTO : reason == 0 ? -EPIPE : reason);
    }
    taken += some;
  }
  return number(env, (int64_t)taken);
}

// finish(fd): nothing more is written.
static napi_value finish(napi_env env, napi_callback_info info) {
  napi_value a[1];
  Tls *tls;
  if (!arguments(env, info, 1, a, &tls)) return NULL;
  Session *s = session_of(env, a[0], tls);
  if (s == NULL) return number(env, -EBADF);
  forget_errors();
  if (!s->is_broken && SSL_is_init_finished(s->ssl)) SSL_shutdown(s->ssl);
  forget_errors();
  return number(env, shutdown(s->fd, SHUT_WR) < 0 ? -errno : 0);
}

static void end_session(Tls *tls, size_t fd) {
  Session *s = tls->sessions[fd];
  if (s == NULL) return;
  tls->sessions[fd] = NULL;
  SSL_free(s->ssl);
  free(s);
}

// release(fd): its session ends; the descriptor stays.
static napi_value release(napi_env env, napi_callback_info info) {
  napi_value a[1];
  Tls *tls;
  if (!arguments(env, info, 1, a, &tls)) return NULL;
  Session *s = session_of(env, a[0], tls);
  if (s != NULL) end_session(tls, (size_t)s->fd);
  return NULL;
}

static void on_cleanup(void *data) {
  Tls *tls = data;
  for (size_t fd = 0; fd < tls->capacity; fd++) end_session(tls, fd);
  if (tls->method != NULL) BIO_meth_free(tls->method);
  free(tls->sessions);
  free(tls);
}

NAPI_MODULE_INIT() {
  Tls *tls = calloc(1, sizeof(Tls));
  if (tls == NULL) return NULL;
  napi_add_env_cleanup_hook(env, on_cleanup, tls);
  napi_value usable;
  napi_get_boolean(env, is_usable(), &usable);
  napi_property_descriptor members[] = {
      {"isUsable", NULL, NULL, NULL, NULL, usable, napi_default, NULL},
      {"open", NULL, open_tls, NULL, NULL, NULL, napi_default, tls},
      {"context", NULL, make_context, NULL, NULL, NULL, napi_default, tls},
      {"ticketKeys", NULL, ticket_keys, NULL, NULL, NULL, napi_default, tls},
      {"attach", NULL, attach, NULL, NULL, NULL, napi_default, tls},
      {"handshake", NULL, handshake, NULL, NULL, NULL, napi_default, tls},
      {"receive", NULL, receive, NULL, NULL, NULL, napi_default, tls},
      {"send", NULL, send_bytes, NULL, NULL, NULL, napi_default, tls},
      {"finish", NULL, finish, NULL, NULL, NULL, napi_default, tls},
      {"release", NULL, release, NULL, NULL, NULL, napi_default, tls},
  };
  napi_define_properties(env, exports, sizeof(members) / sizeof(members[0]), members);
  return exports;
}
