/*
 * Many light clients in one process: they connect, log in with their tokens, ping, acknowledge and come back as
 * docs/protocol.md says. Commands on stdin, one JSON line on stdout for each answer.
 *
 *   connect <under way>     all of them, so many at a time (0: at once); answers when each is in or has failed
 *   watch <deliveries>      counts anew; answers when so many messages have come
 *   say <n> <a second> <bytes> <speakers>   the first so many clients say n messages to all; answers with the last receipt
 *   back                    answers when all were lost, since it last counted anew, and are connected again
 *   clear, stats            counts anew; answers what was counted
 *
 * Options: clients=FILE (lines "ip port token") first= count= source=127.0.1.1 tickMs=1 heartbeatMs=0 (as the server
 * says) probeMs=0 (ping again so long after each pong) return=0 (1: come back when the connection is lost)
 * route=ip:port sync=1 ack=1 restMs=0 (sleep so long between looks at the sockets: whoever waits for a socket is woken
 * by the process that writes to it, at its cost, which a client on another machine never is)
 */
#include "crowd/hearing.h"
#include "crowd/joining.h"
#include "crowd/saying.h"

static void take_frame(uint32_t id, Bytes bytes) {
  Frame frame = read_frame(bytes);
  if (frame.body == BODY_MESSAGE) take_message(id, frame.value, 1);
  else if (frame.body == BODY_PAGES) take_pages(id, frame.value);
  else if (frame.body == BODY_WELCOME) welcome(id, frame.value);
  else if (frame.body == BODY_SENT) take_receipts(id);
  else if (frame.body == BODY_LAGGING) take_lagging(id);
  else if (frame.body == BODY_GOODBYE) take_goodbye(id, frame.value);
  else if (frame.cmd == CMD_PING) take_pong(id);
}

/* Takes whole frames off `bytes`, or the whole answer of the route; keeps what is left. */
static void take_bytes(uint32_t id, uint8_t *start, uint8_t *end) {
  Client *c = &clients[id];
  Bytes bytes = {start, end};
  int fd = c->fd;
  if (c->state != ASKING) {
    while (bytes.at < bytes.end) {
      Bytes ahead = bytes;
      int64_t size = take_varint(&ahead);
      if (size < 0 || size > ahead.end - ahead.at) break;
      bytes.at = ahead.at + size;
      take_frame(id, (Bytes){ahead.at, bytes.at});
      if (c->fd != fd) return;
    }
  }
  c->rest_length = (uint32_t)(bytes.end - bytes.at);
  uint8_t *rest = c->rest_length ? malloc(c->rest_length) : NULL;
  if (rest) memcpy(rest, bytes.at, c->rest_length);
  free(c->rest);
  c->rest = rest;
}

/* Reads what there is; `ends`: the other side has written its last. */
static void read_socket(uint32_t id, int ends) {
  Client *c = &clients[id];
  for (;;) {
    if (c->rest_length) memcpy(buffer, c->rest, c->rest_length);
    ssize_t room = READ_BYTES - 1 - c->rest_length, got = read(c->fd, buffer + c->rest_length, (size_t)room);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) {
      buffer[c->rest_length] = 0;
      if (c->state == ASKING && got == 0) take_answer(id, (char *)buffer);
      else lose(id, &seen.closed);
      return;
    }
    int fd = c->fd;
    take_bytes(id, buffer, buffer + c->rest_length + got);
    if (c->fd != fd) return;
    if (got < room && !ends) return;
  }
}

static void take_event(uint32_t id, uint32_t events) {
  Client *c = &clients[id];
  if (c->fd < 0) return;
  if (events & EPOLLERR) {
    lose(id, c->state == CONNECTING || c->state == ASKING ? &seen.refused : &seen.closed);
    return;
  }
  if ((events & EPOLLOUT) && c->state == CONNECTING) write_login(c);
  else if ((events & EPOLLOUT) && c->state == ASKING && c->rest_length == 0 && !(events & EPOLLIN)) write_resume(c);
  if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP)) read_socket(id, events & (EPOLLRDHUP | EPOLLHUP));
}

static void fire(uint32_t timer) {
  uint32_t id = timer / 2;
  Client *c = &clients[id];
  if (timer % 2 == ACK) acknowledge(id);
  else if (c->state == IN) ping(id, c->ping_due);
  else if (c->state == WAITING && c->step == RESUME) ask_route(id);
  else if (c->state == WAITING) open_connection(id);
  else lose(id, &seen.hung);
}

