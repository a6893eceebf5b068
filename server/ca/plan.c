/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/plan.h"

#define NONE SIZE_MAX

bool writ_ca_usable(const struct writ_ca_fact *ca, int64_t now)
{
	/* A leaf ends a second before its issuer, and has to live a little. */
	return ca->state == WRIT_CA_ACTIVE && ca->end - 2 > now;
}

static size_t find_active(const struct writ_ca_fact *cas, size_t n, int64_t now)
{
	for (size_t i = 0; i < n; i++)
		if (writ_ca_usable(&cas[i], now))
			return i;
	return NONE;
}

/* The prepared one that lives longest. */
static size_t find_next(const struct writ_ca_fact *cas, size_t n)
{
	size_t best = NONE;
	for (size_t i = 0; i < n; i++)
		if (cas[i].state == WRIT_CA_PREPARED && cas[i].published &&
			(best == NONE || cas[i].end > cas[best].end))
			best = i;
	return best;
}

static size_t find_ended(const struct writ_ca_fact *cas, size_t n, int64_t now)
{
	for (size_t i = 0; i < n; i++)
		if (cas[i].state != WRIT_CA_ACTIVE && cas[i].end <= now)
			return i;
	return NONE;
}

static size_t find_unpublished(const struct writ_ca_fact *cas, size_t n, int64_t now)
{
	for (size_t i = 0; i < n; i++)
		if (!cas[i].published && cas[i].end > now)
			return i;
	return NONE;
}

static size_t find_oldest(const struct writ_ca_fact *cas, size_t n)
{
	size_t best = NONE;
	for (size_t i = 0; i < n; i++)
		if (cas[i].state == WRIT_CA_OLD && (best == NONE || cas[i].end < cas[best].end))
			best = i;
	return best;
}

static void earlier(int64_t *wake, int64_t t, int64_t now)
{
	if (t > now && t < *wake)
		*wake = t;
}

static int64_t next_time(const struct writ_ca_fact *cas, size_t n, int64_t now)
{
	int64_t wake = INT64_MAX;
	for (size_t i = 0; i < n; i++) {
		int64_t life = cas[i].end - cas[i].begin;
		earlier(&wake, cas[i].end, now);
		if (cas[i].state != WRIT_CA_ACTIVE)
			continue;
		earlier(&wake, cas[i].end - 2, now);
		earlier(&wake, cas[i].end - life / 2, now);
		earlier(&wake, cas[i].end - life / 6, now);
	}
	return wake;
}

/* Nobody is alive: the one that signed, or else the last to end, if that is not too long ago. */
static size_t find_last_of_all(const struct writ_ca_fact *cas, size_t n, int64_t now)
{
	size_t best = NONE;
	for (size_t i = 0; i < n; i++) {
		if (cas[i].end > now)
			return NONE;
		if (cas[i].end < now - WRIT_CA_RENEW_S ||
			(best != NONE && cas[best].state == WRIT_CA_ACTIVE))
			continue;
		if (best == NONE || cas[i].state == WRIT_CA_ACTIVE || cas[i].end > cas[best].end)
			best = i;
	}
	return best;
}

enum writ_ca_step writ_ca_plan(
	const struct writ_ca_fact *cas, size_t n, int64_t now, size_t *which, int64_t *wake)
{
	*which = find_last_of_all(cas, n, now);
	if (*which != NONE)
		return WRIT_CA_RENEW;
	*which = find_ended(cas, n, now);
	if (*which != NONE)
		return WRIT_CA_DROP;
	*which = find_unpublished(cas, n, now);
	if (*which != NONE)
		return WRIT_CA_PUBLISH;
	size_t active = find_active(cas, n, now);
	int64_t left = active == NONE ? 0 : cas[active].end - now;
	int64_t life = active == NONE ? 6 : cas[active].end - cas[active].begin;
	*which = find_next(cas, n);
	if (*which != NONE && left <= life / 6)
		return WRIT_CA_ACTIVATE;
	if (*which == NONE && left <= life / 2) {
		*which = n == WRIT_CA_MAX ? find_oldest(cas, n) : NONE;
		return *which == NONE ? WRIT_CA_PREPARE : WRIT_CA_DROP;
	}
	*wake = next_time(cas, n, now);
	return WRIT_CA_WAIT;
}
