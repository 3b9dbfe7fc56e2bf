/* A client's connection: how it comes to one, keeps it, and comes back. */
#ifndef CROWD_JOINING_H
#define CROWD_JOINING_H
#include "state.h"

static void open_connection(uint32_t id);

static void shut(uint32_t id) {
  Client *c = &clients[id];
  if (c->fd >= 0) close(c->fd);
  c->fd = -1;
  free(c->rest);
  c->rest = NULL;
  c->rest_length = 0;
  clear_timers(id);
}

static void check_joined(void) {
  if (!joining.on || joining.next < count || seen.in + seen.failed < count) return;
  joining.on = 0;
  log_stats("connected");
}

static void give_up(uint32_t id, uint64_t *why) {
  (*why)++;
  seen.failed++;
  shut(id);
  clients[id].state = FAILED;
  check_joined();
}

/* What client/sdk/plan.ts does after a failure: one more try here, or the route. */
static void try_again(uint32_t id, int lived_ms) {
  Client *c = &clients[id];
  shut(id);
  c->attempt = lived_ms >= STEADY_MS ? 1 : c->attempt + 1;
  if (c->step == CONNECT) {
    c->tries_here = lived_ms < 0 ? c->tries_here + 1 : 0;
    if (c->tries_here >= TRIES_AT_A_SERVER) c->step = RESUME;
  } else {
    c->step = CONNECT;
  }
  double most = BACKOFF_FIRST_MS * (double)(1u << (c->attempt > 16 ? 16 : c->attempt - 1));
  if (most > BACKOFF_MAX_MS) most = BACKOFF_MAX_MS;
  c->state = WAITING;
  set_timer(id, LIFE, (uint64_t)(drand48() * most));
}

/* The connection, or the try to have one, is over. */
static void lose(uint32_t id, uint64_t *why) {
  Client *c = &clients[id];
  if (c->state == IN) {
    connected--;
    seen.closed++;
    c->lost = now_ns();
    if (!returns) {
      shut(id);
      c->state = OUT;
      return;
    }
    try_again(id, (int)((now_ns() - c->began) / MS));
  } else if (returns && c->lost) {
    (*why)++;
    try_again(id, -1);
  } else {
    give_up(id, why);
  }
}

static void open_socket(uint32_t id, uint32_t ip, uint16_t port, State state) {
  Client *c = &clients[id];
  c->state = state;
  c->fd = begin_connect(source, ip, port);
  if (c->fd < 0) {
    lose(id, &seen.refused);
    return;
  }
  watch_fd(epoll, c->fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, id);
  set_timer(id, LIFE, OPEN_TIMEOUT_MS);
}

static void open_connection(uint32_t id) {
  Client *c = &clients[id];
  c->began = now_ns();
  open_socket(id, c->ip, c->port, CONNECTING);
}

static void ask_route(uint32_t id) {
  seen.resumes++;
  open_socket(id, route_ip, route_port, ASKING);
}

static void write_login(Client *c) {
  uint8_t body[2048], out[FRAME_ROOM], *at = body;
  at = put_bytes(at, 1, c->token, strlen(c->token));
  at = put_bytes(at, 2, "crowd", 5);
  c->state = GREETING;
  say_bytes(c, out, put_frame(out, CMD_LOGIN, BODY_LOGIN, body, (size_t)(at - body)));
}

static void write_resume(Client *c) {
  static const char body[] = "{\"device\":\"bench\"}";
  char out[4096];
  int length = snprintf(out, sizeof out,
                        "POST /login HTTP/1.1\r\nHost: route\r\nContent-Type: application/json\r\n"
                        "Authorization: Bearer %s\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s",
                        c->token, sizeof body - 1, body);
  say_bytes(c, (uint8_t *)out, (size_t)length);
}

/* The place in the answer after `name`, or NULL. */
static char *after(char *answer, const char *name) {
  char *at = strstr(answer, name);
  return at ? at + strlen(name) : NULL;
}

/* Takes the whole answer of the route: a server and a token for it, or a reason to try again. */
static void take_answer(uint32_t id, char *answer) {
  Client *c = &clients[id];
  char *ip = after(answer, "\"ip\":\""), *port = after(answer, "\"cimServerPort\":"), *token = after(answer, "\"token\":\"");
  if (!ip || !port || !token) {
    lose(id, &seen.refused);
    return;
  }
  *strchr(ip, '"') = 0;
  *strchr(token, '"') = 0;
  c->ip = inet_addr(ip);
  c->port = (uint16_t)atoi(port);
  c->token = strdup(token);
  c->step = CONNECT;
  c->tries_here = 0;
  shut(id);
  open_connection(id);
}

static void ping(uint32_t id, uint64_t due) {
  Client *c = &clients[id];
  uint8_t out[FRAME_ROOM];
  c->ping_due = due;
  c->pinged = now_ns();
  say_bytes(c, out, put_frame(out, CMD_PING, 0, NULL, 0));
}

static void set_heartbeat(uint32_t id, uint64_t in_ms) {
  clients[id].ping_due = now_ns() + in_ms * MS;
  set_timer(id, LIFE, in_ms);
}

static void welcome(uint32_t id, Bytes body) {
  Client *c = &clients[id];
  uint64_t value;
  Bytes part;
  for (int field; (field = take_field(&body, &value, &part));)
    if (field == 2) c->heartbeat_ms = (uint32_t)value;
  if (heartbeat_option_ms) c->heartbeat_ms = heartbeat_option_ms;
  c->state = IN;
  c->asking = 0;
  uint64_t now = seen.last_in = now_ns();
  histogram_add(&seen.login, now - c->began);
  if (c->lost) histogram_add(&seen.away, now - c->lost);
  c->lost = 0;
  c->began = now;
  connected++;
  seen.in++;
  if (syncs) {
    uint8_t out[FRAME_ROOM];
    say_bytes(c, out, put_frame(out, CMD_CONTROL, BODY_SYNC, NULL, 0));
  }
  /* The first heartbeats are spread over a whole interval, as those of clients that came over the day are. */
  set_heartbeat(id, probe_ms ? (uint64_t)(drand48() * probe_ms) : (uint64_t)(drand48() * c->heartbeat_ms));
  check_joined();
  if (awaiting_all && connected == count && seen.closed >= count) {
    awaiting_all = 0;
    log_stats("back");
  }
}

static void take_pong(uint32_t id) {
  Client *c = &clients[id];
  if (!c->pinged) return;
  uint64_t now = now_ns();
  histogram_add(&seen.ping, now - c->pinged);
  histogram_add(&seen.late, now > c->ping_due ? now - c->ping_due : 0);
  c->pinged = 0;
  set_heartbeat(id, probe_ms ? (uint64_t)probe_ms : c->heartbeat_ms);
}

/* Some say that another login helps (proto/status.ts): then the server need not be tried again. */
static void take_goodbye(uint32_t id, Bytes goodbye) {
  static const char *log_in[] = {"full", "wrong_server", "session_over"};
  uint64_t value;
  Bytes reason = {0, 0};
  seen.goodbyes++;
  if (take_field(&goodbye, &value, &reason) != 1) return;
  size_t length = (size_t)(reason.end - reason.at);
  for (int i = 0; i < 3; i++)
    if (strlen(log_in[i]) == length && memcmp(log_in[i], reason.at, length) == 0) clients[id].tries_here = TRIES_AT_A_SERVER;
}

static void join_some(void) {
  if (!joining.on) return;
  uint64_t due = joining.limit ? seen.in + seen.failed + joining.limit : count;
  for (int i = 0; i < BURST && joining.next < count && joining.next < due; i++) open_connection(joining.next++);
}
#endif
