/* cmd_completion.c - `nws completion`: scripts with which shells complete the
 * commands and options of nws.
 *
 * They are made from the tables that the commands themselves read options by:
 * each command is run up to where it hands its table to nws__cli_options(),
 * which gives it to us instead of reading options. So an option that exists is
 * completed.
 */
#include <string.h>
#include "cli.h"

/* Values that a shell can complete; those of other options it cannot know. */
static const char *const files[] = {"ca", "cert", "key", "client-ca"};
static const char role_values[] = "client server any";

static int wants_file(const struct option *o) {
  for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
    if (strcmp(o->name, files[i]) == 0) {
      return 1;
    }
  }
  return 0;
}

static int has_letter(const struct option *o) {
  return o->val > ' ' && o->val < 0x7f;
}

/* The table of a command, which is called as main() does: with the program's
 * name in front. */
static const struct option *table_of(const cli_command *command) {
  char program[] = "nws";
  char name[32];
  char *argv[] = {program, name, NULL};
  snprintf(name, sizeof(name), "%s", command->name);
  nws__cli_peeking = 1;
  command->run(1, argv + 1);
  nws__cli_peeking = 0;
  return nws__cli_peeked;
}

static void put_commands(void) {
  for (const cli_command *c = nws__cli_commands; c->name; c++) {
    printf("%s ", c->name);
  }
  fputs("help", stdout);
}

/* --- bash and zsh: a case for each command --- */

static void put_options(const struct option *o, int with_value) {
  for (; o->name; o++) {
    if (with_value && o->has_arg != required_argument) {
      continue;
    }
    printf("--%s ", o->name);
    if (has_letter(o)) {
      printf("-%c ", o->val);
    }
  }
}

static void put_cases(void) {
  for (const cli_command *c = nws__cli_commands; c->name; c++) {
    const struct option *table = table_of(c);
    printf("  %s)\n    options='", c->name);
    put_options(table, 0);
    fputs("'\n    values=' ", stdout);
    put_options(table, 1);
    fputs("'\n", stdout);
    if (strcmp(c->name, "completion") == 0) {
      fputs("    more='bash zsh fish'\n", stdout);
    }
    fputs("    ;;\n", stdout);
  }
  fputs("  help) more='", stdout);
  put_commands();
  fputs("' ;;\n  esac\n", stdout);
}

static void put_bash(void) {
  fputs("# Completion of nws for bash: source <(nws completion bash)\n"
        "_nws() {\n"
        "  local cur=${COMP_WORDS[COMP_CWORD]}\n"
        "  local prev=${COMP_WORDS[COMP_CWORD - 1]}\n"
        "  local options='' values='' more=''\n"
        "  COMPREPLY=()\n"
        "  if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
        "    COMPREPLY=($(compgen -W '",
        stdout);
  put_commands();
  fputs(" --help --version' -- \"$cur\"))\n"
        "    return\n"
        "  fi\n"
        "  case ${COMP_WORDS[1]} in\n",
        stdout);
  put_cases();
  printf("  case $prev in\n"
         "  --ca | --cert | --key | --client-ca)\n"
         "    compopt -o default 2>/dev/null\n"
         "    return\n"
         "    ;;\n"
         "  --role)\n"
         "    COMPREPLY=($(compgen -W '%s' -- \"$cur\"))\n"
         "    return\n"
         "    ;;\n"
         "  esac\n",
         role_values);
  fputs("  case $values in *\" $prev \"*) return ;; esac\n"
        "  case $cur in\n"
        "  -*) COMPREPLY=($(compgen -W \"$options\" -- \"$cur\")) ;;\n"
        "  *)\n"
        "    if [ -n \"$more\" ]; then\n"
        "      COMPREPLY=($(compgen -W \"$more\" -- \"$cur\"))\n"
        "    else\n"
        "      compopt -o default 2>/dev/null\n"
        "    fi\n"
        "    ;;\n"
        "  esac\n"
        "}\n"
        "complete -F _nws nws\n",
        stdout);
}

