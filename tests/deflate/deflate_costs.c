/* deflate_costs.c - what a connection with compression costs, measured: prints
 * the table of docs/compression.md, and fails where the document says something
 * else (by more than a tenth: libraries differ a little).
 *
 *     deflate_costs [docs/compression.md]
 */
#include <nws/deflate.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_BITS = 8, LAST_BITS = 15, COLUMNS = 10 };

static size_t cost_of(const nws_deflate_config *config) {
  size_t bytes;
  if (nws_deflate_cost(config, &bytes) != NWS_OK) {
    fprintf(stderr, "nws_deflate_cost() failed\n");
    exit(1);
  }
  return bytes;
}

/* One direction with takeover, the other without; less what a connection has
 * anyway. */
static size_t one_way(int sends, unsigned bits, unsigned mem_level,
                      const nws_deflate_backend *backend) {
  nws_deflate_config config = {.size = sizeof(config)};
  size_t idle;
  config.backend = backend;
  config.mem_level = (uint8_t)mem_level;
  config.send_window_bits = (uint8_t)bits;
  config.receive_window_bits = (uint8_t)bits;
  config.send_no_takeover = 1;
  config.receive_no_takeover = 1;
  idle = cost_of(&config);
  config.send_no_takeover = !sends;
  config.receive_no_takeover = sends != 0;
  return cost_of(&config) - idle;
}

static void measure(unsigned bits, size_t row[COLUMNS]) {
  for (size_t i = 0; i < COLUMNS - 1; i++) {
    row[i] = one_way(1, bits, (unsigned)i + 1, NULL);
  }
  row[COLUMNS - 1] = one_way(0, bits, 8, NULL);
}

static int is_near(size_t told, size_t found) {
  const size_t apart = told > found ? told - found : found - told;
  return apart <= found / 10;
}

/* Whether a line is a row for these bits that tells what was found. */
static int is_row(const char *line, unsigned bits, const size_t row[COLUMNS]) {
  unsigned named;
  int used;
  if (sscanf(line, "| %u%n", &named, &used) != 1 || named != bits) {
    return 0;
  }
  for (size_t i = 0; i < COLUMNS; i++) {
    size_t told;
    int more;
    if (sscanf(line + used, " | %zu%n", &told, &more) != 1 ||
        !is_near(told, row[i])) {
      return 0;
    }
    used += more;
  }
  return strcmp(line + used, " |\n") == 0;
}

static int is_isal(const char *line, unsigned bits, const size_t row[COLUMNS]) {
  size_t told;
  (void)bits;
  return sscanf(line, "ISA-L takes %zu", &told) == 1 && is_near(told, row[0]);
}

/* Looks for a line in the document. */
static int check(const char *path, unsigned bits, const size_t row[COLUMNS],
                 int (*is_it)(const char *, unsigned, const size_t *)) {
  FILE *file = fopen(path, "r");
  char line[256];
  int found = 0;
  while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
    found = found || is_it(line, bits, row);
  }
  if (file != NULL) {
    fclose(file);
  }
  if (!found) {
    fprintf(stderr, "%s: says something else of %u bits\n", path, bits);
  }
  return found;
}

int main(int argc, char **argv) {
  int good = 1;
  if (nws_deflate_isal() != NULL) {
    const size_t row[COLUMNS] = {one_way(1, 15, 8, nws_deflate_isal())};
    printf("ISA-L takes %zu\n\n", row[0]);
    good = argc < 2 || check(argv[1], 15, row, is_isal);
  }
  printf("| window bits | send, mem_level 1 | 2 | 3 | 4 | 5 | 6 | 7 | "
         "8 | 9 | receive |\n");
  printf("|---|---|---|---|---|---|---|---|---|---|---|\n");
  for (unsigned bits = FIRST_BITS; bits <= LAST_BITS; bits++) {
    size_t row[COLUMNS];
    measure(bits, row);
    printf("| %u", bits);
    for (size_t i = 0; i < COLUMNS; i++) {
      printf(" | %zu", row[i]);
    }
    printf(" |\n");
    good = (argc < 2 || check(argv[1], bits, row, is_row)) && good;
  }
  return good ? 0 : 1;
}
