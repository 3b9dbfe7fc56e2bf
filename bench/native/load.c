/*
 * A load generator: clients that chat in pairs, each with a connection to a server of CIM, or post to its route.
 * It keeps to the protocol (docs/protocol.md): one Send under way on a connection, acknowledgements gathered
 * for a second or 64 messages, pings; and checks what comes: each seq of a conversation once and in order, each accepted
 * message delivered once. Accounts come on stdin as lines "<userId> <ip> <port> <token>"; two that follow one another
 * are a pair. Says "measuring" and "measured" on stdout, then what it saw as JSON.
 */
#define _GNU_SOURCE
#include "load/receiving.h"

#define TICK_NS 10000000ull
#define ACK_TICKS 100 /* a second */
#define PING_NS 60000000000ull
#define PATIENCE_NS 15000000000ull /* without a word */
#define MISSING_NS 1500000000ull
#define WAKE_NS 50000ull /* the least wait for what is due next */
#define MAX_EVENTS 512

static void on_event(struct epoll_event *event) {
  Client *c = &clients[event->data.u64 >> 1];
  bool http = event->data.u64 & 1;
  Socket *s = http ? &c->http : &c->tcp;
  if (event->events & EPOLLOUT) socket_drain(s);
  if (event->events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
    for (bool more = true; more;)
      if (!socket_read(s, c, http ? take_answer : take_bytes, &more))
        fail("the connection of %lu was closed", c->user_id);
  }
  if (c->ready) flush(c);
}

static void add_client(char *line) {
  if (known == options.clients) fail("more accounts than clients");
  Client *c = &clients[known];
  char ip[64], token[2048];
  int port;
  if (sscanf(line, "%lu %63s %d %2047s", &c->user_id, ip, &port, token) != 4) fail("%s: want an account", line);
  c->token = strdup(token);
  c->partner = known ^ 1;
  c->server = address_of(ip, port);
  c->tcp.fd = connect_to(c->server);
  if (options.rate > 0 && known < options.active) c->queue = malloc(QUEUE * sizeof *c->queue);
  uint8_t login[2200], *end = put_bytes(login, 1, token, strlen(token));
  end = put_bytes(end, 2, "load", 4);
  keep(&c->tcp, out, (size_t)(append_frame(out, CMD_LOGIN, BODY_LOGIN, login, (size_t)(end - login)) - out));
  watch(epoll, c->tcp.fd, (uint64_t)known << 1);
  if (options.http && known < options.active) {
    c->http.fd = connect_to(options.route);
    watch(epoll, c->http.fd, (uint64_t)known << 1 | 1);
  }
  if (known++ % 2 == 1) {
    Client *p = c - 1;
    uint64_t low = p->user_id < c->user_id ? p->user_id : c->user_id, high = p->user_id + c->user_id - low;
    snprintf(c->conversation, sizeof c->conversation, "p2p:%lu:%lu", low, high);
    memcpy(p->conversation, c->conversation, sizeof c->conversation);
  }
}

/* Accounts that are there by now; they come as they log in. */
static void read_accounts(void) {
  static char lines[64 * 1024];
  static size_t length;
  ssize_t got = read(0, lines + length, sizeof lines - 1 - length);
  if (got < 0 && errno == EAGAIN) return;
  if (got <= 0) fail("%u accounts came, of %u", known, options.clients);
  length += (size_t)got;
  lines[length] = 0;
  char *line = lines;
  for (char *end; (end = strchr(line, '\n')); line = end + 1) {
    *end = 0;
    add_client(line);
  }
  length -= (size_t)(line - lines);
  memmove(lines, line, length);
}

static void send_again(Client *c) {
  uint32_t count = c->again;
  c->again = 0;
  if (options.http) return post(c);
  write_tcp(c, put_send(out, c, count));
}

/* One turn of the clients' clocks: every second each acknowledges, tries again what was refused, and pings if it wrote nothing for long. */
static void tick(uint64_t now) {
  static uint32_t turn;
  for (uint32_t i = turn++ % ACK_TICKS; i < known; i += ACK_TICKS) {
    Client *c = &clients[i];
    if (!c->ready) continue;
    if (c->again > 0 && c->under_way == 0) send_again(c);
    if (c->unacked > 0) write_tcp(c, put_ack(out, c));
    else if (now - c->wrote_at > PING_NS) write_tcp(c, out + put_frame(out, CMD_PING, 0, "", 0));
  }
}

/* When the next message is due: they are evenly spaced from `began` on. */
static uint64_t next_offer(uint64_t began) { return began + (uint64_t)((double)offered * 1e9 / options.rate); }

/* Queues the messages that are due by `now`. */
static void offer(uint64_t began, uint64_t now) {
  for (uint64_t due; (due = next_offer(began)) <= now;) {
    Client *c = &clients[offered++ % options.active];
    if (c->queue_count == QUEUE) seen.unsent++;
    else c->queue[(c->queue_first + c->queue_count++) % QUEUE] = due;
    flush(c);
  }
}

static uint64_t time_to_wait(bool offering, uint64_t began) {
  if (!offering) return TICK_NS;
  uint64_t now = now_ns(), due = next_offer(began);
  if (due < now + WAKE_NS) return WAKE_NS;
  return due < now + TICK_NS ? due - now : TICK_NS;
}

static void turn(uint64_t began) {
  static struct epoll_event events[MAX_EVENTS];
  static uint64_t ticked;
  bool offering = sending && options.rate > 0;
  struct timespec wait = {0, (long)time_to_wait(offering, began)};
  int count = epoll_pwait2(epoll, events, MAX_EVENTS, &wait, NULL);
  for (int i = 0; i < count; i++) {
    if (events[i].data.u64 == UINT64_MAX) read_accounts();
    else on_event(&events[i]);
  }
  uint64_t now = now_ns();
  if (offering) offer(began, now);
  if (now - ticked < TICK_NS) return;
  ticked = now;
  tick(now);
}

