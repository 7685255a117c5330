// A UDP socket that reads and writes many datagrams a call: recvmmsg when the event loop says that it is readable, one
// call into JavaScript for each batch, sendmmsg when JavaScript flushes. Nothing is allocated for a datagram: bytes, lengths
// and addresses lie in arrays that both sides hold. Linux; Node-API and the event loop of Node, whatever its version.
//
//   in slab    | slot 0 | slot 1 | ... | slot BATCH |      what came begins at slot 1: ciphers want a block of memory before it
//   out slab   | slot 0 | ... | slot BATCH - 1 |
//   meta       of each slot eight words: length, port, four of the address (IPv4: the first), scope, 0
//   behind the last of out: how many `flush` could not send, and what else went wrong
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <node_api.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

enum {
  BATCH = 64,
  // Longer than what any datagram of ours may be: what does not fit is cut, and that is said by its length.
  SLOT_BYTES = 2048,
  WORDS = 8,
  LENGTH = 0,
  PORT = 1,
  ADDRESS = 2,
  SCOPE = 6,
  // Calls into JavaScript for each time that the socket is readable: the rest of the process has its turn then.
  ROUNDS = 4,
  TEXT_BYTES = INET6_ADDRSTRLEN + IF_NAMESIZE + 2,
};

typedef struct {
  uv_poll_t poll;
  napi_env env;
  napi_async_context context;
  napi_async_cleanup_hook_handle cleanup;
  napi_ref held[5];  // the four arrays, and what hears of a batch
  uint8_t *in, *out;
  int32_t *in_meta, *out_meta;
  int fd;
  bool is_v6, is_closing, is_referenced;
  struct mmsghdr messages[BATCH];
  struct iovec pieces[BATCH];
  struct sockaddr_storage peers[BATCH];
} udp_socket;

static napi_value fail(napi_env env, int error) {
  napi_throw_error(env, uv_err_name(-error), strerror(error));
  return NULL;
}

static napi_value misuse(napi_env env, const char *what) {
  napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", what);
  return NULL;
}

static napi_value number(napi_env env, int32_t n) {
  napi_value value = NULL;
  napi_create_int32(env, n, &value);
  return value;
}

// ---- addresses ----

static void read_peer(const struct sockaddr_storage *peer, int32_t *meta) {
  memset(meta + PORT, 0, (WORDS - PORT) * sizeof(int32_t));
  if (peer->ss_family == AF_INET6) {
    const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)peer;
    meta[PORT] = ntohs(six->sin6_port);
    memcpy(meta + ADDRESS, &six->sin6_addr, 16);
    meta[SCOPE] = (int32_t)six->sin6_scope_id;
  } else {
    const struct sockaddr_in *four = (const struct sockaddr_in *)peer;
    meta[PORT] = ntohs(four->sin_port);
    memcpy(meta + ADDRESS, &four->sin_addr, 4);
  }
}

static socklen_t write_peer(bool is_v6, const int32_t *meta, struct sockaddr_storage *peer) {
  if (is_v6) {
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)peer;
    memset(six, 0, sizeof *six);
    six->sin6_family = AF_INET6;
    six->sin6_port = htons((uint16_t)meta[PORT]);
    memcpy(&six->sin6_addr, meta + ADDRESS, 16);
    six->sin6_scope_id = (uint32_t)meta[SCOPE];
    return sizeof *six;
  }
  struct sockaddr_in *four = (struct sockaddr_in *)peer;
  memset(four, 0, sizeof *four);
  four->sin_family = AF_INET;
  four->sin_port = htons((uint16_t)meta[PORT]);
  memcpy(&four->sin_addr, meta + ADDRESS, 4);
  return sizeof *four;
}

// As text, an IPv6 address may carry the interface behind a percent sign. 0: it is none.
static int parse_address(bool is_v6, char *text, int32_t *meta) {
  memset(meta + ADDRESS, 0, (WORDS - ADDRESS) * sizeof(int32_t));
  if (!is_v6) return inet_pton(AF_INET, text, meta + ADDRESS);
  char *scope = strchr(text, '%');
  if (scope != NULL) {
    *scope++ = 0;
    unsigned index = if_nametoindex(scope);
    meta[SCOPE] = (int32_t)(index != 0 ? index : strtoul(scope, NULL, 10));
  }
  return inet_pton(AF_INET6, text, meta + ADDRESS);
}

// ---- receiving ----

