/* SPDX-License-Identifier: Apache-2.0 */
#include "wlapi/caller_impl.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define PIDFS_MAGIC 0x50494446 /* linux/magic.h, 6.9: each process has an inode of its own */
#define IDLE_MAX    256

/* --- life --- */

static void free_caller(struct writ_caller *c)
{
	if (c->is_shared)
		(void)writ_map_remove(&c->env->known, writ_strn(&c->key, c->key_len));
	writ_poll_free(c->end);
	(void)close(c->pidfd);
	writ_facts_unref(c->facts);
	writ_free(c);
}

static void drop_idle(struct writ_caller *c)
{
	writ_list_remove(&c->node);
	c->env->n_idle--;
	free_caller(c);
}

static bool is_of_caller(void *arg, const struct writ_peer *p)
{
	return p->user == arg;
}

/* A socket may outlive its process in a child: nobody is left whom it speaks for. */
static void on_end(void *arg, int events)
{
	struct writ_caller *c = arg;
	(void)events;
	writ_poll_set(c->end, 0);
	if (!c->refs) {
		drop_idle(c);
		return;
	}
	/* nobody else can come to be this process */
	if (c->is_shared)
		(void)writ_map_remove(&c->env->known, writ_strn(&c->key, c->key_len));
	c->is_shared = false;
	if (c->front)
		(void)writ_front_cut(c->front, is_of_caller, c, "the process has ended");
}

struct writ_caller *writ_caller_ref(struct writ_caller *c)
{
	if (!c->refs++) {
		writ_list_remove(&c->node);
		c->env->n_idle--;
	}
	return c;
}

void writ_caller_unref(struct writ_caller *c)
{
	if (!c || --c->refs)
		return;
	struct writ_attest_env *env = c->env;
	writ_list_push(&env->idle, &c->node);
	env->n_idle++;
	if (!c->is_shared || !c->facts)
		drop_idle(c);
	else if (env->n_idle > env->idle_max)
		drop_idle(writ_container(env->idle.next, struct writ_caller, node));
}

/* --- which process --- */

/* Before 6.9 all pidfds have the same inode: then each connection has a caller of its own. */
static uint64_t process_number(int pidfd)
{
	static int is_pidfs = -1; /* the same for all of them */
	struct statfs fs;
	struct stat st;
	if (is_pidfs < 0)
		is_pidfs = fstatfs(pidfd, &fs) == 0 && fs.f_type == PIDFS_MAGIC;
	return is_pidfs && fstat(pidfd, &st) == 0 ? st.st_ino : 0;
}

static size_t make_key(const struct writ_pin_facts *who, bool cut, struct writ_caller_key *k)
{
	size_t n = who->ngroups < WRIT_PIN_GROUPS_MAX ? who->ngroups : WRIT_PIN_GROUPS_MAX;
	memset(k, 0, offsetof(struct writ_caller_key, groups));
	k->ino = process_number(who->pidfd);
	k->pid = (uint32_t)who->pid;
	k->uid = who->uid;
	k->gid = who->gid;
	k->cut = cut || n < who->ngroups;
	k->ngroups = (uint32_t)n;
	if (n)
		memcpy(k->groups, who->groups, n * sizeof(k->groups[0]));
	return offsetof(struct writ_caller_key, groups) + n * sizeof(k->groups[0]);
}

static writ_rc check_peer(const struct writ_pin_facts *who, struct writ_err *err)
{
	if (who->pid <= 0)
		return writ_fail(err, WRIT_EUNAUTH,
			"the caller has no process ID here: it runs outside the agent's PID "
			"namespace; run the agent in the host's");
	if (who->pidfd < 0)
		return writ_fail(err, WRIT_EUNAUTH, "process %d has ended", (int)who->pid);
	return WRIT_OK;
}

static writ_rc new_caller(struct writ_attest_env *env, const struct writ_caller_key *k,
	size_t key_len, int pidfd, struct writ_caller **ret, struct writ_err *err)
{
	struct writ_caller *c = writ_alloc(sizeof(*c));
	c->env = env;
	c->refs = 1;
	memcpy(&c->key, k, key_len);
	c->key_len = key_len;
	c->pidfd = pidfd;
	writ_list_init(&c->waiting);
	writ_list_init(&c->node);
	writ_list_init(&c->ask.node);
	writ_rc rc = writ_poll_new(env->loop, pidfd, on_end, c, &c->end, err);
	if (rc != WRIT_OK) {
		writ_free(c);
		return rc;
	}
	writ_poll_set(c->end, WRIT_READABLE);
	c->is_shared = k->ino != 0;
	if (c->is_shared)
		(void)writ_map_put(&env->known, writ_strn(&c->key, c->key_len), c);
	*ret = c;
	return WRIT_OK;
}

