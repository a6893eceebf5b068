/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/wants.h"

#include <assert.h>

#include "base/mem.h"

static const struct {
	struct writ_str prefix;
	unsigned flags;
} kinds[] = {
	{ { "unix:sha256:", 12 }, WRIT_ATTEST_SHA256 },
	{ { "caps:", 5 }, WRIT_ATTEST_PROCESS },
	{ { "seccomp:", 8 }, WRIT_ATTEST_PROCESS },
	{ { "nnp:", 4 }, WRIT_ATTEST_PROCESS },
	{ { "ns:", 3 }, WRIT_ATTEST_PROCESS },
	{ { "script:sha256:", 14 }, WRIT_ATTEST_SCRIPT | WRIT_ATTEST_SCRIPT_SHA256 },
	{ { "script:", 7 }, WRIT_ATTEST_SCRIPT },
	{ { "proc:", 5 }, WRIT_ATTEST_LINEAGE },
	{ { "docker:", 7 }, WRIT_ATTEST_DOCKER },
	{ { "podman-rootless:", 16 }, WRIT_ATTEST_ROOTLESS },
	{ { "k8s:", 4 }, WRIT_ATTEST_K8S },
	{ { "systemd:fragment_path:", 22 }, WRIT_ATTEST_FRAGMENT },
};
static_assert(sizeof(kinds) / sizeof(kinds[0]) <= WRIT_WANTS_KINDS, "room for each kind");

void writ_wants_count(struct writ_wants *w, const struct writ_selectors *entry, int by)
{
	for (size_t i = 0; i < entry->n; i++) {
		struct writ_str text = writ_selectors_at(entry, i).text;
		for (size_t k = 0; k < WRIT_COUNT(kinds); k++) {
			if (!writ_str_starts(text, kinds[k].prefix))
				continue;
			assert(by > 0 || w->n[k] > 0);
			w->n[k] += (size_t)by;
			break;
		}
	}
}

unsigned writ_wants_of(struct writ_str selector)
{
	for (size_t k = 0; k < WRIT_COUNT(kinds); k++)
		if (writ_str_starts(selector, kinds[k].prefix))
			return kinds[k].flags;
	return 0;
}

unsigned writ_wants_flags(const struct writ_wants *w)
{
	unsigned flags = 0;
	for (size_t k = 0; k < WRIT_COUNT(kinds); k++)
		flags |= w->n[k] > 0 ? kinds[k].flags : 0;
	return flags;
}
