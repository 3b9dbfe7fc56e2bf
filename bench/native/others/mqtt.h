/* MQTT 3.1.1 with QoS 1: a publication is accepted with a PUBACK, and each receiver acknowledges it likewise. */
#ifndef OTHERS_MQTT_H
#define OTHERS_MQTT_H
#include "protocol.h"

enum { CONNACK = 0x20, PUBLISH = 0x30, PUBACK = 0x40, SUBACK = 0x90 };

static uint8_t *mqtt_length(uint8_t *out, size_t length) {
  do {
    uint8_t byte = length & 0x7f;
    length >>= 7;
    *out++ = byte | (length ? 0x80 : 0);
  } while (length);
  return out;
}

static uint8_t *mqtt_number(uint8_t *out, uint32_t number) {
  *out++ = (uint8_t)(number >> 8);
  *out++ = (uint8_t)number;
  return out;
}

static uint8_t *mqtt_string(uint8_t *out, const char *text, size_t length) {
  return put_text(mqtt_number(out, (uint32_t)length), text, length);
}

static uint8_t *mqtt_packet(uint8_t *out, uint8_t type, const uint8_t *body, size_t length) {
  *out++ = type;
  return put_text(mqtt_length(out, length), (const char *)body, length);
}

static size_t mqtt_topic(char *out, uint32_t of) {
  return (size_t)(of == EVERYONE ? sprintf(out, "all") : sprintf(out, "u/%u", of));
}

/* Its session is kept when it goes (clean session 0), so that what comes meanwhile is kept for it. */
static uint8_t *mqtt_hello(Talk *talk, uint8_t *out) {
  uint8_t body[128], *at = mqtt_string(body, "MQTT", 4);
  char name[32];
  *at++ = 4;
  *at++ = 0;
  at = mqtt_number(at, 600);
  at = mqtt_string(at, name, (size_t)sprintf(name, "bench-%u", talk->id));
  return mqtt_packet(out, 0x10, body, (size_t)(at - body));
}

static uint8_t *mqtt_subscribe(Talk *talk, uint8_t *out) {
  uint8_t body[128], *at = mqtt_number(body, 1);
  char topic[32];
  at = mqtt_string(at, topic, mqtt_topic(topic, talk->id));
  *at++ = 1;
  at = mqtt_string(at, topic, mqtt_topic(topic, EVERYONE));
  *at++ = 1;
  return mqtt_packet(out, 0x82, body, (size_t)(at - body));
}

static uint8_t *mqtt_say(Talk *talk, uint32_t to, const char *text, size_t length, uint8_t *out) {
  uint8_t body[4096];
  char topic[32];
  uint8_t *at = mqtt_string(body, topic, mqtt_topic(topic, to));
  at = mqtt_number(at, talk->said++ % 65535 + 1);
  at = put_text(at, text, length);
  return mqtt_packet(out, PUBLISH | 2, body, (size_t)(at - body));
}

static size_t mqtt_take(Talk *talk, Span bytes, Event *event, Span *text, uint8_t **out) {
  (void)talk;
  size_t length = 0, got = (size_t)(bytes.end - bytes.at), head = 1;
  for (int shift = 0;; shift += 7) {
    if (head >= got) return 0;
    uint8_t byte = bytes.at[head++];
    length |= (size_t)(byte & 0x7f) << shift;
    if (byte < 0x80) break;
  }
  if (head + length > got) return 0;
  const uint8_t *body = bytes.at + head;
  uint8_t type = bytes.at[0] & 0xf0;
  if (type == CONNACK) *event = body[1] == 0 ? LOGGED_IN : REFUSED;
  else if (type == SUBACK) *event = SUBSCRIBED;
  else if (type == PUBACK) *event = ACCEPTED;
  else if (type == PUBLISH) {
    const uint8_t *at = body + 2 + (body[0] << 8 | body[1]);
    if (bytes.at[0] & 6) {
      *out = mqtt_packet(*out, PUBACK, at, 2);
      at += 2;
    }
    *event = MESSAGE;
    *text = (Span){at, body + length};
  }
  return head + length;
}

static const Protocol MQTT = {"mqtt", mqtt_hello, mqtt_subscribe, mqtt_say, mqtt_take};
#endif
