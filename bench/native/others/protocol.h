/* What a client of another system has to say and hear to do the same jobs as one of ours. */
#ifndef OTHERS_PROTOCOL_H
#define OTHERS_PROTOCOL_H
#include "../loop.h"

typedef enum {
  NOTHING,
  LOGGED_IN,
  SUBSCRIBED, /* to its own topic, and to that of all */
  ACCEPTED,   /* the oldest of what it said that was not yet */
  MESSAGE,    /* `text` came */
  REFUSED
} Event;

typedef struct {
  const uint8_t *at, *end;
} Span;

/* What a client knows of its own conversation with the server. */
typedef struct {
  uint32_t id;
  uint32_t stage;
  uint32_t heard, accepted, said;
} Talk;

/* Writes to `out`, which has room for it, and answers where that ends. */
typedef struct {
  const char *name;
  uint8_t *(*hello)(Talk *talk, uint8_t *out);
  uint8_t *(*subscribe)(Talk *talk, uint8_t *out);
  /* `to`: a client, or EVERYONE. */
  uint8_t *(*say)(Talk *talk, uint32_t to, const char *text, size_t length, uint8_t *out);
  /*
   * Takes one whole packet off the front of `bytes` and answers its length, or 0 when it is not all there. What is to
   * be answered at once goes to `*out`.
   */
  size_t (*take)(Talk *talk, Span bytes, Event *event, Span *text, uint8_t **out);
} Protocol;

#define EVERYONE UINT32_MAX

static inline uint8_t *put_text(uint8_t *out, const char *text, size_t length) {
  memcpy(out, text, length);
  return out + length;
}

static inline const uint8_t *find(Span in, const char *what) {
  return memmem(in.at, (size_t)(in.end - in.at), what, strlen(what));
}
#endif