static void tell(udp_socket *s, int32_t count, int32_t errors) {
  napi_env env = s->env;
  napi_handle_scope scope;
  napi_value global, heard, ignored;
  if (napi_open_handle_scope(env, &scope) != napi_ok) return;
  napi_get_global(env, &global);
  napi_get_reference_value(env, s->held[4], &heard);
  napi_value given[2] = {number(env, count), number(env, errors)};
  if (napi_make_callback(env, s->context, global, heard, 2, given, &ignored) == napi_pending_exception) {
    napi_value error;
    if (napi_get_and_clear_last_exception(env, &error) == napi_ok) napi_fatal_exception(env, error);
  }
  napi_close_handle_scope(env, scope);
}

static void readable(uv_poll_t *poll, int status, int events) {
  udp_socket *s = poll->data;
  (void)events;
  if (status < 0) {
    // libuv stops asking where an error is pending at the socket. It is read, which clears it, and asked again.
    int error = 0;
    socklen_t length = sizeof error;
    bool is_there = getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &length) == 0;
    tell(s, 0, 1);
    if (is_there && !s->is_closing) uv_poll_start(poll, UV_READABLE, readable);
    return;
  }
  for (int round = 0; round < ROUNDS && !s->is_closing; round++) {
    for (int i = 0; i < BATCH; i++) {
      s->pieces[i] = (struct iovec){s->in + (size_t)(i + 1) * SLOT_BYTES, SLOT_BYTES};
      s->messages[i].msg_hdr = (struct msghdr){
          .msg_name = &s->peers[i], .msg_namelen = sizeof s->peers[i], .msg_iov = &s->pieces[i], .msg_iovlen = 1};
    }
    int count = recvmmsg(s->fd, s->messages, BATCH, MSG_DONTWAIT | MSG_TRUNC, NULL);
    if (count < 0) {
      if (errno == EAGAIN || errno == EWOULDBLOCK) return;
      if (errno != EINTR) tell(s, 0, 1);
      continue;
    }
    for (int i = 0; i < count; i++) {
      int32_t *meta = s->in_meta + (i + 1) * WORDS;
      meta[LENGTH] = (int32_t)s->messages[i].msg_len;
      read_peer(&s->peers[i], meta);
    }
    if (count > 0) tell(s, count, 0);
    if (count < BATCH) return;
  }
}

// ---- life ----

static void forget(udp_socket *s) {
  for (int i = 0; i < 5; i++)
    if (s->held[i] != NULL) napi_delete_reference(s->env, s->held[i]);
  if (s->context != NULL) napi_async_destroy(s->env, s->context);
  memset(s->held, 0, sizeof s->held);
  s->context = NULL;
}

static void closed(uv_handle_t *handle) {
  udp_socket *s = handle->data;
  napi_handle_scope scope;
  if (napi_open_handle_scope(s->env, &scope) == napi_ok) {
    forget(s);
    napi_close_handle_scope(s->env, scope);
  }
  if (s->cleanup != NULL) napi_remove_async_cleanup_hook(s->cleanup);
  s->cleanup = NULL;
  // Whoever is the last, this or the garbage collector, frees it.
  if (s->is_referenced) s->is_referenced = false;
  else free(s);
}

static void stop(udp_socket *s) {
  if (s->is_closing) return;
  s->is_closing = true;
  uv_poll_stop(&s->poll);
  uv_close((uv_handle_t *)&s->poll, closed);
  close(s->fd);
  s->fd = -1;
}

static void environment_ends(napi_async_cleanup_hook_handle handle, void *data) {
  (void)handle;
  stop(data);
}

static void collected(napi_env env, void *data, void *hint) {
  (void)env;
  (void)hint;
  udp_socket *s = data;
  if (!s->is_referenced) {
    free(s);
    return;
  }
  s->is_referenced = false;
  stop(s);
}

static bool hold_array(napi_env env, udp_socket *s, int at, napi_value array, size_t bytes, void **data) {
  bool is_buffer = false;
  size_t length = 0;
  if (napi_is_arraybuffer(env, array, &is_buffer) != napi_ok || !is_buffer) return false;
  if (napi_get_arraybuffer_info(env, array, data, &length) != napi_ok || length < bytes) return false;
  return napi_create_reference(env, array, 1, &s->held[at]) == napi_ok;
}

