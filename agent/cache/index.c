/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/index.h"

#include "base/mem.h"

#include <assert.h>
#include <string.h>

/* One selector: how many entries ask for it, and those that are filed under it. */
struct writ_bucket_of {
	size_t asked;
	struct writ_filed **filed; /* owned */
	size_t n, cap;
	size_t len;
	char text[];
};

void writ_index_init(struct writ_index *x)
{
	*x = (struct writ_index){ .wants = { { 0 } } };
}

void writ_index_done(struct writ_index *x)
{
	assert(!writ_map_count(&x->buckets));
	writ_map_done(&x->buckets);
}

static struct writ_bucket_of *ask_for(struct writ_index *x, struct writ_str text)
{
	struct writ_bucket_of *b = writ_map_get(&x->buckets, text);
	if (!b) {
		b = writ_alloc(sizeof(*b) + text.n + 1);
		memcpy(b->text, text.p, text.n);
		b->len = text.n;
		writ_map_put(&x->buckets, writ_strn(b->text, b->len), b);
	}
	b->asked++;
	return b;
}

static void ask_no_more(struct writ_index *x, struct writ_str text)
{
	struct writ_bucket_of *b = writ_map_get(&x->buckets, text);
	if (--b->asked)
		return;
	assert(!b->n);
	writ_map_remove(&x->buckets, text);
	writ_free(b->filed);
	writ_free(b);
}

void writ_index_add(struct writ_index *x, struct writ_filed *f)
{
	struct writ_bucket_of *rarest = NULL;
	assert(f->selectors->sealed && f->selectors->n);
	for (size_t i = 0; i < f->selectors->n; i++) {
		struct writ_bucket_of *b = ask_for(x, writ_selectors_at(f->selectors, i).text);
		if (!rarest || b->asked < rarest->asked)
			rarest = b;
	}
	if (rarest->n == rarest->cap) {
		rarest->cap = rarest->cap ? rarest->cap * 2 : 2;
		rarest->filed =
			writ_realloc(rarest->filed, rarest->cap * sizeof(struct writ_filed *));
	}
	f->bucket = rarest;
	f->at = rarest->n;
	rarest->filed[rarest->n++] = f;
	writ_wants_count(&x->wants, f->selectors, 1);
}

void writ_index_remove(struct writ_index *x, struct writ_filed *f)
{
	struct writ_bucket_of *b = f->bucket;
	struct writ_filed *last = b->filed[--b->n];
	b->filed[f->at] = last;
	last->at = f->at;
	f->bucket = NULL;
	writ_wants_count(&x->wants, f->selectors, -1);
	for (size_t i = 0; i < f->selectors->n; i++)
		ask_no_more(x, writ_selectors_at(f->selectors, i).text);
}

void writ_index_match(const struct writ_index *x, const struct writ_selectors *caller,
	void (*found)(void *arg, struct writ_filed *f), void *arg)
{
	for (size_t i = 0; i < caller->n; i++) {
		const struct writ_bucket_of *b =
			writ_map_get(&x->buckets, writ_selectors_at(caller, i).text);
		for (size_t k = 0; b && k < b->n; k++) {
			if (writ_selectors_match(b->filed[k]->selectors, caller))
				found(arg, b->filed[k]);
		}
	}
}
