/* Sockets that never wait: what the kernel does not take at once is kept and written when it has room. */
#ifndef SOCKET_H
#define SOCKET_H
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

typedef struct {
  int fd;
  uint8_t *out; /* what was not written yet */
  size_t out_length, out_room;
  uint8_t *in; /* the beginning of a frame */
  size_t in_length;
} Socket;

__attribute__((noreturn, format(printf, 1, 2))) static inline void fail(const char *format, ...) {
  va_list parts;
  va_start(parts, format);
  vfprintf(stderr, format, parts);
  va_end(parts);
  fputc('\n', stderr);
  exit(1);
}

static inline uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

/* As many open files as this user may have. */
static inline void raise_file_limit(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
}

static inline struct sockaddr_in address_of(const char *ip, int port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  if (inet_pton(AF_INET, ip, &address.sin_addr) != 1) fail("%s: want an IPv4 address", ip);
  return address;
}

/* Told of everything by edges, so that no system call but reads and writes follows. */
static inline void watch(int epoll, int fd, uint64_t data) {
  struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.u64 = data};
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0) fail("epoll_ctl: %s", strerror(errno));
}

static inline void no_delay(int fd) {
  int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static inline int connect_to(struct sockaddr_in address) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (fd < 0) fail("socket: %s", strerror(errno));
  no_delay(fd);
  if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0 && errno != EINPROGRESS)
    fail("connect: %s", strerror(errno));
  return fd;
}

static inline void keep(Socket *s, const uint8_t *bytes, size_t length) {
  if (s->out_length + length > s->out_room) {
    s->out_room = (s->out_length + length) * 2;
    s->out = realloc(s->out, s->out_room);
  }
  memcpy(s->out + s->out_length, bytes, length);
  s->out_length += length;
}

static inline void socket_write(Socket *s, const uint8_t *bytes, size_t length) {
  ssize_t taken = 0;
  if (s->out_length == 0) {
    taken = write(s->fd, bytes, length);
    if (taken < 0 && errno != EAGAIN && errno != ENOTCONN) fail("write: %s", strerror(errno));
    if (taken < 0) taken = 0;
  }
  if ((size_t)taken < length) keep(s, bytes + taken, length - (size_t)taken);
}

/* Writes on, once there is room. */
static inline void socket_drain(Socket *s) {
  if (s->out_length == 0) return;
  ssize_t taken = write(s->fd, s->out, s->out_length);
  if (taken < 0 && errno == EAGAIN) return;
  if (taken < 0) fail("write: %s", strerror(errno));
  s->out_length -= (size_t)taken;
  memmove(s->out, s->out + taken, s->out_length);
  if (s->out_length > 0) return;
  free(s->out);
  s->out = NULL;
  s->out_room = 0;
}

#define READ_ROOM (256 * 1024)

/*
 * Reads what is there, up to READ_ROOM; `take` is called with it, after what was left over, and answers how much it
 * used. Answers false when the other side is gone. Call it until `*more` is false.
 */
static inline bool socket_read(Socket *s, void *who, size_t (*take)(void *, uint8_t *, size_t), bool *more) {
  static uint8_t buffer[2 * READ_ROOM];
  size_t left = s->in_length;
  if (left > 0) memcpy(buffer, s->in, left);
  ssize_t got = read(s->fd, buffer + left, READ_ROOM);
  *more = got == READ_ROOM;
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return true;
  if (got <= 0) return false;
  size_t length = left + (size_t)got, used = take(who, buffer, length);
  if (length - used > READ_ROOM) fail("a frame of more than %d bytes", READ_ROOM);
  if (left > 0 || used < length) {
    free(s->in);
    s->in_length = length - used;
    s->in = s->in_length > 0 ? malloc(s->in_length) : NULL;
    if (s->in) memcpy(s->in, buffer + used, s->in_length);
  }
  return true;
}
#endif
