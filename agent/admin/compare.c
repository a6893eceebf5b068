/* SPDX-License-Identifier: Apache-2.0 */
#include "admin/compare.h"

#include "attest/shown.h"
#include "base/selector_text.h"

#include <stdio.h>
#include <string.h>

#define WORDS_MAX 64
#define ALIAS     "spiffe_id"

struct writ_score writ_score_of(
	const struct writ_selectors *entry, const struct writ_selectors *have)
{
	struct writ_score s = { 0 };
	size_t k = 0;
	for (size_t i = 0; i < entry->n; i++) {
		struct writ_str want = writ_selectors_at(entry, i).text;
		int order = -1;
		s.is_alias = s.is_alias || writ_str_starts(want, WRIT_STR(ALIAS ":"));
		while (k < have->n &&
			(order = writ_str_cmp(writ_selectors_at(have, k).text, want)) < 0)
			k++;
		if (k < have->n && order == 0) {
			s.has++;
			s.telling += writ_selector_tells(want);
		} else {
			s.missing++;
		}
	}
	return s;
}

int writ_score_cmp(struct writ_score a, struct writ_score b)
{
	if (a.is_alias != b.is_alias)
		return a.is_alias ? 1 : -1;
	if (a.missing != b.missing)
		return a.missing < b.missing ? -1 : 1;
	if (a.has != b.has)
		return a.has > b.has ? -1 : 1;
	return a.telling == b.telling ? 0 : a.telling > b.telling ? -1 : 1;
}

/* --- kinds --- */

static bool is_of_word(struct writ_str selector, struct writ_str word)
{
	return writ_str_starts(selector, word) && selector.n > word.n && selector.p[word.n] == ':';
}

/* "caps:none" is a word of its own and has no value behind it: *whole. */
static const struct writ_attestor_vt *find_giver(
	const struct writ_attestor_vt *const *attestors, struct writ_str selector, bool *whole)
{
	*whole = false;
	for (size_t i = 0; attestors[i]; i++) {
		struct writ_str rest = writ_cstr(attestors[i]->types), word;
		while (rest.n) {
			(void)writ_str_cut(&rest, ' ', &word);
			*whole = word.n && writ_str_eq(selector, word);
			if (*whole || (word.n && is_of_word(selector, word)))
				return attestors[i];
		}
	}
	return NULL;
}

const struct writ_attestor_vt *writ_giver_of(
	const struct writ_attestor_vt *const *attestors, struct writ_str selector)
{
	bool whole;
	return find_giver(attestors, selector, &whole);
}

static size_t behind(struct writ_str s, size_t from, const char *any)
{
	for (size_t i = from; i < s.n; i++)
		if (strchr(any, s.p[i]))
			return i + 1;
	return 0;
}

size_t writ_kind_of(const struct writ_attestor_vt *const *attestors, struct writ_str selector)
{
	size_t type = behind(selector, 0, ":");
	size_t key = 0;
	for (size_t i = 0; attestors[i]; i++) {
		struct writ_str rest = writ_cstr(attestors[i]->types), word;
		while (rest.n) {
			(void)writ_str_cut(&rest, ' ', &word);
			if (word.n && is_of_word(selector, word))
				key = word.n + 1;
		}
	}
	if (!key)
		key = behind(selector, type, ":");
	if (!key)
		return type;
	struct writ_str word = writ_strn(selector.p, key - 1);
	size_t name = 0;
	if (writ_str_ends(word, WRIT_STR(":env")))
		name = behind(selector, key, "=");
	else if (writ_str_ends(word, WRIT_STR("label")))
		name = behind(selector, key, ":");
	return name ? name : key;
}

/* --- why there is none --- */

/* A note about this kind: "unix:path and unix:sha256 withheld: ...", "systemd: ...". */
static bool note_is_about(struct writ_str note, struct writ_str word, struct writ_str type)
{
	if (writ_str_starts(note, type) && note.n > type.n + 1 && note.p[type.n] == ':' &&
		note.p[type.n + 1] == ' ')
		return true;
	struct writ_str rest = note, w;
	while (rest.n) {
		(void)writ_str_cut(&rest, ' ', &w);
		if (w.n && (w.p[w.n - 1] == ',' || w.p[w.n - 1] == ':'))
			w.n--;
		if (writ_str_eq(w, WRIT_STR("withheld")))
			return false;
		if (writ_str_eq(w, word) || writ_str_eq(w, type))
			return true;
	}
	return false;
}

