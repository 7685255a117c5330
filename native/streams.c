// Sockets of streams for the gateway, without what Node does for each read and write of one: one set of epoll beside the
// event loop's own, looked at once a turn; one call into JavaScript for all sockets that are ready; reads into one buffer.
// The policy (what is read when, what waits to be written) is gateway/io/native-stream.ts; nothing is decided here.
//
// Every function that touches a socket returns what the system call returned, or minus errno. A descriptor given to `adopt`
// stays its owner's; the copy that is returned is closed by `close`, once.
#define NAPI_VERSION 8
#include <errno.h>
#include <fcntl.h>
#include <node_api.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#define READY_MAX 256
#define READABLE 1
#define WRITABLE 2

typedef struct {
  napi_env env;
  napi_async_context context;
  napi_async_cleanup_hook_handle cleanup;
  napi_ref ready;
  napi_ref table_ref;
  napi_ref reads_ref;
  uv_poll_t poll;
  int epoll;
  int sockets;
  bool open;
  int32_t *table;
  void *reads;
  size_t reads_length;
} Streams;

static napi_value number(napi_env env, int64_t value) {
  napi_value result;
  napi_create_int32(env, (int32_t)value, &result);
  return result;
}

static napi_value fail(napi_env env, const char *what) {
  napi_throw_error(env, NULL, what);
  return NULL;
}

// Up to `count` arguments; false and an exception where there are fewer.
static bool arguments(napi_env env, napi_callback_info info, size_t count, napi_value *values, Streams **streams) {
  size_t given = count;
  napi_get_cb_info(env, info, &given, values, NULL, (void **)streams);
  if (given >= count) return true;
  fail(env, "too few arguments");
  return false;
}

static int32_t int_of(napi_env env, napi_value value) {
  int32_t result = -1;
  napi_get_value_int32(env, value, &result);
  return result;
}

// The sockets that are ready are told in the table: descriptor, then what they are ready for.
static void on_ready(uv_poll_t *poll, int status, int events) {
  (void)events;
  Streams *s = poll->data;
  if (status < 0) return;
  struct epoll_event ready[READY_MAX];
  int count = epoll_wait(s->epoll, ready, READY_MAX, 0);
  if (count <= 0) return;
  for (int i = 0; i < count; i++) {
    uint32_t is = ready[i].events;
    int32_t what = 0;
    // A socket that nobody reads is told its end by what it writes.
    if (is & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) what |= READABLE;
    if (is & (EPOLLOUT | EPOLLHUP | EPOLLERR)) what |= WRITABLE;
    s->table[2 * i] = ready[i].data.fd;
    s->table[2 * i + 1] = what;
  }
  napi_env env = s->env;
  napi_handle_scope scope;
  napi_open_handle_scope(env, &scope);
  napi_value callback, receiver, argument = number(env, count), ignored;
  napi_get_reference_value(env, s->ready, &callback);
  napi_get_global(env, &receiver);
  if (napi_make_callback(env, s->context, receiver, callback, 1, &argument, &ignored) == napi_pending_exception) {
    napi_value exception;
    napi_get_and_clear_last_exception(env, &exception);
    napi_fatal_exception(env, exception);
  }
  napi_close_handle_scope(env, scope);
}

static void on_closed(uv_handle_t *handle) {
  Streams *s = handle->data;
  close(s->epoll);
  napi_remove_async_cleanup_hook(s->cleanup);
  free(s);
}

static void on_cleanup(napi_async_cleanup_hook_handle handle, void *data) {
  Streams *s = data;
  if (s->open) {
    uv_close((uv_handle_t *)&s->poll, on_closed);
    return;
  }
  napi_remove_async_cleanup_hook(handle);
  free(s);
}

// open(table: Int32Array, reads: Uint8Array, ready: (count: number) => void): void. Once.
static napi_value open_streams(napi_env env, napi_callback_info info) {
  napi_value a[3];
  Streams *s;
  if (!arguments(env, info, 3, a, &s)) return NULL;
  if (s->open) return fail(env, "open already");
  napi_typedarray_type type;
  size_t length;
  void *table;
  if (napi_get_typedarray_info(env, a[0], &type, &length, &table, NULL, NULL) != napi_ok || type != napi_int32_array ||
      length < 2 * READY_MAX)
    return fail(env, "the table is too short");
  if (napi_get_typedarray_info(env, a[1], &type, &s->reads_length, &s->reads, NULL, NULL) != napi_ok)
    return fail(env, "reads go into a Uint8Array");
  s->table = table;
  uv_loop_t *loop;
  if (napi_get_uv_event_loop(env, &loop) != napi_ok) return fail(env, "there is no event loop");
  s->epoll = epoll_create1(EPOLL_CLOEXEC);
  if (s->epoll < 0) return fail(env, "epoll_create1 failed");
  if (uv_poll_init(loop, &s->poll, s->epoll) != 0) {
    close(s->epoll);
    return fail(env, "the event loop does not watch an epoll");
  }
  s->poll.data = s;
  napi_create_reference(env, a[0], 1, &s->table_ref);
  napi_create_reference(env, a[1], 1, &s->reads_ref);
  napi_create_reference(env, a[2], 1, &s->ready);
  napi_value name;
  napi_create_string_utf8(env, "skewer:streams", NAPI_AUTO_LENGTH, &name);
  napi_async_init(env, NULL, name, &s->context);
  uv_poll_start(&s->poll, UV_READABLE, on_ready);
  // Alone it keeps no process alive; its sockets do.
  uv_unref((uv_handle_t *)&s->poll);
  s->open = true;
  return NULL;
}

