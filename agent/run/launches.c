/* SPDX-License-Identifier: Apache-2.0 */
#include "run/launches.h"

#include "base/list.h"
#include "base/mem.h"
#include "base/rand.h"
#include "run/newborn.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define START_MS   5000
#define RETRY_MS   10
#define CGROUP_MAX 8192
#define TURN       32 /* answers of the keeper that one turn of the loop reads */

enum launch_state {
	LAUNCH_STARTS, /* the keeper was asked */
	LAUNCH_LIVES,  /* its processes have an identity */
	LAUNCH_ENDS,   /* no longer; the keeper has yet to say that the cgroup is gone */
};

struct writ_launch {
	struct writ_list node;
	struct writ_launches *ls;
	enum launch_state state;
	char id[WRIT_CELL_ID + 4];
	char *as;
	char path[WRIT_KEEPER_PATH_MAX]; /* since it lives; "": not yet */
	uid_t uid;
	pid_t pid;
	bool children, end_due; /* end_due: the keeper has not been told */
	int pidfd;              /* owned: the command */
	struct writ_poll *poll; /* of pidfd, while it lives */
	struct writ_timer *deadline;
	void (*started)(void *arg, struct writ_launch *l);
	void (*ended)(void *arg, const struct writ_err *why); /* NULL: nobody is to be told */
	void *arg;
};

struct writ_launches {
	struct writ_launches_config cfg;
	struct writ_poll *poll; /* NULL: the keeper is gone */
	struct writ_timer *retry;
	struct writ_list list;
	size_t n;
	bool stopping;
};

static void free_launch(struct writ_launch *l)
{
	writ_list_remove(&l->node);
	l->ls->n--;
	writ_timer_free(l->deadline);
	writ_poll_free(l->poll);
	writ_closep(&l->pidfd);
	writ_free(l->as);
	writ_free(l);
}

static void tell_end(struct writ_launch *l, const struct writ_err *why)
{
	void (*ended)(void *, const struct writ_err *) = writ_steal(l->ended);
	if (ended)
		ended(l->arg, why);
}

/* --- to the keeper --- */

static bool ask(struct writ_launches *ls, const struct writ_keeper_ask *q)
{
	return ls->poll &&
		send(ls->cfg.keeper, q, sizeof(*q), MSG_NOSIGNAL | MSG_DONTWAIT) ==
		(ssize_t)sizeof(*q);
}

static void ask_end(struct writ_launch *l)
{
	struct writ_keeper_ask q = { .op = WRIT_KEEPER_END };
	memcpy(q.id, l->id, sizeof(q.id));
	l->end_due = !ask(l->ls, &q);
	if (l->end_due && l->ls->poll)
		writ_timer_start(l->ls->retry, RETRY_MS);
}

static void on_retry(void *arg)
{
	struct writ_launches *ls = arg;
	WRIT_LIST_EACH (it, &ls->list) {
		struct writ_launch *l = writ_container(it, struct writ_launch, node);
		if (l->end_due)
			ask_end(l);
	}
}

static void record(const struct writ_launch *l, const char *event)
{
	struct writ_audit *audit = l->ls->cfg.audit;
	struct writ_err err;
	const struct writ_kv kv[] = {
		WRIT_KV("id", l->id),
		WRIT_KV("as", l->as),
		WRIT_KV("uid", (unsigned)l->uid),
		WRIT_KV("pid", (int)l->pid),
		WRIT_KV("children", l->children),
		WRIT_KV("cgroup", l->path),
	};
	writ_log_write(WRIT_LOG_INFO, event, kv, WRIT_COUNT(kv));
	if (audit && writ_audit_write(audit, event, kv, WRIT_COUNT(kv), &err) != WRIT_OK)
		WRIT_LOG_LIMITED(ERROR, "audit.failed", WRIT_KV("error", err.msg));
}

/* From this moment none of its processes is known as one of it. */
static void end(struct writ_launch *l)
{
	bool lived = l->state == LAUNCH_LIVES;
	if (l->state == LAUNCH_ENDS)
		return;
	l->state = LAUNCH_ENDS;
	writ_timer_stop(l->deadline);
	writ_poll_free(writ_steal(l->poll));
	if (!lived)
		return; /* the keeper's answer comes first */
	record(l, "run.ended");
	l->ls->cfg.over(l->ls->cfg.arg, l->id);
	if (!l->ls->stopping)
		ask_end(l);
}

