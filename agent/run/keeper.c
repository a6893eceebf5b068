/* SPDX-License-Identifier: Apache-2.0 */
#include "run/keeper.h"

#include "base/clock.h"
#include "base/list.h"
#include "base/mem.h"
#include "run/confine.h"
#include "run/newborn.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define CGROUP_ROOT "/sys/fs/cgroup"
#define SOCK        3    /* its descriptor in the keeper */
#define START_MS    5000 /* of the keeper, sweeping included */
#define TICK_MS     3    /* between looks at cells whose processes end */
#define SLOW_MS     250  /* the same when they have taken long */
#define LAST_MS     5000 /* after SIGKILL; then what is left stays for the next agent */

struct cell {
	struct writ_list node;
	char id[WRIT_CELL_ID + 4];
	bool ends;
};

struct keeper {
	struct writ_cells cells;
	struct writ_list list;
	size_t n, n_ends;
	int64_t slow_at_ms; /* from when on there is no hurry any more */
	bool orphan;        /* the agent is gone */
};

static bool say(const struct writ_keeper_answer *a)
{
	ssize_t n;
	do
		n = send(SOCK, a, sizeof(*a), MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n == (ssize_t)sizeof(*a);
}

static void answer(struct keeper *k, enum writ_keeper_op op, const char *id, writ_rc rc,
	const char *path, const struct writ_err *err)
{
	struct writ_keeper_answer a = { .op = op, .rc = rc };
	(void)snprintf(a.id, sizeof(a.id), "%s", id);
	(void)snprintf(a.path, sizeof(a.path), "%s", path);
	if (rc != WRIT_OK)
		(void)snprintf(a.why, sizeof(a.why), "%s", err->msg);
	if (!k->orphan && !say(&a))
		k->orphan = true;
}

static struct cell *find(struct keeper *k, const char *id)
{
	WRIT_LIST_EACH (it, &k->list) {
		struct cell *c = writ_container(it, struct cell, node);
		if (strcmp(c->id, id) == 0)
			return c;
	}
	return NULL;
}

static void drop(struct keeper *k, struct cell *c)
{
	writ_list_remove(&c->node);
	k->n--;
	k->n_ends -= c->ends;
	writ_free(c);
}

/* --- a launch begins --- */

/* The kernel moves what has this number now. The newborn was held before; that it still lives, and
 * is where it should be, proves that it was the one. */
static writ_rc move(struct keeper *k, const struct writ_newborn *n, const char *id,
	char path[WRIT_KEEPER_PATH_MAX], struct writ_err *err)
{
	writ_rc rc = writ_cell_put(&k->cells, id, n->pid, err);
	if (rc == WRIT_OK)
		rc = writ_newborn_cgroup(n, path, WRIT_KEEPER_PATH_MAX, err);
	if (rc == WRIT_OK && !writ_str_ends(writ_cstr(path), writ_cstr(id)))
		rc = writ_fail(
			err, WRIT_EUNAUTH, "process %d did not stay in its cgroup", (int)n->pid);
	return rc;
}

/* A process that was moved by mistake, since the number had passed on to it, must not die of it. */
static void undo(struct keeper *k, const char *id)
{
	struct writ_err err;
	writ_cell_let_go(&k->cells, id);
	(void)!writ_cell_remove(&k->cells, id, &err);
}

static writ_rc put(struct keeper *k, const struct writ_keeper_ask *q,
	char path[WRIT_KEEPER_PATH_MAX], struct writ_err *err)
{
	WRIT_AUTO(writ_newborn_close) struct writ_newborn n = { .pidfd = -1, .proc = -1 };
	if (k->n >= WRIT_KEEPER_CELLS_MAX)
		return writ_fail(err, WRIT_ELIMIT, "there are %zu launches already", k->n);
	if (!writ_cell_id_ok(q->id) || find(k, q->id))
		return writ_fail(err, WRIT_EINVAL, "not the number of a new launch");
	writ_rc rc = writ_newborn_open(q->pid, q->parent, q->uid, q->gid, &n, err);
	if (rc == WRIT_OK)
		rc = writ_cell_make(&k->cells, q->id, err);
	if (rc != WRIT_OK)
		return rc;
	rc = move(k, &n, q->id, path, err);
	if (rc != WRIT_OK) {
		undo(k, q->id);
		return rc;
	}
	struct cell *c = writ_alloc(sizeof(*c));
	memcpy(c->id, q->id, sizeof(c->id));
	writ_list_push(&k->list, &c->node);
	k->n++;
	return WRIT_OK;
}

/* --- and ends --- */

static bool remove_one(struct keeper *k, struct cell *c)
{
	struct writ_err err;
	writ_rc rc = writ_cell_remove(&k->cells, c->id, &err);
	if (rc == WRIT_EBUSY)
		return false;
	if (c->ends)
		answer(k, WRIT_KEEPER_END, c->id, rc, "", &err);
	drop(k, c);
	return true;
}

static void end(struct keeper *k, const struct writ_keeper_ask *q)
{
	struct writ_err err;
	struct cell *c = writ_cell_id_ok(q->id) ? find(k, q->id) : NULL;
	if (!c || c->ends)
		return;
	(void)!writ_cell_kill(&k->cells, c->id, &err); /* one that is empty can be removed */
	c->ends = true;
	k->n_ends++;
	k->slow_at_ms = writ_mono_ms() + LAST_MS;
	(void)remove_one(k, c);
}

static void look_after_ends(struct keeper *k)
{
	WRIT_LIST_EACH (it, &k->list) {
		struct cell *c = writ_container(it, struct cell, node);
		if (c->ends)
			(void)remove_one(k, c);
	}
}

/* What was launched may end by itself within the grace; then it is ended. */
static void clean_up(struct keeper *k)
{
	int64_t kill_at = writ_mono_ms() + WRIT_KEEPER_GRACE_MS;
	int64_t last = kill_at + LAST_MS;
	struct writ_err err;
	while (!writ_list_empty(&k->list) && writ_mono_ms() < last) {
		WRIT_LIST_EACH (it, &k->list) {
			struct cell *c = writ_container(it, struct cell, node);
			if (!remove_one(k, c) && writ_mono_ms() >= kill_at)
				(void)!writ_cell_kill(&k->cells, c->id, &err);
		}
		(void)poll(NULL, 0, TICK_MS);
	}
	writ_cells_close(&k->cells);
}

/* --- the process --- */

static void serve_one(struct keeper *k)
{
	struct writ_keeper_ask q;
	struct writ_err err = { 0 };
	char path[WRIT_KEEPER_PATH_MAX] = "";
	ssize_t n = recv(SOCK, &q, sizeof(q), MSG_DONTWAIT | MSG_TRUNC);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n != (ssize_t)sizeof(q) || q.id[WRIT_CELL_ID] != '\0') {
		k->orphan = true; /* its end, or something that no agent of ours says */
		return;
	}
	if (q.op == WRIT_KEEPER_PUT) {
		writ_rc rc = put(k, &q, path, &err);
		answer(k, WRIT_KEEPER_PUT, q.id, rc, path, &err);
	} else if (q.op == WRIT_KEEPER_END) {
		end(k, &q);
	}
}

