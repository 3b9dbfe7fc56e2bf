/* Timers by the millisecond, each known by a number: setting and clearing one takes the same time however many there are. */
#ifndef WHEEL_H
#define WHEEL_H
#include <stdint.h>
#include <stdlib.h>

#define WHEEL_SLOTS 65536

typedef struct {
  uint32_t next, before;
  int32_t slot; /* -1: not set */
  uint64_t due; /* ms */
} Timer;

typedef struct {
  Timer *timers;
  uint32_t first[WHEEL_SLOTS]; /* a timer's number plus 1; 0: none */
  uint64_t now;                /* ms up to which everything has fired */
} Wheel;

static inline void wheel_open(Wheel *w, uint32_t timers, uint64_t now_ms) {
  w->timers = calloc(timers, sizeof(Timer));
  for (uint32_t i = 0; i < timers; i++) w->timers[i].slot = -1;
  w->now = now_ms;
}

static inline void wheel_clear(Wheel *w, uint32_t id) {
  Timer *t = &w->timers[id];
  if (t->slot < 0) return;
  if (t->before) w->timers[t->before - 1].next = t->next;
  else w->first[t->slot] = t->next;
  if (t->next) w->timers[t->next - 1].before = t->before;
  t->slot = -1;
}

static inline void wheel_set(Wheel *w, uint32_t id, uint64_t due_ms) {
  wheel_clear(w, id);
  Timer *t = &w->timers[id];
  t->due = due_ms > w->now ? due_ms : w->now + 1;
  uint64_t ahead = t->due - w->now < WHEEL_SLOTS ? t->due - w->now : WHEEL_SLOTS - 1;
  t->slot = (int32_t)((w->now + ahead) % WHEEL_SLOTS);
  t->before = 0;
  t->next = w->first[t->slot];
  if (t->next) w->timers[t->next - 1].before = id + 1;
  w->first[t->slot] = id + 1;
}

/* Calls `fire` for each timer that is due at `now_ms`; it may set and clear timers. */
static inline void wheel_advance(Wheel *w, uint64_t now_ms, void (*fire)(uint32_t id)) {
  while (w->now < now_ms) {
    uint64_t at = ++w->now;
    uint32_t slot = (uint32_t)(at % WHEEL_SLOTS), id;
    while ((id = w->first[slot])) {
      wheel_clear(w, id - 1);
      if (w->timers[id - 1].due <= at) fire(id - 1);
      else wheel_set(w, id - 1, w->timers[id - 1].due);
    }
  }
}
#endif
