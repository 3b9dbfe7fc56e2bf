/*
 * A load generator: clients that chat in pairs, each with a connection to a server of CIM, or post to its route.
 * It keeps to the protocol (docs/protocol.md): one Send under way on a connection, acknowledgements gathered for
 * 200 ms or 64 messages, pings; and checks what comes: each seq of a conversation once and in order, each accepted
 * message delivered once. Accounts come on stdin as lines "<userId> <ip> <port> <token>"; two that follow one another
 * are a pair. Says "measuring" and "measured" on stdout, then what it saw as JSON.
 */
#define _GNU_SOURCE
#include "frame.h"
#include "histogram.h"
#include "sequence.h"
#include "socket.h"

#define MAX_WINDOW 256
#define QUEUE 1024 /* offered messages that wait for a client, a power of two */
#define ACK_MESSAGES 64
#define TICK_NS 10000000ull
#define ACK_TICKS 20 /* 200 ms */
#define PING_NS 60000000000ull
#define PATIENCE_NS 15000000000ull /* without a word */
#define MISSING_NS 1500000000ull
#define WAKE_NS 50000ull /* the least wait for what is due next */
#define ID_LENGTH 36      /* <16 hex: when it was meant to be sent, ns>-<8 hex: client>-<10 hex: count> */
#define MAX_EVENTS 512

/* A message: when it was meant to go, and which of its sender's it is. */
typedef struct {
  uint64_t at, number;
} Meant;

typedef struct {
  Socket tcp, http;
  uint64_t user_id;
  char conversation[64], *token;
  struct sockaddr_in server;
  bool welcome, ready, synced;
  uint32_t partner;
  Meant meant[MAX_WINDOW]; /* under way, or to be sent again */
  uint32_t under_way, again;
  uint64_t *queue; /* times at which offered messages were due */
  uint32_t queue_first, queue_count;
  uint64_t count, acked, unacked, last_delivered, wrote_at;
  Sequence sequence;
} Client;

static struct {
  uint32_t clients, active, window, text;
  double rate;
  uint64_t warm_up_ns, measure_ns;
  bool http;
  struct sockaddr_in route;
  char route_host[64];
} options;

static struct {
  uint64_t accepted, delivered, refused, duplicates, disordered, lagging, unsent, read_on;
} seen;

static Client *clients;
static uint32_t known, ready;
static uint64_t offered;
static int epoll;
static bool measuring, sending;
static Histogram receipts, deliveries;
static uint8_t out[READ_ROOM], body[READ_ROOM];
static char text[16384];
static uint64_t progress_at;

static uint8_t *hex(uint8_t *at, uint64_t value, int digits) {
  for (int i = digits - 1; i >= 0; i--, value >>= 4) at[i] = (uint8_t)"0123456789abcdef"[value & 15];
  return at + digits;
}

static uint64_t from_hex(const uint8_t *at, int digits) {
  uint64_t value = 0;
  for (int i = 0; i < digits; i++) value = value << 4 | (uint64_t)(at[i] <= '9' ? at[i] - '0' : at[i] - 'a' + 10);
  return value;
}

static void write_id(uint8_t *at, Client *c, Meant meant) {
  at = hex(at, meant.at, 16);
  *at++ = '-';
  at = hex(at, (uint64_t)(c - clients), 8);
  *at++ = '-';
  hex(at, meant.number, 10);
}

static void write_tcp(Client *c, const uint8_t *end) {
  socket_write(&c->tcp, out, (size_t)(end - out));
  c->wrote_at = now_ns();
}

static uint8_t *put_cursor(uint8_t *at, int field, Client *c) {
  uint8_t cursor[96], *end = put_bytes(cursor, 1, c->conversation, strlen(c->conversation));
  end = put_number(end, 2, c->sequence.base);
  return put_bytes(at, field, cursor, (size_t)(end - cursor));
}

static uint8_t *put_ack(uint8_t *at, Client *c) {
  uint8_t ack[128], *end = put_cursor(ack, 1, c);
  c->acked = c->sequence.base;
  c->unacked = 0;
  return append_frame(at, CMD_CONTROL, BODY_ACK, ack, (size_t)(end - ack));
}

/* Asks for what follows the cursor. */
static void sync_from(Client *c) {
  uint8_t sync[128], *end = put_cursor(sync, 1, c);
  c->synced = true;
  write_tcp(c, append_frame(out, CMD_CONTROL, BODY_SYNC, sync, (size_t)(end - sync)));
}

