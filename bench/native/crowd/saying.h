/* What clients say to everyone, and their receipts. */
#ifndef CROWD_SAYING_H
#define CROWD_SAYING_H
#include "state.h"

/* Writes what waits to be said, if nothing is under way: a client has one Send at a time. */
static void speak(uint32_t id) {
  Client *c = &clients[id];
  Queue *q = &queues[id];
  uint8_t send[FRAME_ROOM], out[FRAME_ROOM], *at = send;
  if (q->under_way || c->state != IN) return;
  while (q->under_way < q->said - q->answered && at - send + saying.bytes < FRAME_ROOM - 512) {
    char text[2048], name[64];
    uint8_t outgoing[FRAME_ROOM], *end = outgoing;
    uint64_t said = q->times[(q->answered + q->under_way++) % QUEUED];
    memset(text, 'x', sizeof text);
    text[sprintf(text, "%lu", said)] = ' ';
    end = put_bytes(end, 1, "all", 3);
    end = put_bytes(end, 2, name, (size_t)sprintf(name, "%u-%lu", saying.number++, said));
    end = put_bytes(end, 3, text, saying.bytes);
    at = put_bytes(at, 1, outgoing, (size_t)(end - outgoing));
  }
  if (q->under_way) say_bytes(c, out, put_frame(out, CMD_CONTROL, BODY_SEND, send, (size_t)(at - send)));
}

static void take_receipts(uint32_t id) {
  Queue *q = &queues[id];
  for (uint64_t now = now_ns(); q->under_way; q->under_way--) {
    histogram_add(&seen.receipt, now - q->times[q->answered++ % QUEUED]);
    seen.receipts++;
    if (saying.receipts && --saying.receipts == 0) log_stats("said");
  }
  speak(id);
}

static void say_some(void) {
  while (saying.left && now_ns() >= saying.next_at) {
    for (uint32_t id = 0; id < saying.speakers; id++) {
      Queue *q = &queues[id];
      if (q->said - q->answered == QUEUED) fail("nothing that was said is answered");
      saying.last = q->times[q->said++ % QUEUED] = now_ns();
      speak(id);
    }
    saying.left--;
    saying.next_at += saying.every;
  }
}
#endif
