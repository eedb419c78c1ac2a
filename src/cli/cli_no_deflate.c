/* cli_no_deflate.c - stands in for cli_deflate.c where the program is built
 * without libnws_deflate. What happens without the option just does not
 * compress; who asks for compression is told that there is none.
 */
#include <string.h>
#include "cli.h"

int nws__cli_deflate_read(cli_deflate *deflate, const char *command,
                          const char *arg) {
  deflate->on = 0;
  return arg && strcmp(arg, "off") == 0
             ? CLI_EXIT_OK
             : nws__cli_misuse(command, "--deflate: this nws was built without "
                                        "compression (NWS_BUILD_DEFLATE)");
}

int nws__cli_deflate_start(cli_deflate *deflate) {
  deflate->count = 0;
  return NWS_OK;
}

int nws__cli_deflate_use(cli_deflate *deflate, nws_extension_use *use) {
  (void)deflate;
  memset(use, 0, sizeof(*use));
  return NWS_OK;
}

void nws__cli_deflate_free(cli_deflate *deflate) {
  (void)deflate;
}