/* The client's next `count` messages: meant for now, unless they are offered at their own times. */
static void take_next(Client *c, uint32_t count) {
  uint64_t now = now_ns();
  for (uint32_t i = 0; i < count; i++) {
    uint64_t at = options.rate == 0 ? now : c->queue[c->queue_first++ % QUEUE];
    c->meant[i] = (Meant){at, ++c->count};
  }
  if (options.rate > 0) c->queue_count -= count;
}

static uint8_t *put_send(uint8_t *at, Client *c, uint32_t count) {
  size_t name = strlen(c->conversation), text_head = options.text < 128 ? 2 : 3;
  uint8_t *end = body;
  for (uint32_t i = 0; i < count; i++) {
    uint8_t id[ID_LENGTH];
    write_id(id, c, c->meant[i]);
    end = put_varint(put_varint(end, 1 << 3 | 2), 2 + name + 2 + ID_LENGTH + text_head + options.text);
    end = put_bytes(end, 1, c->conversation, name);
    end = put_bytes(end, 2, id, ID_LENGTH);
    end = put_bytes(end, 3, text, options.text);
  }
  c->under_way = count;
  return append_frame(at, CMD_CONTROL, BODY_SEND, body, (size_t)(end - body));
}

static void post(Client *c) {
  uint8_t id[ID_LENGTH];
  write_id(id, c, c->meant[0]);
  c->under_way = 1;
  int length = snprintf((char *)body, sizeof body, "{\"userId\":%lu,\"receiveUserId\":%lu,\"messageId\":\"%.*s\",\"msg\":\"%.*s\"}",
                        c->user_id, clients[c->partner].user_id, ID_LENGTH, (char *)id, (int)options.text, text);
  int size = snprintf((char *)out, sizeof out,
                      "POST /p2pRoute HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n"
                      "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
                      options.route_host, c->token, length, (char *)body);
  socket_write(&c->http, out, (size_t)size);
}

static uint32_t to_send(Client *c) {
  if (!sending || c->under_way > 0 || c->again > 0 || c - clients >= (long)options.active) return 0;
  uint32_t most = options.http ? 1 : options.window;
  if (options.rate == 0) return most;
  return c->queue_count < most ? c->queue_count : most;
}

/* Writes what is due, all of it at once. */
static void flush(Client *c) {
  uint8_t *end = out;
  uint32_t count = to_send(c);
  if (c->unacked >= ACK_MESSAGES) end = put_ack(end, c);
  if (count > 0) take_next(c, count);
  if (count > 0 && !options.http) end = put_send(end, c, count);
  if (end > out) write_tcp(c, end);
  if (count > 0 && options.http) post(c);
}

static void accepted(Client *c, Meant meant, uint64_t seq, uint64_t now) {
  seen.accepted++;
  if (measuring) histogram_add(&receipts, now - meant.at);
  Seen how = sequence_add(&c->sequence, seq);
  if (how == SEQ_TOO_FAR) fail("%s: a receipt says %lu after %lu", c->conversation, seq, c->sequence.base);
  if (how == SEQ_SEEN && !c->synced) seen.duplicates++;
}

/* What was refused and may be tried again is sent again, with its id, at the client's next turn. */
static void refused(Client *c, Meant meant, const char *code, const char *why, int length) {
  if (seen.refused++ == 0) fprintf(stderr, "load: refused with %.4s: %.*s\n", code, length, why);
  if (memcmp(code, "6000", 4) != 0 && memcmp(code, "8000", 4) != 0) fail("that does not pass");
  c->meant[c->again++] = meant;
}

static bool is_accepted(const char *code) { return memcmp(code, "9000", 4) == 0 || memcmp(code, "7000", 4) == 0; }

static void take_sent(Client *c, Bytes sent, uint64_t now) {
  uint64_t number;
  Bytes receipt = {0, 0}, part = {0, 0};
  uint32_t i = 0;
  for (; take_field(&sent, &number, &receipt); i++) {
    uint64_t seq = 0;
    Bytes code = {0, 0}, why = {0, 0};
    Meant meant = c->meant[i];
    for (int field; (field = take_field(&receipt, &number, &part));) {
      if (field == 1 && (i >= c->under_way || from_hex(part.at, 16) != meant.at))
        fail("%s: a receipt for another message", c->conversation);
      if (field == 2) code = part;
      if (field == 3) why = part;
      if (field == 4) seq = number;
    }
    if (is_accepted((const char *)code.at)) accepted(c, meant, seq, now);
    else refused(c, meant, (const char *)code.at, (const char *)why.at, (int)(why.end - why.at));
  }
  if (i != c->under_way) fail("%s: %u receipts for %u messages", c->conversation, i, c->under_way);
  c->under_way = 0;
}

