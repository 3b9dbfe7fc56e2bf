/*
 * Light clients of other systems, for the same jobs as ours. Commands on stdin, one JSON line on stdout for each answer.
 *
 *   connect <under way>                     all of them, so many at a time; answers when all are in
 *   chat <window> <bytes> <warm-up ms> <ms> each with its neighbour: so many messages under way, each acknowledged
 *   say <bytes>                             the first says one to all; answers when it came to all
 *
 * Options: protocol=mqtt|nats|jetstream|xmpp port= count= first=
 */
#include "loop.h"

#include "histogram.h"
#include "others/mqtt.h"
#include "others/nats.h"
#include "others/protocol.h"
#include "others/xmpp.h"

#define READ_BYTES (256 * 1024)
#define OUT_BYTES (512 * 1024)
#define WINDOW 1024
#define MS 1000000u
#define ALL_WITHIN_MS 10000

typedef struct {
  int fd, in;
  Talk talk;
  uint8_t *rest;
  size_t rest_length;
  uint8_t *unsent;
  size_t unsent_length;
  uint64_t said[WINDOW];
  uint32_t first_said, under_way;
} Client;

static const Protocol *PROTOCOLS[] = {&MQTT, &NATS, &JETSTREAM, &XMPP};
static const Protocol *protocol;
static Client *clients;
static uint32_t count, first_id;
static uint16_t port;
static int epoll;
static uint8_t input[READ_BYTES], output[OUT_BYTES];

static struct {
  uint32_t limit, next, in, refused;
  uint64_t began;
} joining;
static struct {
  int on, measuring;
  uint32_t window, bytes;
  uint64_t warm_until, until, accepted, delivered, refused;
  double processor;
  Histogram receipt, delivery;
} chat;
static struct {
  uint32_t bytes, deliveries;
  uint64_t at, deadline;
} speech;

static void report_joined(void) {
  printf("{\"event\":\"connected\",\"in\":%u,\"refused\":%u,\"seconds\":%.3f}\n", joining.in, joining.refused,
         (double)(now_ns() - joining.began) / 1e9);
  fflush(stdout);
  joining.limit = 0;
}

static void report_chat(void) {
  double seconds = (double)(chat.until - chat.warm_until) / 1e9;
  printf("{\"event\":\"chatted\",\"seconds\":%.3f,\"accepted\":%lu,\"delivered\":%lu,\"refused\":%lu,\"processorSeconds\":%.3f,",
         seconds, chat.accepted, chat.delivered, chat.refused, processor_seconds() - chat.processor);
  histogram_print(stdout, "receipt", &chat.receipt);
  putchar(',');
  histogram_print(stdout, "delivery", &chat.delivery);
  printf("}\n");
  fflush(stdout);
  chat.on = 0;
}

static void drop(Client *c) {
  close(c->fd);
  c->fd = -1;
  if (!c->in) joining.refused++;
  else fprintf(stderr, "others: a connection was closed\n");
}

static void flush_unsent(Client *c) {
  ssize_t sent = write(c->fd, c->unsent, c->unsent_length);
  if (sent <= 0) return;
  c->unsent_length -= (size_t)sent;
  memmove(c->unsent, c->unsent + sent, c->unsent_length);
}

static void send_bytes(Client *c, const uint8_t *bytes, size_t length) {
  if (length == 0 || c->fd < 0) return;
  ssize_t sent = c->unsent_length ? 0 : write(c->fd, bytes, length);
  if (sent < 0) sent = 0;
  if ((size_t)sent == length) return;
  c->unsent = realloc(c->unsent, c->unsent_length + length - (size_t)sent);
  memcpy(c->unsent + c->unsent_length, bytes + sent, length - (size_t)sent);
  c->unsent_length += length - (size_t)sent;
}

static uint8_t *put_said(Client *c, uint32_t to, uint32_t bytes, uint8_t *out) {
  char text[2048];
  uint64_t now = now_ns();
  memset(text, 'x', sizeof text);
  text[sprintf(text, "%lu", now)] = ' ';
  c->said[(c->first_said + c->under_way++) % WINDOW] = now;
  return protocol->say(&c->talk, to, text, bytes, out);
}

static uint32_t neighbour_of(uint32_t i) { return first_id + (i ^ 1); }

static void speak(void) {
  uint8_t out[4096];
  speech.at = now_ns();
  speech.deadline = speech.at + (uint64_t)ALL_WITHIN_MS * MS;
  speech.deliveries = 0;
  uint8_t *end = put_said(&clients[0], EVERYONE, speech.bytes, out);
  send_bytes(&clients[0], out, (size_t)(end - out));
}

static void end_speech(void) {
  printf("{\"event\":\"said\",\"deliveries\":%u,\"lastMs\":%.3f}\n", speech.deliveries, (double)(now_ns() - speech.at) / 1e6);
  fflush(stdout);
  speech.deadline = 0;
}

static void take_event(uint32_t i, Event event, Span text, uint8_t **out) {
  Client *c = &clients[i];
  uint64_t now = now_ns(), said = 0;
  if (event == LOGGED_IN) *out = protocol->subscribe(&c->talk, *out);
  if (event == SUBSCRIBED) {
    c->in = 1;
    if (++joining.in == count) report_joined();
  }
  if (event == REFUSED && c->in) chat.refused++;
  if (event == REFUSED && !c->in) drop(c);
  if (event == ACCEPTED && c->under_way) {
    if (chat.measuring) histogram_add(&chat.receipt, now - c->said[c->first_said % WINDOW]);
    c->first_said++;
    c->under_way--;
    chat.accepted++;
    if (chat.on) *out = put_said(c, neighbour_of(i), chat.bytes, *out);
  }
  if (event == MESSAGE) {
    for (const uint8_t *at = text.at; at < text.end && *at >= '0' && *at <= '9'; at++) said = said * 10 + (uint64_t)(*at - '0');
    chat.delivered++;
    if (chat.measuring) histogram_add(&chat.delivery, now - said);
    if (speech.deadline && said >= speech.at && ++speech.deliveries == count) end_speech();
  }
}

