/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/place.h"

#include <string.h>

#include "attest/cgroup_path.h"
#include "base/mem.h"

static void copy(char *to, size_t cap, struct writ_str from)
{
	if (from.n >= cap)
		return;
	memcpy(to, from.p, from.n);
	to[from.n] = '\0';
}

/* "uid:1000:id:<container>" */
static void take_rootless(struct writ_str value, struct writ_place *p)
{
	struct writ_str word;
	uint64_t uid;
	if (!writ_str_cut(&value, ':', &word) || !writ_str_eq(word, WRIT_STR("uid")) ||
		!writ_str_cut(&value, ':', &word) ||
		writ_parse_u64(word, 0, UINT32_MAX, &uid, NULL) != WRIT_OK ||
		!writ_str_cut(&value, ':', &word) || !writ_str_eq(word, WRIT_STR("id")))
		return;
	p->rootless = true;
	p->owner = (uint32_t)uid;
	copy(p->runtime, sizeof(p->runtime), WRIT_STR("podman"));
	copy(p->container, sizeof(p->container), value);
}

static void take(struct writ_str type, struct writ_str value, struct writ_place *p)
{
	const struct {
		const char *type, *key;
		char *to;
		size_t cap;
	} rows[] = {
		{ "container", "id", p->container, sizeof(p->container) },
		{ "container", "pod", p->pod, sizeof(p->pod) },
		{ "container", "runtime", p->runtime, sizeof(p->runtime) },
		{ "systemd", "id", p->unit, sizeof(p->unit) },
	};
	struct writ_str key;
	if (writ_str_eq(type, WRIT_STR("podman-rootless"))) {
		take_rootless(value, p);
		return;
	}
	p->in_users_unit = p->in_users_unit || writ_str_eq(type, WRIT_STR("systemd-user"));
	if (!writ_str_cut(&value, ':', &key))
		return;
	for (size_t i = 0; i < WRIT_COUNT(rows); i++)
		if (writ_str_eq(type, writ_cstr(rows[i].type)) &&
			writ_str_eq(key, writ_cstr(rows[i].key)))
			copy(rows[i].to, rows[i].cap, value);
}

void writ_place_of(const struct writ_selectors *found, struct writ_str cgroup, uint64_t pid,
	struct writ_place *ret)
{
	*ret = (struct writ_place){ .pid = pid };
	for (size_t i = 0; i < found->n; i++) {
		struct writ_selector s = writ_selectors_at(found, i);
		take(s.type, s.value, ret);
	}
	if (ret->unit[0])
		copy(ret->unit_folder, sizeof(ret->unit_folder),
			writ_cgroup_unit_folder(cgroup, writ_cstr(ret->unit)));
}

void writ_place_key(const struct writ_place *p, struct writ_buf *out)
{
	writ_buf_addf(out, "%s/%s/%s/%s/%d/%u/%d%s", p->container, p->pod, p->runtime, p->unit,
		p->rootless, p->owner, p->in_users_unit, p->unit_folder);
}
