/* SPDX-License-Identifier: Apache-2.0 */
#include "attestor/turns.h"

#include "base/mem.h"
#include "base/str.h"

#include <fcntl.h>
#include <string.h>

struct user {
	uid_t uid;
	struct writ_list node;    /* in turns.waiting while packets is not empty */
	struct writ_list packets; /* the oldest in front */
	struct {
		uint64_t id; /* 0: free */
		int64_t slow_at_ms;
	} under_way[WRIT_TURNS_WINDOW];
};

struct writ_turn *writ_turn_new(uint64_t id, const void *p, size_t n, int fd)
{
	struct writ_turn *t = writ_alloc(sizeof(*t) + n);
	t->id = id;
	t->fd = fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 3) : -1;
	t->n = n;
	memcpy(t->p, p, n);
	return t;
}

void writ_turn_free(struct writ_turn *t)
{
	if (!t)
		return;
	writ_closep(&t->fd);
	writ_free(t);
}

static struct writ_str key_of(const uid_t *uid)
{
	return writ_strn(uid, sizeof(*uid));
}

static struct user *find(const struct writ_turns *t, uid_t uid)
{
	return writ_map_get(&t->users, key_of(&uid));
}

static struct user *find_or_add(struct writ_turns *t, uid_t uid)
{
	struct user *u = find(t, uid);
	if (u)
		return u;
	u = writ_alloc(sizeof(*u));
	u->uid = uid;
	writ_list_init(&u->node);
	writ_list_init(&u->packets);
	(void)writ_map_put(&t->users, key_of(&u->uid), u);
	return u;
}

static void forget(struct writ_turns *t, struct user *u)
{
	struct writ_list *node;
	while ((node = writ_list_pop(&u->packets)))
		writ_turn_free(writ_container(node, struct writ_turn, node));
	writ_list_remove(&u->node);
	(void)writ_map_remove(&t->users, key_of(&u->uid));
	writ_free(u);
}

void writ_turns_init(struct writ_turns *t)
{
	writ_map_init(&t->users);
	writ_list_init(&t->waiting);
}

void writ_turns_done(struct writ_turns *t)
{
	struct user *u;
	size_t i = 0;
	while ((u = writ_map_next(&t->users, &i, NULL)))
		forget(t, u);
	writ_map_done(&t->users);
}

/* False: it has as many under way as it may. */
static bool set_out(struct user *u, uint64_t id, int64_t now_ms)
{
	if (!id)
		return true;
	for (size_t i = 0; i < WRIT_TURNS_WINDOW; i++) {
		if (u->under_way[i].id && now_ms < u->under_way[i].slow_at_ms)
			continue;
		u->under_way[i].id = id;
		u->under_way[i].slow_at_ms = now_ms + WRIT_TURNS_SLOW_MS;
		return true;
	}
	return false;
}

bool writ_turns_go(struct writ_turns *t, uid_t uid, uint64_t id, int64_t now_ms)
{
	struct user *u = id ? find_or_add(t, uid) : find(t, uid);
	return !u || (writ_list_empty(&u->packets) && set_out(u, id, now_ms));
}

void writ_turns_wait(struct writ_turns *t, uid_t uid, struct writ_turn *what)
{
	struct user *u = find_or_add(t, uid);
	if (writ_list_empty(&u->packets))
		writ_list_push(&t->waiting, &u->node);
	writ_list_push(&u->packets, &what->node);
}

struct writ_turn *writ_turns_next(struct writ_turns *t, int64_t now_ms)
{
	WRIT_LIST_EACH (it, &t->waiting) {
		struct user *u = writ_container(it, struct user, node);
		struct writ_turn *first = writ_container(u->packets.next, struct writ_turn, node);
		if (!set_out(u, first->id, now_ms))
			continue;
		writ_list_remove(&first->node);
		writ_list_remove(&u->node);
		if (!writ_list_empty(&u->packets)) /* its next turn comes after the others' */
			writ_list_push(&t->waiting, &u->node);
		return first;
	}
	return NULL;
}

static bool is_idle(const struct user *u, int64_t now_ms)
{
	bool idle = writ_list_empty(&u->packets);
	for (size_t i = 0; idle && i < WRIT_TURNS_WINDOW; i++)
		idle = !u->under_way[i].id || now_ms >= u->under_way[i].slow_at_ms;
	return idle;
}

void writ_turns_answered(struct writ_turns *t, uid_t uid, uint64_t id)
{
	struct user *u = find(t, uid);
	for (size_t i = 0; u && i < WRIT_TURNS_WINDOW; i++)
		if (u->under_way[i].id == id)
			u->under_way[i].id = 0;
}

bool writ_turns_any(const struct writ_turns *t)
{
	return !writ_list_empty(&t->waiting);
}

void writ_turns_sweep(struct writ_turns *t, int64_t now_ms)
{
	struct user *u;
	size_t i = 0;
	while ((u = writ_map_next(&t->users, &i, NULL)))
		if (is_idle(u, now_ms))
			forget(t, u);
}
