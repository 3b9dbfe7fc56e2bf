/*
 * XMPP (RFC 6120), with stream management (XEP-0198): the server says how many stanzas it has taken. Accounts are
 * registered by the clients themselves (XEP-0077). No group chat: nothing is said to everyone.
 */
#ifndef OTHERS_XMPP_H
#define OTHERS_XMPP_H
#include "protocol.h"

enum { XMPP_OPENING, XMPP_REGISTERING, XMPP_PROVING, XMPP_OPENING_AGAIN, XMPP_BINDING, XMPP_ENABLING, XMPP_IN };

static uint8_t *xmpp_hello(Talk *talk, uint8_t *out) {
  (void)talk;
  static const char open[] =
      "<?xml version='1.0'?><stream:stream to='localhost' xmlns='jabber:client' "
      "xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>";
  return put_text(out, open, sizeof open - 1);
}

static uint8_t *xmpp_register(Talk *talk, uint8_t *out) {
  return out + sprintf((char *)out,
                       "<iq type='set' id='r'><query xmlns='jabber:iq:register'><username>u%u</username>"
                       "<password>secret</password></query></iq>",
                       talk->id);
}

static uint8_t *xmpp_prove(Talk *talk, uint8_t *out) {
  static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  uint8_t plain[64] = {0};
  char base64[96], *to = base64;
  size_t length = 1 + (size_t)sprintf((char *)plain + 1, "u%u", talk->id);
  length += 1 + (size_t)sprintf((char *)plain + length + 1, "secret");
  for (size_t i = 0; i < length; i += 3) {
    uint32_t three = (uint32_t)plain[i] << 16 | (uint32_t)plain[i + 1] << 8 | plain[i + 2];
    for (int k = 0; k < 4; k++) *to++ = i + (size_t)k > length ? '=' : letters[three >> (18 - 6 * k) & 63];
  }
  *to = 0;
  return out + sprintf((char *)out, "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>%s</auth>", base64);
}

static uint8_t *xmpp_bind(uint8_t *out) {
  static const char bind[] =
      "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>b</resource></bind></iq>";
  return put_text(out, bind, sizeof bind - 1);
}

static uint8_t *xmpp_subscribe(Talk *talk, uint8_t *out) {
  (void)talk;
  static const char enable[] = "<enable xmlns='urn:xmpp:sm:3'/><presence/>";
  return put_text(out, enable, sizeof enable - 1);
}

static uint8_t *xmpp_say(Talk *talk, uint32_t to, const char *text, size_t length, uint8_t *out) {
  out += sprintf((char *)out, "<message type='chat' to='u%u@localhost' id='m%u'><body>", to, talk->said++);
  static const char end[] = "</body></message><r xmlns='urn:xmpp:sm:3'/>";
  return put_text(put_text(out, text, length), end, sizeof end - 1);
}

/* The length of the element that `bytes` begin with, or of the tag that opens the stream; 0 when it is not all there. */
static size_t xmpp_element(Span bytes) {
  int depth = 0;
  for (const uint8_t *at = bytes.at; at < bytes.end;) {
    const uint8_t *open = memchr(at, '<', (size_t)(bytes.end - at));
    const uint8_t *close = open ? memchr(open, '>', (size_t)(bytes.end - open)) : NULL;
    if (!close) return 0;
    int is_alone = close[-1] == '/' || open[1] == '?' || memcmp(open, "<stream:stream", 14) == 0;
    at = close + 1;
    if (open[1] == '/') depth--;
    else if (!is_alone) depth++;
    if (depth <= 0) return (size_t)(at - bytes.at);
  }
  return 0;
}

static int xmpp_is(Span element, const char *name) {
  size_t length = strlen(name);
  return (size_t)(element.end - element.at) > length && memcmp(element.at + 1, name, length) == 0;
}

static void xmpp_enter(Talk *talk, Span element, Event *event, uint8_t **out) {
  if (talk->stage == XMPP_OPENING && xmpp_is(element, "stream:features")) {
    *out = xmpp_register(talk, *out);
  } else if (talk->stage == XMPP_REGISTERING && xmpp_is(element, "iq")) {
    *out = xmpp_prove(talk, *out);
  } else if (talk->stage == XMPP_PROVING && xmpp_is(element, "success")) {
    *out = xmpp_hello(talk, *out);
  } else if (talk->stage == XMPP_OPENING_AGAIN && xmpp_is(element, "stream:features")) {
    *out = xmpp_bind(*out);
  } else if (talk->stage == XMPP_BINDING && xmpp_is(element, "iq")) {
    *event = LOGGED_IN;
  } else if (talk->stage == XMPP_ENABLING && xmpp_is(element, "enabled")) {
    *event = SUBSCRIBED;
  } else {
    if (xmpp_is(element, "failure") || xmpp_is(element, "stream:error")) *event = REFUSED;
    return;
  }
  talk->stage++;
}

static size_t xmpp_take(Talk *talk, Span bytes, Event *event, Span *text, uint8_t **out) {
  size_t length = xmpp_element(bytes);
  if (length == 0) return 0;
  Span element = {bytes.at, bytes.at + length};
  if (talk->stage != XMPP_IN) {
    xmpp_enter(talk, element, event, out);
  } else if (xmpp_is(element, "message")) {
    talk->heard++;
    const uint8_t *body = find(element, "<body>");
    if (body) {
      *text = (Span){body + 6, element.end};
      *event = find(element, "type='error'") ? REFUSED : MESSAGE;
    }
  } else if (xmpp_is(element, "presence") || xmpp_is(element, "iq")) {
    talk->heard++;
  } else if (xmpp_is(element, "r ")) {
    *out += sprintf((char *)*out, "<a xmlns='urn:xmpp:sm:3' h='%u'/>", talk->heard);
  } else if (xmpp_is(element, "a ")) {
    *event = ACCEPTED;
  }
  return length;
}

static const Protocol XMPP = {"xmpp", xmpp_hello, xmpp_subscribe, xmpp_say, xmpp_take};
#endif
