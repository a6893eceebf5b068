/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/index.h"

#include "base/mem.h"

#include <assert.h>
#include <string.h>

/* One selector: those that ask for it, and those of them that are filed under it. */
struct writ_bucket_of {
	size_t asked;
	struct writ_list asking;   /* of struct writ_asks */
	struct writ_filed **filed; /* owned */
	size_t n, cap;
	size_t len;
	char text[];
};

/* One selector of one that is filed. */
struct writ_asks {
	struct writ_list in;
	struct writ_bucket_of *bucket;
	struct writ_filed *by;
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

static void ask_for(
	struct writ_index *x, struct writ_asks *a, struct writ_filed *by, struct writ_str text)
{
	struct writ_bucket_of *b = writ_map_get(&x->buckets, text);
	if (!b) {
		b = writ_alloc(sizeof(*b) + text.n + 1);
		memcpy(b->text, text.p, text.n);
		b->len = text.n;
		writ_list_init(&b->asking);
		writ_map_put(&x->buckets, writ_strn(b->text, b->len), b);
	}
	b->asked++;
	writ_list_push(&b->asking, &a->in);
	a->bucket = b;
	a->by = by;
}

static void ask_no_more(struct writ_index *x, struct writ_asks *a)
{
	struct writ_bucket_of *b = a->bucket;
	writ_list_remove(&a->in);
	if (--b->asked)
		return;
	assert(!b->n);
	writ_map_remove(&x->buckets, writ_strn(b->text, b->len));
	writ_free(b->filed);
	writ_free(b);
}

void writ_index_add(struct writ_index *x, struct writ_filed *f)
{
	struct writ_bucket_of *rarest = NULL;
	assert(f->selectors->sealed && f->selectors->n);
	f->asks = writ_alloc_array(f->selectors->n, sizeof(*f->asks));
	for (size_t i = 0; i < f->selectors->n; i++) {
		ask_for(x, &f->asks[i], f, writ_selectors_at(f->selectors, i).text);
		if (!rarest || f->asks[i].bucket->asked < rarest->asked)
			rarest = f->asks[i].bucket;
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
		ask_no_more(x, &f->asks[i]);
	writ_free(writ_steal(f->asks));
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

struct writ_filed *writ_index_asking(const struct writ_index *x, struct writ_str selector)
{
	const struct writ_bucket_of *b = writ_map_get(&x->buckets, selector);
	return b ? writ_container(b->asking.next, struct writ_asks, in)->by : NULL;
}
