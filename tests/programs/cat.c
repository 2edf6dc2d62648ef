// SPDX-License-Identifier: Apache-2.0
// Prints the files named on the command line, or standard input, and at the end lines, words and
// bytes on standard error.
#include <stdio.h>

static long lines, words, bytes;

static void copy(FILE* file) {
  int in_word = 0;
  for (int c = fgetc(file); c != EOF; c = fgetc(file)) {
    putchar(c);
    ++bytes;
    if (c == '\n') ++lines;
    const int space = c == ' ' || c == '\n' || c == '\t';
    if (!space && !in_word) ++words;
    in_word = !space;
  }
}

int main(int argc, char** argv) {
  if (argc < 2) copy(stdin);
  for (int i = 1; i < argc; ++i) {
    FILE* file = fopen(argv[i], "rb");
    if (file == NULL) {
      perror(argv[i]);
      return 1;
    }
    copy(file);
    fclose(file);
  }
  fprintf(stderr, "%ld lines, %ld words, %ld bytes\n", lines, words, bytes);
  return 0;
}
