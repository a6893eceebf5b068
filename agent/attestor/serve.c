/* SPDX-License-Identifier: Apache-2.0 */
#include "attestor/serve.h"

#include "attestor/talk.h"
#include "base/fdpass.h"
#include "base/map.h"
#include "base/mem.h"
#include "loop/lanes.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define TURN        64  /* questions before the loop's other work */
#define TRIES_MAX   100 /* of a call that fails for no reason of ours */
#define PATIENCE_MS 500
#define AWAKE_MAX   64 /* callers whose folders stay open: who was here calls again soon */

/* What takes longer goes on, and is remembered where it can be, but nobody waits for it. A user
 * whose files do not answer (FUSE, a dead NFS server) or who has thousands of programs hashed
 * holds up his own callers. */
static const struct writ_lanes_limits limits = { .threads = 64,
	.threads_a_key = 2,
	.waiting = 4096,
	.waiting_a_key = 256,
	.threads_a_family = 4,
	.waiting_a_family = 1024,
	.deadline_ms = WRIT_ATTESTOR_DEADLINE_MS };

/* What was seen at one look. */
struct look {
	struct writ_list awake; /* in attestor.awake, while nothing else reads through the folder */
	uint64_t handle;
	struct writ_pin pin;
	struct writ_snapshot snapshot;
	struct writ_answer found;
	unsigned jobs;  /* that read through the pin's folder now */
	bool forgotten; /* goes when the jobs are done */
};

struct attestor {
	const struct writ_attestor_config *cfg;
	struct writ_loop *loop;
	struct writ_poll *poll;
	struct writ_lanes *lanes; /* by user */
	int fd;
	bool over;
	int failures;           /* in a row */
	struct writ_map looks;  /* by handle */
	struct writ_list awake; /* those used last at the end */
	size_t n_awake;
	struct writ_buf reply;
};

struct job {
	struct writ_lane_job job;
	struct attestor *a;
	struct look *look; /* NULL once it is settled */
	uint64_t id;
	unsigned flags;
	writ_rc rc;
	struct writ_err err;
};

static struct writ_str key_of(const uint64_t *handle)
{
	return writ_strn(handle, sizeof(*handle));
}

static void leave_awake(struct attestor *a, struct look *l)
{
	if (writ_list_empty(&l->awake))
		return;
	writ_list_remove(&l->awake);
	a->n_awake--;
}

static void keep_awake(struct attestor *a, struct look *l)
{
	leave_awake(a, l);
	writ_list_push(&a->awake, &l->awake);
	if (++a->n_awake <= AWAKE_MAX)
		return;
	struct look *oldest = writ_container(a->awake.next, struct look, awake);
	leave_awake(a, oldest);
	writ_pin_rest(&oldest->pin);
}

static void free_look(struct attestor *a, struct look *l)
{
	leave_awake(a, l);
	writ_snapshot_done(&l->snapshot);
	writ_answer_done(&l->found);
	writ_pin_close(&l->pin);
	writ_free(l);
}

/* The asker reads all the time; only a burst makes this wait. */
static void send_reply(struct attestor *a)
{
	int tries = 0;
	while (!a->over && send(a->fd, a->reply.p, a->reply.n, MSG_NOSIGNAL) < 0) {
		struct pollfd p = { .fd = a->fd, .events = POLLOUT };
		if (errno != EINTR && writ_talk_is_passing(errno))
			(void)poll(&p, 1, -1);
		else if (errno == EPIPE || errno == ECONNRESET || ++tries == TRIES_MAX)
			a->over = true;
	}
}

static void answer(
	struct attestor *a, uint64_t id, writ_rc rc, const struct writ_err *err, struct look *l)
{
	struct writ_talk_reply r = { .id = id, .rc = rc };
	WRIT_AUTO(writ_buf_done) struct writ_buf snapshot = WRIT_BUF(WRIT_WIRE_REQUEST_MAX);
	WRIT_AUTO(writ_buf_done) struct writ_buf selectors = WRIT_BUF(WRIT_WIRE_ANSWER_MAX);
	if (rc != WRIT_OK)
		r.error = writ_cstr(err->msg);
	if (l && rc == WRIT_OK) {
		writ_request_encode(&l->snapshot, &snapshot);
		writ_answer_encode(&l->found, &selectors);
		r.snapshot = writ_buf_str(&snapshot);
		r.answer = writ_buf_str(&selectors);
	}
	writ_buf_reset(&a->reply);
	writ_talk_put_reply(&r, &a->reply);
	if (a->reply.failed || snapshot.failed || selectors.failed) {
		a->reply.failed = false;
		writ_buf_reset(&a->reply);
		const struct writ_talk_reply short_one = { .id = id,
			.rc = WRIT_ELIMIT,
			.error = WRIT_STR("the caller has more selectors than fit an answer") };
		writ_talk_put_reply(&short_one, &a->reply);
	}
	send_reply(a);
}

