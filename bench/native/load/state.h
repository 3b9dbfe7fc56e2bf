/* What the load generator knows: its options, its clients, and what it has seen. */
#ifndef LOAD_STATE_H
#define LOAD_STATE_H
#include "../histogram.h"
#include "../sequence.h"
#include "../socket.h"

#define MAX_WINDOW 256
#define QUEUE 1024 /* offered messages that wait for a client, a power of two */
#define ACK_MESSAGES 64
#define ID_LENGTH 36 /* <16 hex: when it was meant to be sent, ns>-<8 hex: client>-<10 hex: count> */

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
#endif
