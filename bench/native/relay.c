/*
 * The floor under private messages: one process that does only the system calls. For each Send it reads, it writes the
 * messages to the receiver and the receipts to the sender, with the numbers they would have; nothing is checked. POSTs
 * do as well as Sends. A token is the user's number in decimal. Prints its ports, for clients and for HTTP, once it
 * listens. What it may be given, in pairs:
 *   write <file>   appends all messages that came at once to the file, in one write, before it writes to anyone
 *   sync <file>    and waits until they are on the disk
 *   lose <n>, double <n>   leaves out every nth message, or sends it twice: so a test sees that it is noticed
 *   refuse <n>   refuses every nth Send in a way that may pass
 */
#define _GNU_SOURCE
#include "frame.h"
#include "socket.h"

#define MAX_USERS 20000
#define MAX_EVENTS 4096

typedef struct {
  Socket socket;
  uint32_t user_id;
  bool http, waits;
} Peer;

static Peer *peers[1 << 16];        /* by descriptor */
static Peer *users[MAX_USERS + 1];  /* who is connected, by number */
static uint64_t seqs[MAX_USERS + 1]; /* of the conversation whose lower user this is: each has one */
static int epoll;
static uint64_t lose, twice, refuse, passed, sends;
static int file = -1;
static bool sync_file;
static uint8_t *kept; /* messages that go to the file next */
static size_t kept_length, kept_room;
static Peer *waiting[MAX_EVENTS * 2]; /* until then */
static size_t waiting_count;
static uint8_t message[READ_ROOM], receipts[READ_ROOM], to_receiver[2 * READ_ROOM], to_sender[READ_ROOM];

/* Writes to a peer: at once, or after what it is about was written to the file. */
static void say(Peer *peer, const uint8_t *bytes, size_t length) {
  if (file < 0) return socket_write(&peer->socket, bytes, length);
  keep(&peer->socket, bytes, length);
  if (peer->waits) return;
  peer->waits = true;
  waiting[waiting_count++] = peer;
}

static void store(const uint8_t *bytes, size_t length) {
  if (file < 0) return;
  if (kept_length + length > kept_room) kept = realloc(kept, kept_room = (kept_length + length) * 2);
  memcpy(kept + kept_length, bytes, length);
  kept_length += length;
}

/* Ends a round: to the file, then to those who wait. */
static void settle(void) {
  if (kept_length > 0) {
    if (write(file, kept, kept_length) != (ssize_t)kept_length) fail("write: %s", strerror(errno));
    if (sync_file && fdatasync(file) < 0) fail("fdatasync: %s", strerror(errno));
    kept_length = 0;
  }
  for (size_t i = 0; i < waiting_count; i++) {
    waiting[i]->waits = false;
    socket_drain(&waiting[i]->socket);
  }
  waiting_count = 0;
}

static uint64_t milliseconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static uint32_t number_in(Bytes digits) {
  uint32_t value = 0;
  for (; digits.at < digits.end && *digits.at >= '0' && *digits.at <= '9'; digits.at++)
    value = value * 10 + (uint32_t)(*digits.at - '0');
  return value <= MAX_USERS ? value : 0;
}

/* Appends one message as its receiver gets it. */
static uint8_t *put_message(uint8_t *at, Bytes conversation, Bytes id, uint32_t sender, Bytes text, uint64_t now,
                            uint64_t seq) {
  uint8_t *end = put_bytes(message, MESSAGE_CONVERSATION, conversation.at, (size_t)(conversation.end - conversation.at));
  end = put_bytes(end, 2, id.at, (size_t)(id.end - id.at));
  end = put_number(end, 3, sender);
  end = put_bytes(end, 4, "load-000", 8);
  end = put_number(end, 5, now);
  end = put_bytes(end, MESSAGE_TEXT, text.at, (size_t)(text.end - text.at));
  end = put_number(end, MESSAGE_SEQ, seq);
  return append_frame(at, CMD_MESSAGE, BODY_MESSAGE, message, (size_t)(end - message));
}

