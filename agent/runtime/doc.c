/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/doc.h"

#include <jansson.h>
#include <string.h>

#include "base/mem.h"

static bool too_many_values(struct writ_str text)
{
	size_t n = 0;
	bool quoted = false;
	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];
		if (quoted && c == '\\')
			i++;
		else if (c == '"')
			quoted = !quoted;
		else if (!quoted && (c == ',' || c == '[' || c == '{'))
			n++;
	}
	return n > WRIT_DOC_VALUES_MAX;
}

writ_rc writ_doc_parse(struct writ_str text, struct json_t **ret, struct writ_err *err)
{
	json_error_t why;
	if (too_many_values(text))
		return writ_fail(
			err, WRIT_ELIMIT, "an answer of more than %d values", WRIT_DOC_VALUES_MAX);
	json_t *doc = json_loadb(text.p ? text.p : "", text.n, JSON_REJECT_DUPLICATES, &why);
	if (doc && json_is_object(doc)) {
		*ret = doc;
		return WRIT_OK;
	}
	writ_rc rc = writ_fail(err, WRIT_EPROTO, "an answer that is no JSON object%s%s",
		doc ? "" : ": ", doc ? "" : why.text);
	json_decref(doc);
	return rc;
}

void writ_doc_freep(struct json_t **doc)
{
	json_decref(*doc);
}

const struct json_t *writ_doc_at(const struct json_t *doc, const char *path)
{
	struct writ_str rest = writ_cstr(path);
	while (doc && rest.n > 0) {
		struct writ_str name;
		char key[64];
		(void)writ_str_cut(&rest, '.', &name);
		if (name.n >= sizeof(key))
			return NULL;
		memcpy(key, name.p, name.n);
		key[name.n] = '\0';
		doc = json_object_get(doc, key);
	}
	return doc;
}

struct writ_str writ_doc_text(const struct json_t *doc, const char *path)
{
	const json_t *v = writ_doc_at(doc, path);
	return writ_strn(json_string_value(v), json_string_length(v));
}

/* What is too long or not printable cannot be asked for by any entry, so nothing is lost. */
void writ_doc_add(struct writ_doc_out *out, const char *key, struct writ_str value)
{
	if (value.n == 0 || out->failed != WRIT_OK)
		return;
	WRIT_AUTO(writ_buf_done) struct writ_buf text = WRIT_BUF(WRIT_SELECTOR_VALUE_MAX);
	struct writ_err why;
	writ_buf_addf(&text, "%s%s:", out->prefix, key);
	writ_buf_add_str(&text, value);
	writ_rc rc = writ_buf_check(&text, key, &why);
	if (rc != WRIT_OK) {
		writ_answer_note(out->answer, WRIT_FMT ":%s withheld: %s", WRIT_ARG(out->type), key,
			why.msg);
		return;
	}
	rc = writ_selectors_add(&out->answer->selectors, out->type, writ_buf_str(&text), &why);
	if (rc == WRIT_EINVAL)
		writ_answer_note(out->answer, WRIT_FMT ":%s withheld: %s", WRIT_ARG(out->type), key,
			why.msg);
	else if (rc != WRIT_OK) {
		out->failed = rc;
		out->err = why;
	}
}

void writ_doc_add_each(struct writ_doc_out *out, const char *key, const struct json_t *object)
{
	union {
		const json_t *in;
		json_t *out;
	} o = { .in = object };
	const char *name;
	json_t *value;
	json_object_foreach(o.out, name, value)
	{
		WRIT_AUTO(writ_buf_done) struct writ_buf text = WRIT_BUF(WRIT_SELECTOR_VALUE_MAX);
		if (!json_is_string(value))
			continue;
		writ_buf_addf(&text, "%s:", name);
		writ_buf_add(&text, json_string_value(value), json_string_length(value));
		if (text.failed)
			writ_answer_note(out->answer, WRIT_FMT ":%s withheld: too long",
				WRIT_ARG(out->type), key);
		else
			writ_doc_add(out, key, writ_buf_str(&text));
	}
}
