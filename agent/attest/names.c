/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/names.h"

#include <errno.h>
#include <grp.h>
#include <pthread.h>
#include <pwd.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

#define SLOTS      1024 /* power of two */
#define FIRST_SIZE 4096
#define MAX_SIZE   (1024 * 1024) /* a group's entry carries all its members */

struct slot {
	char *name; /* owned; NULL: the number has no name */
	int64_t expires_ms;
	uint32_t id;
	bool used;
};

/* A slot for each hash, the newer name wins: bounded, and no list to walk. The lock is here because
 * jobs fill what the loop reads. */
struct writ_names {
	pthread_mutex_t lock;
	struct slot slots[2][SLOTS];
};

struct writ_names *writ_names_new(void)
{
	struct writ_names *n = writ_alloc(sizeof(*n));
	(void)pthread_mutex_init(&n->lock, NULL);
	return n;
}

void writ_names_free(struct writ_names *n)
{
	if (!n)
		return;
	for (size_t i = 0; i < SLOTS; i++) {
		writ_free(n->slots[WRIT_NAME_USER][i].name);
		writ_free(n->slots[WRIT_NAME_GROUP][i].name);
	}
	(void)pthread_mutex_destroy(&n->lock);
	writ_free(n);
}

static struct slot *slot_of(struct writ_names *n, enum writ_name_kind kind, uint32_t id)
{
	return &n->slots[kind][(id ^ (id >> 10) ^ (id >> 20)) & (SLOTS - 1)];
}

/* True when the answer is known: *found says whether there is a name. */
static bool recall(
	struct writ_names *n, enum writ_name_kind kind, uint32_t id, char *out, bool *found)
{
	(void)pthread_mutex_lock(&n->lock);
	const struct slot *s = slot_of(n, kind, id);
	bool known = s->used && s->id == id && writ_mono_ms() < s->expires_ms;
	*found = known && s->name;
	if (*found)
		memcpy(out, s->name, strlen(s->name) + 1);
	(void)pthread_mutex_unlock(&n->lock);
	return known;
}

static void remember(struct writ_names *n, enum writ_name_kind kind, uint32_t id, const char *name)
{
	char *fresh = writ_strdup(name);
	(void)pthread_mutex_lock(&n->lock);
	struct slot *s = slot_of(n, kind, id);
	char *old = s->name;
	*s = (struct slot){ .name = fresh,
		.expires_ms = writ_mono_ms() + WRIT_NAMES_TTL_MS,
		.id = id,
		.used = true };
	(void)pthread_mutex_unlock(&n->lock);
	writ_free(old);
}

static int look_up_once(
	enum writ_name_kind kind, uint32_t id, char *buf, size_t size, const char **name)
{
	*name = NULL;
	if (kind == WRIT_NAME_USER) {
		struct passwd pw;
		struct passwd *found = NULL;
		int e = getpwuid_r(id, &pw, buf, size, &found);
		if (found)
			*name = pw.pw_name;
		return e;
	}
	struct group gr;
	struct group *found = NULL;
	int e = getgrgid_r(id, &gr, buf, size, &found);
	if (found)
		*name = gr.gr_name;
	return e;
}

/* POSIX lets "there is none" be any of these (getpwuid_r(3)). */
static bool means_none(int e)
{
	return e == 0 || e == ENOENT || e == ESRCH || e == EBADF || e == EPERM;
}

static writ_rc look_up(struct writ_names *n, enum writ_name_kind kind, uint32_t id, char *out,
	struct writ_err *err)
{
	const char *what = kind == WRIT_NAME_USER ? "user" : "group";
	WRIT_AUTO(writ_freep) char *buf = NULL;
	const char *name = NULL;
	int e = ERANGE;
	for (size_t size = FIRST_SIZE; e == ERANGE && size <= MAX_SIZE; size *= 4) {
		writ_free(buf);
		buf = writ_alloc(size);
		e = look_up_once(kind, id, buf, size, &name);
	}
	if (!name && !means_none(e))
		return writ_fail_errno(err, e, "look up the name of %s %u", what, id);
	if (name && strlen(name) >= WRIT_NAME_MAX)
		return writ_fail(err, WRIT_ELIMIT, "the name of %s %u is longer than %d bytes",
			what, id, WRIT_NAME_MAX - 1);
	remember(n, kind, id, name);
	if (!name)
		return writ_fail(err, WRIT_ENOENT, "%s %u has no name here", what, id);
	memcpy(out, name, strlen(name) + 1);
	return WRIT_OK;
}

writ_rc writ_names_get(struct writ_names *n, enum writ_name_kind kind, uint32_t id, bool may_block,
	char out[WRIT_NAME_MAX], struct writ_err *err)
{
	bool found;
	if (recall(n, kind, id, out, &found)) {
		if (found)
			return WRIT_OK;
		return writ_fail(err, WRIT_ENOENT, "%s %u has no name here",
			kind == WRIT_NAME_USER ? "user" : "group", id);
	}
	if (!may_block)
		return writ_fail(err, WRIT_EBUSY, "a name has to be looked up first");
	return look_up(n, kind, id, out, err);
}
