// SPDX-License-Identifier: Apache-2.0
// Writes n random JSON documents into a buffer and parses each back into a tree from malloc; returns
// a checksum of what was parsed, or -1 where a document was refused.
#include <stdlib.h>
#include <string.h>

#include "guest.h"

enum Kind { null_value, boolean, number, string, array, object };
struct Json {
  enum Kind kind;
  double number;
  char* text;
  struct Json* items;  // of arrays and objects, linked by next
  struct Json* next;
  char* key;
};

static char buffer[16384];
static size_t length;

static void put(const char* text) {
  const size_t n = strlen(text);
  if (length + n < sizeof buffer) {
    memcpy(buffer + length, text, n + 1);  // NOLINT(*insecureAPI.*): it fits
    length += n;
  }
}

static void put_number(uint32_t value) {
  char digits[12];
  int i = 11;
  digits[i] = 0;
  do {
    digits[--i] = (char)('0' + value % 10);
    value /= 10;
  } while (value != 0);
  put(digits + i);
}

static void write_value(uint32_t* state, int depth) {
  static const char* words[] = {"\"lane\"", "\"warp\"", "\"h\\u00efve\"", "\"a \\\"quoted\\\" one\"", "\"\""};
  const uint32_t kind = next_random(state) % (depth > 4 ? 5 : 8);
  switch (kind) {
    case 0: put("null"); break;
    case 1: put(next_random(state) & 1 ? "true" : "false"); break;
    case 2:
      if (next_random(state) & 1) put("-");
      put_number(next_random(state) % 100000);
      if (next_random(state) & 1) {
        put(".");
        put_number(next_random(state) % 1000);
      }
      break;
    case 3:
    case 4: put(words[next_random(state) % 5]); break;
    default: {
      const int is_object = kind == 7;
      put(is_object ? "{ " : "[");
      const uint32_t count = next_random(state) % 6;
      for (uint32_t i = 0; i < count; ++i) {
        if (i != 0) put(", ");
        if (is_object) {
          put("\"key");
          put_number(i);
          put("\": ");
        }
        write_value(state, depth + 1);
      }
      put(is_object ? "}" : " ]");
    }
  }
}

static const char* at;

static void skip_space(void) {
  while (*at == ' ' || *at == '\n' || *at == '\t' || *at == '\r') ++at;
}

static char* parse_string(void) {
  if (*at != '"') return 0;
  char* text = malloc(strlen(at) + 1);
  char* out = text;
  for (++at; *at != '"'; ++at) {
    if (*at == 0) {
      free(text);
      return 0;
    }
    if (*at != '\\') {
      *out++ = *at;
      continue;
    }
    ++at;
    if (*at == 'u') {
      uint32_t code = 0;
      for (int i = 0; i < 4; ++i) {
        const char c = *++at;
        code = code * 16 + (uint32_t)(c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
      }
      if (code >= 0x80) *out++ = (char)(0xc0 | code >> 6);
      *out++ = (char)(code >= 0x80 ? 0x80 | (code & 63) : code);
    } else {
      *out++ = *at == 'n' ? '\n' : *at;  // NOLINT(bugprone-narrowing-conversions): chars both
    }
  }
  ++at;
  *out = 0;
  return text;
}

static void destroy(struct Json* value) {
  while (value != 0) {
    struct Json* next = value->next;
    destroy(value->items);
    free(value->text);
    free(value->key);
    free(value);
    value = next;
  }
}

static struct Json* parse_value(int depth) {
  skip_space();
  struct Json* value = calloc(1, sizeof *value);
  if (depth > 64 || value == 0) goto refuse;
  if (*at == '"') {
    value->kind = string;
    value->text = parse_string();
    if (value->text == 0) goto refuse;
  } else if (*at == '[' || *at == '{') {
    const char close = *at == '[' ? ']' : '}';
    value->kind = close == ']' ? array : object;
    struct Json** tail = &value->items;
    ++at;
    skip_space();
    while (*at != close) {
      char* key = 0;
      if (close == '}') {
        skip_space();
        key = parse_string();
        skip_space();
        if (key == 0 || *at != ':') {
          free(key);
          goto refuse;
        }
        ++at;
      }
      *tail = parse_value(depth + 1);
      if (*tail == 0) {
        free(key);
        goto refuse;
      }
      (*tail)->key = key;
      tail = &(*tail)->next;
      skip_space();
      if (*at == ',') ++at;
      else if (*at != close) goto refuse;
    }
    ++at;
  } else if (strncmp(at, "null", 4) == 0) {
    at += 4;
  } else if (strncmp(at, "true", 4) == 0 || strncmp(at, "false", 5) == 0) {
    value->kind = boolean;
    value->number = *at == 't';
    at += *at == 't' ? 4 : 5;
  } else {
    char* end;
    value->kind = number;
    value->number = strtod(at, &end);
    if (end == at) goto refuse;
    at = end;
  }
  return value;
refuse:
  destroy(value);
  return 0;
}

static uint32_t checksum(const struct Json* value, uint32_t sum) {
  for (; value != 0; value = value->next) {
    sum = sum * 33u + (uint32_t)value->kind;
    sum = sum * 33u + (uint32_t)(int32_t)(value->number * 8.0);
    for (const char* c = value->text; c != 0 && *c != 0; ++c) sum = sum * 33u + (uint8_t)*c;
    for (const char* c = value->key; c != 0 && *c != 0; ++c) sum = sum * 33u + (uint8_t)*c;
    sum = checksum(value->items, sum);
  }
  return sum;
}

int32_t run(int32_t seed, int32_t n) {
  uint32_t state = seeded(seed) | 1u;
  uint32_t sum = 0;
  for (int32_t i = 0; i < n; ++i) {
    length = 0;
    buffer[0] = 0;
    put("[");
    for (int j = 0; j < 8; ++j) {
      if (j != 0) put(",\n");
      write_value(&state, 0);
    }
    put("]");
    at = buffer;
    struct Json* document = parse_value(0);
    skip_space();
    if (document == 0 || *at != 0) {
      destroy(document);
      return -1;
    }
    sum = checksum(document, sum);
    destroy(document);
  }
  return (int32_t)sum;
}

GUEST_MAIN
