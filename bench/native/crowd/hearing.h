/* What comes to a client: messages in their order, what it missed of them, and its acknowledgements. */
#ifndef CROWD_HEARING_H
#define CROWD_HEARING_H
#include "state.h"

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

static void take_lagging(uint32_t id) {
  seen.lagging++;
  if (clients[id].seq && !clients[id].asking) ask_for_missed(id);
}
#endif
