/* What programs here share that hold many sockets: where they connect from, and lines of commands on stdin. */
#ifndef LOOP_H
#define LOOP_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "socket.h"

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif

static inline struct sockaddr_in place_of(uint32_t ip, uint16_t port) {
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
  a.sin_addr.s_addr = ip;
  return a;
}

/* Begins to connect, from `source` if it is not 0; -1 when that fails at once. */
static inline int begin_connect(uint32_t source, uint32_t ip, uint16_t port) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;
  if (fd < 0) fail("socket: %s", strerror(errno));
  no_delay(fd);
  if (source) {
    struct sockaddr_in from = place_of(source, 0);
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&from, sizeof from) < 0) fail("bind: %s", strerror(errno));
  }
  struct sockaddr_in to = place_of(ip, port);
  if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0 || errno == EINPROGRESS) return fd;
  close(fd);
  return -1;
}

static inline void watch_fd(int epoll, int fd, uint32_t events, uint64_t data) {
  struct epoll_event event = {.events = events, .data.u64 = data};
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0) fail("epoll_ctl: %s", strerror(errno));
}

static inline double processor_seconds(void) {
  struct rusage used;
  getrusage(RUSAGE_SELF, &used);
  return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
         (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

/* The value of `name=value` among the arguments, or `otherwise`. */
static inline const char *option(int argc, char **argv, const char *name, const char *otherwise) {
  size_t length = strlen(name);
  for (int i = 1; i < argc; i++)
    if (strncmp(argv[i], name, length) == 0 && argv[i][length] == '=') return argv[i] + length + 1;
  return otherwise;
}

/* Hands each whole line of stdin to `take`; ends the program with its input. */
static inline void read_commands(void (*take)(char *line)) {
  static char line[4096];
  static size_t kept = 0;
  ssize_t got = read(0, line + kept, sizeof line - 1 - kept);
  if (got < 0 && errno == EAGAIN) return;
  if (got <= 0) exit(0);
  kept += (size_t)got;
  for (char *end; (end = memchr(line, '\n', kept));) {
    *end = 0;
    take(line);
    kept -= (size_t)(end + 1 - line);
    memmove(line, end + 1, kept);
  }
}
#endif
