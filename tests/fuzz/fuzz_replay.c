/* fuzz_replay.c - runs a harness over files: those of its corpus in the test
 * run, one that a fuzzer found in a debugger.
 *
 * The arguments are files, and folders whose files are meant. Says how many
 * there were; none at all is a failure.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "fuzz.h"

enum { INPUT_MAX = 1 << 20 };

static size_t replayed;

static void fail(const char *path) {
  fprintf(stderr, "%s: %s\n", path, strerror(errno));
  exit(1);
}

/* The input lies in a block of its size, as fuzzers give it. */
static void replay_file(const char *path) {
  static uint8_t room[INPUT_MAX];
  FILE *file = fopen(path, "rb");
  if (file == NULL) {
    fail(path);
  }
  const size_t len = fread(room, 1, sizeof(room), file);
  if (ferror(file)) {
    fail(path);
  }
  fclose(file);
  uint8_t *data = malloc(len > 0 ? len : 1);
  FUZZ_CHECK(data != NULL);
  memcpy(data, room, len);
  FUZZ_CHECK(LLVMFuzzerTestOneInput(data, len) == 0);
  free(data);
  replayed++;
}

/* Returns 0 when `path` is no folder. */
static int replay_folder(const char *path) {
  const struct dirent *entry;
  DIR *folder = opendir(path);
  if (folder == NULL) {
    if (errno != ENOTDIR) {
      fail(path);
    }
    return 0;
  }
  while ((entry = readdir(folder)) != NULL) {
    char full[4096];
    if (entry->d_name[0] == '.') {
      continue;
    }
    snprintf(full, sizeof(full), "%s/%s", path, entry->d_name);
    replay_file(full);
  }
  closedir(folder);
  return 1;
}

int main(int argc, char **argv) {
  for (int i = 1; i < argc; i++) {
    if (!replay_folder(argv[i])) {
      replay_file(argv[i]);
    }
  }
  printf("%zu inputs replayed\n", replayed);
  return replayed > 0 ? 0 : 1;
}
