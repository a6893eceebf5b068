/* SPDX-License-Identifier: Apache-2.0 */
/* reach: does something accept connections at an address? */
#ifndef WRIT_CLI_REACH_H
#define WRIT_CLI_REACH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

/* Connects and hangs up, within timeout_ms. false: *errnum says why. */
bool writ_reach(const struct sockaddr *to, socklen_t n, int64_t timeout_ms, int *errnum);

#endif
