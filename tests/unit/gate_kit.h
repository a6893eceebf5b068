/* SPDX-License-Identifier: Apache-2.0 */
/* gate_kit: a tool that counts what it sees, a running writ-gate in front of it, and callers with
 * any certificate. Tests only; with fake_agent. */
#ifndef WRIT_TEST_GATE_KIT_H
#define WRIT_TEST_GATE_KIT_H

#include "fake_agent.h"

#include <openssl/ssl.h>
#include <sys/types.h>

/* Echoes; when the caller has ended, says "bye" and ends too. */
struct tool;
struct tool *tool_start(const char *unix_path, uint16_t port); /* NULL: TCP; port 0: any */
uint16_t tool_port(const struct tool *t);
int tool_connections(struct tool *t);
void tool_stop(struct tool *t);

struct gate {
	pid_t pid;
	int out, err; /* read ends */
	uint16_t port;
	char said[4096]; /* on standard error, once it has ended */
};
/* flags end with NULL. Waits until it listens; not_yet: does not wait. */
void gate_start(struct gate *g, const char *const *flags, bool not_yet);
void gate_wait_listening(struct gate *g);
int gate_stop(struct gate *g, int signum); /* exit code; 0: no signal, waits only */

struct caller {
	SSL_CTX *ctx;
	SSL *ssl;
	int fd;
};
/* s NULL: no certificate. Connects and shakes hands as far as it goes; false: refused in it. */
bool caller_open(struct caller *c, uint16_t port, const struct fake_svid *s);
/* "ping" there and back. False: whatever happens but that. */
bool caller_ping(struct caller *c);
void caller_close(struct caller *c);

#endif