static double processor_seconds(void) {
  struct rusage u;
  getrusage(RUSAGE_SELF, &u);
  return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void run_until(uint64_t began, uint64_t end) {
  while (now_ns() < end) turn(began);
}

static void say(const char *word) {
  puts(word);
  fflush(stdout);
}

/* Whoever misses something after a while without a word asks for it. */
static void ask_for_missing(void) {
  for (uint32_t i = 0; i < known; i++) {
    Client *c = &clients[i], *p = &clients[c->partner];
    if (sequence_has_hole(&c->sequence) || c->sequence.base < p->sequence.base) sync_from(c);
  }
}

static bool anything_under_way(void) {
  for (uint32_t i = 0; i < options.active; i++)
    if (clients[i].under_way > 0 || clients[i].again > 0) return true;
  return false;
}

/* Until everything that was sent has its receipt, and everything accepted has come. */
static void finish(uint64_t began) {
  bool asked = false;
  for (progress_at = now_ns(); seen.delivered < seen.accepted || anything_under_way();) {
    turn(began);
    uint64_t idle = now_ns() - progress_at;
    if (idle > (asked && !anything_under_way() ? MISSING_NS : PATIENCE_NS)) return;
    if (asked || idle < MISSING_NS) continue;
    asked = true;
    ask_for_missing();
  }
  run_until(began, now_ns() + 2 * TICK_NS * ACK_TICKS); /* for what comes twice, and the last acknowledgements */
}

static uint64_t holes(void) {
  uint64_t count = 0;
  for (uint32_t i = 0; i < known; i++) count += sequence_has_hole(&clients[i].sequence);
  return count;
}

static void measure(void) {
  uint64_t began = now_ns();
  sending = true;
  if (options.rate == 0)
    for (uint32_t i = 0; i < options.active; i++) flush(&clients[i]);
  run_until(began, began + options.warm_up_ns);
  say("measuring");
  measuring = true;
  uint64_t from = now_ns(), accepted = seen.accepted, delivered = seen.delivered;
  double processor = processor_seconds();
  run_until(began, from + options.measure_ns);
  processor = processor_seconds() - processor;
  double seconds = (double)(now_ns() - from) / 1e9;
  accepted = seen.accepted - accepted;
  delivered = seen.delivered - delivered;
  int64_t backlog = (int64_t)(seen.accepted - seen.delivered);
  measuring = false;
  say("measured");
  sending = false;
  finish(began);
  printf("{\"seconds\":%.6f,\"processorSeconds\":%.6f,\"accepted\":%lu,\"delivered\":%lu,\"refused\":%lu,"
         "\"unsent\":%lu,\"backlog\":%ld,\"lost\":%ld,\"duplicates\":%lu,\"disordered\":%lu,\"holes\":%lu,\"lagging\":%lu,\"readOn\":%lu,",
         seconds, processor, accepted, delivered, seen.refused, seen.unsent, (long)backlog, (long)(seen.accepted - seen.delivered),
         seen.duplicates, seen.disordered, holes(), seen.lagging, seen.read_on);
  histogram_print(stdout, "receipt", &receipts);
  putchar(',');
  histogram_print(stdout, "delivery", &deliveries);
  say("}");
}

/* clients active window rate text-bytes warm-up-ms measure-ms [route-ip route-port] */
static void read_options(int argc, char **argv) {
  if (argc != 8 && argc != 10) fail("want clients active window rate text-bytes warm-up-ms measure-ms [ip port]");
  options.clients = (uint32_t)atoi(argv[1]);
  options.active = (uint32_t)atoi(argv[2]);
  options.window = (uint32_t)atoi(argv[3]);
  options.rate = atof(argv[4]);
  options.text = (uint32_t)atoi(argv[5]);
  options.warm_up_ns = (uint64_t)atol(argv[6]) * 1000000;
  options.measure_ns = (uint64_t)atol(argv[7]) * 1000000;
  options.http = argc == 10;
  if (options.http) {
    options.route = address_of(argv[8], atoi(argv[9]));
    snprintf(options.route_host, sizeof options.route_host, "%s:%s", argv[8], argv[9]);
  }
  if (options.clients < 2 || options.clients % 2) fail("%u clients: want an even number", options.clients);
  if (options.active < 2 || options.active > options.clients) fail("%u chat, of %u", options.active, options.clients);
  if (options.window < 1 || options.window > MAX_WINDOW) fail("window %u, limit %d", options.window, MAX_WINDOW);
  if (options.text < 1 || options.window * (options.text + 80) > 60000) fail("%u bytes of text: too much", options.text);
}

int main(int argc, char **argv) {
  read_options(argc, argv);
  raise_file_limit();
  clients = calloc(options.clients, sizeof *clients);
  memset(text, 'x', sizeof text);
  epoll = epoll_create1(0);
  fcntl(0, F_SETFL, O_NONBLOCK);
  struct epoll_event event = {.events = EPOLLIN, .data.u64 = UINT64_MAX};
  epoll_ctl(epoll, EPOLL_CTL_ADD, 0, &event);
  while (known < options.clients) turn(0);
  epoll_ctl(epoll, EPOLL_CTL_DEL, 0, NULL);
  for (progress_at = now_ns(); ready < options.clients;) {
    turn(0);
    if (now_ns() - progress_at > PATIENCE_NS) fail("%u of %u clients are logged in", ready, options.clients);
  }
  measure();
}
