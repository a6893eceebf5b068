/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/mains.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attest/cgroup_form.h"
#include "attest/proc_text.h"
#include "base/mem.h"

#define SLOTS       4096 /* power of two */
#define PROBES      16
#define DEPTH_MAX   16
#define PROCS_CAP   (64 * 1024)
#define STAT_MAX    1024
#define HALF_CIRCLE 16384 /* of the smallest pid_max that systems have */

/* --- the folder --- */

/* One line "4:memory:/a" of a text that was parsed before. */
static struct writ_scope line_of(struct writ_str *text)
{
	struct writ_str line, id;
	struct writ_scope s;
	(void)writ_str_cut(text, '\n', &line);
	(void)writ_str_cut(&line, ':', &id);
	(void)writ_str_cut(&line, ':', &s.hierarchy);
	s.path = line;
	return s;
}

/* v2 knows each process once; systemd's own v1 hierarchy is as good where there is no unit in v2.
 */
static int rank(struct writ_str hierarchy)
{
	if (hierarchy.n == 0)
		return 3;
	return writ_str_eq(hierarchy, WRIT_STR("name=systemd")) ? 2 : 1;
}

writ_rc writ_scope_of(struct writ_str text, const struct writ_cgroup_trust *trust,
	struct writ_scope *ret, struct writ_err *err)
{
	struct writ_cgroup all;
	writ_rc rc = writ_cgroup_parse(text, trust, &all, err);
	if (rc != WRIT_OK)
		return rc;
	if (all.kind == WRIT_CGROUP_NONE)
		return writ_fail(
			err, WRIT_ENOENT, "it is in no unit, container or login that is known");
	if (all.has_owner && all.kind != WRIT_CGROUP_SESSION && all.kind != WRIT_CGROUP_SLURM)
		return writ_fail(err, WRIT_EUNAUTH,
			"in cgroups of a user's own manager (uid %u) that user moves processes as "
			"he likes",
			all.owner_uid);
	struct writ_scope best = { .path = { NULL, 0 } };
	int best_rank = 0;
	while (text.n > 0) {
		struct writ_cgroup one;
		size_t anchor;
		struct writ_scope s = line_of(&text);
		writ_cgroup_form_match(s.path, &one, &anchor);
		if (one.kind != all.kind || rank(s.hierarchy) <= best_rank)
			continue;
		best = s;
		best.path.n = anchor;
		best_rank = rank(s.hierarchy);
	}
	*ret = best;
	return WRIT_OK;
}

bool writ_scope_has(const struct writ_scope *s, struct writ_str text)
{
	while (text.n > 0) {
		struct writ_scope at = line_of(&text);
		if (writ_str_eq(at.hierarchy, s->hierarchy))
			return writ_str_starts(at.path, s->path) &&
				(at.path.n == s->path.n || at.path.p[s->path.n] == '/');
	}
	return false;
}

/* --- who is the oldest in it --- */

struct survey {
	const struct writ_kin *k;
	size_t procs, dirs;
	char *text; /* of one cgroup.procs */
};

/* WRIT_ENOENT: it has ended. */
static writ_rc read_stat(uint64_t pid, struct writ_proc_stat *ret, struct writ_err *err)
{
	char path[40];
	char text[STAT_MAX];
	size_t n;
	(void)snprintf(path, sizeof(path), "/proc/%llu/stat", (unsigned long long)pid);
	const struct writ_pin root = { .pid = (pid_t)pid, .pidfd = -1, .dirfd = AT_FDCWD };
	int e = writ_pin_read(&root, path, text, sizeof(text), &n);
	if (e == ENOENT || e == ESRCH)
		return writ_fail(
			err, WRIT_ENOENT, "process %llu has ended", (unsigned long long)pid);
	if (e != 0)
		return writ_fail_errno(err, e, "read %s", path);
	return writ_proc_stat_parse(writ_strn(text, n), ret, err);
}

/* A clock tick is long enough for a process and its children to start in it. Numbers are given out
 * in a circle, and a tick is too short for half of one. */
static bool is_older(const struct writ_proc_stat *a, const struct writ_kin *b)
{
	if (a->start_time != b->start_time)
		return a->start_time < b->start_time;
	uint64_t apart = a->pid < b->pid ? b->pid - a->pid : a->pid - b->pid;
	return (a->pid < b->pid) == (apart < HALF_CIRCLE);
}

