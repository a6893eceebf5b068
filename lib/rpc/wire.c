/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/wire.h"

#include "base/mem.h"
#include "base/secret.h"
#include "rpc/rpc.h"

#include <grpc/byte_buffer_reader.h>
#include <string.h>

/* Identities go out with their private keys: no copy stays in freed memory. */
static void wipe_and_free(void *p, size_t n)
{
	writ_wipe(p, n);
	writ_free(p);
}

writ_rc writ_wire_pack(const ProtobufCMessage *m, grpc_byte_buffer **ret, struct writ_err *err)
{
	size_t n = protobuf_c_message_get_packed_size(m);
	if (n > WRIT_MESSAGE_MAX)
		return writ_fail(err, WRIT_ELIMIT,
			"%s: a message of %zu bytes is too large to send", m->descriptor->name, n);
	uint8_t *p = writ_alloc(n + 1);
	protobuf_c_message_pack(m, p);
	grpc_slice s = grpc_slice_new_with_len(p, n, wipe_and_free);
	*ret = grpc_raw_byte_buffer_create(&s, 1);
	grpc_slice_unref(s);
	return WRIT_OK;
}

static writ_rc unpack_slice(const grpc_slice *s, const ProtobufCMessageDescriptor *d,
	ProtobufCMessage **ret, struct writ_err *err)
{
	return writ_pb_unpack(d, GRPC_SLICE_START_PTR(*s), GRPC_SLICE_LENGTH(*s), ret, err);
}

static writ_rc unpack(grpc_byte_buffer *b, const ProtobufCMessageDescriptor *d, size_t max,
	ProtobufCMessage **ret, struct writ_err *err)
{
	const grpc_slice_buffer *raw = &b->data.raw.slice_buffer;
	if (b->data.raw.compression != GRPC_COMPRESS_NONE)
		return writ_fail(err, WRIT_EUNSUP, "compressed messages are not supported");
	if (raw->length > max)
		return writ_fail(err, WRIT_ELIMIT, "a message of %zu bytes is larger than %zu",
			raw->length, max);
	if (raw->count == 1)
		return unpack_slice(&raw->slices[0], d, ret, err);
	grpc_byte_buffer_reader r;
	if (!grpc_byte_buffer_reader_init(&r, b))
		return writ_fail(err, WRIT_EINVAL, "the message cannot be read");
	grpc_slice s = grpc_byte_buffer_reader_readall(&r);
	writ_rc rc = unpack_slice(&s, d, ret, err);
	grpc_slice_unref(s);
	grpc_byte_buffer_reader_destroy(&r);
	return rc;
}

writ_rc writ_wire_unpack(grpc_byte_buffer *b, const ProtobufCMessageDescriptor *d, size_t max,
	ProtobufCMessage **ret, struct writ_err *err)
{
	if (!b)
		return writ_fail(err, WRIT_EINVAL, "there is no request message");
	writ_rc rc = unpack(b, d, max, ret, err);
	grpc_byte_buffer_destroy(b);
	return rc;
}

grpc_metadata writ_wire_details(const void *p, size_t n)
{
	grpc_metadata md;
	memset(&md, 0, sizeof(md));
	md.key = grpc_slice_from_static_string("grpc-status-details-bin");
	md.value = grpc_slice_from_copied_buffer(p, n);
	return md;
}

struct writ_str writ_wire_str(const grpc_slice *s)
{
	return writ_strn(GRPC_SLICE_START_PTR(*s), GRPC_SLICE_LENGTH(*s));
}

struct writ_str writ_wire_find(const grpc_metadata_array *a, const char *key, size_t *n)
{
	struct writ_str first = { 0 }, want = writ_cstr(key);
	size_t count = 0;
	for (size_t i = 0; i < a->count; i++)
		if (writ_str_eq(writ_wire_str(&a->metadata[i].key), want) && count++ == 0)
			first = writ_wire_str(&a->metadata[i].value);
	if (n)
		*n = count;
	return first;
}

void writ_wire_text(struct writ_str text, char *out, size_t n)
{
	size_t len = text.n < n - 1 ? text.n : n - 1;
	/* not in the middle of a character */
	if (len < text.n)
		while (len > 0 && ((uint8_t)text.p[len] & 0xc0) == 0x80)
			len--;
	for (size_t i = 0; i < len; i++)
		out[i] = (uint8_t)text.p[i] < ' ' || text.p[i] == 0x7f ? '?' : text.p[i];
	out[len] = 0;
}