/* --- what happens to a launch --- */

static void on_command_end(void *arg, int events)
{
	(void)events;
	end(arg);
}

static void on_deadline(void *arg)
{
	struct writ_launch *l = arg;
	struct writ_err err = { 0 };
	(void)writ_fail(&err, WRIT_ETIMEOUT, "the keeper of cgroups does not answer");
	end(l);
	tell_end(l, &err);
}

static bool has_ended(int pidfd)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };
	return poll(&p, 1, 0) != 0;
}

static writ_rc live(struct writ_launch *l, const char *path, struct writ_err *err)
{
	/* Alive still: the number that the keeper looked at was that of this process all along. */
	if (has_ended(l->pidfd))
		return writ_fail(err, WRIT_EUNAUTH, "process %d has ended", (int)l->pid);
	writ_rc rc = writ_poll_new(l->ls->cfg.loop, l->pidfd, on_command_end, l, &l->poll, err);
	if (rc != WRIT_OK)
		return rc;
	writ_poll_set(l->poll, WRIT_READABLE);
	(void)snprintf(l->path, sizeof(l->path), "%s", path);
	l->state = LAUNCH_LIVES;
	return WRIT_OK;
}

static void on_put(struct writ_launch *l, const struct writ_keeper_answer *a)
{
	struct writ_err err = { 0 };
	writ_timer_stop(l->deadline);
	if (a->rc != WRIT_OK) {
		(void)writ_fail(&err, (writ_rc)a->rc, "%s", a->why);
		tell_end(l, &err);
		free_launch(l);
		return;
	}
	if (l->state != LAUNCH_STARTS || live(l, a->path, &err) != WRIT_OK) {
		l->state = LAUNCH_ENDS;
		tell_end(l, &err);
		ask_end(l);
		return;
	}
	record(l, "run.started");
	if (l->started)
		l->started(l->arg, l);
}

static void on_gone(struct writ_launch *l, const struct writ_keeper_answer *a)
{
	if (l->state != LAUNCH_ENDS)
		return; /* not asked for */
	if (a->rc != WRIT_OK)
		WRIT_LOG(WARN, "run.left_over", WRIT_KV("id", l->id), WRIT_KV("error", a->why));
	tell_end(l, NULL);
	free_launch(l);
}

static struct writ_launch *find(struct writ_launches *ls, const char *id)
{
	WRIT_LIST_EACH (it, &ls->list) {
		struct writ_launch *l = writ_container(it, struct writ_launch, node);
		if (strcmp(l->id, id) == 0)
			return l;
	}
	return NULL;
}

static void on_answer(struct writ_launches *ls, struct writ_keeper_answer *a)
{
	a->id[sizeof(a->id) - 1] = a->path[sizeof(a->path) - 1] = a->why[sizeof(a->why) - 1] = 0;
	struct writ_launch *l = find(ls, a->id);
	if (!l || a->rc >= WRIT_RC_COUNT)
		return;
	if (a->op == WRIT_KEEPER_PUT)
		on_put(l, a);
	else if (a->op == WRIT_KEEPER_END)
		on_gone(l, a);
}

/* What it had in its hands nobody holds any more. */
static void lose_keeper(struct writ_launches *ls)
{
	struct writ_err err = { 0 };
	(void)writ_fail(&err, WRIT_EUNAVAIL,
		"the agent's keeper of cgroups has ended; it comes back when writ-agent is "
		"restarted");
	WRIT_LOG(ERROR, "run.no_keeper", WRIT_KV("do", "restart writ-agent"));
	writ_poll_free(writ_steal(ls->poll));
	WRIT_LIST_EACH (it, &ls->list) {
		struct writ_launch *l = writ_container(it, struct writ_launch, node);
		end(l);
		tell_end(l, &err);
		free_launch(l);
	}
}

static void on_keeper(void *arg, int events)
{
	struct writ_launches *ls = arg;
	struct writ_keeper_answer a;
	(void)events;
	for (int i = 0; i < TURN; i++) {
		ssize_t n = recv(ls->cfg.keeper, &a, sizeof(a), MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n != (ssize_t)sizeof(a)) {
			lose_keeper(ls);
			return;
		}
		on_answer(ls, &a);
	}
}