/* No attestor of the agent gives this type, or this key of it. */
static void nobody_gives(const struct writ_have *have, struct writ_str word, struct writ_str type,
	char *why, size_t n)
{
	const char *words[WORDS_MAX];
	static char texts[WORDS_MAX][WRIT_SELECTOR_TYPE_MAX];
	size_t k = 0;
	bool of_type = false;
	for (size_t i = 0; have->attestors[i]; i++) {
		struct writ_str rest = writ_cstr(have->attestors[i]->types), w;
		while (rest.n && k < WORDS_MAX) {
			(void)writ_str_cut(&rest, ' ', &w);
			if (!w.n || w.n >= sizeof(texts[0]))
				continue;
			of_type = of_type || is_of_word(w, type) || writ_str_eq(w, type);
			(void)snprintf(texts[k], sizeof(texts[k]), WRIT_FMT, WRIT_ARG(w));
			words[k] = texts[k];
			k++;
		}
	}
	const char *near = writ_nearest(word, words, k);
	if (writ_str_eq(type, WRIT_STR(ALIAS)))
		(void)snprintf(why, n, "the entry is an alias of nodes: no process has this");
	else if (writ_str_eq(type, WRIT_STR("run")))
		(void)snprintf(why, n, "only what writ run starts has this, while it runs");
	else if (near)
		(void)snprintf(why, n, "no attestor gives '" WRIT_FMT "': did you mean '%s'?",
			WRIT_ARG(word), near);
	else if (of_type)
		(void)snprintf(
			why, n, "no attestor of this agent gives '" WRIT_FMT "'", WRIT_ARG(word));
	else
		(void)snprintf(why, n,
			"no attestor of this agent gives '" WRIT_FMT
			":' selectors; see WorkloadAttestor in its configuration",
			WRIT_ARG(type));
}

static struct writ_str cut_to(struct writ_str s, size_t max)
{
	return writ_strn(s.p, s.n < max ? s.n : max);
}

static void say_why(const struct writ_have *have, struct writ_selector sel, struct writ_str kind,
	char *why, size_t n)
{
	/* Its kind, without ':' and without what an operator called it himself. */
	size_t key = behind(sel.text, sel.type.n + 1, ":");
	struct writ_str word = key && key <= kind.n ? writ_strn(sel.text.p, key - 1)
						    : writ_strn(sel.text.p, sel.type.n);
	struct writ_str rest = have->notes, note;
	while (rest.n) {
		(void)writ_str_cut(&rest, '\n', &note);
		if (note.n && note_is_about(note, word, sel.type)) {
			(void)snprintf(why, n, WRIT_FMT, WRIT_ARG(cut_to(note, n - 1)));
			return;
		}
	}
	if (writ_giver_of(have->attestors, sel.text) && (writ_wants_of(sel.text) & ~have->asked))
		(void)snprintf(why, n,
			"it was not looked for then, since no entry asked for it: see writ explain "
			"--pid");
	else if (!writ_giver_of(have->attestors, sel.text))
		nobody_gives(
			have, cut_to(word, 128), cut_to(sel.type, WRIT_SELECTOR_TYPE_MAX), why, n);
}

void writ_compare(const struct writ_selectors *entry, size_t i, const struct writ_have *have,
	struct writ_part *ret)
{
	struct writ_selector sel = writ_selectors_at(entry, i);
	*ret = (struct writ_part){ .selector = sel.text };
	struct writ_str kind = writ_strn(sel.text.p, writ_kind_of(have->attestors, sel.text));
	bool whole;
	(void)find_giver(have->attestors, sel.text, &whole);
	for (size_t k = 0; k < have->selectors->n && !ret->has; k++) {
		struct writ_str other = writ_selectors_at(have->selectors, k).text;
		ret->has = writ_str_eq(other, sel.text);
		if (!writ_str_starts(other, kind) ||
			(!whole && writ_kind_of(have->attestors, other) != kind.n))
			continue;
		ret->others++;
		ret->instead = other;
	}
	if (ret->has || whole || ret->others != 1)
		ret->instead = WRIT_STR("");
	if (ret->has)
		ret->others = 0;
	else if (!ret->others)
		say_why(have, sel, kind, ret->why, sizeof(ret->why));
}
