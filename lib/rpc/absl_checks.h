/* SPDX-License-Identifier: Apache-2.0 */
/* absl_checks: Debian builds abseil, on which gRPC stands, so that each of its mutexes looks for
 * deadlocks at each turn: a graph of all locks, behind one more lock. That is for who develops
 * gRPC. Inside lib/rpc only. */
#ifndef WRIT_RPC_ABSL_CHECKS_H
#define WRIT_RPC_ABSL_CHECKS_H

#include <stdbool.h>

/* For the whole process: of programs only, not of a library in somebody else's. False: this build
 * of abseil is not known to have them. */
bool writ_absl_checks_off(void);

#endif
