/*
 * NATS. Core: with `verbose` the server says +OK to each publication it has read. JetStream: a publication names an
 * inbox, and the acknowledgement comes there once the stream has it; receivers are served by core all the same.
 */
#ifndef OTHERS_NATS_H
#define OTHERS_NATS_H
#include "protocol.h"

static size_t nats_subject(char *out, uint32_t of) {
  return (size_t)(of == EVERYONE ? sprintf(out, "all") : sprintf(out, "u.%u", of));
}

static uint8_t *nats_connect(uint8_t *out, const char *verbose) {
  return out + sprintf((char *)out,
                       "CONNECT {\"verbose\":%s,\"pedantic\":false,\"lang\":\"c\",\"version\":\"1\",\"protocol\":1}\r\n"
                       "PING\r\n",
                       verbose);
}

static uint8_t *nats_hello(Talk *talk, uint8_t *out) {
  (void)talk;
  return nats_connect(out, "true");
}

static uint8_t *jetstream_hello(Talk *talk, uint8_t *out) {
  (void)talk;
  return nats_connect(out, "false");
}

static uint8_t *nats_subscribe(Talk *talk, uint8_t *out) {
  return out + sprintf((char *)out, "SUB u.%u 1\r\nSUB all 2\r\nSUB _INBOX.%u 3\r\nPING\r\n", talk->id, talk->id);
}

static uint8_t *nats_publish(uint32_t to, const char *inbox, const char *text, size_t length, uint8_t *out) {
  char subject[32];
  nats_subject(subject, to);
  out += sprintf((char *)out, "PUB %s %s%zu\r\n", subject, inbox, length);
  return put_text(put_text(out, text, length), "\r\n", 2);
}

static uint8_t *nats_say(Talk *talk, uint32_t to, const char *text, size_t length, uint8_t *out) {
  (void)talk;
  return nats_publish(to, "", text, length, out);
}

static uint8_t *jetstream_say(Talk *talk, uint32_t to, const char *text, size_t length, uint8_t *out) {
  char inbox[32];
  sprintf(inbox, "_INBOX.%u ", talk->id);
  return nats_publish(to, inbox, text, length, out);
}

static size_t nats_take(Talk *talk, Span bytes, Event *event, Span *text, uint8_t **out) {
  const uint8_t *end = find(bytes, "\r\n");
  if (!end) return 0;
  size_t line = (size_t)(end + 2 - bytes.at);
  if (memcmp(bytes.at, "MSG ", 4) == 0) {
    char subject[64], given[256] = {0};
    unsigned sid = 0;
    memcpy(given, bytes.at, line < sizeof given ? line : sizeof given - 1);
    /* The size stands last; before it may stand where to reply. */
    sscanf(given, "MSG %63s %u", subject, &sid);
    const uint8_t *size = end;
    while (size[-1] != ' ') size--;
    size_t length = strtoul((const char *)size, NULL, 10);
    if (line + length + 2 > (size_t)(bytes.end - bytes.at)) return 0;
    *text = (Span){bytes.at + line, bytes.at + line + length};
    *event = sid == 3 ? (find(*text, "\"error\"") ? REFUSED : ACCEPTED) : MESSAGE;
    return line + length + 2;
  }
  if (memcmp(bytes.at, "PING", 4) == 0) *out = put_text(*out, "PONG\r\n", 6);
  else if (memcmp(bytes.at, "PONG", 4) == 0) *event = talk->stage++ == 0 ? LOGGED_IN : SUBSCRIBED;
  else if (memcmp(bytes.at, "+OK", 3) == 0 && talk->stage == 2) *event = ACCEPTED;
  else if (memcmp(bytes.at, "-ERR", 4) == 0) *event = REFUSED;
  return line;
}

static const Protocol NATS = {"nats", nats_hello, nats_subscribe, nats_say, nats_take};
static const Protocol JETSTREAM = {"jetstream", jetstream_hello, nats_subscribe, jetstream_say, nats_take};
#endif