static int bind_to(udp_socket *s, char *host, int32_t port, int32_t buffer_bytes) {
  int32_t meta[WORDS] = {0, port};
  if (parse_address(s->is_v6, host, meta) != 1) return EINVAL;
  s->fd = socket(s->is_v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (s->fd < 0) return errno;
  // As large as they are, where the kernel gives no more.
  setsockopt(s->fd, SOL_SOCKET, SO_RCVBUF, &buffer_bytes, sizeof buffer_bytes);
  setsockopt(s->fd, SOL_SOCKET, SO_SNDBUF, &buffer_bytes, sizeof buffer_bytes);
  struct sockaddr_storage own;
  socklen_t length = write_peer(s->is_v6, meta, &own);
  return bind(s->fd, (struct sockaddr *)&own, length) == 0 ? 0 : errno;
}

// open(host, isV6, port, bufferBytes, in, inMeta, out, outMeta, heard(count, errors)) -> socket
static napi_value open_socket(napi_env env, napi_callback_info info) {
  napi_value given[9], socket, name;
  size_t count = 9, length = 0;
  char host[TEXT_BYTES];
  int32_t port, buffer_bytes;
  bool is_v6;
  napi_valuetype type;
  if (napi_get_cb_info(env, info, &count, given, NULL, NULL) != napi_ok || count < 9 ||
      napi_get_value_string_utf8(env, given[0], host, sizeof host, &length) != napi_ok ||
      napi_get_value_bool(env, given[1], &is_v6) != napi_ok || napi_get_value_int32(env, given[2], &port) != napi_ok ||
      napi_get_value_int32(env, given[3], &buffer_bytes) != napi_ok ||
      napi_typeof(env, given[8], &type) != napi_ok || type != napi_function || port < 0 || port > 65535)
    return misuse(env, "open: host, isV6, port, bufferBytes, four ArrayBuffers, a function");
  udp_socket *s = calloc(1, sizeof *s);
  if (s == NULL) return fail(env, ENOMEM);
  s->env = env;
  s->is_v6 = is_v6;
  s->fd = -1;
  const size_t slab = (size_t)(BATCH + 1) * SLOT_BYTES, meta = (size_t)(BATCH + 1) * WORDS * sizeof(int32_t);
  int error = 0;
  if (!hold_array(env, s, 0, given[4], slab, (void **)&s->in) ||
      !hold_array(env, s, 1, given[5], meta, (void **)&s->in_meta) ||
      !hold_array(env, s, 2, given[6], slab, (void **)&s->out) ||
      !hold_array(env, s, 3, given[7], meta, (void **)&s->out_meta) ||
      napi_create_reference(env, given[8], 1, &s->held[4]) != napi_ok ||
      napi_create_string_utf8(env, "skewer-udp", NAPI_AUTO_LENGTH, &name) != napi_ok ||
      napi_async_init(env, NULL, name, &s->context) != napi_ok)
    error = EINVAL;
  uv_loop_t *loop = NULL;
  if (error == 0) error = bind_to(s, host, port, buffer_bytes);
  if (error == 0 && (napi_get_uv_event_loop(env, &loop) != napi_ok || uv_poll_init(loop, &s->poll, s->fd) != 0))
    error = EIO;
  if (error != 0) {
    if (s->fd >= 0) close(s->fd);
    forget(s);
    free(s);
    return fail(env, error);
  }
  s->poll.data = s;
  s->is_referenced = true;
  napi_add_async_cleanup_hook(env, environment_ends, s, &s->cleanup);
  if (uv_poll_start(&s->poll, UV_READABLE, readable) != 0 ||
      napi_create_external(env, s, collected, NULL, &socket) != napi_ok) {
    s->is_referenced = false;
    stop(s);
    return fail(env, EIO);
  }
  return socket;
}

// ---- what JavaScript calls with a socket ----

static udp_socket *socket_of(napi_env env, napi_callback_info info, size_t wanted, napi_value *given) {
  size_t count = wanted;
  void *data = NULL;
  napi_valuetype type;
  if (napi_get_cb_info(env, info, &count, given, NULL, NULL) == napi_ok && count >= wanted &&
      napi_typeof(env, given[0], &type) == napi_ok && type == napi_external)
    napi_get_value_external(env, given[0], &data);
  udp_socket *s = data;
  if (s != NULL && !s->is_closing) return s;
  napi_throw_error(env, "EBADF", "the socket is closed");
  return NULL;
}

// port(socket) -> the one that it has
static napi_value port_of(napi_env env, napi_callback_info info) {
  napi_value given[1];
  udp_socket *s = socket_of(env, info, 1, given);
  if (s == NULL) return NULL;
  struct sockaddr_storage own;
  socklen_t length = sizeof own;
  if (getsockname(s->fd, (struct sockaddr *)&own, &length) != 0) return fail(env, errno);
  int32_t meta[WORDS];
  read_peer(&own, meta);
  return number(env, meta[PORT]);
}

// text(socket, slot) -> the address that what came in this slot came from
static napi_value text_of(napi_env env, napi_callback_info info) {
  napi_value given[2], value = NULL;
  int32_t slot;
  udp_socket *s = socket_of(env, info, 2, given);
  if (s == NULL) return NULL;
  if (napi_get_value_int32(env, given[1], &slot) != napi_ok || slot < 0 || slot > BATCH)
    return misuse(env, "text: no such slot");
  const int32_t *meta = s->in_meta + slot * WORDS;
  char text[TEXT_BYTES];
  inet_ntop(s->is_v6 ? AF_INET6 : AF_INET, meta + ADDRESS, text, sizeof text);
  if (s->is_v6 && meta[SCOPE] != 0 && IN6_IS_ADDR_LINKLOCAL((const struct in6_addr *)(meta + ADDRESS))) {
    char interface[IF_NAMESIZE];
    size_t end = strlen(text);
    if (if_indextoname((unsigned)meta[SCOPE], interface) != NULL)
      snprintf(text + end, sizeof text - end, "%%%s", interface);
  }
  napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &value);
  return value;
}

