/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/pin.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "attest/proc_text.h"
#include "base/mem.h"

#define STATUS_MAX 8192

static int open_file(const struct writ_pin *pin, const char *name)
{
	return openat(pin->dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
}

/* From the start: the kernel makes the text anew. */
static int read_whole(int fd, char *buf, size_t cap, size_t *n)
{
	ssize_t got;
	do
		got = pread(fd, buf, cap, 0);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return errno;
	if ((size_t)got == cap)
		return E2BIG;
	buf[got] = '\0';
	*n = (size_t)got;
	return 0;
}

int writ_pin_read(const struct writ_pin *pin, const char *name, char *buf, size_t cap, size_t *n)
{
	WRIT_AUTO(writ_closep) int fd = open_file(pin, name);
	return fd < 0 ? errno : read_whole(fd, buf, cap, n);
}

int writ_pin_read_cgroup(const struct writ_pin *pin, char *buf, size_t cap, size_t *n)
{
	return pin->cgroupfd < 0 ? writ_pin_read(pin, "cgroup", buf, cap, n)
				 : read_whole(pin->cgroupfd, buf, cap, n);
}

writ_rc writ_pin_alive(const struct writ_pin *pin, struct writ_err *err)
{
	struct pollfd p = { .fd = pin->pidfd, .events = POLLIN };
	int rc;
	do
		rc = poll(&p, 1, 0);
	while (rc < 0 && errno == EINTR);
	if (rc < 0)
		return writ_fail_errno(err, errno, "poll the pidfd of process %d", (int)pin->pid);
	if (rc > 0)
		return writ_fail(err, WRIT_EUNAUTH, "process %d has ended", (int)pin->pid);
	return WRIT_OK;
}

void writ_pin_close(struct writ_pin *pin)
{
	writ_closep(&pin->pidfd);
	writ_closep(&pin->dirfd);
	writ_closep(&pin->cgroupfd);
	pin->pidfd = pin->dirfd = pin->cgroupfd = -1;
	writ_freep(&pin->groups);
	pin->groups = NULL;
	pin->ngroups = 0;
}

/* PIDFD_GET_INFO (linux/pidfd.h, 6.13): the first form of the structure, which newer kernels take.
 */
struct pidfd_info_v0 {
	uint64_t mask, cgroupid;
	uint32_t pid, tgid, ppid;
	uint32_t ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid;
	int32_t exit_code;
};

#define INFO_CREDS 2u

_Static_assert(_IOC_SIZE(WRIT_PIN_GET_INFO) == sizeof(struct pidfd_info_v0), "64 bytes");

static bool ids_by_pidfd(const struct writ_pin *pin, struct writ_pin_ids *ret)
{
	struct pidfd_info_v0 info = { .mask = INFO_CREDS };
	if (ioctl(pin->pidfd, WRIT_PIN_GET_INFO, &info) != 0 || !(info.mask & INFO_CREDS) ||
		info.tgid != (uint32_t)pin->pid)
		return false;
	*ret = (struct writ_pin_ids){
		.uid = { info.ruid, info.euid, info.suid },
		.gid = { info.rgid, info.egid, info.sgid },
	};
	return true;
}

writ_rc writ_pin_ids(const struct writ_pin *pin, struct writ_pin_ids *ret, struct writ_err *err)
{
	if (ids_by_pidfd(pin, ret))
		return WRIT_OK;
	char text[STATUS_MAX];
	size_t n;
	int e = writ_pin_read(pin, "status", text, sizeof(text), &n);
	if (e == ESRCH || e == ENOENT)
		return writ_fail(err, WRIT_EUNAUTH, "process %d has ended", (int)pin->pid);
	if (e != 0)
		return writ_fail_errno(err, e, "read /proc/%d/status", (int)pin->pid);
	struct writ_proc_status status;
	writ_rc rc = writ_proc_status_parse(writ_strn(text, n), &status, err);
	if (rc != WRIT_OK)
		return rc;
	memcpy(ret->uid, status.uid, sizeof(ret->uid));
	memcpy(ret->gid, status.gid, sizeof(ret->gid));
	return WRIT_OK;
}

static writ_rc check_facts(
	const struct writ_pin_facts *peer, const struct writ_pin_rules *rules, struct writ_err *err)
{
	if (peer->pid <= 0)
		return writ_fail(err, WRIT_EUNAUTH,
			"the caller has no process ID here: it runs outside the agent's PID "
			"namespace; run the agent in the host's");
	bool unmapped = peer->uid == (uid_t)-1 || peer->gid == (gid_t)-1;
	bool allowed = rules && rules->allow_overflow_uid;
	if (unmapped || (!allowed && peer->uid == WRIT_PIN_OVERFLOW_UID))
		return writ_fail(err, WRIT_EUNAUTH,
			"process %d has uid %u, which stands for every user that is not mapped "
			"into "
			"the agent's user namespace; give the service a user of its own",
			(int)peer->pid, (unsigned)peer->uid);
	return WRIT_OK;
}

static int peer_pidfd(const struct writ_pin_facts *peer)
{
	return peer->pidfd >= 0 ? peer->pidfd : (int)syscall(SYS_pidfd_open, peer->pid, 0);
}

static writ_rc open_process(struct writ_pin *pin, struct writ_err *err)
{
	char path[32];
	(void)snprintf(path, sizeof(path), "/proc/%d", (int)pin->pid);
	pin->dirfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (pin->dirfd < 0 && errno == ENOENT)
		return writ_fail(err, WRIT_EUNAUTH,
			"process %d is not in /proc: it has ended, or hidepid hides it",
			(int)pin->pid);
	if (pin->dirfd < 0)
		return writ_fail_errno(err, errno, "open %s", path);
	/* Only now: alive after the open proves that the folder is the peer's, since a pid is not
	 * given out again before its process was reaped. */
	writ_rc rc = writ_pin_alive(pin, err);
	if (rc == WRIT_OK)
		pin->cgroupfd = open_file(pin, "cgroup");
	return rc;
}

void writ_pin_rest(struct writ_pin *pin)
{
	writ_closep(&pin->dirfd);
	writ_closep(&pin->cgroupfd);
	pin->dirfd = pin->cgroupfd = -1;
}

writ_rc writ_pin_wake(struct writ_pin *pin, struct writ_err *err)
{
	if (pin->dirfd >= 0)
		return WRIT_OK;
	writ_rc rc = open_process(pin, err);
	if (rc != WRIT_OK)
		writ_pin_rest(pin);
	return rc;
}

writ_rc writ_pin_open(const struct writ_pin_facts *peer, const struct writ_pin_rules *rules,
	struct writ_pin *ret, struct writ_err *err)
{
	writ_rc rc = check_facts(peer, rules, err);
	if (rc != WRIT_OK)
		return rc;
	WRIT_AUTO(writ_pin_close)
	struct writ_pin pin = { .pid = peer->pid,
		.uid = peer->uid,
		.gid = peer->gid,
		.pidfd = -1,
		.dirfd = -1,
		.cgroupfd = -1 };
	pin.pidfd = peer_pidfd(peer);
	if (pin.pidfd < 0 && errno == ESRCH)
		return writ_fail(err, WRIT_EUNAUTH, "process %d has ended", (int)peer->pid);
	if (pin.pidfd < 0)
		return writ_fail_errno(err, errno, "hold process %d", (int)peer->pid);
	rc = open_process(&pin, err);
	if (rc != WRIT_OK) {
		if (peer->pidfd >= 0)
			pin.pidfd = -1; /* still the peer's */
		return rc;
	}
	pin.ngroups = peer->ngroups;
	if (pin.ngroups > WRIT_PIN_GROUPS_MAX) {
		pin.ngroups = WRIT_PIN_GROUPS_MAX;
		pin.groups_cut = true;
	}
	if (pin.ngroups > 0)
		pin.groups = writ_memdup(peer->groups, pin.ngroups * sizeof(gid_t));
	*ret = pin;
	pin.groups = NULL;
	pin.pidfd = pin.dirfd = pin.cgroupfd = -1;
	return WRIT_OK;
}
