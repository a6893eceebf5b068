/* SPDX-License-Identifier: Apache-2.0 */
#include "spiffe/sshpop.h"

#include "base/mem.h"
#include "spiffe/json.h"

#include <string.h>

writ_rc writ_sshpop_parse(struct writ_str payload, struct writ_buf *wire, struct writ_err *err)
{
	WRIT_AUTO(writ_json_freep) struct json_t *doc = NULL;
	if (payload.n > WRIT_SSHPOP_PAYLOAD_MAX)
		return writ_fail(err, WRIT_EINVAL, "a payload of %zu bytes, at most %d are taken",
			payload.n, WRIT_SSHPOP_PAYLOAD_MAX);
	writ_rc rc = writ_json_parse(payload, &doc, err);
	return rc == WRIT_OK ? writ_json_add_bytes(doc, "Certificate", wire, err) : rc;
}

void writ_sshpop_print(struct writ_str wire, struct writ_buf *out)
{
	writ_buf_add_cstr(out, "{\"Certificate\":");
	writ_json_put_bytes(out, wire.p, wire.n);
	writ_buf_add_byte(out, '}');
}

writ_rc writ_sshpop_challenge_parse(
	struct writ_str text, uint8_t nonce[WRIT_POP_NONCE], struct writ_err *err)
{
	WRIT_AUTO(writ_json_freep) struct json_t *doc = NULL;
	writ_rc rc = writ_json_parse(text, &doc, err);
	return rc == WRIT_OK ? writ_json_exact(doc, "Nonce", nonce, WRIT_POP_NONCE, err) : rc;
}

void writ_sshpop_challenge_print(const uint8_t nonce[WRIT_POP_NONCE], struct writ_buf *out)
{
	writ_buf_add_cstr(out, "{\"Nonce\":");
	writ_json_put_bytes(out, nonce, WRIT_POP_NONCE);
	writ_buf_add_byte(out, '}');
}

writ_rc writ_sshpop_answer_parse(
	struct writ_str text, struct writ_sshpop_answer *ret, struct writ_err *err)
{
	WRIT_AUTO(writ_json_freep) struct json_t *doc = NULL;
	struct writ_sshpop_answer a = { .sig = { .n = 0 } };
	writ_rc rc = writ_json_parse(text, &doc, err);
	if (rc == WRIT_OK)
		rc = writ_json_exact(doc, "Nonce", a.nonce, sizeof(a.nonce), err);
	if (rc != WRIT_OK)
		return rc;
	const struct json_t *sig = writ_json_object(doc, "Signature");
	struct writ_str format = writ_json_text(sig, "Format");
	if (!sig || !format.n || format.n >= sizeof(a.sig.format) ||
		memchr(format.p, '\0', format.n))
		return writ_fail(err, WRIT_EINVAL, "no \"Signature\" with a \"Format\" in it");
	memcpy(a.sig.format, format.p, format.n);
	rc = writ_json_bytes(sig, "Blob", a.sig.blob, sizeof(a.sig.blob), &a.sig.n, err);
	if (rc == WRIT_OK)
		*ret = a;
	return rc;
}

void writ_sshpop_answer_print(const struct writ_sshpop_answer *a, struct writ_buf *out)
{
	writ_buf_add_cstr(out, "{\"Nonce\":");
	writ_json_put_bytes(out, a->nonce, sizeof(a->nonce));
	writ_buf_addf(out, ",\"Signature\":{\"Format\":\"%s\",\"Blob\":", a->sig.format);
	writ_json_put_bytes(out, a->sig.blob, a->sig.n);
	writ_buf_add_cstr(out, ",\"Rest\":null}}");
}