static void serve(struct keeper *k)
{
	while (!k->orphan) {
		struct pollfd p = { .fd = SOCK, .events = POLLIN };
		int tick = writ_mono_ms() < k->slow_at_ms ? TICK_MS : SLOW_MS;
		if (poll(&p, 1, k->n_ends ? tick : -1) > 0)
			serve_one(k);
		look_after_ends(k);
	}
	clean_up(k);
}

static void ignore_signals(void)
{
	/* It ends when the agent has ended, and not before. */
	static const int all[] = { SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGPIPE };
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	for (size_t i = 0; i < WRIT_COUNT(all); i++)
		(void)sigaction(all[i], &ignore, NULL);
}

static _Noreturn void be_keeper(int fd, const char *root)
{
	struct keeper k = { .n = 0 };
	struct writ_err err = { 0 };
	ignore_signals();
	(void)prctl(PR_SET_NAME, "writ-run-keeper", 0, 0, 0);
	if (fd != SOCK && dup2(fd, SOCK) != SOCK)
		_exit(1);
	/* Ends of other pairs too: whoever waits for the agent's end must not wait for ours. */
	(void)close_range(SOCK + 1, ~0U, 0);
	writ_list_init(&k.list);
	writ_rc rc = writ_keeper_confine(root, &err);
	if (rc == WRIT_OK)
		rc = writ_cells_open(root, &k.cells, &err);
	struct writ_keeper_answer ready = {
		.op = WRIT_KEEPER_READY, .rc = rc, .swept = k.cells.swept, .left = k.cells.left
	};
	(void)snprintf(ready.why, sizeof(ready.why), "%s", err.msg);
	if (!say(&ready) || rc != WRIT_OK)
		_exit(rc != WRIT_OK);
	serve(&k);
	_exit(0);
}

static writ_rc wait_ready(int fd, struct writ_keeper_answer *ret, struct writ_err *err)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int64_t until = writ_mono_ms() + START_MS;
	int rc;
	do
		rc = poll(&p, 1, (int)(until - writ_mono_ms()));
	while (rc < 0 && errno == EINTR && writ_mono_ms() < until);
	ssize_t n = rc > 0 ? recv(fd, ret, sizeof(*ret), 0) : -1;
	if (n != (ssize_t)sizeof(*ret) || ret->rc >= WRIT_RC_COUNT)
		return writ_fail(err, WRIT_EUNAVAIL, "the keeper of cgroups does not start");
	ret->why[sizeof(ret->why) - 1] = '\0';
	return ret->rc == WRIT_OK ? WRIT_OK : writ_fail(err, (writ_rc)ret->rc, "%s", ret->why);
}

writ_rc writ_keeper_start(
	const char *root, int *ret, struct writ_keeper_answer *ready, struct writ_err *err)
{
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return writ_fail_errno(err, errno, "a socket for the keeper of cgroups");
	pid_t pid = fork();
	if (pid == 0)
		be_keeper(pair[1], root ? root : CGROUP_ROOT);
	int e = errno;
	writ_closep(&pair[1]);
	writ_rc rc = pid < 0 ? writ_fail_errno(err, e, "start the keeper of cgroups")
			     : wait_ready(pair[0], ready, err);
	if (rc == WRIT_OK && fcntl(pair[0], F_SETFL, O_NONBLOCK) != 0)
		rc = writ_fail_errno(err, errno, "the socket of the keeper of cgroups");
	if (rc != WRIT_OK) {
		writ_closep(&pair[0]);
		if (pid > 0 && kill(pid, SIGKILL) == 0)
			(void)waitpid(pid, NULL, 0);
		return rc;
	}
	*ret = pair[0];
	return WRIT_OK;
}
