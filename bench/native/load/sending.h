/* What clients say: Sends or POSTs, acknowledgements, and questions for what is missing. */
#ifndef LOAD_SENDING_H
#define LOAD_SENDING_H
#include "../frame.h"
#include "state.h"

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
#endif
