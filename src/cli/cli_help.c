/* cli_help.c - what --help says. The man page, docs/man/nws.1, says the same at
 * more length; tests/cli holds the two against each other.
 */
#include <string.h>
#include "cli.h"

typedef struct topic {
  const char *command; /* NULL: the program itself; several go together, as C
                          has a longest string */
  const char *text;
} topic;

/* Ends every text: a command has only some of the codes, and means by them
 * what it does. */
#define EXIT_CODES(done) "\nExit codes\n  0  " done "\n"
#define EXIT_1 "  1  wrong options, or a failure on this side\n"
#define EXIT_CLIENT                                                            \
  EXIT_1                                                                       \
  "  2  cannot connect\n"                                                      \
  "  3  TLS failed; the handshake was refused, or broke a rule\n"              \
  "  4  the peer closed with another code than 1000 or 1001\n"

#define CONNECTING                                                             \
  "  -s, --subprotocol NAME     offer a subprotocol; the first is liked "      \
  "best\n" REQUEST
#define REQUEST                                                                \
  "  -H, --header 'NAME: VALUE' one more header in the request\n"              \
  "  -o, --origin ORIGIN        send Origin, as browsers do\n"                 \
  "      --auth USER:PASSWORD   log in so (Basic); also @FILE or "             \
  "'$VARIABLE'\n"                                                              \
  "      --bearer TOKEN         or with a token; also @FILE or '$VARIABLE'\n"  \
  "  -t, --timeout SECONDS      most time for connecting, and for closing;\n"  \
  "                             10 and 5 otherwise, 0 is none\n"               \
  "      --ca FILE              wss: whom to trust instead of those whom "     \
  "the\n"                                                                      \
  "                             system trusts\n"                               \
  "      --cert FILE            wss: a certificate to show to the server\n"    \
  "      --key FILE             its key, if --cert does not have it\n"         \
  "      --pin KEY[;KEY...]     wss: the server's key must be one of these, "  \
  "such\n"                                                                     \
  "                             as sha256//dGhlIHNhbXBsZS...\n"                \
  "  -k, --insecure             wss: do not verify the server; safe with "     \
  "--pin\n"
#define CLIENT_OPTIONS                                                         \
  CONNECTING                                                                   \
  "  -v, --verbose              tell about the handshake and control frames\n" \
  "  -h, --help                 this\n"

