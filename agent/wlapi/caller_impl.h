/* SPDX-License-Identifier: Apache-2.0 */
/* caller_impl: what caller.c (which process) and look.c (what is known of it) share. */
#ifndef WRIT_AGENT_CALLER_IMPL_H
#define WRIT_AGENT_CALLER_IMPL_H

#include "wlapi/caller.h"

/* Which process, and as whom it connected. Borrowed by the map. */
struct writ_caller_key {
	uint64_t ino;
	uint32_t pid, uid, gid, cut, ngroups;
	uint32_t groups[WRIT_PIN_GROUPS_MAX];
};

struct writ_caller {
	struct writ_attest_env *env;
	int refs;
	struct writ_caller_key key; /* the first key_len bytes of it */
	size_t key_len;
	bool is_shared;           /* it is in env->known */
	int pidfd;                /* owned */
	struct writ_poll *end;    /* of the process */
	struct writ_front *front; /* borrowed; its connections are cut when the process ends */
	struct writ_facts *facts; /* the latest; NULL: none, or outdated */
	struct writ_list waiting; /* for facts */
	struct writ_list node;    /* in env->idle while refs is 0 */
	/* the look under way */
	bool is_looking;
	struct writ_attest_ask ask;
	struct writ_facts *next;
	struct writ_job job;
	writ_rc job_rc;
	struct writ_err job_err;
	struct writ_answer own;
	struct writ_ask *told; /* by runtimes; NULL: none is asked */
};

#endif
