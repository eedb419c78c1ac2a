/* ext_tests.h - the groups of tests of the extension interface; each runs and
 * returns how many failed.
 */
#ifndef EXT_TESTS_H
#define EXT_TESTS_H

int ext_recv_tests(void);
int ext_send_tests(void);
int ext_handshake_tests(void);

#endif