/* --- the table --- */

writ_rc writ_launches_new(
	const struct writ_launches_config *cfg, struct writ_launches **ret, struct writ_err *err)
{
	struct writ_launches *ls = writ_alloc(sizeof(*ls));
	ls->cfg = *cfg;
	writ_list_init(&ls->list);
	writ_rc rc = writ_poll_new(cfg->loop, cfg->keeper, on_keeper, ls, &ls->poll, err);
	if (rc != WRIT_OK) {
		writ_closep(&ls->cfg.keeper);
		writ_free(ls);
		return rc;
	}
	writ_poll_set(ls->poll, WRIT_READABLE);
	ls->retry = writ_timer_new(cfg->loop, on_retry, ls);
	*ret = ls;
	return WRIT_OK;
}

void writ_launches_stop(struct writ_launches *ls)
{
	ls->stopping = true;
}

void writ_launches_free(struct writ_launches *ls)
{
	if (!ls)
		return;
	WRIT_LIST_EACH (it, &ls->list)
		free_launch(writ_container(it, struct writ_launch, node));
	writ_timer_free(ls->retry);
	writ_poll_free(ls->poll);
	writ_closep(&ls->cfg.keeper);
	writ_free(ls);
}

size_t writ_launches_count(const struct writ_launches *ls)
{
	return ls ? ls->n : 0;
}

static writ_rc check_room(struct writ_launches *ls, uid_t uid, struct writ_err *err)
{
	size_t mine = 0;
	WRIT_LIST_EACH (it, &ls->list)
		mine += writ_container(it, struct writ_launch, node)->uid == uid;
	if (!ls->poll || ls->stopping)
		return writ_fail(err, WRIT_EUNAVAIL,
			"the agent's keeper of cgroups has ended; restart writ-agent");
	if (ls->n >= WRIT_LAUNCHES_MAX)
		return writ_fail(err, WRIT_ELIMIT, "%zu commands run like this already", ls->n);
	if (mine >= WRIT_LAUNCHES_PER_UID)
		return writ_fail(err, WRIT_ELIMIT, "user %u runs %zu commands like this already",
			(unsigned)uid, mine);
	return WRIT_OK;
}

writ_rc writ_launch_start(struct writ_launches *ls, const struct writ_launch_spec *spec,
	struct writ_launch **ret, struct writ_err *err)
{
	writ_rc rc = check_room(ls, spec->uid, err);
	if (rc != WRIT_OK)
		return rc;
	int pidfd = spec->pid > 1 ? (int)syscall(SYS_pidfd_open, spec->pid, 0) : -1;
	if (pidfd < 0)
		return writ_fail(err, WRIT_EUNAUTH, "there is no process %d", (int)spec->pid);
	struct writ_keeper_ask q = { .op = WRIT_KEEPER_PUT,
		.pid = spec->pid,
		.parent = spec->parent,
		.uid = spec->uid,
		.gid = spec->gid };
	uint8_t random[WRIT_CELL_ID / 2];
	writ_rand(random, sizeof(random));
	writ_hex(random, sizeof(random), q.id);
	if (!ask(ls, &q)) {
		writ_closep(&pidfd);
		return writ_fail(err, WRIT_EUNAVAIL, "the keeper of cgroups is busy: try again");
	}
	struct writ_launch *l = writ_alloc(sizeof(*l));
	memcpy(l->id, q.id, sizeof(l->id));
	l->ls = ls;
	l->as = writ_strdup(spec->as);
	l->uid = spec->uid;
	l->pid = spec->pid;
	l->pidfd = pidfd;
	l->children = spec->children;
	l->started = spec->started;
	l->ended = spec->ended;
	l->arg = spec->arg;
	l->deadline = writ_timer_new(ls->cfg.loop, on_deadline, l);
	writ_timer_start(l->deadline, START_MS);
	writ_list_push(&ls->list, &l->node);
	ls->n++;
	*ret = l;
	return WRIT_OK;
}

const char *writ_launch_id(const struct writ_launch *l)
{
	return l->id;
}

