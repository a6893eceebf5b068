/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "attest/auxv.h"
#include "attest/exe_file.h"
#include "attest/proc_text.h"
#include "base/mem.h"

#define STAT_MAX 1024

static const char *const ns_files[WRIT_NS_COUNT] = {
	[WRIT_NS_USER] = "ns/user",
	[WRIT_NS_MNT] = "ns/mnt",
	[WRIT_NS_CGROUP] = "ns/cgroup",
	[WRIT_NS_PID] = "ns/pid",
};

static const char *const part_names[WRIT_PART_COUNT] = {
	[WRIT_PART_CGROUP] = "cgroup",
	[WRIT_PART_EXE] = "exe",
	[WRIT_PART_AUXV] = "auxv",
	[WRIT_PART_NS + WRIT_NS_USER] = "user namespace",
	[WRIT_PART_NS + WRIT_NS_MNT] = "mount namespace",
	[WRIT_PART_NS + WRIT_NS_CGROUP] = "cgroup namespace",
	[WRIT_PART_NS + WRIT_NS_PID] = "PID namespace",
};

/* Where the parts of one snapshot land before it is known how long they are. */
struct scratch {
	char text[WRIT_SNAPSHOT_CGROUP_MAX];
	char auxv[WRIT_SNAPSHOT_AUXV_MAX];
	char path[WRIT_SNAPSHOT_PATH_MAX];
	size_t text_n, auxv_n, path_n;
};

const char *writ_snapshot_part_name(enum writ_snapshot_part part)
{
	return (size_t)part < WRIT_PART_COUNT ? part_names[part] : "?";
}

/* "user:[4026531837]" -> the number. Reading the link does not open the namespace, unlike stat. */
int writ_ns_read(int dirfd, const char *name, uint64_t *ret)
{
	char link[64];
	ssize_t n = readlinkat(dirfd, name, link, sizeof(link));
	if (n < 0)
		return errno;
	struct writ_str s = writ_strn(link, (size_t)n);
	struct writ_str kind;
	if (!writ_str_cut(&s, '[', &kind) || s.n < 2 || s.p[s.n - 1] != ']')
		return EBADMSG;
	return writ_parse_u64(writ_strn(s.p, s.n - 1), 1, UINT64_MAX, ret, NULL) == WRIT_OK
		? 0
		: EBADMSG;
}

