/* SPDX-License-Identifier: Apache-2.0 */
#include "convert.h"

#include "print.h"

#include "base/mem.h"
#include "spiffe/id.h"

#include <stdio.h>

writ_rc writ_api_id(
	const char *text, const char *flag, Spire__Api__Types__SPIFFEID *ret, struct writ_err *err)
{
	struct writ_id id;
	writ_rc rc = writ_id_parse(writ_cstr(text), &id, err);
	if (rc != WRIT_OK)
		return writ_wrap(err, rc, "-%s", flag);
	spire__api__types__spiffeid__init(ret);
	ret->trust_domain = writ_strndup(id.td.p, id.td.n);
	ret->path = writ_strndup(id.path.p, id.path.n);
	return WRIT_OK;
}

void writ_api_id_done(Spire__Api__Types__SPIFFEID *id)
{
	if (id->trust_domain != protobuf_c_empty_string)
		writ_free(id->trust_domain);
	if (id->path != protobuf_c_empty_string)
		writ_free(id->path);
	spire__api__types__spiffeid__init(id);
}

const char *writ_api_id_text(const Spire__Api__Types__SPIFFEID *id)
{
	char text[2304];
	if (!id)
		return "(none)";
	snprintf(text, sizeof(text), "spiffe://%s%s", id->trust_domain, id->path);
	return writ_safe(text);
}

writ_rc writ_api_selector(const char *text, Spire__Api__Types__Selector *ret, struct writ_err *err)
{
	struct writ_str value = writ_cstr(text), type;
	if (!writ_str_cut(&value, ':', &type) || !type.n || !value.n)
		return writ_fail(err, WRIT_EINVAL,
			"selector '%s': write it as type:value, like unix:uid:1000", text);
	spire__api__types__selector__init(ret);
	ret->type = writ_strndup(type.p, type.n);
	ret->value = writ_strndup(value.p, value.n);
	return WRIT_OK;
}

void writ_api_selector_done(Spire__Api__Types__Selector *s)
{
	if (s->type != protobuf_c_empty_string)
		writ_free(s->type);
	if (s->value != protobuf_c_empty_string)
		writ_free(s->value);
	spire__api__types__selector__init(s);
}
