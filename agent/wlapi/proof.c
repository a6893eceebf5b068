/* SPDX-License-Identifier: Apache-2.0 */
/* The last questions before keys leave. */
#include "wlapi/caller.h"

#include "base/mem.h"

/* Only a process that was stopped, or a machine that is all but stopped, takes that long. The time
 * is no part of the proof: whatever the process does meanwhile shows in the check. */
#define PING_MS 5000

struct writ_proof {
	struct writ_attest_ask ask;
	struct writ_facts *facts; /* reference */
	void (*done)(void *arg, writ_rc rc, const struct writ_err *err);
	void *arg;
};

static void end(struct writ_proof *p, writ_rc rc, const struct writ_err *err)
{
	void (*done)(void *, writ_rc, const struct writ_err *) = p->done;
	void *arg = p->arg;
	writ_facts_unref(p->facts);
	writ_free(p);
	if (done)
		done(arg, rc, err);
}

static void on_checked(struct writ_attest_ask *q, writ_rc rc, const struct writ_err *err,
	const struct writ_talk_reply *reply)
{
	(void)reply;
	end(writ_container(q, struct writ_proof, ask), rc, err);
}

static void on_answered(void *arg, bool ok)
{
	struct writ_proof *p = arg;
	struct writ_err err = { .rc = WRIT_OK };
	if (p->done && ok) {
		writ_attest_link_check(
			p->facts->link, &p->ask, p->facts->uid, p->facts->handle, WRIT_TALK_PLACE);
		return;
	}
	writ_rc rc = writ_fail(&err, WRIT_ETIMEOUT,
		"the process that connected did not acknowledge a PING: it is not the one that "
		"holds the connection now, or it stands still");
	end(p, rc, &err);
}

struct writ_proof *writ_caller_prove(struct writ_front *front, struct writ_peer *peer,
	struct writ_facts *facts, void (*done)(void *arg, writ_rc rc, const struct writ_err *err),
	void *arg)
{
	struct writ_proof *p = writ_alloc(sizeof(*p));
	writ_list_init(&p->ask.node);
	p->ask.done = on_checked;
	p->facts = writ_facts_ref(facts);
	p->done = done;
	p->arg = arg;
	writ_front_challenge(front, peer, PING_MS, on_answered, p);
	return p;
}

/* While the PING is under way the front still has it, and brings it back. */
void writ_proof_forget(struct writ_proof *p)
{
	p->done = NULL;
}
