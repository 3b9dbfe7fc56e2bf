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
#include "loop.h"

#include "frame.h"
#include "histogram.h"
#include "wheel.h"

#define MS 1000000u
#define OPEN_TIMEOUT_MS 10000
#define STEADY_MS 10000
#define TRIES_AT_A_SERVER 2
#define BACKOFF_FIRST_MS 200
#define BACKOFF_MAX_MS 30000
#define ACK_MS 200
#define ACK_MESSAGES 64
#define BURST 500
#define READ_BYTES (256 * 1024)

typedef enum { OUT, CONNECTING, GREETING, IN, ASKING, WAITING, FAILED } State;
typedef enum { CONNECT, RESUME } Step;

typedef struct {
  int fd;
  State state;
  Step step;
  int attempt, tries_here;
  uint32_t ip;
  uint16_t port;
  char *token;
  uint8_t *rest; /* of an unfinished frame or answer */
  uint32_t rest_length;
  uint32_t unacked;
  int asking; /* for what it missed; live messages are only noted then */
  uint64_t began, lost, ping_due, pinged, seq, heard_of;
  uint32_t heartbeat_ms;
} Client;

/* Two timers for each: its life (time-out, heartbeat, return) and its acknowledgement. */
enum { LIFE, ACK };

static Client *clients;
static uint32_t count, source, route_ip;
static uint16_t route_port;
static int epoll, probe_ms, returns, syncs, acks;
static uint32_t heartbeat_option_ms;
static Wheel wheel;
static uint8_t *buffer;

static struct {
  uint64_t in, failed, refused, hung, closed, goodbyes;
  uint64_t deliveries, duplicates, holes, lagging, read_on, receipts, blocked, resumes;
  uint64_t first, last; /* when the first and the last delivery came */
  uint64_t last_in;
  Histogram delivery, ping, late, receipt, login, away;
} seen;
static uint64_t connected; /* now, unlike what is counted */

static struct {
  int on;
  uint32_t limit, next;
  uint64_t began;
} joining;
static struct {
  uint64_t left, next_at, every, receipts, last;
  uint32_t bytes, speakers, number;
} saying;

#define QUEUED 4096
#define SPEAKERS 64
/* When what a speaker said was said, until it has its receipt. */
typedef struct {
  uint64_t times[QUEUED], said, answered, under_way;
} Queue;
static Queue queues[SPEAKERS];
static uint64_t awaited;
static int awaiting_all;

static void open_connection(uint32_t id);
static void log_stats(const char *event);

static uint64_t now_ms(void) { return now_ns() / MS; }

static void set_timer(uint32_t id, int kind, uint64_t in_ms) { wheel_set(&wheel, id * 2 + (uint32_t)kind, now_ms() + in_ms); }

static void clear_timers(uint32_t id) {
  wheel_clear(&wheel, id * 2 + LIFE);
  wheel_clear(&wheel, id * 2 + ACK);
}

static void say_bytes(Client *c, const uint8_t *bytes, size_t length) {
  if (write(c->fd, bytes, length) == (ssize_t)length) return;
  seen.blocked++;
  shutdown(c->fd, SHUT_RDWR);
}

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

