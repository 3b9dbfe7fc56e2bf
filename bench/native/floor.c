/*
 * A bare server: it makes the system calls that any server of these clients has to make, and does nothing else. It
 * believes every login, answers every ping, writes what one says to all others, and keeps nothing.
 *
 *   floor <port>
 */
#include "loop.h"

#include "frame.h"

#define LISTENERS 32
#define BACKLOG 4096
#define READ_BYTES (256 * 1024)
#define MAX_FILES 200000

static uint8_t opened[MAX_FILES]; /* by file: 1 connected, 2 logged in */
static uint8_t *rest[MAX_FILES];
static uint32_t rest_length[MAX_FILES];
static int highest, epoll;
static uint64_t seq;
static uint8_t buffer[READ_BYTES], hello[FRAME_ROOM], pong[FRAME_ROOM];
static size_t hello_length, pong_length;

static void say(int fd, const uint8_t *bytes, size_t length) {
  if (write(fd, bytes, length) != (ssize_t)length && errno != EPIPE && errno != ECONNRESET) fprintf(stderr, "floor: a short write\n");
}

static void answer_send(int fd, Bytes send) {
  uint64_t value;
  Bytes outgoing = {0, 0}, part = {0, 0}, name = {0, 0}, text = {0, 0};
  take_field(&send, &value, &outgoing);
  for (int field; (field = take_field(&outgoing, &value, &part));) {
    if (field == 2) name = part;
    if (field == 3) text = part;
  }
  uint8_t message[FRAME_ROOM], out[FRAME_ROOM], *at = put_bytes(message, MESSAGE_CONVERSATION, "all", 3);
  at = put_bytes(at, 2, name.at, (size_t)(name.end - name.at));
  at = put_number(at, 3, 100000);
  at = put_bytes(at, 4, "speaker", 7);
  at = put_number(at, 5, 1700000000000u);
  at = put_bytes(at, MESSAGE_TEXT, text.at, (size_t)(text.end - text.at));
  at = put_number(at, MESSAGE_SEQ, ++seq);
  size_t length = put_frame(out, CMD_MESSAGE, BODY_MESSAGE, message, (size_t)(at - message));
  for (int to = 0; to <= highest; to++)
    if (opened[to] == 2 && to != fd) say(to, out, length);
  uint8_t receipt[128], sent[160];
  at = put_bytes(receipt, 1, name.at, (size_t)(name.end - name.at));
  at = put_bytes(at, 2, "9000", 4);
  at = put_number(at, 4, seq);
  at = put_bytes(sent, 1, receipt, (size_t)(at - receipt));
  say(fd, out, put_frame(out, CMD_CONTROL, BODY_SENT, sent, (size_t)(at - sent)));
}

static void take_frame(int fd, Bytes bytes) {
  Frame frame = read_frame(bytes);
  if (frame.body == BODY_LOGIN) {
    opened[fd] = 2;
    say(fd, hello, hello_length);
  } else if (frame.cmd == CMD_PING) {
    say(fd, pong, pong_length);
  } else if (frame.body == BODY_SEND) {
    answer_send(fd, frame.value);
  }
}

static void forget(int fd) {
  close(fd);
  free(rest[fd]);
  rest[fd] = NULL;
  rest_length[fd] = 0;
  opened[fd] = 0;
}

static void read_socket(int fd) {
  if (rest_length[fd]) memcpy(buffer, rest[fd], rest_length[fd]);
  ssize_t got = read(fd, buffer + rest_length[fd], READ_BYTES - rest_length[fd]);
  if (got < 0 && errno == EAGAIN) return;
  if (got <= 0) {
    forget(fd);
    return;
  }
  Bytes bytes = {buffer, buffer + rest_length[fd] + got};
  while (bytes.at < bytes.end) {
    Bytes ahead = bytes;
    int64_t size = take_varint(&ahead);
    if (size < 0 || size > ahead.end - ahead.at) break;
    bytes.at = ahead.at + size;
    take_frame(fd, (Bytes){ahead.at, bytes.at});
  }
  free(rest[fd]);
  rest[fd] = NULL;
  rest_length[fd] = (uint32_t)(bytes.end - bytes.at);
  if (rest_length[fd] == 0) return;
  rest[fd] = malloc(rest_length[fd]);
  memcpy(rest[fd], bytes.at, rest_length[fd]);
}

static void accept_some(int listener) {
  for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0;) {
    no_delay(fd);
    opened[fd] = 1;
    if (fd > highest) highest = fd;
    watch_fd(epoll, fd, EPOLLIN | EPOLLRDHUP, (uint64_t)fd);
  }
}

static void prepare(void) {
  uint8_t body[256], *at = put_bytes(body, 1, "00000000000000000000.1.0000000000", 33);
  at = put_number(at, 2, 60000);
  at = put_number(at, 3, 65536);
  at = put_number(at, 4, 61440);
  hello_length = put_frame(hello, CMD_CONTROL, BODY_WELCOME, body, (size_t)(at - body));
  pong_length = put_frame(pong, CMD_PING, 0, NULL, 0);
}

int main(int argc, char **argv) {
  uint16_t port = (uint16_t)atoi(argc > 1 ? argv[1] : "0");
  static uint8_t listens[MAX_FILES];
  epoll = epoll_create1(0);
  for (int i = 0; i < LISTENERS; i++) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    struct sockaddr_in at = place_of(htonl(INADDR_LOOPBACK), port);
    if (bind(fd, (struct sockaddr *)&at, sizeof at) < 0 || listen(fd, BACKLOG) < 0) fail("listen on %d: %s", port, strerror(errno));
    listens[fd] = 1;
    watch_fd(epoll, fd, EPOLLIN, (uint64_t)fd);
  }
  prepare();
  printf("listening\n");
  fflush(stdout);
  struct epoll_event events[512];
  for (;;) {
    int n = epoll_wait(epoll, events, 512, -1);
    for (int i = 0; i < n; i++) {
      int fd = (int)events[i].data.u64;
      if (listens[fd]) accept_some(fd);
      else read_socket(fd);
    }
  }
}