/* @param live pushed, not read from the log */
static void take_message(Client *c, Bytes message, uint64_t now, bool live) {
  uint64_t number, seq = 0, sender = 0;
  Bytes part = {0, 0}, id = {0, 0}, conversation = {0, 0};
  for (int field; (field = take_field(&message, &number, &part));) {
    if (field == MESSAGE_CONVERSATION) conversation = part;
    if (field == 2) id = part;
    if (field == 3) sender = number;
    if (field == MESSAGE_SEQ) seq = number;
  }
  size_t name = strlen(c->conversation);
  if ((size_t)(conversation.end - conversation.at) != name || memcmp(conversation.at, c->conversation, name) != 0)
    fail("%s: a message of another conversation", c->conversation);
  if (sender == c->user_id) return; /* its receipt counts */
  Seen how = sequence_add(&c->sequence, seq);
  if (how == SEQ_TOO_FAR) fail("%s: message %lu after %lu", c->conversation, seq, c->sequence.base);
  if (how == SEQ_SEEN) {
    if (!c->synced) seen.duplicates++;
    return;
  }
  if (seq < c->last_delivered && !c->synced) seen.disordered++;
  c->last_delivered = seq;
  seen.delivered++;
  seen.read_on += !live;
  c->unacked++;
  if (measuring) histogram_add(&deliveries, now - from_hex(id.at, 16));
}

static void take_page(Client *c, Bytes page, uint64_t now) {
  uint64_t number, through = 0, head = 0;
  Bytes part = {0, 0};
  for (int field; (field = take_field(&page, &number, &part));) {
    if (field == 3) through = number;
    if (field == 4) head = number;
    if (field == 5) take_message(c, part, now, false);
  }
  if (through < head) sync_from(c);
}

static void take_frame(Client *c, Bytes bytes, uint64_t now) {
  Frame f = read_frame(bytes);
  uint64_t number;
  Bytes page = {0, 0};
  switch (f.body) {
  case BODY_MESSAGE:
    return take_message(c, f.value, now, true);
  case BODY_SENT:
    return take_sent(c, f.value, now);
  case BODY_WELCOME: /* the answer to a sync says that the route has seen the login */
    write_tcp(c, append_frame(out, CMD_CONTROL, BODY_SYNC, "", 0));
    c->welcome = true;
    return;
  case BODY_GOODBYE:
    fail("the server says goodbye to %lu: %.*s", c->user_id, (int)(f.value.end - f.value.at), f.value.at);
  case BODY_LAGGING:
    seen.lagging++;
    return sync_from(c);
  case BODY_PAGES:
    if (!c->ready) {
      c->ready = true;
      ready++;
    }
    for (int field; (field = take_field(&f.value, &number, &page));)
      if (field == 1) take_page(c, page, now);
  }
}

static size_t take_bytes(void *who, uint8_t *bytes, size_t length) {
  Client *c = who;
  Bytes rest = {bytes, bytes + length};
  uint64_t now = now_ns();
  progress_at = now;
  for (;;) {
    Bytes start = rest;
    int64_t size = take_varint(&rest);
    if (size < 0 || rest.end - rest.at < size) return (size_t)(start.at - bytes);
    Bytes one = {rest.at, rest.at + size};
    rest.at += size;
    take_frame(c, one, now);
  }
}

static size_t take_answer(void *who, uint8_t *bytes, size_t length) {
  Client *c = who;
  bytes[length] = 0;
  char *answer = (char *)bytes, *content = strstr(answer, "\r\n\r\n"), *size = strcasestr(answer, "content-length:");
  if (!content) return 0;
  content += 4;
  if (!size || size > content) fail("an answer without Content-Length: %s", answer);
  size_t whole = (size_t)(content - answer) + strtoul(size + 15, NULL, 10);
  if (length < whole) return 0;
  char *code = strstr(content, "\"code\":\""), *seq = strstr(content, "\"seq\":");
  if (!code) fail("an answer without a code: %s", answer);
  if (seq && is_accepted(code + 8)) accepted(c, c->meant[0], strtoul(seq + 6, NULL, 10), now_ns());
  else refused(c, c->meant[0], code + 8, content, (int)(whole - (size_t)(content - answer)));
  c->under_way = 0;
  return whole;
}

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

/* One turn of the clients' clocks: every 200 ms each acknowledges, tries again what was refused, and pings if it wrote nothing for long. */
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
