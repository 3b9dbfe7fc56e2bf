/* What a crowd knows: its options, its clients, what is to be done, and what it has seen. */
#ifndef CROWD_STATE_H
#define CROWD_STATE_H
#include "../loop.h"

#include "../frame.h"
#include "../histogram.h"
#include "../wheel.h"

#define MS 1000000u
#define OPEN_TIMEOUT_MS 10000
#define STEADY_MS 10000
#define TRIES_AT_A_SERVER 2
#define BACKOFF_FIRST_MS 200
#define BACKOFF_MAX_MS 30000
#define ACK_MS 3000
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

/* Tells all that was counted. */
static void log_stats(const char *event) {
  printf("{\"event\":\"%s\",\"processorSeconds\":%.3f,", event, processor_seconds());
  const struct {
    const char *name;
    uint64_t value;
  } numbers[] = {
      {"connected", connected},         {"in", seen.in},
      {"failed", seen.failed},          {"refused", seen.refused},
      {"hung", seen.hung},              {"closed", seen.closed},
      {"goodbyes", seen.goodbyes},      {"resumes", seen.resumes},
      {"deliveries", seen.deliveries},  {"duplicates", seen.duplicates},
      {"holes", seen.holes},            {"lagging", seen.lagging},
      {"readOn", seen.read_on},         {"receipts", seen.receipts},
      {"blocked", seen.blocked},        {"nowNs", now_ns()},
      {"beganNs", joining.began},       {"lastInNs", seen.last_in},
      {"saidNs", saying.last},          {"firstNs", seen.first},
      {"lastNs", seen.last},
  };
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) printf("\"%s\":%lu,", numbers[i].name, numbers[i].value);
  const Histogram *all[] = {&seen.delivery, &seen.ping, &seen.late, &seen.receipt, &seen.login, &seen.away};
  const char *names[] = {"delivery", "ping", "late", "receipt", "login", "away"};
  for (int i = 0; i < 6; i++) {
    if (i) putchar(',');
    histogram_print(stdout, names[i], all[i]);
  }
  printf("}\n");
  fflush(stdout);
}
#endif