static void read_socket(uint32_t i) {
  Client *c = &clients[i];
  if (c->rest_length) memcpy(input, c->rest, c->rest_length);
  size_t kept = c->rest_length;
  ssize_t got = read(c->fd, input + kept, READ_BYTES - kept);
  if (got < 0 && errno == EAGAIN) return;
  if (got <= 0) {
    drop(c);
    return;
  }
  Span bytes = {input, input + kept + got};
  uint8_t *out = output;
  while (bytes.at < bytes.end) {
    Event event = NOTHING;
    Span text = {0, 0};
    size_t length = protocol->take(&c->talk, bytes, &event, &text, &out);
    if (length == 0) break;
    take_event(i, event, text, &out);
    if (c->fd < 0) return;
    bytes.at += length;
  }
  c->rest_length = (size_t)(bytes.end - bytes.at);
  if (c->rest_length) {
    c->rest = realloc(c->rest, c->rest_length);
    memcpy(c->rest, bytes.at, c->rest_length);
  }
  send_bytes(c, output, (size_t)(out - output));
}

static void begin(uint32_t i) {
  Client *c = &clients[i];
  c->talk = (Talk){.id = first_id + i};
  uint32_t source = htonl(0x7f020000u + 1 + (first_id + i) / 20000);
  c->fd = begin_connect(source, htonl(INADDR_LOOPBACK), port);
  if (c->fd < 0) fail("connect: %s", strerror(errno));
  watch_fd(epoll, c->fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, i);
  uint8_t out[1024];
  c->unsent_length = (size_t)(protocol->hello(&c->talk, out) - out);
  c->unsent = malloc(c->unsent_length);
  memcpy(c->unsent, out, c->unsent_length);
}

static void begin_chat(void) {
  for (uint32_t i = 0; i < count; i++) {
    uint8_t *out = output;
    for (uint32_t k = 0; k < chat.window; k++) out = put_said(&clients[i], neighbour_of(i), chat.bytes, out);
    send_bytes(&clients[i], output, (size_t)(out - output));
  }
}

static void take_command(char *line) {
  uint32_t warm_ms, ms;
  if (sscanf(line, "connect %u", &joining.limit) == 1) {
    joining.began = now_ns();
  } else if (sscanf(line, "chat %u %u %u %u", &chat.window, &chat.bytes, &warm_ms, &ms) == 4) {
    chat.on = 1;
    chat.warm_until = now_ns() + (uint64_t)warm_ms * MS;
    chat.until = chat.warm_until + (uint64_t)ms * MS;
    begin_chat();
  } else if (sscanf(line, "say %u", &speech.bytes) == 1) {
    speak();
  }
}

static void look_at_clock(void) {
  uint64_t now = now_ns();
  while (joining.limit && joining.next < count && joining.next - joining.in - joining.refused < joining.limit) begin(joining.next++);
  if (joining.limit && joining.next == count && joining.in + joining.refused == count) report_joined();
  if (chat.on && !chat.measuring && now >= chat.warm_until) {
    chat.measuring = 1;
    chat.warm_until = now;
    chat.accepted = chat.delivered = chat.refused = 0;
    chat.processor = processor_seconds();
    printf("{\"event\":\"measuring\"}\n");
    fflush(stdout);
  }
  if (chat.on && now >= chat.until) {
    chat.until = now;
    report_chat();
    chat.measuring = 0;
  }
  if (speech.deadline && now >= speech.deadline) end_speech();
}

int main(int argc, char **argv) {
  const char *name = option(argc, argv, "protocol", "mqtt");
  for (size_t i = 0; i < sizeof PROTOCOLS / sizeof *PROTOCOLS; i++)
    if (strcmp(PROTOCOLS[i]->name, name) == 0) protocol = PROTOCOLS[i];
  if (!protocol) fail("protocol=%s: there is no such protocol", name);
  count = (uint32_t)atoi(option(argc, argv, "count", "2"));
  first_id = (uint32_t)atoi(option(argc, argv, "first", "0"));
  port = (uint16_t)atoi(option(argc, argv, "port", "0"));
  clients = calloc(count, sizeof(Client));
  epoll = epoll_create1(0);
  fcntl(0, F_SETFL, O_NONBLOCK);
  watch_fd(epoll, 0, EPOLLIN, UINT32_MAX);
  printf("{\"event\":\"ready\"}\n");
  fflush(stdout);
  struct epoll_event events[512];
  for (;;) {
    int n = epoll_wait(epoll, events, 512, 1);
    for (int i = 0; i < n; i++) {
      uint64_t id = events[i].data.u64;
      if (id == UINT32_MAX) {
        read_commands(take_command);
        continue;
      }
      if (clients[id].fd < 0) continue;
      if ((events[i].events & EPOLLOUT) && clients[id].unsent_length) flush_unsent(&clients[id]);
      if (events[i].events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) read_socket((uint32_t)id);
    }
    look_at_clock();
  }
}
