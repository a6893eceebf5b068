/* SPDX-License-Identifier: Apache-2.0 */
/* doc: JSON that a runtime sent, read within bounds, and selectors made of parts of it. Pure. */
#ifndef WRIT_RUNTIME_DOC_H
#define WRIT_RUNTIME_DOC_H

#include "attest/wire.h"

struct json_t;

/* Values in one document. A megabyte of "[[[[" would else become a hundred. */
#define WRIT_DOC_VALUES_MAX (256 * 1024)

/* WRIT_EPROTO: no JSON object, or a member twice; WRIT_ELIMIT: too many values. */
WRIT_MUST writ_rc writ_doc_parse(struct writ_str text, struct json_t **ret, struct writ_err *err);
void writ_doc_freep(struct json_t **doc);
/* The string at a path of members ("State.Pid"); empty when there is none. Borrowed. */
struct writ_str writ_doc_text(const struct json_t *doc, const char *path);
const struct json_t *writ_doc_at(const struct json_t *doc, const char *path); /* NULL: none */

/* Selectors of one type from a document; what cannot be one becomes a note, what is empty is none.
 * An answer that overflows is no answer: check failed at the end. */
struct writ_doc_out {
	struct writ_answer *answer;
	struct writ_str type;
	const char *prefix; /* before each key: "", or "uid:1000:" */
	writ_rc failed;
	struct writ_err err;
};

void writ_doc_add(struct writ_doc_out *out, const char *key, struct writ_str value);
/* key:NAME:VALUE for each text member of an object. */
void writ_doc_add_each(struct writ_doc_out *out, const char *key, const struct json_t *object);

#endif
