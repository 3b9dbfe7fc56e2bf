/* What clients hear, and whether it is right. */
#ifndef LOAD_RECEIVING_H
#define LOAD_RECEIVING_H
#include "sending.h"

static void accepted(Client *c, Meant meant, uint64_t seq, uint64_t now) {
  seen.accepted++;
  if (measuring) histogram_add(&receipts, now - meant.at);
  Seen how = sequence_add(&c->sequence, seq);
  if (how == SEQ_TOO_FAR) fail("%s: a receipt says %lu after %lu", c->conversation, seq, c->sequence.base);
  if (how == SEQ_SEEN && !c->synced) seen.duplicates++;
}

/* What was refused and may be tried again is sent again, with its id, at the client's next turn. */
static void refused(Client *c, Meant meant, const char *code, const char *why, int length) {
  if (seen.refused++ == 0) fprintf(stderr, "load: refused with %.4s: %.*s\n", code, length, why);
  if (memcmp(code, "6000", 4) != 0 && memcmp(code, "8000", 4) != 0) fail("that does not pass");
  c->meant[c->again++] = meant;
}

static bool is_accepted(const char *code) { return memcmp(code, "9000", 4) == 0 || memcmp(code, "7000", 4) == 0; }

static void take_sent(Client *c, Bytes sent, uint64_t now) {
  uint64_t number;
  Bytes receipt = {0, 0}, part = {0, 0};
  uint32_t i = 0;
  for (; take_field(&sent, &number, &receipt); i++) {
    uint64_t seq = 0;
    Bytes code = {0, 0}, why = {0, 0};
    Meant meant = c->meant[i];
    for (int field; (field = take_field(&receipt, &number, &part));) {
      if (field == 1 && (i >= c->under_way || from_hex(part.at, 16) != meant.at))
        fail("%s: a receipt for another message", c->conversation);
      if (field == 2) code = part;
      if (field == 3) why = part;
      if (field == 4) seq = number;
    }
    if (is_accepted((const char *)code.at)) accepted(c, meant, seq, now);
    else refused(c, meant, (const char *)code.at, (const char *)why.at, (int)(why.end - why.at));
  }
  if (i != c->under_way) fail("%s: %u receipts for %u messages", c->conversation, i, c->under_way);
  c->under_way = 0;
}

/* @param live pushed, not read from the log */
static void take_message(Client *c, Bytes message, uint64_t now, bool live) {
  uint64_t number, seq = 0, sender = 0;
  Bytes part = {0, 0}, id = {0, 0}, conversation = {0, 0};
  for (int field; (field = take_field(&message, &number, &part));) {
    if (field == MESSAGE_CONVERSATION) conversation = part;
    if (field == 2) id = part;
    if (field == 3) sender = number;
    if (field == MESSAGE_SEQ) seq = number;
  }
  size_t name = strlen(c->conversation);
  if ((size_t)(conversation.end - conversation.at) != name || memcmp(conversation.at, c->conversation, name) != 0)
    fail("%s: a message of another conversation", c->conversation);
  if (sender == c->user_id) return; /* its receipt counts */
  Seen how = sequence_add(&c->sequence, seq);
  if (how == SEQ_TOO_FAR) fail("%s: message %lu after %lu", c->conversation, seq, c->sequence.base);
  if (how == SEQ_SEEN) {
    if (!c->synced) seen.duplicates++;
    return;
  }
  if (seq < c->last_delivered && !c->synced) seen.disordered++;
  c->last_delivered = seq;
  seen.delivered++;
  seen.read_on += !live;
  c->unacked++;
  if (measuring) histogram_add(&deliveries, now - from_hex(id.at, 16));
}

static void take_page(Client *c, Bytes page, uint64_t now) {
  uint64_t number, through = 0, head = 0;
  Bytes part = {0, 0};
  for (int field; (field = take_field(&page, &number, &part));) {
    if (field == 3) through = number;
    if (field == 4) head = number;
    if (field == 5) take_message(c, part, now, false);
  }
  if (through < head) sync_from(c);
}

static void take_frame(Client *c, Bytes bytes, uint64_t now) {
  Frame f = read_frame(bytes);
  uint64_t number;
  Bytes page = {0, 0};
  switch (f.body) {
  case BODY_MESSAGE:
    return take_message(c, f.value, now, true);
  case BODY_SENT:
    return take_sent(c, f.value, now);
  case BODY_WELCOME: /* the answer to a sync says that the route has seen the login */
    write_tcp(c, append_frame(out, CMD_CONTROL, BODY_SYNC, "", 0));
    c->welcome = true;
    return;
  case BODY_GOODBYE:
    fail("the server says goodbye to %lu: %.*s", c->user_id, (int)(f.value.end - f.value.at), f.value.at);
  case BODY_LAGGING:
    seen.lagging++;
    return sync_from(c);
  case BODY_PAGES:
    if (!c->ready) {
      c->ready = true;
      ready++;
    }
    for (int field; (field = take_field(&f.value, &number, &page));)
      if (field == 1) take_page(c, page, now);
  }
}

static size_t take_bytes(void *who, uint8_t *bytes, size_t length) {
  Client *c = who;
  Bytes rest = {bytes, bytes + length};
  uint64_t now = now_ns();
  progress_at = now;
  for (;;) {
    Bytes start = rest;
    int64_t size = take_varint(&rest);
    if (size < 0 || rest.end - rest.at < size) return (size_t)(start.at - bytes);
    Bytes one = {rest.at, rest.at + size};
    rest.at += size;
    take_frame(c, one, now);
  }
}

static size_t take_answer(void *who, uint8_t *bytes, size_t length) {
  Client *c = who;
  bytes[length] = 0;
  char *answer = (char *)bytes, *content = strstr(answer, "\r\n\r\n"), *size = strcasestr(answer, "content-length:");
  if (!content) return 0;
  content += 4;
  if (!size || size > content) fail("an answer without Content-Length: %s", answer);
  size_t whole = (size_t)(content - answer) + strtoul(size + 15, NULL, 10);
  if (length < whole) return 0;
  char *code = strstr(content, "\"code\":\""), *seq = strstr(content, "\"seq\":");
  if (!code) fail("an answer without a code: %s", answer);
  if (seq && is_accepted(code + 8)) accepted(c, c->meant[0], strtoul(seq + 6, NULL, 10), now_ns());
  else refused(c, c->meant[0], code + 8, content, (int)(whole - (size_t)(content - answer)));
  c->under_way = 0;
  return whole;
}
#endif