static void put_zsh(void) {
  fputs("#compdef nws\n"
        "# Completion of nws for zsh: source <(nws completion zsh), or as a "
        "file _nws\n"
        "# in a folder of $fpath\n"
        "_nws() {\n"
        "  local cur=$words[CURRENT] prev=$words[CURRENT-1]\n"
        "  local options= values= more=\n"
        "  if (( CURRENT == 2 )); then\n"
        "    compadd -- ",
        stdout);
  put_commands();
  fputs(" --help --version\n"
        "    return\n"
        "  fi\n"
        "  case $words[2] in\n",
        stdout);
  put_cases();
  printf("  case $prev in\n"
         "  --ca|--cert|--key|--client-ca) _files; return ;;\n"
         "  --role) compadd -- %s; return ;;\n"
         "  esac\n",
         role_values);
  fputs("  [[ $values == *\" $prev \"* ]] && return\n"
        "  if [[ $cur == -* ]]; then\n"
        "    compadd -- ${=options}\n"
        "  elif [[ -n $more ]]; then\n"
        "    compadd -- ${=more}\n"
        "  else\n"
        "    _files\n"
        "  fi\n"
        "}\n"
        "if [[ $funcstack[1] == _nws ]]; then\n"
        "  _nws \"$@\"\n"
        "else\n"
        "  compdef _nws nws\n"
        "fi\n",
        stdout);
}

/* --- fish: a line for each option --- */

static void put_fish_option(const char *command, const struct option *o) {
  printf("complete -c nws -n '__fish_seen_subcommand_from %s' -l %s", command,
         o->name);
  if (has_letter(o)) {
    printf(" -s %c", o->val);
  }
  if (wants_file(o)) {
    fputs(" -r -F", stdout);
  } else if (strcmp(o->name, "role") == 0) {
    printf(" -x -a '%s'", role_values);
  } else if (o->has_arg == required_argument) {
    fputs(" -x", stdout);
  }
  putchar('\n');
}

static void put_fish(void) {
  fputs("# Completion of nws for fish: nws completion fish | source\n"
        "complete -c nws -f\n"
        "complete -c nws -n __fish_use_subcommand -l help -l version\n"
        "complete -c nws -n __fish_use_subcommand -a '",
        stdout);
  put_commands();
  fputs("'\n"
        "complete -c nws -n '__fish_seen_subcommand_from decode record replay' "
        "-F\n"
        "complete -c nws -n '__fish_seen_subcommand_from completion' -a "
        "'bash zsh fish'\n"
        "complete -c nws -n '__fish_seen_subcommand_from help' -a '",
        stdout);
  put_commands();
  fputs("'\n", stdout);
  for (const cli_command *c = nws__cli_commands; c->name; c++) {
    for (const struct option *o = table_of(c); o->name; o++) {
      put_fish_option(c->name, o);
    }
  }
}

static int take_option(void *state, int option, const char *arg) {
  (void)state;
  (void)option;
  (void)arg;
  return CLI_EXIT_USAGE; /* there is none but --help */
}

int nws__cli_completion(int argc, char **argv) {
  static const struct option longs[] = {{"help", no_argument, NULL, 'h'},
                                        {NULL, 0, NULL, 0}};
  static const struct {
    const char *name;
    void (*put)(void);
  } shells[] = {{"bash", put_bash}, {"zsh", put_zsh}, {"fish", put_fish}};
  int code = nws__cli_options(argc, argv, ":h", longs, take_option, NULL);
  if (code != CLI_GO_ON) {
    return code;
  }
  const char *wanted = argc - optind == 1 ? argv[optind] : "";
  for (size_t i = 0; i < sizeof(shells) / sizeof(shells[0]); i++) {
    if (strcmp(wanted, shells[i].name) == 0) {
      shells[i].put();
      return CLI_EXIT_OK;
    }
  }
  return nws__cli_misuse(argv[0], "which shell? bash, zsh or fish");
}