/* @param seq 0: it is refused */
static uint8_t *put_receipt(uint8_t *at, Bytes id, uint64_t now, uint64_t seq) {
  uint8_t receipt[256], *end = put_bytes(receipt, 1, id.at, (size_t)(id.end - id.at));
  end = put_bytes(end, 2, seq > 0 ? "9000" : "8000", 4);
  end = put_number(put_number(end, 4, seq), 5, now);
  return put_bytes(at, 1, receipt, (size_t)(end - receipt));
}

/* "p2p:<lower>:<higher>": who of the two it is for, and the lower one. */
static uint32_t receiver_in(Bytes conversation, uint32_t sender, uint32_t *lower) {
  conversation.at += 4;
  *lower = number_in(conversation);
  while (conversation.at < conversation.end && *conversation.at++ != ':') continue;
  return sender == *lower ? number_in(conversation) : *lower;
}

/* How often the next message is to go. */
static uint32_t passes(void) {
  passed++;
  if (lose > 0 && passed % lose == 0) return 0;
  return twice > 0 && passed % twice == 0 ? 2 : 1;
}

static void take_send(Peer *peer, Bytes send) {
  uint64_t number, now = milliseconds();
  uint32_t receiver = 0, lower;
  bool refused = refuse > 0 && ++sends % refuse == 0;
  Bytes outgoing = {0, 0}, part = {0, 0};
  uint8_t *end = to_receiver, *receipts_end = receipts;
  while (take_field(&send, &number, &outgoing)) {
    Bytes parts[4] = {0};
    for (int field; (field = take_field(&outgoing, &number, &part));)
      if (field <= 3) parts[field] = part;
    receiver = receiver_in(parts[1], peer->user_id, &lower);
    uint64_t seq = refused ? 0 : ++seqs[lower];
    uint32_t times = refused ? 0 : passes();
    while (times-- > 0) end = put_message(end, parts[1], parts[2], peer->user_id, parts[3], now, seq);
    receipts_end = put_receipt(receipts_end, parts[2], now, seq);
  }
  store(to_receiver, (size_t)(end - to_receiver));
  if (users[receiver] && end > to_receiver) say(users[receiver], to_receiver, (size_t)(end - to_receiver));
  end = append_frame(to_sender, CMD_CONTROL, BODY_SENT, receipts, (size_t)(receipts_end - receipts));
  say(peer, to_sender, (size_t)(end - to_sender));
}

static void take_login(Peer *peer, Bytes login) {
  uint64_t number;
  Bytes token = {0, 0};
  take_field(&login, &number, &token);
  peer->user_id = number_in(token);
  users[peer->user_id] = peer;
  say(peer, to_sender, (size_t)(append_frame(to_sender, CMD_CONTROL, BODY_WELCOME, "", 0) - to_sender));
}

static void take_frame(Peer *peer, Bytes bytes) {
  Frame f = read_frame(bytes);
  if (f.body == BODY_SEND) take_send(peer, f.value);
  else if (f.body == BODY_LOGIN) take_login(peer, f.value);
  else if (f.body == BODY_SYNC)
    say(peer, to_sender, (size_t)(append_frame(to_sender, CMD_CONTROL, BODY_PAGES, "", 0) - to_sender));
}

static size_t take_bytes(void *who, uint8_t *bytes, size_t length) {
  Bytes rest = {bytes, bytes + length};
  for (;;) {
    Bytes start = rest;
    int64_t size = take_varint(&rest);
    if (size < 0 || rest.end - rest.at < size) return (size_t)(start.at - bytes);
    Bytes one = {rest.at, rest.at + size};
    rest.at += size;
    take_frame(who, one);
  }
}

/* The value behind `name`, up to the next of `,"}`. */
static Bytes json_value(char *body, const char *name) {
  char *at = strstr(body, name);
  if (!at) fail("a body without %s: %s", name, body);
  at += strlen(name);
  return (Bytes){(uint8_t *)at, (uint8_t *)at + strcspn(at, ",\"}")};
}

