/* SPDX-License-Identifier: Apache-2.0 */
#include "wlapi/log_quota.h"

#include "base/limiter.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"

#define BURST 10.0
#define RATE  1.0 /* a second */
/* Of all users together: who owns a range of subordinate uids is many users. */
#define ALL_BURST 1000.0
#define ALL_RATE  100.0
#define SAID_MAX  32 /* lines of one summary; further users share the last */

struct user {
	struct writ_list node; /* in q->users, the one seen longest ago in front */
	uid_t uid;
	struct writ_bucket bucket[WRIT_LINE_KINDS];
	uint64_t lost[WRIT_LINE_KINDS];
};

struct writ_log_quota {
	struct writ_map by_uid;
	struct writ_list users;
	struct writ_bucket all;
	uint64_t lost_of_others; /* of users that are no longer known */
	struct writ_timer *timer;
};

static void on_timer(void *arg)
{
	writ_log_quota_say(arg);
}

struct writ_log_quota *writ_log_quota_new(struct writ_loop *l)
{
	struct writ_log_quota *q = writ_alloc(sizeof(*q));
	writ_list_init(&q->users);
	writ_bucket_init(&q->all, ALL_RATE, ALL_BURST);
	q->timer = writ_timer_new(l, on_timer, q);
	return q;
}

static uint64_t lost_of(const struct user *u)
{
	uint64_t n = 0;
	for (size_t i = 0; i < WRIT_LINE_KINDS; i++)
		n += u->lost[i];
	return n;
}

static struct writ_str key_of(const struct user *u)
{
	return writ_strn(&u->uid, sizeof(u->uid));
}

static void forget(struct writ_log_quota *q, struct user *u)
{
	q->lost_of_others += lost_of(u);
	writ_map_remove(&q->by_uid, key_of(u));
	writ_list_remove(&u->node);
	writ_free(u);
}

static struct user *user_of(struct writ_log_quota *q, uid_t uid)
{
	struct user *u = writ_map_get(&q->by_uid, writ_strn(&uid, sizeof(uid)));
	if (u) {
		writ_list_remove(&u->node);
		writ_list_push(&q->users, &u->node);
		return u;
	}
	if (writ_map_count(&q->by_uid) >= WRIT_LOG_QUOTA_USERS)
		forget(q, writ_container(q->users.next, struct user, node));
	u = writ_alloc(sizeof(*u));
	u->uid = uid;
	for (size_t i = 0; i < WRIT_LINE_KINDS; i++)
		writ_bucket_init(&u->bucket[i], RATE, BURST);
	writ_map_put(&q->by_uid, key_of(u), u);
	writ_list_push(&q->users, &u->node);
	return u;
}

bool writ_log_quota_pass(struct writ_log_quota *q, uid_t uid, enum writ_line_kind kind)
{
	struct user *u = user_of(q, uid);
	if (writ_bucket_take(&u->bucket[kind], 1) && writ_bucket_take(&q->all, 1))
		return true;
	u->lost[kind]++;
	if (!writ_timer_active(q->timer))
		writ_timer_start(q->timer, WRIT_LOG_QUOTA_SUMMARY_MS);
	return false;
}

void writ_log_quota_say(struct writ_log_quota *q)
{
	uint64_t others = q->lost_of_others;
	size_t said = 0;
	q->lost_of_others = 0;
	WRIT_LIST_EACH (it, &q->users) {
		struct user *u = writ_container(it, struct user, node);
		if (!lost_of(u))
			continue;
		if (said++ < SAID_MAX)
			WRIT_LOG(WARN, "workload.left_out", WRIT_KV("uid", (unsigned)u->uid),
				WRIT_KV("denied", u->lost[WRIT_LINE_DENIAL]),
				WRIT_KV("denied_gone", u->lost[WRIT_LINE_GONE]),
				WRIT_KV("attested", u->lost[WRIT_LINE_GRANT]));
		else
			others += lost_of(u);
		for (size_t i = 0; i < WRIT_LINE_KINDS; i++)
			u->lost[i] = 0;
	}
	if (others)
		WRIT_LOG(WARN, "workload.left_out", WRIT_KV("of_other_users", others));
}

void writ_log_quota_free(struct writ_log_quota *q)
{
	writ_log_quota_say(q);
	while (!writ_list_empty(&q->users))
		forget(q, writ_container(q->users.next, struct user, node));
	writ_map_done(&q->by_uid);
	writ_timer_free(q->timer);
	writ_free(q);
}