/* *pidfd becomes -1 when the caller took it. */
static writ_rc find(struct writ_attest_env *env, const struct writ_pin_facts *who, bool cut,
	int *pidfd, struct writ_caller **ret, struct writ_err *err)
{
	struct writ_caller_key k;
	writ_rc rc = check_peer(who, err);
	if (rc != WRIT_OK)
		return rc;
	size_t len = make_key(who, cut, &k);
	struct writ_caller *c = k.ino ? writ_map_get(&env->known, writ_strn(&k, len)) : NULL;
	if (c) {
		*ret = writ_caller_ref(c);
		return WRIT_OK;
	}
	rc = new_caller(env, &k, len, *pidfd, ret, err);
	if (rc == WRIT_OK)
		*pidfd = -1;
	return rc;
}

static void unref_user(void *user)
{
	writ_caller_unref(user);
}

writ_rc writ_caller_of(struct writ_attest_env *env, struct writ_front *front,
	struct writ_peer *peer, struct writ_caller **ret, struct writ_err *err)
{
	if (peer->user) {
		*ret = peer->user;
		return WRIT_OK;
	}
	if (peer->kind != WRIT_PEER_UNIX || peer->closed)
		return writ_fail(err, WRIT_EUNAUTH, "no process is known behind this connection");
	const struct writ_pin_facts who = { .pid = peer->pid,
		.uid = peer->uid,
		.gid = peer->gid,
		.groups = peer->groups,
		.ngroups = peer->n_groups,
		.pidfd = peer->pidfd };
	struct writ_caller *c = NULL;
	writ_rc rc = find(env, &who, peer->groups_withheld, &peer->pidfd, &c, err);
	if (rc != WRIT_OK)
		return rc;
	/* One descriptor for each process, not for each connection. */
	writ_closep(&peer->pidfd);
	peer->pidfd = -1;
	c->front = front;
	peer->user = c;
	peer->user_free = unref_user;
	*ret = c;
	return WRIT_OK;
}

void writ_caller_closed(struct writ_peer *peer)
{
	struct writ_caller *c = writ_steal(peer->user);
	peer->user_free = NULL;
	writ_caller_unref(c);
}

int writ_caller_pidfd(const struct writ_caller *c)
{
	return c->pidfd;
}

writ_rc writ_caller_by_pidfd(struct writ_attest_env *env, const struct writ_pin_facts *who,
	bool groups_cut, struct writ_caller **ret, struct writ_err *err)
{
	WRIT_AUTO(writ_closep) int fd = fcntl(who->pidfd, F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		return writ_fail_errno(err, errno, "hold process %d", (int)who->pid);
	return find(env, who, groups_cut, &fd, ret, err);
}

/* --- all of them --- */

static size_t add_all(
	struct writ_attest_env *env, size_t n, const struct writ_attestor_vt *const *list)
{
	for (size_t i = 0; list[i] && n < WRIT_ATTEST_ALL_MAX; i++)
		env->all[n++] = list[i];
	return n;
}

void writ_attest_env_show(
	struct writ_attest_env *env, const struct writ_attestor_vt *const *runtimes)
{
	size_t n = 0;
	while (env->all[n])
		n++;
	(void)add_all(env, n, runtimes);
}

void writ_attest_env_init(struct writ_attest_env *env, struct writ_loop *loop,
	struct writ_attest_link *link, const struct writ_attest_ctx *ctx,
	const struct writ_attestor_vt *const *attestors,
	const struct writ_attestor_vt *const *elsewhere)
{
	struct rlimit fds = { 0, 0 };
	*env = (struct writ_attest_env){
		.loop = loop, .link = link, .ctx = *ctx, .attestors = attestors
	};
	(void)add_all(env, add_all(env, 0, elsewhere), attestors);
	writ_list_init(&env->idle);
	env->idle_max = getrlimit(RLIMIT_NOFILE, &fds) == 0 && fds.rlim_cur / 32 < IDLE_MAX
		? fds.rlim_cur / 32
		: IDLE_MAX;
}

void writ_attest_env_done(struct writ_attest_env *env)
{
	while (!writ_list_empty(&env->idle))
		drop_idle(writ_container(env->idle.next, struct writ_caller, node));
	writ_map_done(&env->known);
}
