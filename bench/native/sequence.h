/* Which numbers of a conversation were seen: 1, 2, 3 … each once, a bounded way out of order. */
#ifndef SEQUENCE_H
#define SEQUENCE_H
#include <stdbool.h>
#include <stdint.h>

#define SEQUENCE_AHEAD 8192

typedef struct {
  uint64_t base; /* all up to it were seen */
  uint64_t highest;
  uint64_t bits[SEQUENCE_AHEAD / 64];
} Sequence;

typedef enum { SEQ_NEW, SEQ_SEEN, SEQ_TOO_FAR } Seen;

static inline uint64_t *sequence_word(Sequence *s, uint64_t seq) {
  return &s->bits[seq / 64 % (SEQUENCE_AHEAD / 64)];
}

static inline Seen sequence_add(Sequence *s, uint64_t seq) {
  if (seq <= s->base) return SEQ_SEEN;
  if (seq >= s->base + SEQUENCE_AHEAD) return SEQ_TOO_FAR;
  uint64_t *word = sequence_word(s, seq), bit = 1ull << seq % 64;
  if (*word & bit) return SEQ_SEEN;
  *word |= bit;
  if (seq > s->highest) s->highest = seq;
  while (*(word = sequence_word(s, s->base + 1)) & (bit = 1ull << (s->base + 1) % 64)) {
    *word &= ~bit;
    s->base++;
  }
  return SEQ_NEW;
}

static inline bool sequence_has_hole(const Sequence *s) { return s->base != s->highest; }
#endif