static void forget(struct attestor *a, struct look *l)
{
	(void)writ_map_remove(&a->looks, key_of(&l->handle));
	l->forgotten = true;
	if (!l->jobs)
		free_look(a, l);
}

static void settle(
	struct attestor *a, struct look *l, uint64_t id, writ_rc rc, const struct writ_err *err)
{
	if (!l->forgotten)
		answer(a, id, rc, err, l);
	if (l->jobs)
		return;
	if (l->forgotten)
		free_look(a, l);
	else if (rc != WRIT_OK)
		forget(a, l);
	else
		keep_awake(a, l);
}

static void work(struct writ_lane_job *j)
{
	struct job *w = writ_container(j, struct job, job);
	w->rc = writ_attest(w->a->cfg->attestors, &w->a->cfg->ctx, &w->look->snapshot,
		w->look->pin.dirfd, w->flags | WRIT_ATTEST_MAY_BLOCK, &w->look->found, &w->err);
}

static void worked(struct writ_lane_job *j, writ_rc fate)
{
	struct job *w = writ_container(j, struct job, job);
	struct look *l = w->look;
	struct writ_err err = { .rc = WRIT_OK };
	if (fate == WRIT_OK) {
		w->look = NULL;
		l->jobs--;
		settle(w->a, l, w->id, w->rc, &w->err);
		return;
	}
	const char *why = fate == WRIT_EBUSY
		? "too many callers of this user are being identified: call again"
		: "a file that it rests on does not answer, or is being hashed: call again";
	writ_rc rc = writ_fail(&err, WRIT_EUNAVAIL, "identifying process %llu of uid %llu: %s",
		(unsigned long long)l->snapshot.pid, (unsigned long long)l->snapshot.uid, why);
	settle(w->a, l, w->id, rc, &err);
	if (!l->forgotten)
		forget(w->a, l);
}

/* Whatever became of it, nobody reads through the folder now. */
static void drop(struct writ_lane_job *j)
{
	struct job *w = writ_container(j, struct job, job);
	struct look *l = w->look;
	if (l) {
		l->jobs--;
		if (l->forgotten && !l->jobs)
			free_look(w->a, l);
	}
	writ_free(w);
}

static void start_job(struct attestor *a, struct look *l, uint64_t id, unsigned flags)
{
	struct job *w = writ_alloc(sizeof(*w));
	*w = (struct job){ .a = a, .look = l, .id = id, .flags = flags };
	w->job = (struct writ_lane_job){
		.key = l->snapshot.uid, .work = work, .done = worked, .drop = drop
	};
	/* The uids of a range that one user was given are one user: see lib/front/source.h. */
	w->job.family = l->snapshot.uid >> 16;
	l->jobs++;
	writ_lanes_run(a->lanes, &w->job);
}

/* *pidfd becomes -1 when the pin took it. */
static writ_rc pin(struct attestor *a, const struct writ_talk_request *q, int *pidfd,
	struct look *l, struct writ_err *err)
{
	const struct writ_pin_facts peer = { .pid = q->pid,
		.uid = q->uid,
		.gid = q->gid,
		.groups = q->groups,
		.ngroups = q->ngroups,
		.pidfd = *pidfd };
	if (*pidfd < 0)
		return writ_fail(err, WRIT_EPROTO, "no pidfd came with the question");
	if (writ_map_count(&a->looks) >= WRIT_ATTESTOR_HANDLES_MAX)
		return writ_fail(err, WRIT_ELIMIT, "too many callers at the same time");
	if (writ_map_get(&a->looks, key_of(&q->handle)))
		return writ_fail(err, WRIT_EPROTO, "the handle is in use");
	writ_rc rc = writ_pin_open(&peer, &a->cfg->rules, &l->pin, err);
	if (rc != WRIT_OK)
		return rc;
	*pidfd = -1;
	l->pin.groups_cut = l->pin.groups_cut || q->groups_cut;
	rc = writ_snapshot_take(&l->pin, &a->cfg->self, &l->snapshot, err);
	if (rc != WRIT_OK)
		writ_pin_close(&l->pin);
	return rc;
}

static void look(struct attestor *a, const struct writ_talk_request *q, int *pidfd)
{
	struct look *l = writ_alloc(sizeof(*l));
	struct writ_err err = { .rc = WRIT_OK };
	l->handle = q->handle;
	writ_list_init(&l->awake);
	writ_answer_init(&l->found);
	writ_rc rc = pin(a, q, pidfd, l, &err);
	if (rc != WRIT_OK) {
		answer(a, q->id, rc, &err, NULL);
		writ_free(l);
		return;
	}
	(void)writ_map_put(&a->looks, key_of(&l->handle), l);
	const unsigned flags = q->flags & ~(unsigned)(WRIT_TALK_ALONE | WRIT_ATTEST_MAY_BLOCK);
	rc = writ_attest(a->cfg->attestors, &a->cfg->ctx, &l->snapshot, l->pin.dirfd, flags,
		&l->found, &err);
	if (rc == WRIT_EBUSY)
		start_job(a, l, q->id, flags);
	else
		settle(a, l, q->id, rc, &err);
}

