/* SPDX-License-Identifier: Apache-2.0 */
#include "print.h"

#include "base/mem.h"
#include "crypto/digest.h"

#include <inttypes.h>
#include <jansson.h>
#include <string.h>

static json_t *scalar(const ProtobufCFieldDescriptor *f, const void *at)
{
	char number[32];
	switch (f->type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32: return json_integer(*(const int32_t *)at);
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32: return json_integer(*(const uint32_t *)at);
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
		snprintf(number, sizeof(number), "%" PRId64, *(const int64_t *)at);
		return json_string(number);
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
		snprintf(number, sizeof(number), "%" PRIu64, *(const uint64_t *)at);
		return json_string(number);
	case PROTOBUF_C_TYPE_FLOAT: return json_real((double)*(const float *)at);
	case PROTOBUF_C_TYPE_DOUBLE: return json_real(*(const double *)at);
	case PROTOBUF_C_TYPE_BOOL: return json_boolean(*(const protobuf_c_boolean *)at);
	case PROTOBUF_C_TYPE_ENUM: {
		const ProtobufCEnumValue *v =
			protobuf_c_enum_descriptor_get_value(f->descriptor, *(const int *)at);
		return v ? json_string(v->name) : json_integer(*(const int *)at);
	}
	case PROTOBUF_C_TYPE_STRING: {
		const char *s = *(char *const *)at;
		return json_string(s ? s : "");
	}
	case PROTOBUF_C_TYPE_BYTES: {
		const ProtobufCBinaryData *b = at;
		WRIT_AUTO(writ_buf_done) struct writ_buf text = WRIT_BUF(64u << 20);
		writ_base64_add(&text, b->data, b->len);
		return json_string(writ_buf_cstr(&text));
	}
	case PROTOBUF_C_TYPE_MESSAGE: {
		const ProtobufCMessage *m = *(ProtobufCMessage *const *)at;
		return m ? writ_pb_to_json(m) : json_null();
	}
	}
	return json_null();
}

static size_t element_size(const ProtobufCFieldDescriptor *f)
{
	switch (f->type) {
	case PROTOBUF_C_TYPE_BYTES: return sizeof(ProtobufCBinaryData);
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_MESSAGE: return sizeof(void *);
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_DOUBLE: return 8;
	case PROTOBUF_C_TYPE_BOOL: return sizeof(protobuf_c_boolean);
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
	case PROTOBUF_C_TYPE_FLOAT:
	case PROTOBUF_C_TYPE_ENUM: return 4;
	}
	return 4;
}

static json_t *repeated(const ProtobufCFieldDescriptor *f, const ProtobufCMessage *m)
{
	const char *base = (const char *)m;
	size_t n = *(const size_t *)(const void *)(base + f->quantifier_offset);
	const char *at = *(char *const *)(const void *)(base + f->offset);
	json_t *list = json_array();
	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, scalar(f, at + i * element_size(f)));
	return list;
}

json_t *writ_pb_to_json(const ProtobufCMessage *m)
{
	json_t *o = json_object();
	for (unsigned i = 0; i < m->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];
		const char *base = (const char *)m;
		if (f->label == PROTOBUF_C_LABEL_REPEATED) {
			json_object_set_new(o, f->name, repeated(f, m));
			continue;
		}
		if ((f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) &&
			*(const uint32_t *)(const void *)(base + f->quantifier_offset) != f->id)
			continue;
		json_object_set_new(o, f->name, scalar(f, base + f->offset));
	}
	return o;
}

void writ_print_json_value(json_t *v)
{
	json_dumpf(v, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(v);
}

void writ_print_json(const ProtobufCMessage *m)
{
	writ_print_json_value(writ_pb_to_json(m));
}

/* A quote moves no terminal. */
static void keep_quotes(char *s)
{
	char *to = s;
	for (; *s; s++) {
		if (s[0] == '\\' && s[1] == '"')
			s++;
		else if (s[0] == '\\' && s[1] == '\\')
			*to++ = *s++;
		*to++ = *s;
	}
	*to = '\0';
}

const char *writ_safe(const char *s)
{
	static char ring[8][8192]; /* the longest selector fits, with some escapes */
	static unsigned next;
	char *out = ring[next++ % WRIT_COUNT(ring)];
	WRIT_AUTO(writ_buf_done) struct writ_buf text = WRIT_BUF(sizeof(ring[0]) - 1);
	writ_buf_add_json(&text, writ_cstr(s));
	snprintf(out, sizeof(ring[0]), "%s", text.failed ? "(too long)" : writ_buf_cstr(&text));
	keep_quotes(out);
	return out;
}

void writ_print_pair(FILE *f, const char *label, const char *fmt, ...)
{
	fprintf(f, "%-24s: ", label);
	va_list ap;
	va_start(ap, fmt);
	vfprintf(f, fmt, ap);
	va_end(ap);
	putc('\n', f);
}