static void clear_seen(void) {
  uint64_t in = seen.in, failed = seen.failed;
  memset(&seen, 0, sizeof seen);
  if (joining.on) {
    seen.in = in;
    seen.failed = failed;
  }
}

static void take_command(char *line) {
  char *rest = strchr(line, ' ');
  if (strncmp(line, "connect", 7) == 0) {
    clear_seen();
    seen.in = 0;
    joining.on = 1;
    joining.next = 0;
    joining.limit = rest ? (uint32_t)atoi(rest) : 0;
    joining.began = now_ns();
  } else if (strncmp(line, "watch", 5) == 0) {
    clear_seen();
    awaited = strtoull(rest, NULL, 10);
    printf("{\"event\":\"watching\"}\n");
  } else if (strncmp(line, "say", 3) == 0) {
    double per_second;
    sscanf(rest, "%lu %lf %u %u", &saying.left, &per_second, &saying.bytes, &saying.speakers);
    saying.receipts = saying.left * saying.speakers;
    saying.every = per_second > 0 ? (uint64_t)(1e9 / per_second) : 0;
    saying.next_at = now_ns();
  } else if (strcmp(line, "back") == 0) {
    awaiting_all = 1;
  } else if (strcmp(line, "clear") == 0) {
    clear_seen();
    printf("{\"event\":\"cleared\"}\n");
  } else if (strcmp(line, "stats") == 0) {
    log_stats("stats");
  }
  fflush(stdout);
}

static void read_clients(const char *file, uint32_t first) {
  FILE *in = fopen(file, "r");
  if (!in) fail("%s: %s", file, strerror(errno));
  char ip[64], token[2048];
  unsigned port;
  for (uint32_t i = 0; i < first + count && fscanf(in, "%63s %u %2047s", ip, &port, token) == 3; i++) {
    if (i < first) continue;
    Client *c = &clients[i - first];
    *c = (Client){.fd = -1, .ip = inet_addr(ip), .port = (uint16_t)port, .token = strdup(token)};
  }
  fclose(in);
}

int main(int argc, char **argv) {
  count = (uint32_t)atoi(option(argc, argv, "count", "1"));
  source = inet_addr(option(argc, argv, "source", "0.0.0.0"));
  probe_ms = atoi(option(argc, argv, "probeMs", "0"));
  heartbeat_option_ms = (uint32_t)atoi(option(argc, argv, "heartbeatMs", "0"));
  returns = atoi(option(argc, argv, "return", "0"));
  syncs = atoi(option(argc, argv, "sync", "1"));
  acks = atoi(option(argc, argv, "ack", "1"));
  int rest_ms = atoi(option(argc, argv, "restMs", "0"));
  int tick_ms = atoi(option(argc, argv, "tickMs", "1"));
  char route[64];
  snprintf(route, sizeof route, "%s", option(argc, argv, "route", "127.0.0.1:0"));
  route_port = (uint16_t)atoi(strchr(route, ':') + 1);
  *strchr(route, ':') = 0;
  route_ip = inet_addr(route);
  clients = calloc(count, sizeof(Client));
  read_clients(option(argc, argv, "clients", "/dev/null"), (uint32_t)atoi(option(argc, argv, "first", "0")));
  buffer = malloc(READ_BYTES);
  srand48((long)now_ns());
  wheel_open(&wheel, count * 2, now_ms());
  epoll = epoll_create1(0);
  fcntl(0, F_SETFL, O_NONBLOCK);
  watch_fd(epoll, 0, EPOLLIN, UINT32_MAX);
  printf("{\"event\":\"ready\"}\n");
  fflush(stdout);
  struct epoll_event events[512];
  for (;;) {
    int busy = (joining.on && joining.next < count && joining.limit == 0) || (saying.left && saying.every == 0);
    int wait_ms = busy ? 0 : joining.on || saying.left ? 1 : tick_ms;
    if (rest_ms && !busy) usleep((useconds_t)rest_ms * 1000);
    int n = epoll_wait(epoll, events, 512, rest_ms ? 0 : wait_ms);
    for (int i = 0; i < n; i++) {
      if (events[i].data.u64 == UINT32_MAX) read_commands(take_command);
      else take_event((uint32_t)events[i].data.u64, events[i].events);
    }
    wheel_advance(&wheel, now_ms(), fire);
    join_some();
    say_some();
  }
}
