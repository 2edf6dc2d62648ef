// SPDX-License-Identifier: Apache-2.0
// Prints its arguments and some of its environment; exits with 3 if asked to by `fail`.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char** argv) {
  printf("hello from %d arguments\n", argc - 1);
  for (int i = 1; i < argc; ++i) printf("%d: %s\n", i, argv[i]);
  const char* agent = getenv("AGENT");
  if (agent != NULL) printf("agent %s\n", agent);
  if (argc > 1 && strcmp(argv[1], "fail") == 0) {
    fprintf(stderr, "failing as asked\n");
    return 3;
  }
  return 0;
}
