/* SPDX-License-Identifier: Apache-2.0 */
#include "spiffe/json.h"

#include "base/mem.h"
#include "crypto/digest.h"

#include <jansson.h>
#include <string.h>

writ_rc writ_json_parse(struct writ_str text, struct json_t **ret, struct writ_err *err)
{
	json_error_t why;
	json_t *doc = json_loadb(text.p ? text.p : "", text.n, JSON_REJECT_DUPLICATES, &why);
	if (!doc)
		return writ_fail(
			err, WRIT_EINVAL, "no JSON: line %d, column %d", why.line, why.column);
	if (!json_is_object(doc)) {
		json_decref(doc);
		return writ_fail(err, WRIT_EINVAL, "no JSON object");
	}
	*ret = doc;
	return WRIT_OK;
}

void writ_json_freep(struct json_t **doc)
{
	json_decref(*doc);
}

const struct json_t *writ_json_object(const struct json_t *obj, const char *name)
{
	const json_t *v = json_object_get(obj, name);
	return json_is_object(v) ? v : NULL;
}

static struct writ_str text_of(const json_t *v)
{
	return json_is_string(v) ? writ_strn(json_string_value(v), json_string_length(v))
				 : writ_strn(NULL, 0);
}

struct writ_str writ_json_text(const struct json_t *obj, const char *name)
{
	return text_of(json_object_get(obj, name));
}

static writ_rc add(const json_t *v, const char *name, struct writ_buf *out, struct writ_err *err)
{
	struct writ_str text = text_of(v);
	size_t before = out->n;
	if (!text.n)
		return writ_fail(err, WRIT_EINVAL, "no \"%s\" in it", name);
	/* Four characters are at least one byte: nothing larger is looked at. */
	if (text.n / 4 > out->max || writ_base64_decode(text, out, err) != WRIT_OK ||
		writ_buf_check(out, name, err) != WRIT_OK || out->n == before)
		return writ_fail(
			err, WRIT_EINVAL, "\"%s\" is not base64 of 1 to %zu bytes", name, out->max);
	return WRIT_OK;
}

writ_rc writ_json_add_bytes(
	const struct json_t *obj, const char *name, struct writ_buf *out, struct writ_err *err)
{
	return add(json_object_get(obj, name), name, out, err);
}

writ_rc writ_json_bytes(const struct json_t *obj, const char *name, uint8_t *out, size_t max,
	size_t *n, struct writ_err *err)
{
	WRIT_AUTO(writ_buf_done) struct writ_buf b = WRIT_BUF(max);
	writ_rc rc = writ_json_add_bytes(obj, name, &b, err);
	if (rc != WRIT_OK)
		return rc;
	memcpy(out, b.p, b.n);
	*n = b.n;
	return WRIT_OK;
}

writ_rc writ_json_exact(
	const struct json_t *obj, const char *name, uint8_t *out, size_t n, struct writ_err *err)
{
	WRIT_AUTO(writ_buf_done) struct writ_buf b = WRIT_BUF(n);
	writ_rc rc = writ_json_add_bytes(obj, name, &b, err);
	if (rc == WRIT_OK && b.n != n)
		rc = writ_fail(
			err, WRIT_EINVAL, "\"%s\" has %zu bytes, %zu are wanted", name, b.n, n);
	if (rc == WRIT_OK)
		memcpy(out, b.p, n);
	return rc;
}

size_t writ_json_count(const struct json_t *obj, const char *name)
{
	return json_array_size(json_object_get(obj, name));
}

writ_rc writ_json_add_item(const struct json_t *obj, const char *name, size_t i,
	struct writ_buf *out, struct writ_err *err)
{
	return add(json_array_get(json_object_get(obj, name), i), name, out, err);
}

void writ_json_put_bytes(struct writ_buf *out, const void *p, size_t n)
{
	writ_buf_add_byte(out, '"');
	writ_base64_add(out, p, n);
	writ_buf_add_byte(out, '"');
}
