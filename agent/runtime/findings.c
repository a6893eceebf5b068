/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/findings.h"

#include <string.h>

#include "base/clock.h"
#include "base/map.h"
#include "base/mem.h"

#define SLOTS      256 /* powers of two */
#define REST_SLOTS 64

struct rest {
	size_t row;
	uint32_t owner;
	int64_t until_ms;
};

struct writ_findings {
	struct writ_finding *slots[SLOTS]; /* references */
	struct rest rests[REST_SLOTS];
};

struct writ_finding *writ_finding_ref(struct writ_finding *f)
{
	f->refs++;
	return f;
}

void writ_finding_unref(struct writ_finding *f)
{
	if (!f || --f->refs)
		return;
	writ_answer_done(&f->answer);
	writ_free(f->key);
	writ_free(f);
}

void writ_finding_add(const struct writ_finding *f, const char *name, struct writ_answer *answer)
{
	struct writ_selectors *to = &answer->selectors;
	const struct writ_selectors *from = &f->answer.selectors;
	struct writ_err why = { .rc = WRIT_OK };
	if (f->rc != WRIT_OK) {
		writ_answer_note(answer, "%s: not known: %s", name, f->err.msg);
		return;
	}
	struct writ_str notes = writ_buf_str(&f->answer.notes);
	struct writ_str line;
	while (notes.n > 0) {
		(void)writ_str_cut(&notes, '\n', &line);
		writ_answer_note(answer, WRIT_FMT, WRIT_ARG(line));
	}
	if (to->n + from->n > WRIT_SELECTORS_MAX ||
		to->bytes.n + from->bytes.n > WRIT_SELECTORS_BYTES) {
		writ_answer_note(answer,
			"%s: not known: it gives more selectors than there is room for", name);
		return;
	}
	writ_rc rc = WRIT_OK;
	for (size_t i = 0; rc == WRIT_OK && i < from->n; i++)
		rc = writ_selectors_add_text(to, writ_selectors_at(from, i).text, &why);
	if (rc != WRIT_OK)
		writ_answer_note(answer, "%s: %s", name, why.msg);
}

struct writ_findings *writ_findings_new(void)
{
	return writ_alloc(sizeof(struct writ_findings));
}

void writ_findings_free(struct writ_findings *f)
{
	for (size_t i = 0; i < SLOTS; i++)
		writ_finding_unref(f->slots[i]);
	writ_free(f);
}

static size_t slot_of(const char *key)
{
	return writ_hash(key, strlen(key)) & (SLOTS - 1);
}

struct writ_finding *writ_findings_get(const struct writ_findings *f, const char *key)
{
	struct writ_finding *one = f->slots[slot_of(key)];
	return one && strcmp(one->key, key) == 0 && writ_mono_ms() < one->until_ms ? one : NULL;
}

void writ_findings_put(struct writ_findings *f, struct writ_finding *one)
{
	struct writ_finding **slot = &f->slots[slot_of(one->key)];
	writ_finding_unref(*slot);
	*slot = writ_finding_ref(one);
}

static size_t rest_of(size_t row, uint32_t owner)
{
	uint64_t both[2] = { row, owner };
	return writ_hash(both, sizeof(both)) & (REST_SLOTS - 1);
}

void writ_findings_rest(struct writ_findings *f, size_t row, uint32_t owner, int64_t ms)
{
	f->rests[rest_of(row, owner)] =
		(struct rest){ .row = row, .owner = owner, .until_ms = writ_mono_ms() + ms };
}

bool writ_findings_rests(const struct writ_findings *f, size_t row, uint32_t owner)
{
	const struct rest *r = &f->rests[rest_of(row, owner)];
	return r->row == row && r->owner == owner && writ_mono_ms() < r->until_ms;
}
