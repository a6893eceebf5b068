/* SPDX-License-Identifier: Apache-2.0 */
#include "registry/impl.h"

#include "base/mem.h"

#include <string.h>

struct writ_selrec *writ_selectors_find(const struct writ_registry *r, struct writ_str text)
{
	return writ_map_get(&r->selectors, text);
}

struct writ_selrec *writ_selectors_take(struct writ_registry *r, struct writ_str text)
{
	struct writ_selrec *s = writ_selectors_find(r, text);
	if (s)
		return s;
	s = writ_alloc(sizeof(*s) + text.n + 1);
	s->len = text.n;
	memcpy(s->text, text.p, text.n);
	writ_map_put(&r->selectors, writ_strn(s->text, s->len), s);
	return s;
}

void writ_selectors_give(struct writ_registry *r, struct writ_selrec *s)
{
	if (s->views.n || s->aliases.n)
		return;
	writ_map_remove(&r->selectors, writ_strn(s->text, s->len));
	writ_free(s);
}

void writ_selectors_done(struct writ_registry *r)
{
	size_t i = 0;
	struct writ_selrec *s;
	while ((s = writ_map_next(&r->selectors, &i, NULL))) {
		writ_vec_done(&s->views);
		writ_vec_done(&s->aliases);
		writ_free(s);
	}
	writ_map_done(&r->selectors);
}