// adopt(fd): a copy of the descriptor, not yet watched.
static napi_value adopt(napi_env env, napi_callback_info info) {
  napi_value a[1];
  Streams *s;
  if (!arguments(env, info, 1, a, &s)) return NULL;
  int own = fcntl(int_of(env, a[0]), F_DUPFD_CLOEXEC, 3);
  if (own < 0) return number(env, -errno);
  if (s->sockets++ == 0) uv_ref((uv_handle_t *)&s->poll);
  return number(env, own);
}

// watch(fd, before, now): bits of what it was and is watched for.
static napi_value watch(napi_env env, napi_callback_info info) {
  napi_value a[3];
  Streams *s;
  if (!arguments(env, info, 3, a, &s)) return NULL;
  int fd = int_of(env, a[0]), before = int_of(env, a[1]), now = int_of(env, a[2]);
  struct epoll_event event = {.events = 0, .data = {.u64 = 0}};
  if (now & READABLE) event.events |= EPOLLIN | EPOLLRDHUP;
  if (now & WRITABLE) event.events |= EPOLLOUT;
  event.data.fd = fd;
  int what = now == 0 ? EPOLL_CTL_DEL : before == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
  return number(env, epoll_ctl(s->epoll, what, fd, &event) < 0 ? -errno : 0);
}

// receive(fd): how many bytes lie in `reads`; 0: the end.
static napi_value receive(napi_env env, napi_callback_info info) {
  napi_value a[1];
  Streams *s;
  if (!arguments(env, info, 1, a, &s)) return NULL;
  int fd = int_of(env, a[0]);
  ssize_t got;
  do got = recv(fd, s->reads, s->reads_length, MSG_DONTWAIT);
  while (got < 0 && errno == EINTR);
  return number(env, got < 0 ? -errno : got);
}

// send(fd, bytes: Uint8Array): how many of them were taken.
static napi_value send_bytes(napi_env env, napi_callback_info info) {
  napi_value a[2];
  Streams *s;
  if (!arguments(env, info, 2, a, &s)) return NULL;
  napi_typedarray_type type;
  size_t length;
  void *bytes;
  if (napi_get_typedarray_info(env, a[1], &type, &length, &bytes, NULL, NULL) != napi_ok)
    return fail(env, "bytes are a Uint8Array");
  int fd = int_of(env, a[0]);
  ssize_t sent;
  do sent = send(fd, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL);
  while (sent < 0 && errno == EINTR);
  return number(env, sent < 0 ? -errno : sent);
}

// finish(fd): nothing more is written.
static napi_value finish(napi_env env, napi_callback_info info) {
  napi_value a[1];
  Streams *s;
  if (!arguments(env, info, 1, a, &s)) return NULL;
  return number(env, shutdown(int_of(env, a[0]), SHUT_WR) < 0 ? -errno : 0);
}

// close(fd): of a descriptor that `adopt` returned.
static napi_value close_socket(napi_env env, napi_callback_info info) {
  napi_value a[1];
  Streams *s;
  if (!arguments(env, info, 1, a, &s)) return NULL;
  if (--s->sockets == 0) uv_unref((uv_handle_t *)&s->poll);
  return number(env, close(int_of(env, a[0])) < 0 ? -errno : 0);
}

NAPI_MODULE_INIT() {
  Streams *s = calloc(1, sizeof(Streams));
  if (s == NULL) return NULL;
  s->env = env;
  napi_add_async_cleanup_hook(env, on_cleanup, s, &s->cleanup);
  napi_property_descriptor members[] = {
      {"open", NULL, open_streams, NULL, NULL, NULL, napi_default, s},
      {"adopt", NULL, adopt, NULL, NULL, NULL, napi_default, s},
      {"watch", NULL, watch, NULL, NULL, NULL, napi_default, s},
      {"receive", NULL, receive, NULL, NULL, NULL, napi_default, s},
      {"send", NULL, send_bytes, NULL, NULL, NULL, napi_default, s},
      {"finish", NULL, finish, NULL, NULL, NULL, napi_default, s},
      {"close", NULL, close_socket, NULL, NULL, NULL, napi_default, s},
  };
  napi_define_properties(env, exports, sizeof(members) / sizeof(members[0]), members);
  return exports;
}