// address(socket, slot, text) -> whether it is one; it is in the meta of this slot of out then
static napi_value address_of(napi_env env, napi_callback_info info) {
  napi_value given[3], value = NULL;
  int32_t slot;
  char text[TEXT_BYTES];
  size_t length;
  udp_socket *s = socket_of(env, info, 3, given);
  if (s == NULL) return NULL;
  if (napi_get_value_int32(env, given[1], &slot) != napi_ok || slot < 0 || slot >= BATCH ||
      napi_get_value_string_utf8(env, given[2], text, sizeof text, &length) != napi_ok)
    return misuse(env, "address: no such slot, or no text");
  napi_get_boolean(env, parse_address(s->is_v6, text, s->out_meta + slot * WORDS) == 1, &value);
  return value;
}

// flush(socket, count) -> how many of the first slots of out the kernel took
static napi_value flush(napi_env env, napi_callback_info info) {
  napi_value given[2];
  int32_t count;
  udp_socket *s = socket_of(env, info, 2, given);
  if (s == NULL) return NULL;
  if (napi_get_value_int32(env, given[1], &count) != napi_ok || count < 0 || count > BATCH)
    return misuse(env, "flush: no such count");
  for (int i = 0; i < count; i++) {
    const int32_t *meta = s->out_meta + i * WORDS;
    if (meta[LENGTH] < 0 || meta[LENGTH] > SLOT_BYTES) return misuse(env, "flush: no such length");
    socklen_t name_bytes = write_peer(s->is_v6, meta, &s->peers[i]);
    s->pieces[i] = (struct iovec){s->out + (size_t)i * SLOT_BYTES, (size_t)meta[LENGTH]};
    s->messages[i].msg_hdr = (struct msghdr){
        .msg_name = &s->peers[i], .msg_namelen = name_bytes, .msg_iov = &s->pieces[i], .msg_iovlen = 1};
  }
  int at = 0, taken = 0, dropped = 0, errors = 0;
  while (at < count) {
    int done = sendmmsg(s->fd, s->messages + at, (unsigned)(count - at), MSG_DONTWAIT);
    if (done > 0) {
      at += done;
      taken += done;
    } else if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS) {
      dropped = count - at;
      break;
    } else if (errno != EINTR) {
      // This one cannot be sent, as to a network that cannot be reached; those behind it may.
      errors++;
      at++;
    }
  }
  s->out_meta[BATCH * WORDS] = dropped;
  s->out_meta[BATCH * WORDS + 1] = errors;
  return number(env, taken);
}

// close(socket): nothing is heard any more
static napi_value close_socket(napi_env env, napi_callback_info info) {
  napi_value given[1];
  udp_socket *s = socket_of(env, info, 1, given);
  if (s != NULL) stop(s);
  return NULL;
}

NAPI_MODULE_INIT() {
  const struct {
    const char *name;
    napi_callback call;
  } calls[] = {{"open", open_socket}, {"port", port_of}, {"text", text_of},
               {"address", address_of}, {"flush", flush}, {"close", close_socket}};
  for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
    napi_value function;
    napi_create_function(env, calls[i].name, NAPI_AUTO_LENGTH, calls[i].call, NULL, &function);
    napi_set_named_property(env, exports, calls[i].name, function);
  }
  napi_set_named_property(env, exports, "batch", number(env, BATCH));
  napi_set_named_property(env, exports, "slotBytes", number(env, SLOT_BYTES));
  return exports;
}
