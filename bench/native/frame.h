/* The frames of CIM that a light client and a bare server need (proto/cim.proto). */
#ifndef FRAME_H
#define FRAME_H
#include <stdint.h>
#include <string.h>

enum { CMD_LOGIN = 0, CMD_MESSAGE = 1, CMD_PING = 2, CMD_CONTROL = 16 };
enum {
  BODY_LOGIN = 16,
  BODY_WELCOME = 17,
  BODY_GOODBYE = 18,
  BODY_MESSAGE = 19,
  BODY_SEND = 20,
  BODY_SENT = 21,
  BODY_ACK = 22,
  BODY_SYNC = 23,
  BODY_PAGES = 24,
  BODY_LAGGING = 25
};

typedef struct {
  const uint8_t *at, *end;
} Bytes;

typedef struct {
  uint64_t cmd;
  int body; /* field number; 0: none */
  Bytes value;
} Frame;

/* Reads a varint and moves on; -1 when there is none. */
static inline int64_t take_varint(Bytes *b) {
  uint64_t value = 0;
  for (int shift = 0; b->at < b->end && shift < 63; shift += 7) {
    uint8_t byte = *b->at++;
    value |= (uint64_t)(byte & 0x7f) << shift;
    if (byte < 0x80) return (int64_t)value;
  }
  return -1;
}

/* The next field: its number, with `value` for a varint or `bytes` for anything with a length; 0 at the end. */
static inline int take_field(Bytes *b, uint64_t *value, Bytes *bytes) {
  if (b->at >= b->end) return 0;
  int64_t tag = take_varint(b);
  if (tag < 0) return 0;
  int64_t number = take_varint(b);
  if (number < 0) return 0;
  *value = (uint64_t)number;
  if ((tag & 7) == 2) {
    if (number > b->end - b->at) return 0;
    bytes->at = b->at;
    bytes->end = b->at += number;
  }
  return (int)(tag >> 3);
}

static inline Frame read_frame(Bytes bytes) {
  Frame frame = {0, 0, {0, 0}};
  uint64_t value = 0;
  Bytes part = {0, 0};
  for (int field; (field = take_field(&bytes, &value, &part));) {
    if (field == 3) frame.cmd = value;
    if (field >= BODY_LOGIN) {
      frame.body = field;
      frame.value = part;
    }
  }
  return frame;
}

static inline uint8_t *put_varint(uint8_t *at, uint64_t value) {
  while (value > 0x7f) {
    *at++ = (uint8_t)(value | 0x80);
    value >>= 7;
  }
  *at++ = (uint8_t)value;
  return at;
}

static inline uint8_t *put_bytes(uint8_t *at, int field, const void *bytes, size_t length) {
  at = put_varint(put_varint(at, (uint64_t)field << 3 | 2), length);
  memcpy(at, bytes, length);
  return at + length;
}

static inline uint8_t *put_number(uint8_t *at, int field, uint64_t value) {
  return put_varint(put_varint(at, (uint64_t)field << 3), value);
}

#define FRAME_ROOM 4096

/* Writes a frame with its length to `out`, of FRAME_ROOM bytes; answers its size. */
static inline size_t put_frame(uint8_t *out, int cmd, int body, const void *bytes, size_t length) {
  uint8_t frame[FRAME_ROOM], *at = frame;
  if (cmd == CMD_PING) at = put_bytes(at, 1, "ping", 4);
  if (cmd != CMD_LOGIN) at = put_number(at, 3, (uint64_t)cmd);
  if (body) at = put_bytes(at, body, bytes, length);
  size_t size = (size_t)(at - frame);
  uint8_t *start = put_varint(out, size);
  memcpy(start, frame, size);
  return (size_t)(start - out) + size;
}

/* Appends a frame of any size, its body in `bytes`, to `at`; answers its end. */
static inline uint8_t *append_frame(uint8_t *at, int cmd, int body, const void *bytes, size_t length) {
  uint8_t head[16], *end = head;
  if (cmd != CMD_LOGIN) end = put_number(end, 3, (uint64_t)cmd);
  end = put_varint(put_varint(end, (uint64_t)body << 3 | 2), length);
  at = put_varint(at, (size_t)(end - head) + length);
  memcpy(at, head, (size_t)(end - head));
  memcpy(at + (end - head), bytes, length);
  return at + (end - head) + length;
}

#define MESSAGE_CONVERSATION 1
#define MESSAGE_TEXT 6
#define MESSAGE_SEQ 15
#endif
