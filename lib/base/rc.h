/* SPDX-License-Identifier: Apache-2.0 */
/* rc: the few kinds of failure that callers branch on. Everything else is text in struct writ_err.
 */
#ifndef WRIT_BASE_RC_H
#define WRIT_BASE_RC_H

#include <stdbool.h>

/* name, gRPC status code, exit code of the CLI, may a peer see the message. The numbers of gRPC are
 * those of its status.proto; the exit codes are listed in writ(1). */
#define WRIT_RC_MAP(X)                                                                             \
	X(OK, 0, 0, true)                                                                          \
	X(EINVAL, 3, 2, true)      /* the caller's input is wrong */                               \
	X(ENOENT, 5, 3, true)      /* not found */                                                 \
	X(EEXIST, 6, 7, true)      /* there already */                                             \
	X(EUNAUTH, 16, 4, true)    /* who calls is not known */                                    \
	X(EDENIED, 7, 4, true)     /* who calls is known and may not */                            \
	X(EEXPIRED, 7, 4, true)    /* was valid once */                                            \
	X(EPRECOND, 9, 7, true)    /* the state does not allow it */                               \
	X(EPROTO, 13, 8, false)    /* a peer broke the protocol */                                 \
	X(ECRYPTO, 13, 8, false)   /* signature, chain or key does not hold */                     \
	X(ELIMIT, 8, 5, true)      /* a named maximum is reached */                                \
	X(EBUSY, 14, 5, true)      /* try again */                                                 \
	X(ETIMEOUT, 4, 6, true)    /* a deadline passed */                                         \
	X(ECANCELED, 1, 130, true) /* the caller gave up */                                        \
	X(EUNAVAIL, 14, 5, true)   /* not reachable or not ready */                                \
	X(EIO, 13, 1, false)       /* the system refused */                                        \
	X(EUNSUP, 12, 2, true)     /* not implemented */                                           \
	X(EINTERNAL, 13, 1, false) /* a mistake of ours */

enum writ_rc_code {
#define X(name, grpc, exit_code, is_public) WRIT_##name,
	WRIT_RC_MAP(X)
#undef X
		WRIT_RC_COUNT
};
typedef enum writ_rc_code writ_rc;

#define WRIT_MUST __attribute__((warn_unused_result))

const char *writ_rc_name(writ_rc rc);          /* "EINVAL"; static */
int writ_rc_grpc(writ_rc rc);                  /* gRPC status code */
int writ_rc_exit(writ_rc rc);                  /* exit code of the CLI */
bool writ_rc_is_public(writ_rc rc);            /* may the message be shown to a peer? */
writ_rc writ_rc_from_grpc(int status);         /* nearest kind; EINTERNAL for what is unknown */
const char *writ_grpc_status_name(int status); /* "PermissionDenied"; static */

#endif