void writ_launch_drop(struct writ_launch *l)
{
	l->started = NULL;
	l->ended = NULL;
	end(l);
}

/* --- who belongs to one --- */

static struct writ_launch *of_path(struct writ_launches *ls, struct writ_str path)
{
	WRIT_LIST_EACH (it, &ls->list) {
		struct writ_launch *l = writ_container(it, struct writ_launch, node);
		if (l->path[0] && writ_str_eq(path, writ_cstr(l->path)))
			return l;
	}
	return NULL;
}

/* A command that has ended leaves nobody who is meant, whatever is still in the cgroup. */
static bool is_alive(const struct writ_launch *l)
{
	return l->state == LAUNCH_LIVES && !has_ended(l->pidfd);
}

static bool is_meant(const struct writ_launch *l, pid_t pid)
{
	return l->children || pid == l->pid;
}

static bool add(struct writ_selectors *out, const char *key, const char *value)
{
	struct writ_err err;
	WRIT_AUTO(writ_freep) char *text = writ_asprintf("%s:%s", key, value);
	return writ_selectors_add(out, WRIT_STR("run"), writ_cstr(text), &err) == WRIT_OK;
}

/* Alive after the read: it was that process's folder. */
static bool read_cgroup(pid_t pid, int pidfd, char text[CGROUP_MAX], struct writ_str *ret)
{
	char path[48];
	(void)snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)pid);
	WRIT_AUTO(writ_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, CGROUP_MAX);
	if (n <= 0 || n == CGROUP_MAX || has_ended(pidfd))
		return false;
	*ret = writ_cgroup_v2_path(writ_strn(text, (size_t)n));
	return true;
}

enum writ_run_place writ_launches_select(
	struct writ_launches *ls, pid_t pid, int pidfd, struct writ_selectors *out)
{
	char text[CGROUP_MAX];
	struct writ_str path;
	if (!ls || !ls->n || pidfd < 0 || !read_cgroup(pid, pidfd, text, &path))
		return WRIT_RUN_NONE;
	struct writ_launch *l = of_path(ls, path);
	if (!l || !is_alive(l))
		return WRIT_RUN_NONE;
	if (!is_meant(l, pid))
		return WRIT_RUN_CHILD;
	return add(out, "id", l->id) && add(out, "as", l->as) ? WRIT_RUN_MEANT : WRIT_RUN_NONE;
}

static bool is_below(struct writ_str path, struct writ_str folder)
{
	return path.n > folder.n && writ_str_starts(path, folder) && path.p[folder.n] == '/';
}

writ_rc writ_launches_may_claim(
	struct writ_launches *ls, pid_t pid, int pidfd, struct writ_str path, struct writ_err *err)
{
	char text[CGROUP_MAX];
	struct writ_str at;
	if (!ls->n)
		return WRIT_OK;
	if (pidfd < 0 || !read_cgroup(pid, pidfd, text, &at))
		return writ_fail(err, WRIT_EUNAUTH,
			"the cgroup of process %d, which asks, cannot be read", (int)pid);
	const struct writ_launch *l = of_path(ls, at);
	if (!l)
		return WRIT_OK;
	if (!is_alive(l) || !is_meant(l, pid))
		return writ_fail(err, WRIT_EDENIED,
			"process %d was started by a command of writ run, and not meant by it: it "
			"cannot start others under identities (writ run -children would mean it)",
			(int)pid);
	if (!is_below(path, writ_cstr(l->as)))
		return writ_fail(err, WRIT_EDENIED,
			"process %d runs as %s: it can start others only below that, as %s/NAME",
			(int)pid, l->as, l->as);
	return WRIT_OK;
}

enum writ_run_place writ_launches_merge(struct writ_launches *ls, pid_t pid, int pidfd,
	const struct writ_selectors *own, struct writ_selectors *ret)
{
	struct writ_err err;
	writ_selectors_init(ret);
	enum writ_run_place place = writ_launches_select(ls, pid, pidfd, ret);
	for (size_t i = 0; i < own->n; i++) {
		struct writ_selector one = writ_selectors_at(own, i);
		if (writ_selectors_add(ret, one.type, one.value, &err) != WRIT_OK)
			break; /* fewer: never more */
	}
	writ_selectors_seal(ret);
	return place;
}