static void fail(uint32_t id, uint64_t *why) {
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
    fail(id, why);
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

static void acknowledge(uint32_t id) {
  Client *c = &clients[id];
  if (c->state != IN || c->unacked == 0 || !acks) return;
  uint8_t cursor[64], ack[80], out[FRAME_ROOM], *at = put_bytes(cursor, 1, "all", 3);
  at = put_number(at, 2, c->seq);
  at = put_bytes(ack, 1, cursor, (size_t)(at - cursor));
  c->unacked = 0;
  say_bytes(c, out, put_frame(out, CMD_CONTROL, BODY_ACK, ack, (size_t)(at - ack)));
}

static void ask_for_missed(uint32_t id) {
  Client *c = &clients[id];
  uint8_t after[64], sync[80], out[FRAME_ROOM], *at = put_bytes(after, 1, "all", 3);
  c->asking = 1;
  at = put_number(at, 2, c->seq);
  at = put_bytes(sync, 1, after, (size_t)(at - after));
  say_bytes(c, out, put_frame(out, CMD_CONTROL, BODY_SYNC, sync, (size_t)(at - sync)));
}

static void deliver(uint32_t id, uint64_t seq, uint64_t said) {
  Client *c = &clients[id];
  c->seq = seq;
  uint64_t now = now_ns();
  if (seen.deliveries++ == 0) seen.first = now;
  seen.last = now;
  histogram_add(&seen.delivery, now - said);
  if (c->unacked++ == 0) set_timer(id, ACK, ACK_MS);
  else if (c->unacked >= ACK_MESSAGES) acknowledge(id);
  if (awaited && seen.deliveries == awaited) {
    awaited = 0;
    log_stats("delivered");
  }
}

static void take_message(uint32_t id, Bytes message, int live) {
  Client *c = &clients[id];
  uint64_t value = 0, seq = 0, said = 0;
  Bytes part = {0, 0};
  for (int field; (field = take_field(&message, &value, &part));) {
    if (field == MESSAGE_SEQ) seq = value;
    if (field == MESSAGE_TEXT)
      for (const uint8_t *at = part.at; at < part.end && *at >= '0' && *at <= '9'; at++) said = said * 10 + (uint64_t)(*at - '0');
  }
  if (seq > c->heard_of) c->heard_of = seq;
  if (live && c->asking) return;
  if (c->seq && seq <= c->seq) {
    seen.duplicates++;
  } else if (live && c->seq && seq != c->seq + 1) {
    seen.holes++;
    ask_for_missed(id);
  } else {
    if (!live) seen.read_on++;
    deliver(id, seq, said);
  }
}

/* The answer to an ask_for_missed; that to the first Sync of a client that knows no message yet is not looked at. */
static void take_pages(uint32_t id, Bytes pages) {
  Client *c = &clients[id];
  uint64_t value, through = 0;
  Bytes page = {0, 0}, part = {0, 0};
  if (!c->asking) return;
  c->asking = 0;
  while (take_field(&pages, &value, &page) == 1)
    for (int field; (field = take_field(&page, &value, &part));) {
      if (field == 3) through = value;
      if (field == 4 && value > c->heard_of) c->heard_of = value;
      if (field == 5) take_message(id, part, 0);
    }
  if (through > c->seq) c->seq = through;
  if (c->seq < c->heard_of) ask_for_missed(id);
}

/* Writes what waits to be said, if nothing is under way: a client has one Send at a time. */
static void speak(uint32_t id) {
  Client *c = &clients[id];
  Queue *q = &queues[id];
  uint8_t send[FRAME_ROOM], out[FRAME_ROOM], *at = send;
  if (q->under_way || c->state != IN) return;
  while (q->under_way < q->said - q->answered && at - send + saying.bytes < FRAME_ROOM - 512) {
    char text[2048], name[64];
    uint8_t outgoing[FRAME_ROOM], *end = outgoing;
    uint64_t said = q->times[(q->answered + q->under_way++) % QUEUED];
    memset(text, 'x', sizeof text);
    text[sprintf(text, "%lu", said)] = ' ';
    end = put_bytes(end, 1, "all", 3);
    end = put_bytes(end, 2, name, (size_t)sprintf(name, "%u-%lu", saying.number++, said));
    end = put_bytes(end, 3, text, saying.bytes);
    at = put_bytes(at, 1, outgoing, (size_t)(end - outgoing));
  }
  if (q->under_way) say_bytes(c, out, put_frame(out, CMD_CONTROL, BODY_SEND, send, (size_t)(at - send)));
}

static void take_receipts(uint32_t id) {
  Queue *q = &queues[id];
  for (uint64_t now = now_ns(); q->under_way; q->under_way--) {
    histogram_add(&seen.receipt, now - q->times[q->answered++ % QUEUED]);
    seen.receipts++;
    if (saying.receipts && --saying.receipts == 0) log_stats("said");
  }
  speak(id);
}

static void take_frame(uint32_t id, Bytes bytes) {
  Client *c = &clients[id];
  Frame frame = read_frame(bytes);
  if (frame.body == BODY_MESSAGE) take_message(id, frame.value, 1);
  else if (frame.body == BODY_PAGES) take_pages(id, frame.value);
  else if (frame.body == BODY_WELCOME) welcome(id, frame.value);
  else if (frame.body == BODY_SENT) take_receipts(id);
  else if (frame.body == BODY_LAGGING) {
    seen.lagging++;
    if (c->seq && !c->asking) ask_for_missed(id);
  }
  else if (frame.body == BODY_GOODBYE) seen.goodbyes++;
  else if (frame.cmd == CMD_PING && c->pinged) {
    uint64_t now = now_ns();
    histogram_add(&seen.ping, now - c->pinged);
    histogram_add(&seen.late, now > c->ping_due ? now - c->ping_due : 0);
    c->pinged = 0;
    set_heartbeat(id, probe_ms ? (uint64_t)probe_ms : c->heartbeat_ms);
  }
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

static void join_some(void) {
  if (!joining.on) return;
  uint64_t due = joining.limit ? seen.in + seen.failed + joining.limit : count;
  for (int i = 0; i < BURST && joining.next < count && joining.next < due; i++) open_connection(joining.next++);
}

static void say_some(void) {
  while (saying.left && now_ns() >= saying.next_at) {
    for (uint32_t id = 0; id < saying.speakers; id++) {
      Queue *q = &queues[id];
      if (q->said - q->answered == QUEUED) die("nothing that was said is answered");
      saying.last = q->times[q->said++ % QUEUED] = now_ns();
      speak(id);
    }
    saying.left--;
    saying.next_at += saying.every;
  }
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

static void log_stats(const char *event) {
  printf("{\"event\":\"%s\",\"nowNs\":%lu,\"connected\":%lu,\"in\":%lu,\"failed\":%lu,\"refused\":%lu,\"hung\":%lu,"
         "\"closed\":%lu,\"goodbyes\":%lu,\"lastInNs\":%lu,\"resumes\":%lu,\"deliveries\":%lu,\"duplicates\":%lu,"
         "\"holes\":%lu,\"lagging\":%lu,\"readOn\":%lu,\"receipts\":%lu,\"blocked\":%lu,\"firstNs\":%lu,\"lastNs\":%lu,\"saidNs\":%lu,\"beganNs\":%lu,"
         "\"processorSeconds\":%.3f,",
         event, now_ns(), connected, seen.in, seen.failed, seen.refused, seen.hung, seen.closed, seen.goodbyes, seen.last_in,
         seen.resumes, seen.deliveries, seen.duplicates, seen.holes, seen.lagging, seen.read_on, seen.receipts, seen.blocked, seen.first,
         seen.last, saying.last, joining.began, processor_seconds());
  histogram_print(stdout, "delivery", &seen.delivery);
  putchar(',');
  histogram_print(stdout, "ping", &seen.ping);
  putchar(',');
  histogram_print(stdout, "late", &seen.late);
  putchar(',');
  histogram_print(stdout, "receipt", &seen.receipt);
  putchar(',');
  histogram_print(stdout, "login", &seen.login);
  putchar(',');
  histogram_print(stdout, "away", &seen.away);
  printf("}\n");
  fflush(stdout);
}

static void read_clients(const char *file, uint32_t first) {
  FILE *in = fopen(file, "r");
  if (!in) die(file);
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