void writ_ns_self_read(struct writ_ns_self *ret)
{
	struct writ_ns_self self = { .host_mnt = 0 };
	WRIT_AUTO(writ_closep) int dirfd = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (size_t i = 0; dirfd >= 0 && i < WRIT_NS_COUNT; i++)
		if (writ_ns_read(dirfd, ns_files[i], &self.ns[i]) != 0)
			self.ns[i] = 0;
	WRIT_AUTO(writ_closep) int first = open("/proc/1", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (first < 0 || writ_ns_read(first, ns_files[WRIT_NS_MNT], &self.host_mnt) != 0)
		self.host_mnt = 0;
	*ret = self;
}

uint64_t writ_ns_host_net(void)
{
	uint64_t ns = 0;
	WRIT_AUTO(writ_closep) int first = open("/proc/1", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return first >= 0 && writ_ns_read(first, "ns/net", &ns) == 0 ? ns : 0;
}

/* A hardened service has a mount namespace of its own (systemd's ProtectSystem= makes one), and its
 * callers are in that of process 1. Which file a path names is looked up in the agent's either way,
 * and must be the one that runs. */
bool writ_ns_is_ours(const struct writ_ns_self *self, enum writ_ns which, uint64_t ns)
{
	return self->ns[which] == ns || (which == WRIT_NS_MNT && self->host_mnt == ns);
}

static int read_exe_path(int dirfd, struct scratch *x)
{
	ssize_t n = readlinkat(dirfd, "exe", x->path, sizeof(x->path));
	if (n < 0)
		return errno;
	if ((size_t)n == sizeof(x->path))
		return ENAMETOOLONG;
	x->path_n = (size_t)n;
	return 0;
}

static writ_rc gone_or_hidden(
	const struct writ_pin *pin, int e, const char *name, struct writ_err *err)
{
	if (e == ESRCH || e == ENOENT)
		return writ_fail(err, WRIT_EUNAUTH, "process %d has ended", (int)pin->pid);
	return writ_fail_errno(err, e, "read /proc/%d/%s", (int)pin->pid, name);
}

static bool ids_are(const uint32_t ids[3], uint32_t want)
{
	return ids[0] == want && ids[1] == want && ids[2] == want;
}

static writ_rc read_state(
	const struct writ_pin *pin, struct writ_proc_stat *ret, struct writ_err *err)
{
	char text[STAT_MAX];
	size_t n;
	int e = writ_pin_read(pin, "stat", text, sizeof(text), &n);
	if (e != 0)
		return gone_or_hidden(pin, e, "stat", err);
	writ_rc rc = writ_proc_stat_parse(writ_strn(text, n), ret, err);
	if (rc != WRIT_OK)
		return rc;
	/* A thread-group leader that ended while its threads live: exe is gone and all v1 cgroups
	 * read
	 * "/", so a container would look like the host. */
	if (ret->state == 'Z' || ret->state == 'X' || ret->state == 'x')
		return writ_fail(err, WRIT_EUNAUTH,
			"process %d is in state %c: its main thread has ended", (int)pin->pid,
			ret->state);
	return WRIT_OK;
}

static writ_rc check_ids(const struct writ_pin *pin, struct writ_err *err)
{
	struct writ_pin_ids ids;
	writ_rc rc = writ_pin_ids(pin, &ids, err);
	if (rc != WRIT_OK)
		return rc;
	if (!ids_are(ids.uid, pin->uid) || !ids_are(ids.gid, pin->gid))
		return writ_fail(err, WRIT_EUNAUTH,
			"process %d connected as uid %u gid %u and now has uid %u/%u/%u gid "
			"%u/%u/%u "
			"(real/effective/saved); a set-user-ID program, or one that changed its "
			"user after "
			"connecting, must connect again",
			(int)pin->pid, (unsigned)pin->uid, (unsigned)pin->gid, ids.uid[0],
			ids.uid[1], ids.uid[2], ids.gid[0], ids.gid[1], ids.gid[2]);
	return WRIT_OK;
}

/* In which state, and as whom. Without these two there is no caller. */
static writ_rc read_identity(
	const struct writ_pin *pin, struct writ_proc_stat *ret, struct writ_err *err)
{
	writ_rc rc = read_state(pin, ret, err);
	return rc == WRIT_OK ? check_ids(pin, err) : rc;
}

static void read_namespaces(
	const struct writ_pin *pin, const struct writ_ns_self *self, struct writ_snapshot *s)
{
	for (size_t i = 0; i < WRIT_NS_COUNT; i++) {
		int e = writ_ns_read(pin->dirfd, ns_files[i], &s->ns[i]);
		s->withheld[WRIT_PART_NS + i] = (uint64_t)e;
		s->ns_ours[i] = e == 0 && writ_ns_is_ours(self, (enum writ_ns)i, s->ns[i]);
	}
}

static void read_parts(const struct writ_pin *pin, const struct writ_ns_self *self,
	struct writ_snapshot *s, struct scratch *x)
{
	int e = writ_exe_stat(pin->dirfd, "exe", &s->exe);
	if (e == 0)
		e = read_exe_path(pin->dirfd, x);
	if (e != 0)
		s->exe = (struct writ_exe){ .dev = 0 };
	s->withheld[WRIT_PART_EXE] = (uint64_t)e;
	/* After exe: who makes it name another file does so as root of a user namespace, and is
	 * still there; unless that was somebody else who has his memory, see docs/attacks.md. */
	read_namespaces(pin, self, s);
	e = writ_pin_read(pin, "auxv", x->auxv, sizeof(x->auxv), &x->auxv_n);
	/* Opening auxv of another user's process works and reads as empty; that is no answer
	 * either. */
	s->withheld[WRIT_PART_AUXV] = (uint64_t)(e == 0 && x->auxv_n == 0 ? EACCES : e);
	if (s->withheld[WRIT_PART_AUXV] == 0 && writ_auxv_is_fixed(writ_strn(x->auxv, x->auxv_n)))
		s->withheld[WRIT_PART_AUXV] = WRIT_AUXV_FIXED;
	s->withheld[WRIT_PART_CGROUP] =
		(uint64_t)writ_pin_read_cgroup(pin, x->text, sizeof(x->text), &x->text_n);
}

static struct writ_str put(uint8_t **at, const void *p, size_t n)
{
	struct writ_str s = writ_strn(*at, n);
	if (n > 0)
		memcpy(*at, p, n);
	*at += n;
	return s;
}

static void keep_parts(const struct writ_pin *pin, struct writ_snapshot *s, const struct scratch *x)
{
	size_t path_n = s->withheld[WRIT_PART_EXE] ? 0 : x->path_n;
	size_t auxv_n = s->withheld[WRIT_PART_AUXV] ? 0 : x->auxv_n;
	size_t text_n = s->withheld[WRIT_PART_CGROUP] ? 0 : x->text_n;
	size_t groups_n = pin->ngroups * sizeof(uint32_t);
	s->bytes = writ_alloc(groups_n + path_n + auxv_n + text_n + 1);
	uint8_t *at = s->bytes;
	s->groups = (const uint32_t *)(const void *)put(&at, pin->groups, groups_n).p;
	s->ngroups = pin->ngroups;
	s->exe_path = put(&at, x->path, path_n);
	s->auxv = put(&at, x->auxv, auxv_n);
	s->cgroup = put(&at, x->text, text_n);
}

writ_rc writ_snapshot_take(const struct writ_pin *pin, const struct writ_ns_self *self,
	struct writ_snapshot *ret, struct writ_err *err)
{
	struct scratch x;
	x.text_n = x.auxv_n = x.path_n = 0;
	struct writ_proc_stat stat;
	writ_rc rc = read_identity(pin, &stat, err);
	if (rc != WRIT_OK)
		return rc;
	struct writ_snapshot s = {
		.pid = (uint64_t)pin->pid,
		.uid = pin->uid,
		.gid = pin->gid,
		.ppid = stat.ppid,
		.start_time = stat.start_time,
		.state = (uint64_t)stat.state,
		.groups_cut = pin->groups_cut,
	};
	read_parts(pin, self, &s, &x);
	/* What a process shows of itself while it dies is not what it was. */
	rc = writ_pin_alive(pin, err);
	if (rc != WRIT_OK)
		return rc;
	keep_parts(pin, &s, &x);
	*ret = s;
	return WRIT_OK;
}

void writ_snapshot_done(struct writ_snapshot *s)
{
	writ_free(s->bytes);
	*s = (struct writ_snapshot){ .bytes = NULL };
}

static bool same_exe(const struct writ_exe *a, const struct writ_exe *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->nlink == b->nlink &&
		a->ctime_ns == b->ctime_ns;
}

static writ_rc moved(
	const struct writ_snapshot *s, enum writ_snapshot_part part, struct writ_err *err)
{
	return writ_fail(err, WRIT_EUNAUTH,
		"process %llu has left the %s that it was identified in: it must call again",
		(unsigned long long)s->pid, part_names[part]);
}

static writ_rc changed(const struct writ_snapshot *s, const char *what, struct writ_err *err)
{
	return writ_fail(err, WRIT_EUNAUTH,
		"process %llu changed its %s while it was being identified: it ran another program",
		(unsigned long long)s->pid, what);
}

writ_rc writ_snapshot_same(
	const struct writ_snapshot *a, const struct writ_snapshot *b, struct writ_err *err)
{
	if (a->pid != b->pid || a->start_time != b->start_time)
		return changed(a, "start time", err);
	if (a->uid != b->uid || a->gid != b->gid)
		return changed(a, "user", err);
	for (enum writ_snapshot_part p = 0; p < WRIT_PART_COUNT; p++)
		if (a->withheld[p] != b->withheld[p])
			return changed(a, writ_snapshot_part_name(p), err);
	if (!writ_str_eq(a->auxv, b->auxv))
		return changed(a, "auxv", err);
	if (!same_exe(&a->exe, &b->exe) || !writ_str_eq(a->exe_path, b->exe_path))
		return changed(a, "exe", err);
	if (!writ_str_eq(a->cgroup, b->cgroup))
		return changed(a, "cgroup", err);
	for (size_t i = 0; i < WRIT_NS_COUNT; i++)
		if (a->ns[i] != b->ns[i])
			return changed(a, part_names[WRIT_PART_NS + i], err);
	return WRIT_OK;
}

writ_rc writ_snapshot_recheck_place(
	const struct writ_pin *pin, const struct writ_snapshot *s, struct writ_err *err)
{
	char text[WRIT_SNAPSHOT_CGROUP_MAX];
	size_t n = 0;
	for (size_t i = 0; i < WRIT_NS_COUNT; i++) {
		uint64_t ns = 0;
		if (i == WRIT_NS_PID) /* the one that a process keeps: setns(2) is for its children
				       */
			continue;
		int e = writ_ns_read(pin->dirfd, ns_files[i], &ns);
		if ((uint64_t)e != s->withheld[WRIT_PART_NS + i] || (e == 0 && ns != s->ns[i]))
			return moved(s, (enum writ_snapshot_part)(WRIT_PART_NS + i), err);
	}
	int e = writ_pin_read_cgroup(pin, text, sizeof(text), &n);
	if ((uint64_t)e != s->withheld[WRIT_PART_CGROUP] ||
		(e == 0 && !writ_str_eq(writ_strn(text, n), s->cgroup)))
		return moved(s, WRIT_PART_CGROUP, err);
	return WRIT_OK;
}

static writ_rc recheck_auxv(
	const struct writ_pin *pin, const struct writ_snapshot *s, struct writ_err *err)
{
	char text[WRIT_SNAPSHOT_AUXV_MAX];
	size_t n = 0;
	if (s->withheld[WRIT_PART_AUXV] == WRIT_AUXV_FIXED)
		return WRIT_OK; /* nothing was said that rests on it */
	int e = writ_pin_read(pin, "auxv", text, sizeof(text), &n);
	if (e == 0 && n == 0)
		e = EACCES;
	if ((uint64_t)e != s->withheld[WRIT_PART_AUXV] ||
		(e == 0 && !writ_str_eq(writ_strn(text, n), s->auxv)))
		return changed(s, "auxv", err);
	return WRIT_OK;
}

writ_rc writ_snapshot_recheck(
	const struct writ_pin *pin, const struct writ_snapshot *s, struct writ_err *err)
{
	struct writ_proc_stat stat;
	/* The pin holds the process, so its start time stays; and a main thread that ended has no
	 * exe any more. */
	writ_rc rc = s->withheld[WRIT_PART_EXE] ? read_state(pin, &stat, err) : WRIT_OK;
	if (rc == WRIT_OK)
		rc = check_ids(pin, err);
	if (rc == WRIT_OK)
		rc = recheck_auxv(pin, s, err);
	if (rc != WRIT_OK)
		return rc;
	struct writ_exe exe = { .dev = 0 };
	int e = writ_exe_stat(pin->dirfd, "exe", &exe);
	if ((uint64_t)e != s->withheld[WRIT_PART_EXE] || exe.dev != s->exe.dev ||
		exe.ino != s->exe.ino)
		return changed(s, "exe", err);
	rc = writ_pin_alive(pin, err);
	if (rc != WRIT_OK || same_exe(&exe, &s->exe))
		return rc;
	return writ_fail(err, WRIT_EEXPIRED,
		"the file of the program of process %llu was changed, linked or removed while the "
		"process was being identified: call again",
		(unsigned long long)s->pid);
}
