/* SPDX-License-Identifier: Apache-2.0 */
/* decisions: what was decided about callers. Each decision is one record, one line of the log and
 * one of the audit; records are kept for a while, so that an operator can ask why. No user can push
 * out the records of the others. Loop thread. */
#ifndef WRIT_AGENT_DECISIONS_H
#define WRIT_AGENT_DECISIONS_H

#include "base/log.h"
#include "cache/cache.h"
#include "wlapi/caller.h"
#include "wlapi/trace.h"

#define WRIT_DECISIONS_MAX      1024
#define WRIT_DECISIONS_BYTES    (8 * 1024 * 1024)  /* of all records */
#define WRIT_DECISIONS_KEEP_MS  (60ll * 60 * 1000) /* one hour */
#define WRIT_DECISION_SELECTORS (32 * 1024)        /* bytes kept of one caller's selectors */
#define WRIT_DECISION_TEXT      1024               /* of each other text */
#define WRIT_DECISION_DIGEST    16                 /* bytes */

struct writ_decisions;

/* A decision, as it is made; all borrowed. */
struct writ_decision_fact {
	const char *method; /* static */
	bool granted;
	const char *reason; /* of a denial */
	int pid;
	uid_t uid;
	gid_t gid;
	const struct writ_facts *facts; /* NULL: the caller had gone, or could not be attested */
	const struct writ_selectors *selectors; /* sealed; NULL: those of facts */
	const char *note;                       /* one more than those of facts; NULL: none */
	struct writ_entry *const *entries;      /* that match */
	size_t n_entries;
	int64_t took_us;
};

/* A record. Texts are slices of it; what is not known is empty. */
struct writ_decision {
	struct writ_list node;    /* all, the oldest in front */
	struct writ_list of_user; /* likewise, of one user */
	struct decisions_user *user;
	char trace[WRIT_TRACE_LEN + 1];
	const char *method;
	bool granted, attested;
	bool cut; /* not all selectors are in it */
	int pid;
	uid_t uid;
	gid_t gid;
	uint64_t start_time; /* of the process: clock ticks since boot */
	int64_t at_ms;       /* wall */
	int64_t at_mono_ms, took_us;
	uint8_t digest[WRIT_DECISION_DIGEST]; /* of the selectors as they are shown */
	struct writ_str binary, cgroup, reason;
	struct writ_str selectors; /* a line each, sorted, unredacted: not to be shown like this */
	struct writ_str notes;     /* a line each: what was withheld */
	struct writ_str entries;   /* a line each: entry ID, blank, SPIFFE ID */
	unsigned asked;            /* enum writ_attest_flag: what was looked for */
	size_t n_entries, bytes;
	char text[];
};

/* audit may be NULL. */
struct writ_decisions *writ_decisions_new(struct writ_loop *l, struct writ_audit *audit);
void writ_decisions_free(struct writ_decisions *d);
/* Records it and writes its lines. The record is borrowed until the next call. */
const struct writ_decision *writ_decisions_add(
	struct writ_decisions *d, const struct writ_decision_fact *f);
/* By trace number, or its first eight characters and more, in any case. WRIT_ENOENT: not kept (any
 * more); WRIT_EINVAL: too short, or more than one begins so. Borrowed until the next add. */
WRIT_MUST writ_rc writ_decisions_find(struct writ_decisions *d, struct writ_str trace,
	const struct writ_decision **ret, struct writ_err *err);
/* The one before d in time, NULL: there is none; d NULL: the newest. */
const struct writ_decision *writ_decisions_before(
	struct writ_decisions *all, const struct writ_decision *d);
/* The path in the one line of /proc/PID/cgroup that says most: v2 below its root, else systemd's,
 * else the first. */
struct writ_str writ_decision_cgroup(const struct writ_snapshot *s);
size_t writ_decisions_count(const struct writ_decisions *d);

#endif