static const topic topics[] = {
    {NULL, "nws - WebSockets at the terminal\n"
           "\n"
           "  nws serve [options]            a server: echo, rooms, "
           "processes, TCP\n"
           "  nws connect [options] URL      standard input and output over a "
           "WebSocket\n"
           "  nws ping [options] URL         measure round trips\n"
           "  nws decode [options] [FILE]    print the frames in a stream of "
           "bytes\n"
           "  nws bench [options] URL        load a server, and measure it\n"
           "  nws record [options] URL FILE  sit between, and write down what "
           "is said\n"
           "  nws replay [options] FILE URL  say it again, and compare the "
           "answers\n"
           "  nws completion SHELL           a script that completes all "
           "this\n"
           "  nws help [COMMAND]             the options of a command\n"
           "  nws --version\n"
           "\n"
           "Try\n"
           "  nws serve                                 # and in another "
           "terminal:\n"
           "  nws connect ws://127.0.0.1:8080/\n"
           "  echo '81 05 48 65 6c 6c 6f' | nws decode\n" EXIT_CODES(
               "done; closed with 1000, 1001 or no code, or as we asked") EXIT_1
     "  2  cannot connect, or cannot listen\n"
     "  3  TLS failed; the handshake was refused, or broke a rule\n"
     "  4  the peer closed with another code\n"
     "  5  connection lost, rule broken, bytes missing, ping "
     "unanswered\n"},
    {"serve",
     "nws serve [options] - a server: an echo, with a page to try it at /, or "
     "more\n"
     "\n"
     "  -l, --listen ADDRESS[:PORT] where to listen; 127.0.0.1:8080 "
     "otherwise;\n"
     "                              0.0.0.0 or [::] for all addresses\n"
     "                              unix:PATH, or fd:N; repeatable. Sockets "
     "of\n"
     "                              LISTEN_FDS are used too\n"
     "  -p, --port PORT             only the port; 0 takes any free one\n"
     "      --proxy-protocol        connections begin with a PROXY header\n"
     "      --echo                  answer each message with itself, as "
     "otherwise\n"
     "      --broadcast             send each message to all others on the "
     "same path\n"
     "      --exec COMMAND          a process for each connection: what it "
     "prints\n"
     "                              becomes messages, and messages its input\n"
     "      --to WHERE              a connection to HOST:PORT or unix:PATH "
     "for each;\n"
     "                              binary messages are its bytes\n"
     "      --max-processes N       --exec: so many at once; 100 otherwise\n"
     "      --binary                --exec: send binary messages\n"
     "      --null                  --exec: messages end with a zero byte\n"
     "      --length-prefixed       --exec: four bytes before each have its "
     "length\n"
     "  -o, --origin WHICH          whose pages may connect: same-host (as\n"
     "                              otherwise), any, or a list such as\n"
     "                              https://example.org,http://localhost:3000\n"
     "  -s, --subprotocol NAME      a subprotocol to agree to; repeatable\n"
     "      --max-message BYTES     longest message, with K, M or G; 1M\n"
     "                              otherwise; none is no limit\n"
     "      --deflate[=HOW]         compress with those that offer it, which "
     "is\n"
     "                              not done otherwise; HOW is a list of\n"
     "                              no-takeover (less memory), bits=N "
     "(windows\n"
     "                              of 2^N bytes, 8 to 15), or off\n"
     "      --cert FILE             speak TLS, with this certificate and those "
     "that\n"
     "                              lead to a root; SIGHUP reads them again\n"
     "      --key FILE              its key, if --cert does not have it\n"
     "      --self-signed[=NAMES]   speak TLS, with a certificate made on the "
     "spot;\n"
     "                              NAMES such as localhost,127.0.0.1\n"
     "      --client-ca FILE        take only clients with a certificate that "
     "these\n"
     "                              have signed\n"
     "  -q, --quiet                 print nothing but errors; not with -v\n"
     "  -v, --verbose               log connections, requests and messages\n"
     "  -h, --help                  this\n"
     "\n"
     "Ctrl-C (or SIGTERM) closes all connections with 1001; a second one "
     "drops\n"
     "them.\n"
     "\n"
     "Examples\n"
     "  nws serve\n"
     "  nws serve --listen 0.0.0.0:9000 --origin any -v\n"
     "  nws serve --deflate=no-takeover,bits=12\n"
     "  nws serve --exec 'sed -u s/a/b/'\n"
     "  nws serve --to localhost:5900\n"
     "  nws serve --self-signed\n"
     "  nws serve --port 0 --subprotocol chat\n" EXIT_CODES(
         "stopped by Ctrl-C or SIGTERM") EXIT_1 "  2  cannot listen\n"},
    {"connect",
     "nws connect [options] URL - standard input and output over a WebSocket\n"
     "\n"
     "Each line of the input is sent as a text message, and each text message\n"
     "received is printed as a line.\n"
     "\n"
     "  -b, --binary               send binary messages, and write those that\n"
     "                             come as they are (to a terminal: in hex)\n"
     "      --raw                  the same, sending what each read gives\n"
     "                             instead of lines\n"
     "      --null                 messages end with a zero byte, both ways\n"
     "      --length-prefixed      four bytes before each message have its "
     "length,\n"
     "                             high byte first, both ways\n"
     "      --json-lines           print {\"type\":\"text\",\"data\":\"...\"} "
     "or\n"
     "                             {\"type\":\"binary\",\"base64\":\"...\"}, "
     "and "
     "control\n"
     "                             frames with -v\n"
     "      --exec COMMAND         a process instead of standard input and "
     "output;\n"
     "                             its status tells how to close and exit\n"
     "      --tcp-listen [ADDRESS:]PORT  a WebSocket for each TCP connection\n"
     "                             that comes in\n"
     "  -m, --message MESSAGE      send this and do not read the input; "
     "repeatable\n"
     "  -c, --expect N             close after N messages; with -t, exit with "
     "5 "
     "when\n"
     "                             one takes longer\n"
     "  -n, --stay                 stay when the input ends, until the peer\n"
     "                             closes\n"
     "  -w, --wait SECONDS         stay so long when the input ends; not "
     "with -n\n"
     "      --close CODE[:REASON]  how we close: 1000, after Ctrl-C 1001\n"
     "                             otherwise\n"
     "      --ping-interval SECONDS  silence after which to ping; 20 "
     "otherwise,\n"
     "                             0 is never\n"
     "      --max-message BYTES    longest message to take, with K, M or G; "
     "1M\n"
     "                             otherwise; none is no limit\n"
     "      --deflate[=HOW]        how to offer compression, which is offered\n"
     "                             without the option too (-v shows what is\n"
     "                             agreed); HOW is a list of no-takeover "
     "(each\n"
     "                             message alone), bits=N (windows of 2^N "
     "bytes,\n"
     "                             8 to 15), or off\n"},
    {"connect", CLIENT_OPTIONS
     "\n"
     "Ctrl-D, the end of the input, closes with 1000 and waits for the peer "
     "to\n"
     "do so too; what it still sends is printed. Ctrl-C closes with 1001; a\n"
     "second one drops the connection. Lines longer than a terminal takes\n"
     "(4095 bytes) are to come from a file or pipe.\n"
     "\n"
     "Examples\n"
     "  nws connect ws://127.0.0.1:8080/\n"
     "  echo hello | nws connect ws://127.0.0.1:8080/\n"
     "  nws connect -m hello -c 1 -t 2 ws://127.0.0.1:8080/\n"
     "  nws connect --exec 'grep --line-buffered error' ws://[::1]:9000/log\n"
     "  nws connect --tcp-listen 5900 wss://example.org/vnc\n"
     "  nws connect --bearer '$TOKEN' -s chat ws://[::1]:9000/a\n"
     "  nws connect --stay wss://example.org/feed </dev/null "
     ">feed.txt\n" EXIT_CODES("closed with 1000, 1001 or no code, or as we "
                              "asked") EXIT_CLIENT
     "  5  connection lost, a rule broken, or fewer messages than expected\n"
     "With --exec: otherwise as the command, 128 and the number of a signal\n"},
    {"ping",
     "nws ping [options] URL - measure round trips with WebSocket pings\n"
     "\n"
     "  -c, --count N              stop after so many; otherwise at Ctrl-C\n"
     "  -i, --interval SECONDS     time between two pings; 1 otherwise, 0.01 "
     "at\n"
     "                             least\n"
     "  -W, --wait SECONDS         how long to wait for an answer; 5 "
     "otherwise\n" CLIENT_OPTIONS "\n"
     "At the end, or at Ctrl-C, it prints the statistics.\n"
     "\n"
     "Examples\n"
     "  nws ping -c 4 ws://127.0.0.1:8080/\n"
     "  nws ping -c 100 -i 0.1 -W 1 ws://127.0.0.1:8080/\n" EXIT_CODES(
         "all pings were answered") EXIT_CLIENT
     "  5  connection lost, a rule broken, or a ping not answered\n"},
    {"decode",
     "nws decode [options] [FILE] - print the frames in a stream of bytes\n"
     "\n"
     "Reads what one side of a connection sent behind its HTTP head, from FILE "
     "or\n"
     "standard input, and prints a line for each frame: its offset, fin or "
     "---,\n"
     "reserved bits, opcode, masking key, length, and payload. The last line "
     "says\n"
     "how it ended: well, cut off, or with the first rule that was broken, "
     "and\n"
     "where.\n"
     "\n"
     "Network captures (pcap, pcapng) are recognised: the frames of all "
     "WebSockets\n"
     "whose handshake is in them, > the client's and < the server's.\n"
     "\n"
     "      --hex            the input is hex text: white space, commas and "
     "colons\n"
     "                       between bytes, 0x before them, # begins a "
     "comment\n"
     "      --raw            the input is the bytes themselves; not with "
     "--hex\n"
     "                       Otherwise the first byte tells: a hex digit, "
     "comma,\n"
     "                       colon, # or white space means hex text.\n"
     "      --role WHO       whose frames they are: client (must be masked), "
     "server\n"
     "                       (must not be), or any, as otherwise\n"
     "      --max-payload N  bytes of payload to show of a frame; 64 "
     "otherwise\n"
     "      --deflate[=HOW]  inflate compressed messages. Alone it reads all "
     "of\n"
     "                       them; HOW tells what was agreed upon, as a list "
     "of\n"
     "                       no-takeover and bits=N (windows of 2^N bytes, 8 "
     "to\n"
     "                       15), to find what breaks it; off is as otherwise\n"
     "      --allow-rsv BITS reserved bits that an extension uses, such as 2; "
     "text\n"
     "                       is then not checked. 1 shows compressed messages "
     "as\n"
     "                       they are; not with --deflate\n"
     "  -h, --help           this\n"
     "\n"
     "Examples\n"
     "  echo '81 85 37 fa 21 3d 7f 9f 4d 51 58' | nws decode --role client\n"
     "  echo 'c1 07 f2 48 cd c9 c9 07 00' | nws decode --deflate\n"
     "  nws decode --raw --deflate=no-takeover capture.bin\n"
     "  tcpdump -i lo -U -w - port 8080 | nws decode\n" EXIT_CODES(
         "no rule was broken") "  1  wrong options, or input that cannot be "
                               "read or is no hex text\n"
                               "  5  a rule was broken, or the input ends "
                               "inside a frame\n"},
    {"bench",
     "nws bench [options] URL - load an echo server, and measure it\n"
     "\n"
     "Each message is expected back, and held against what was sent.\n"
     "\n"
     "  -c, --connections N        how many; 1 otherwise\n"
     "  -r, --rate N               messages a second over all connections, "
     "sent\n"
     "                             when they are due whatever the server "
     "does;\n"
     "                             latency counts from then\n"
     "      --in-flight N          instead of --rate: keep so many messages "
     "under\n"
     "                             way on each connection; 1 otherwise\n"
     "      --size BYTES           of a message, with K or M, or a range such "
     "as\n"
     "                             100-64K; 64 otherwise\n"
     "  -d, --duration SECONDS     how long to measure; 10 otherwise\n"
     "      --warmup SECONDS       how long to send before that; 0 otherwise\n"
     "      --ramp SECONDS         spread the connecting over so long\n"
     "  -W, --wait SECONDS         how long to wait for the last answers; 5\n"
     "                             otherwise\n"
     "  -b, --binary               send binary messages, not text\n"
     "      --deflate[=HOW]        offer compression, as with connect\n"
     "      --threads N            each with its share of the connections; 1\n"
     "                             otherwise\n"
     "      --no-check             take whatever comes for an answer\n"
     "      --json                 print the result as JSON\n" CONNECTING
     "  -v, --verbose              tell about the first handshake, and all\n"
     "                             failures instead of the first\n"
     "  -h, --help                 this\n"
     "\n"
     "Ctrl-C ends it early, with the result so far.\n"
     "\n"
     "Examples\n"
     "  nws bench -c 100 --in-flight 8 ws://127.0.0.1:8080/\n"
     "  nws bench -c 1000 --ramp 5 -r 20000 --warmup 5 -d 60 --json "
     "ws://[::1]/\n" EXIT_CODES("all messages were answered") EXIT_CLIENT
     "  5  connection lost or closed early, a rule broken, an answer wrong or\n"
     "     missing, or a message not sent in time\n"},
    {"record",
     "nws record [options] URL FILE - sit between a program and a server, and\n"
     "write down what they say\n"
     "\n"
     "Connect the program to the address that is shown; what it asks for is "
     "asked\n"
     "of URL. One session is recorded, as JSON lines, which nws(1) describes. "
     "The\n"
     "FILE - is standard output.\n"
     "\n"
     "  -l, --listen ADDRESS[:PORT] where to listen; 127.0.0.1:9000 otherwise\n"
     "  -p, --port PORT            only the port; 0 takes any free one\n"
     "      --any-origin           let the pages of other hosts connect too\n"
     "      --max-message BYTES    longest message to take, with K, M or G; "
     "1M\n"
     "                             otherwise; none is no limit\n" REQUEST
     "  -v, --verbose              tell about the handshake with the server\n"
     "  -h, --help                 this\n"
     "\n"
     "Examples\n"
     "  nws record wss://example.org/feed feed.jsonl\n"
     "  nws connect ws://127.0.0.1:9000/          # in another terminal\n"
     "  nws record -p 0 ws://[::1]:8080/ - | grep server\n" EXIT_CODES(
         "a session was recorded; or Ctrl-C") EXIT_1
     "  2  cannot connect, or cannot listen\n"
     "  3  TLS failed; the handshake was refused, or broke a rule\n"
     "  4  the server closed with another code than 1000 or 1001\n"
     "  5  connection lost, or the server broke a rule\n"},
    {"replay",
     "nws replay [options] FILE URL - say to a server what a recording has, "
     "and\n"
     "compare what it answers\n"
     "\n"
     "FILE is from nws record; - is standard input.\n"
     "\n"
     "      --speed X              times as fast as recorded; 1 otherwise; "
     "max is\n"
     "                             without pauses\n"
     "      --wait                 send a message only when as many messages "
     "have\n"
     "                             come as had come before it\n"
     "      --patience SECONDS     how long to wait for the next one; 5 "
     "otherwise\n" CLIENT_OPTIONS "\n"
     "Examples\n"
     "  nws replay feed.jsonl ws://127.0.0.1:8080/feed\n"
     "  nws replay --speed max --wait login.jsonl "
     "wss://example.org/\n" EXIT_CODES(
         "all was answered as recorded; or Ctrl-C") EXIT_CLIENT
     "  5  an answer was different, missing or one too many; connection lost, "
     "or\n"
     "     a rule broken\n"},
    {"completion",
     "nws completion SHELL - print what makes a shell complete commands and "
     "options\n"
     "\n"
     "SHELL is bash, zsh or fish.\n"
     "\n"
     "  -h, --help                 this\n"
     "\n"
     "Examples\n"
     "  source <(nws completion bash)             # also in ~/.bashrc\n"
     "  source <(nws completion zsh)              # in ~/.zshrc, behind "
     "compinit\n"
     "  nws completion fish >~/.config/fish/completions/nws.fish\n" EXIT_CODES(
         "printed") EXIT_1},
};

int nws__cli_help(const char *command, FILE *out) {
  int found = 0;
  for (size_t i = 0; i < sizeof(topics) / sizeof(topics[0]); i++) {
    const topic *t = &topics[i];
    if (command == NULL ? t->command != NULL
                        : !t->command || strcmp(t->command, command) != 0) {
      continue;
    }
    fputs(t->text, out);
    found = 1;
  }
  return found;
}
