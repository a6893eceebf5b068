/* SPDX-License-Identifier: Apache-2.0 */
/* monitor_impl: what the parts of the monitor share. Inside server/monitor only. */
#ifndef WRIT_MONITOR_MONITOR_IMPL_H
#define WRIT_MONITOR_MONITOR_IMPL_H

#include "monitor/child.h"
#include "monitor/keystore.h"
#include "monitor/monitor.h"
#include "signer/vault.h"

struct writ_monitor {
	const struct writ_monitor_config *config;
	char *self_path, *signer_path; /* owned */
	struct writ_keystore keys;
	struct writ_record_file record;
	int signals; /* signalfd */
	struct writ_child signer, serving;
	struct writ_vault_link vault; /* to the signer; fd -1: none */
	bool signer_ready;
	int64_t signer_due_ms; /* then it is ready, or gone, or killed; 0: it works */
	int server_end; /* of the new signer's socket, until the serving process gets it; or -1 */
	int control;    /* to the serving process, or -1 */
	bool was_ready; /* the serving process said READY=1 once */
	bool stopping;
	int64_t kill_at_ms; /* while stopping */
	int status;         /* of ours; -1: go on */
	struct writ_err err;
};

/* monitor_signer.c */
WRIT_MUST writ_rc writ_monitor_start_signer(struct writ_monitor *m, struct writ_err *err);
void writ_monitor_signer_said(struct writ_monitor *m); /* its socket is readable */
/* Hands out the file of the issuance record anew if an operator has renamed it. */
void writ_monitor_look_at_record(struct writ_monitor *m);
void writ_monitor_signer_lost(struct writ_monitor *m); /* closes what belonged to it */
void writ_monitor_join(
	struct writ_monitor *m); /* a new socket between a new serving process and the signer */
void writ_monitor_hand_over(struct writ_monitor *m); /* gives server_end to the serving process */

#endif