static void take_post(Peer *peer, char *body) {
  uint32_t sender = number_in(json_value(body, "\"userId\":")), receiver = number_in(json_value(body, "\"receiveUserId\":"));
  Bytes id = json_value(body, "\"messageId\":\""), text = json_value(body, "\"msg\":\"");
  uint32_t lower = sender < receiver ? sender : receiver, higher = sender + receiver - lower;
  char name[64], json[512];
  Bytes conversation = {(uint8_t *)name, (uint8_t *)name + sprintf(name, "p2p:%u:%u", lower, higher)};
  uint64_t seq = ++seqs[lower];
  uint8_t *end = put_message(to_receiver, conversation, id, sender, text, milliseconds(), seq);
  store(to_receiver, (size_t)(end - to_receiver));
  if (users[receiver]) say(users[receiver], to_receiver, (size_t)(end - to_receiver));
  int length = sprintf(json,
                       "{\"code\":\"9000\",\"message\":\"success\",\"reqNo\":null,\"dataBody\":{\"messageId\":\"%.*s\","
                       "\"seq\":%lu,\"conversation\":\"%s\"}}",
                       (int)(id.end - id.at), id.at, seq, name);
  int size = sprintf((char *)to_sender, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
                     length, json);
  say(peer, to_sender, (size_t)size);
}

static size_t take_request(void *who, uint8_t *bytes, size_t length) {
  bytes[length] = 0;
  char *request = (char *)bytes, *body = strstr(request, "\r\n\r\n"), *size = strcasestr(request, "content-length:");
  if (!body) return 0;
  body += 4;
  size_t whole = (size_t)(body - request) + (size ? strtoul(size + 15, NULL, 10) : 0);
  if (length < whole) return 0;
  take_post(who, body);
  return whole;
}

static int listen_on(int *port) {
  struct sockaddr_in address = address_of("127.0.0.1", 0);
  socklen_t size = sizeof address;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (bind(fd, (struct sockaddr *)&address, size) < 0 || listen(fd, 4096) < 0) fail("listen: %s", strerror(errno));
  getsockname(fd, (struct sockaddr *)&address, &size);
  *port = ntohs(address.sin_port);
  struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
  epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
  return fd;
}

static void accept_all(int listener, bool http) {
  for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0;) {
    no_delay(fd);
    peers[fd] = calloc(1, sizeof(Peer));
    peers[fd]->socket.fd = fd;
    peers[fd]->http = http;
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.fd = fd};
    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
  }
}

static void on_event(struct epoll_event *event) {
  Peer *peer = peers[event->data.fd];
  if (event->events & EPOLLOUT) socket_drain(&peer->socket);
  if (!(event->events & EPOLLIN)) return;
  for (bool more = true; more;) {
    if (socket_read(&peer->socket, peer, peer->http ? take_request : take_bytes, &more)) continue;
    users[peer->user_id] = NULL;
    peer->socket.out_length = 0;
    close(peer->socket.fd);
    return;
  }
}

static void read_option(const char *name, const char *value) {
  if (strcmp(name, "refuse") == 0) refuse = strtoul(value, NULL, 10);
  else if (strcmp(name, "lose") == 0) lose = strtoul(value, NULL, 10);
  else if (strcmp(name, "double") == 0) twice = strtoul(value, NULL, 10);
  else {
    sync_file = strcmp(name, "sync") == 0;
    file = open(value, O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (file < 0) fail("%s: %s", value, strerror(errno));
  }
}

int main(int argc, char **argv) {
  static struct epoll_event events[MAX_EVENTS];
  int port, http_port;
  for (int i = 1; i + 1 < argc; i += 2) read_option(argv[i], argv[i + 1]);
  signal(SIGPIPE, SIG_IGN);
  raise_file_limit();
  epoll = epoll_create1(0);
  int tcp = listen_on(&port), http = listen_on(&http_port);
  printf("%d %d\n", port, http_port);
  fflush(stdout);
  for (;;) {
    int count = epoll_wait(epoll, events, MAX_EVENTS, -1);
    for (int i = 0; i < count; i++) {
      if (events[i].data.fd == tcp) accept_all(tcp, false);
      else if (events[i].data.fd == http) accept_all(http, true);
      else on_event(&events[i]);
    }
    settle();
  }
}