static writ_rc look_at(struct survey *v, uint64_t pid, struct writ_err *err)
{
	struct writ_proc_stat stat;
	if (pid == v->k->pid)
		return WRIT_OK;
	writ_rc rc = read_stat(pid, &stat, err);
	if (rc == WRIT_ENOENT)
		return WRIT_OK; /* meanwhile */
	if (rc != WRIT_OK || !is_older(&stat, v->k))
		return rc;
	return writ_fail(err, WRIT_EUNAUTH,
		"process %llu is not the first of its cgroup: process %llu was there before",
		(unsigned long long)v->k->pid, (unsigned long long)pid);
}

static writ_rc read_procs(struct survey *v, int dirfd, size_t *n, struct writ_err *err)
{
	WRIT_AUTO(writ_closep) int fd = openat(dirfd, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	size_t at = 0;
	*n = 0;
	if (fd < 0)
		return errno == ENOENT ? WRIT_OK : writ_fail_errno(err, errno, "open cgroup.procs");
	while (at < PROCS_CAP) {
		ssize_t got = read(fd, v->text + at, PROCS_CAP - at);
		if (got < 0 && errno == EINTR)
			continue;
		/* The processes of a threaded cgroup are listed above it. */
		if (got < 0 && errno == EOPNOTSUPP)
			return WRIT_OK;
		if (got < 0)
			return writ_fail_errno(err, errno, "read cgroup.procs");
		if (got == 0) {
			*n = at;
			return WRIT_OK;
		}
		at += (size_t)got;
	}
	return writ_fail(err, WRIT_EUNAUTH, "its cgroup holds too many processes");
}

static writ_rc survey_procs(struct survey *v, int dirfd, struct writ_err *err)
{
	size_t n;
	writ_rc rc = read_procs(v, dirfd, &n, err);
	struct writ_str rest = writ_strn(v->text, n);
	while (rc == WRIT_OK && rest.n > 0) {
		struct writ_str line;
		uint64_t pid;
		(void)writ_str_cut(&rest, '\n', &line);
		rc = writ_parse_u64(line, 1, INT32_MAX, &pid, err);
		if (rc == WRIT_OK && ++v->procs > WRIT_MAINS_PROCS_MAX)
			rc = writ_fail(err, WRIT_EUNAUTH, "its cgroup holds more than %d processes",
				WRIT_MAINS_PROCS_MAX);
		if (rc == WRIT_OK)
			rc = look_at(v, pid, err);
	}
	return rc;
}

/* Takes dirfd. */
static writ_rc survey_tree(struct survey *v, int dirfd, int depth, struct writ_err *err)
{
	writ_rc rc = survey_procs(v, dirfd, err);
	if (rc == WRIT_OK && (++v->dirs > WRIT_MAINS_DIRS_MAX || depth > DEPTH_MAX))
		rc = writ_fail(err, WRIT_EUNAUTH, "its cgroup holds too many others");
	if (rc != WRIT_OK) {
		(void)close(dirfd);
		return rc;
	}
	DIR *d = fdopendir(dirfd);
	if (!d) {
		rc = writ_fail_errno(err, errno, "list a cgroup");
		(void)close(dirfd);
		return rc;
	}
	for (const struct dirent *e = readdir(d); rc == WRIT_OK && e; e = readdir(d)) {
		if (e->d_type != DT_DIR || e->d_name[0] == '.')
			continue;
		int fd = openat(dirfd, e->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (fd >= 0)
			rc = survey_tree(v, fd, depth + 1, err);
		else if (errno != ENOENT)
			rc = writ_fail_errno(err, errno, "open a cgroup");
	}
	(void)closedir(d);
	return rc;
}

/* --- what is remembered --- */

struct slot {
	uint64_t dev, ino; /* of the cgroup's folder: numbers that the kernel does not use again */
	uint64_t pid, start_time; /* pid 0: the slot is free */
	char *hierarchy, *path;   /* of the folder; owned */
};

struct writ_mains {
	pthread_mutex_t lock;
	struct slot slots[SLOTS];
};

struct writ_mains *writ_mains_new(void)
{
	struct writ_mains *m = writ_alloc(sizeof(*m));
	(void)pthread_mutex_init(&m->lock, NULL);
	return m;
}

static void empty(struct slot *s)
{
	writ_free(s->hierarchy);
	writ_free(s->path);
	*s = (struct slot){ .pid = 0 };
}

void writ_mains_free(struct writ_mains *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < SLOTS; i++)
		empty(&m->slots[i]);
	(void)pthread_mutex_destroy(&m->lock);
	writ_free(m);
}

static bool is_of(const struct slot *s, const struct stat *st)
{
	return s->pid && s->ino == st->st_ino && s->dev == st->st_dev;
}

static struct slot *slot_at(struct writ_mains *m, const struct stat *st, uint64_t probe)
{
	uint64_t at = (st->st_ino * 0x9e3779b97f4a7c15u + st->st_dev) >> 40;
	return &m->slots[(at + probe) & (SLOTS - 1)];
}

/* NULL: no main is known. Locked. */
static struct slot *find(struct writ_mains *m, const struct stat *st)
{
	for (uint64_t i = 0; i < PROBES; i++)
		if (is_of(slot_at(m, st, i), st))
			return slot_at(m, st, i);
	return NULL;
}

static bool is_there(const struct slot *s, const struct writ_cgroup_trust *trust)
{
	struct stat st;
	WRIT_AUTO(writ_closep)
	int fd = trust->open(trust, writ_cstr(s->hierarchy), writ_cstr(s->path));
	return fd >= 0 && fstat(fd, &st) == 0 && is_of(s, &st);
}

/* One that is free, or of a folder that is gone. A folder that is there keeps its slot: else
 * whoever makes many could have another one's main process forgotten. Locked. */
static struct slot *find_room(
	struct writ_mains *m, const struct stat *st, const struct writ_cgroup_trust *trust)
{
	for (uint64_t i = 0; i < PROBES; i++) {
		struct slot *s = slot_at(m, st, i);
		if (s->pid && is_there(s, trust))
			continue;
		empty(s);
		return s;
	}
	return NULL;
}

/* True when there is a main already; *is_k says whether it is k. */
static bool recall(
	struct writ_mains *m, const struct stat *st, const struct writ_kin *k, bool *is_k)
{
	(void)pthread_mutex_lock(&m->lock);
	const struct slot *s = find(m, st);
	*is_k = s && s->pid == k->pid && s->start_time == k->start_time;
	(void)pthread_mutex_unlock(&m->lock);
	return s != NULL;
}

static writ_rc had_another(
	const struct writ_scope *scope, const struct writ_kin *k, struct writ_err *err)
{
	return writ_fail(err, WRIT_EUNAUTH,
		"the cgroup '" WRIT_FMT "' had another main process than %llu: what that one "
		"started or left behind does not become it",
		WRIT_ARG(scope->path), (unsigned long long)k->pid);
}

/* Unless another one was found meanwhile. */
static writ_rc remember(struct writ_mains *m, const struct writ_cgroup_trust *trust,
	const struct writ_scope *scope, const struct stat *st, const struct writ_kin *k,
	struct writ_err *err)
{
	(void)pthread_mutex_lock(&m->lock);
	struct slot *s = find(m, st);
	bool is_other = s && (s->pid != k->pid || s->start_time != k->start_time);
	struct slot *room = s ? s : find_room(m, st, trust);
	if (room && !s)
		*room = (struct slot){ st->st_dev, st->st_ino, k->pid, k->start_time,
			writ_strndup(scope->hierarchy.p, scope->hierarchy.n),
			writ_strndup(scope->path.p, scope->path.n) };
	(void)pthread_mutex_unlock(&m->lock);
	if (is_other)
		return had_another(scope, k, err);
	return room ? WRIT_OK
		    : writ_fail(err, WRIT_EUNAUTH,
			      "the main processes of too many cgroups are known already");
}

writ_rc writ_mains_check(struct writ_mains *m, const struct writ_cgroup_trust *trust,
	const struct writ_scope *scope, const struct writ_kin *k, bool may_search,
	struct writ_err *err)
{
	struct stat st;
	bool is_k;
	int fd = m && trust->open ? trust->open(trust, scope->hierarchy, scope->path) : -1;
	if (fd < 0 || fstat(fd, &st) != 0) {
		writ_closep(&fd);
		return writ_fail(err, WRIT_EUNAUTH, "the cgroup '" WRIT_FMT "' cannot be opened",
			WRIT_ARG(scope->path));
	}
	if (recall(m, &st, k, &is_k)) {
		(void)close(fd);
		return is_k ? WRIT_OK : had_another(scope, k, err);
	}
	if (!may_search) {
		(void)close(fd);
		return writ_fail(err, WRIT_EBUSY, "the main process of '" WRIT_FMT "' is not known",
			WRIT_ARG(scope->path));
	}
	struct survey v = { .k = k, .text = writ_alloc(PROCS_CAP) };
	writ_rc rc = survey_tree(&v, fd, 0, err);
	writ_free(v.text);
	return rc == WRIT_OK ? remember(m, trust, scope, &st, k, err) : rc;
}
