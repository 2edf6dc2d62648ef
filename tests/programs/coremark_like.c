// SPDX-License-Identifier: Apache-2.0
// A mix like that of embedded suites, of our own making: a linked list that is searched, reversed and
// merge sorted, a matrix product, a state machine over text and a CRC of it all. n rounds.
#include "guest.h"

struct Node {
  struct Node* next;
  int32_t key;
};
enum { node_count = 128, matrix_side = 12 };
static struct Node nodes[node_count];
static int32_t left[matrix_side][matrix_side], right[matrix_side][matrix_side];

static uint16_t crc16(uint16_t crc, uint32_t word) {
  for (int i = 0; i < 32; ++i) {
    const uint32_t bit = (crc ^ word) & 1u;
    crc = (uint16_t)(crc >> 1);
    if (bit != 0) crc ^= 0xa001;
    word >>= 1;
  }
  return crc;
}

static struct Node* merge(struct Node* a, struct Node* b) {
  struct Node head;
  struct Node* tail = &head;
  while (a != 0 && b != 0) {
    struct Node** least = a->key <= b->key ? &a : &b;
    tail->next = *least;
    tail = *least;
    *least = (*least)->next;
  }
  tail->next = a != 0 ? a : b;
  return head.next;
}

static struct Node* merge_sort(struct Node* list) {
  if (list == 0 || list->next == 0) return list;
  struct Node* slow = list;
  for (struct Node* fast = list->next; fast != 0 && fast->next != 0; fast = fast->next->next) {
    slow = slow->next;
  }
  struct Node* rest = slow->next;
  slow->next = 0;
  return merge(merge_sort(list), merge_sort(rest));
}

static uint16_t lists(uint32_t* state, uint16_t crc) {
  for (int i = 0; i < node_count; ++i) {
    nodes[i].key = (int32_t)(next_random(state) & 0xffff);
    nodes[i].next = i + 1 < node_count ? &nodes[i + 1] : 0;
  }
  struct Node* reversed = 0;
  for (struct Node* node = nodes; node != 0;) {
    struct Node* next = node->next;
    node->next = reversed;
    reversed = node;
    node = next;
  }
  int32_t found = 0;
  for (int i = 0; i < 16; ++i) {
    const int32_t wanted = nodes[i * 7 % node_count].key;
    const struct Node* node = reversed;
    while (node != 0 && node->key != wanted) {
      node = node->next;
      ++found;
    }
  }
  for (const struct Node* node = merge_sort(reversed); node != 0; node = node->next) {
    crc = crc16(crc, (uint32_t)node->key);
  }
  return crc16(crc, (uint32_t)found);
}

static uint16_t matrices(uint32_t* state, uint16_t crc) {
  for (int i = 0; i < matrix_side; ++i) {
    for (int j = 0; j < matrix_side; ++j) {
      left[i][j] = (int32_t)(next_random(state) & 0xff);
      right[i][j] = (int32_t)(next_random(state) & 0xff) - 128;
    }
  }
  for (int i = 0; i < matrix_side; ++i) {
    for (int j = 0; j < matrix_side; ++j) {
      int32_t sum = 0;
      for (int k = 0; k < matrix_side; ++k) sum += left[i][k] * right[k][j];
      crc = crc16(crc, (uint32_t)sum);
    }
  }
  return crc;
}

// Classifies what looks like numbers: integer, decimal, scientific, or no number.
static uint16_t numbers(uint32_t* state, uint16_t crc) {
  static const char alphabet[] = "0123456789+-.eE,x ";
  enum State { start, sign, integer, point, fraction, exponent, power, invalid, state_count };
  uint32_t counts[state_count] = {0};
  enum State now = start;
  for (int i = 0; i < 512; ++i) {
    const char c = alphabet[next_random(state) % (sizeof alphabet - 1)];
    const int digit = c >= '0' && c <= '9';
    if (c == ',' || c == ' ') {
      ++counts[now];
      now = start;
      continue;
    }
    switch (now) {
      case start: now = digit ? integer : (c == '+' || c == '-') ? sign : c == '.' ? point : invalid; break;
      case sign: now = digit ? integer : c == '.' ? point : invalid; break;
      case integer: now = digit ? integer : c == '.' ? fraction : (c == 'e' || c == 'E') ? exponent : invalid; break;
      case point: now = digit ? fraction : invalid; break;
      case fraction: now = digit ? fraction : (c == 'e' || c == 'E') ? exponent : invalid; break;
      case exponent: now = digit || c == '+' || c == '-' ? power : invalid; break;
      case power: now = digit ? power : invalid; break;
      default: break;
    }
  }
  for (int i = 0; i < state_count; ++i) crc = crc16(crc, counts[i]);
  return crc;
}

int32_t run(int32_t seed, int32_t n) {
  uint32_t state = seeded(seed) | 1u;
  uint16_t crc = 0;
  for (int32_t i = 0; i < n; ++i) {
    crc = lists(&state, crc);
    crc = matrices(&state, crc);
    crc = numbers(&state, crc);
  }
  return crc;
}

GUEST_MAIN
