/* SPDX-License-Identifier: Apache-2.0 */
/* monitor: the parent of `writ-server run`. It opens no network socket and reads no request. It
 * holds the folder of keys, starts the signer and the serving process, joins them by a socket, and
 * replaces either when it dies. docs/adr/0006 says why there are three processes. */
#ifndef WRIT_MONITOR_MONITOR_H
#define WRIT_MONITOR_MONITOR_H

#include "monitor/record_file.h"

#include <stddef.h>
#include <stdint.h>

struct writ_monitor_config {
	const char *trust_domain;
	const char *data_dir;    /* has keys/ and the issuance record; must be there, 0700 */
	const char *keys_dir;    /* NULL: keys/ in data_dir */
	const char *key_manager; /* "memory" or "disk" */
	const char *upstream_cert, *upstream_key; /* files; NULL: our CAs are roots */
	const char *upstream_bundle;              /* file; NULL: upstream_cert is the root */
	const char *serve_path;                   /* the serving process; NULL: this very program */
	char *const
		*serve_argv; /* ends with NULL; it finds its control socket at WRIT_CONTROL_FD */
	const char *
		signer_path; /* NULL: writ-signer beside this program, then in its libexec folder */
	struct writ_record_rules record;
	const char *notify_socket; /* $NOTIFY_SOCKET, or NULL */
	int64_t stop_ms;           /* from SIGTERM until what still runs is killed */
};

/* Runs until SIGTERM, SIGINT or the end of the serving process. Call it in a process of one thread;
 * it blocks these signals and SIGCHLD, SIGHUP, SIGUSR1 and SIGUSR2, and hands them to the serving
 * process; at SIGHUP and SIGUSR2 it opens its log and the issuance record again. The answer is the
 * exit status; err says why when it is not 0 (the children have logged what they know). */
int writ_monitor_run(const struct writ_monitor_config *c, struct writ_err *err);

/* The path of a helper program of ours, as above; owned. */
WRIT_MUST writ_rc writ_monitor_find(const char *name, char **ret, struct writ_err *err);

#endif