static void check(struct attestor *a, const struct writ_talk_request *q)
{
	struct look *l = writ_map_get(&a->looks, key_of(&q->handle));
	struct writ_err err = { .rc = WRIT_OK };
	writ_rc rc = l ? writ_pin_wake(&l->pin, &err)
		       : writ_fail(&err, WRIT_EUNAUTH, "the caller is not known here");
	if (rc == WRIT_OK && q->flags & WRIT_TALK_PLACE)
		rc = writ_snapshot_recheck_place(&l->pin, &l->snapshot, &err);
	if (rc == WRIT_OK)
		rc = writ_snapshot_recheck(&l->pin, &l->snapshot, &err);
	if (rc == WRIT_OK)
		rc = writ_attest_again(a->cfg->attestors, &a->cfg->ctx, &l->snapshot, l->pin.dirfd,
			&l->found.selectors, &err);
	/* Whatever else has changed about it: it has ended. */
	if (l && rc != WRIT_OK && writ_pin_alive(&l->pin, &err) != WRIT_OK)
		rc = err.rc;
	if (l && !l->jobs && l->pin.dirfd >= 0)
		keep_awake(a, l);
	answer(a, q->id, rc, &err, NULL);
}

/* True: it was not the only question under way, so there may be more. */
static bool take(struct attestor *a, struct writ_str bytes, int *pidfd)
{
	struct writ_talk_request q;
	struct writ_err err;
	if (writ_talk_get_request(bytes, &q, &err) != WRIT_OK) {
		a->over = true; /* whoever writes here is not who started us */
		return false;
	}
	struct look *l = NULL;
	switch (q.op) {
	case WRIT_TALK_LOOK: look(a, &q, pidfd); break;
	case WRIT_TALK_CHECK: check(a, &q); break;
	case WRIT_TALK_FORGET:
		l = writ_map_get(&a->looks, key_of(&q.handle));
		if (l)
			forget(a, l);
		break;
	}
	return !(q.flags & WRIT_TALK_ALONE);
}

/* One packet. False: nothing is there any more, or nobody. */
static bool receive(struct attestor *a)
{
	uint8_t bytes[WRIT_TALK_REQUEST_MAX + 1]; /* one that does not fit is seen to be too long */
	WRIT_AUTO(writ_closep) int pidfd = -1;
	ssize_t n = writ_fdpass_recv(a->fd, bytes, sizeof(bytes), &pidfd);
	/* Without memory, say: it is still there the next time. */
	if (n < 0 && errno != EPIPE && errno != ECONNRESET) {
		a->over = errno != EAGAIN && ++a->failures == TRIES_MAX;
		return false;
	}
	a->failures = 0;
	bool more = false;
	if (n <= 0 || n == (ssize_t)sizeof(bytes))
		a->over = true;
	else
		more = take(a, writ_strn(bytes, (size_t)n), &pidfd);
	return more && !a->over;
}

static void on_ready(void *arg, int events)
{
	struct attestor *a = arg;
	(void)events;
	for (int i = 0; i < TURN && receive(a); i++)
		;
	if (a->over)
		writ_loop_stop(a->loop);
}

static void free_all(struct attestor *a)
{
	size_t i = 0;
	struct look *l;
	while ((l = writ_map_next(&a->looks, &i, NULL))) {
		(void)writ_map_remove(&a->looks, key_of(&l->handle));
		l->forgotten = true;
		if (!l->jobs)
			free_look(a, l);
	}
	writ_lanes_free(a->lanes, PATIENCE_MS); /* frees those that had jobs */
	writ_poll_free(a->poll);
	writ_loop_free(a->loop);
	writ_map_done(&a->looks);
	writ_buf_done(&a->reply);
	(void)close(a->fd);
}

writ_rc writ_attestor_serve(const struct writ_attestor_config *cfg, int fd,
	writ_rc (*lock_in)(struct writ_err *err), struct writ_err *err)
{
	struct attestor a = { .cfg = cfg, .fd = fd, .reply = WRIT_BUF(WRIT_TALK_REPLY_MAX) };
	writ_list_init(&a.awake);
	writ_rc rc = writ_loop_new(&a.loop, err);
	if (rc != WRIT_OK) {
		(void)close(fd);
		return rc;
	}
	rc = writ_lanes_new(a.loop, &limits, &a.lanes, err);
	if (rc == WRIT_OK)
		rc = writ_poll_new(a.loop, fd, on_ready, &a, &a.poll, err);
	if (rc == WRIT_OK && lock_in)
		rc = lock_in(err);
	if (rc == WRIT_OK) {
		writ_poll_set(a.poll, WRIT_READABLE);
		writ_loop_run(a.loop);
	}
	free_all(&a);
	return rc;
}
