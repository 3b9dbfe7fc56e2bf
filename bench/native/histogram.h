/* Times in nanoseconds, kept to within 3 %: 32 steps for each power of two. */
#ifndef HISTOGRAM_H
#define HISTOGRAM_H
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define STEPS 32
#define STEP_BITS 5

typedef struct {
  uint64_t counts[64 * STEPS];
  uint64_t count;
  uint64_t max;
} Histogram;

static inline void histogram_clear(Histogram *h) { memset(h, 0, sizeof *h); }

static inline void histogram_add(Histogram *h, uint64_t ns) {
  int shift = ns < STEPS ? 0 : 63 - __builtin_clzll(ns) - STEP_BITS;
  h->counts[shift * STEPS + (ns >> shift)]++;
  h->count++;
  if (ns > h->max) h->max = ns;
}

/* The time that `part` (0 to 1) of all do not exceed; 0 without any. */
static inline uint64_t histogram_at(const Histogram *h, double part) {
  uint64_t rank = (uint64_t)(part * (double)h->count + 0.999999), seen = 0;
  if (rank == 0) rank = 1;
  for (uint64_t i = 0; i < 64 * STEPS; i++) {
    seen += h->counts[i];
    if (seen < rank) continue;
    uint64_t shift = i < 2 * STEPS ? 0 : i / STEPS - 1;
    uint64_t top = ((i - shift * STEPS + 1) << shift) - 1;
    return top < h->max ? top : h->max;
  }
  return h->max;
}

static inline void histogram_print(FILE *out, const char *name, const Histogram *h) {
  fprintf(out, "\"%s\":{\"count\":%lu,\"p50Ms\":%.3f,\"p99Ms\":%.3f,\"maxMs\":%.3f}", name, h->count,
          (double)histogram_at(h, 0.5) / 1e6, (double)histogram_at(h, 0.99) / 1e6, (double)h->max / 1e6);
}
#endif
