/* main.c - the program nws: picks the command.
 *
 * Everything a command does is in its own file, cmd_*.c; main() only sets the
 * process up: three open standard files, no SIGPIPE (a write then fails, and is
 * dealt with where it is made), and an end that finds output that was lost.
 */
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>
#include "cli.h"

const cli_command nws__cli_commands[] = {
    {"serve", nws__cli_serve},
    {"connect", nws__cli_connect},
    {"ping", nws__cli_ping},
    {"decode", nws__cli_decode},
    {"bench", nws__cli_bench},
    {"record", nws__cli_record},
    {"replay", nws__cli_replay},
    {"completion", nws__cli_completion},
    {NULL, NULL},
};

/* Were one of them closed, the next file to be opened would take its place. */
static void open_standard_files(void) {
  for (int fd = 0; fd <= 2; fd++) {
    if (fcntl(fd, F_GETFD) < 0) {
      (void)!open("/dev/null", O_RDWR);
    }
  }
}

static int help(int argc, char **argv) {
  if (argc > 2) {
    return nws__cli_misuse(NULL, "help is about one command at a time");
  }
  if (!nws__cli_help(argc == 2 ? argv[1] : NULL, stdout)) {
    return nws__cli_misuse(NULL, "unknown command '%s'", argv[1]);
  }
  return CLI_EXIT_OK;
}

static int run(int argc, char **argv) {
  if (argc < 2) {
    nws__cli_help(NULL, stderr);
    return CLI_EXIT_USAGE;
  }
  const char *word = argv[1];
  for (const cli_command *c = nws__cli_commands; c->name; c++) {
    if (strcmp(word, c->name) == 0) {
      return c->run(argc - 1, argv + 1);
    }
  }
  if (strcmp(word, "help") == 0) {
    return help(argc - 1, argv + 1);
  }
  if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
    return help(1, argv);
  }
  if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0) {
    printf("nws %s\n", nws_version());
    return CLI_EXIT_OK;
  }
  return nws__cli_misuse(NULL, "unknown %s '%s'",
                         *word == '-' ? "option" : "command", word);
}

int main(int argc, char **argv) {
  open_standard_files();
  signal(SIGPIPE, SIG_IGN);
  int code = run(argc, argv);
  if (nws__cli_flush() < 0 && code == CLI_EXIT_OK) {
    code = CLI_EXIT_USAGE;
  }
  /* Not exit(): libuv's clean-up would wait for a read from standard input that
   * may never end. All has been flushed. */
  _exit(code);
}
