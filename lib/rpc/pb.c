/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/rpc.h"

#include "rpc/pb.h"

#include <assert.h>
#include <limits.h>
#include <string.h>

#define DEPTH_MAX  32
#define FIELDS_MAX 256 /* of one message: ours have 20 */

/* What protobuf-c keeps for each field while it unpacks one message: the first 16 on its stack,
 * then blocks of 32, 64, ... from the allocator. */
#define SCANNED_SIZE  40
#define SCANNED_FIRST 16

enum wire { VARINT, FIXED64, BYTES, GROUP_START, GROUP_END, FIXED32 };

static const struct {
	uint8_t wire, size; /* how it is written; bytes of one in an array in memory */
} types[] = {
	[PROTOBUF_C_TYPE_INT32] = { VARINT, 4 },
	[PROTOBUF_C_TYPE_SINT32] = { VARINT, 4 },
	[PROTOBUF_C_TYPE_SFIXED32] = { FIXED32, 4 },
	[PROTOBUF_C_TYPE_INT64] = { VARINT, 8 },
	[PROTOBUF_C_TYPE_SINT64] = { VARINT, 8 },
	[PROTOBUF_C_TYPE_SFIXED64] = { FIXED64, 8 },
	[PROTOBUF_C_TYPE_UINT32] = { VARINT, 4 },
	[PROTOBUF_C_TYPE_FIXED32] = { FIXED32, 4 },
	[PROTOBUF_C_TYPE_UINT64] = { VARINT, 8 },
	[PROTOBUF_C_TYPE_FIXED64] = { FIXED64, 8 },
	[PROTOBUF_C_TYPE_FLOAT] = { FIXED32, 4 },
	[PROTOBUF_C_TYPE_DOUBLE] = { FIXED64, 8 },
	[PROTOBUF_C_TYPE_BOOL] = { VARINT, sizeof(protobuf_c_boolean) },
	[PROTOBUF_C_TYPE_ENUM] = { VARINT, 4 },
	[PROTOBUF_C_TYPE_STRING] = { BYTES, sizeof(char *) },
	[PROTOBUF_C_TYPE_BYTES] = { BYTES, sizeof(ProtobufCBinaryData) },
	[PROTOBUF_C_TYPE_MESSAGE] = { BYTES, sizeof(void *) },
};

/* One walk over a message and all that is in it. */
struct walk {
	size_t need; /* bytes that unpacking will ask for, so far */
	size_t budget;
	unsigned depth;
	struct writ_err *err;
};

/* One message on the way. */
struct at {
	const ProtobufCMessageDescriptor *d;
	const ProtobufCFieldDescriptor *f; /* the field being read; NULL: not known */
	const uint8_t *p, *end;
	size_t fields;
	uint64_t seen[FIELDS_MAX / 64];
};

static writ_rc walk_message(
	struct walk *w, const ProtobufCMessageDescriptor *d, const uint8_t *p, size_t n);

static writ_rc bad(const struct walk *w, const struct at *a, const char *what)
{
	if (a->f)
		return writ_fail(
			w->err, WRIT_EINVAL, "%s: field '%s': %s", a->d->name, a->f->name, what);
	return writ_fail(w->err, WRIT_EINVAL, "%s: %s", a->d->name, what);
}

static writ_rc need(struct walk *w, const struct at *a, size_t n)
{
	w->need += (n + 7) & ~(size_t)7;
	if (w->need <= w->budget)
		return WRIT_OK;
	return writ_fail(w->err, WRIT_ELIMIT,
		"%s: unpacking it would take more than %zu bytes of memory", a->d->name, w->budget);
}

/* Bytes of the varint at p, 0 when it does not end within 10 bytes or the message. */
static size_t varint(const uint8_t *p, const uint8_t *end, uint64_t *v)
{
	*v = 0;
	for (size_t i = 0; i < 10 && p + i < end; i++) {
		*v |= (uint64_t)(p[i] & 0x7f) << (7 * i);
		if (p[i] < 0x80)
			return i + 1;
	}
	return 0;
}

static writ_rc walk_packed(struct walk *w, const struct at *a, const uint8_t *p, size_t n)
{
	size_t count = 0, size = types[a->f->type].size;
	if (types[a->f->type].wire == VARINT) {
		const uint8_t *end = p + n;
		for (uint64_t v; p < end; count++) {
			size_t used = varint(p, end, &v);
			if (used == 0)
				return bad(w, a, "a number in the list does not end");
			p += used;
		}
		/* protobuf-c takes one element for each byte of a packed list of booleans */
		if (a->f->type == PROTOBUF_C_TYPE_BOOL)
			count = n;
	} else if (n % size != 0) {
		return bad(w, a, "the list ends inside a number");
	} else {
		count = n / size;
	}
	return need(w, a, count * size + 8);
}

static writ_rc walk_string(struct walk *w, const struct at *a, const uint8_t *p, size_t n)
{
	if (memchr(p, 0, n) != NULL)
		return bad(w, a, "a NUL byte in a text");
	if (!writ_is_utf8(p, n))
		return bad(w, a, "not UTF-8");
	return need(w, a, n + 1);
}

/* The protocol asks to merge a message that comes twice. No encoder writes it, and protobuf-c's
 * merging takes time and memory with the square of the count. */
static bool seen_before(struct at *a)
{
	size_t i = (size_t)(a->f - a->d->fields);
	uint64_t bit = UINT64_C(1) << (i % 64);
	bool before = (a->seen[i / 64] & bit) != 0;
	a->seen[i / 64] |= bit;
	return before;
}

static bool packable(const ProtobufCFieldDescriptor *f)
{
	return f->label == PROTOBUF_C_LABEL_REPEATED && types[f->type].wire != BYTES;
}

/* A field with a length: a->p stands behind the length. */
static writ_rc walk_bytes(struct walk *w, struct at *a, size_t n)
{
	if (packable(a->f))
		return walk_packed(w, a, a->p, n);
	if (types[a->f->type].wire != BYTES)
		return bad(w, a, "bytes where a number is expected");
	if (a->f->type == PROTOBUF_C_TYPE_STRING)
		return walk_string(w, a, a->p, n);
	if (a->f->type == PROTOBUF_C_TYPE_BYTES)
		return need(w, a, n + 1);
	if (a->f->label != PROTOBUF_C_LABEL_REPEATED && seen_before(a))
		return bad(w, a, "present twice");
	if (w->depth >= DEPTH_MAX)
		return bad(w, a, "nested too deep");
	w->depth++;
	writ_rc rc = walk_message(w, a->f->descriptor, a->p, n);
	w->depth--;
	return rc;
}

static writ_rc walk_value(struct walk *w, struct at *a, unsigned wire)
{
	const uint8_t *start = a->p;
	uint64_t v = 0;
	size_t used = wire == FIXED64 ? 8 : wire == FIXED32 ? 4 : varint(a->p, a->end, &v);
	if (used == 0 || used > (size_t)(a->end - a->p))
		return bad(w, a, "a number does not end");
	a->p += used;
	size_t n = 0;
	if (wire == BYTES) {
		if (used > 5 || v > INT_MAX || v > (size_t)(a->end - a->p))
			return bad(w, a, "longer than the message it is in");
		n = (size_t)v;
	}
	writ_rc rc = WRIT_OK;
	if (!a->f)
		rc = need(w, a, sizeof(ProtobufCMessageUnknownField) + (size_t)(a->p - start) + n);
	else if (wire == BYTES)
		rc = walk_bytes(w, a, n);
	else if (types[a->f->type].wire != wire)
		rc = bad(w, a, "written as another type");
	a->p += n;
	return rc;
}

/* protobuf-c's blocks double: this counts each at the moment it is taken. */
static writ_rc need_scanned(struct walk *w, const struct at *a)
{
	size_t block = a->fields + SCANNED_FIRST;
	bool starts = a->fields >= SCANNED_FIRST && (block & (block - 1)) == 0;
	return starts ? need(w, a, block * SCANNED_SIZE) : WRIT_OK;
}

static writ_rc walk_field(struct walk *w, struct at *a)
{
	uint64_t tag;
	a->f = NULL;
	size_t used = varint(a->p, a->end, &tag);
	if (used == 0 || used > 5 || tag > UINT32_MAX || tag < 8)
		return bad(w, a, "not a field number");
	unsigned wire = tag & 7;
	if (wire > FIXED32 || wire == GROUP_START || wire == GROUP_END)
		return bad(w, a, "a kind of field that is not supported");
	a->f = protobuf_c_message_descriptor_get_field(a->d, (unsigned)(tag >> 3));
	a->p += used;
	writ_rc rc = need_scanned(w, a);
	a->fields++;
	if (rc == WRIT_OK && a->f && a->f->label == PROTOBUF_C_LABEL_REPEATED)
		rc = need(w, a, types[a->f->type].size);
	return rc == WRIT_OK ? walk_value(w, a, wire) : rc;
}

static writ_rc walk_message(
	struct walk *w, const ProtobufCMessageDescriptor *d, const uint8_t *p, size_t n)
{
	struct at a = { .d = d, .p = p, .end = p + n };
	assert(d->n_fields <= FIELDS_MAX);
	writ_rc rc = need(w, &a, d->sizeof_message);
	if (rc == WRIT_OK && d->n_fields > 128)
		rc = need(w, &a, (d->n_fields + 7) / 8);
	while (rc == WRIT_OK && a.p < a.end)
		rc = walk_field(w, &a);
	return rc;
}

static writ_rc measure(const ProtobufCMessageDescriptor *d, const void *p, size_t n, size_t budget,
	size_t *ret, struct writ_err *err)
{
	struct walk w = { .budget = budget, .err = err };
	writ_rc rc = walk_message(&w, d, n > 0 ? p : "", n);
	if (rc == WRIT_OK)
		*ret = w.need;
	return rc;
}

writ_rc writ_pb_check(const ProtobufCMessageDescriptor *d, const void *p, size_t n, size_t budget,
	struct writ_err *err)
{
	size_t size;
	return measure(d, p, n, budget, &size, err);
}

/* The block that one message is unpacked into. */
struct bump {
	uint8_t *p;
	size_t left;
};

static void *bump_alloc(void *data, size_t n)
{
	struct bump *b = data;
	n = (n + 7) & ~(size_t)7;
	if (n > b->left)
		return NULL;
	void *p = b->p;
	b->p += n;
	b->left -= n;
	return p;
}

static void bump_free(void *data, void *p)
{
	(void)data;
	(void)p;
}

writ_rc writ_pb_unpack(const ProtobufCMessageDescriptor *d, const void *p, size_t n,
	ProtobufCMessage **ret, struct writ_err *err)
{
	size_t size = 0;
	size_t budget = n < SIZE_MAX / 32 ? 16 * n + WRIT_PB_SLACK : SIZE_MAX;
	writ_rc rc = measure(d, p, n, budget, &size, err);
	if (rc != WRIT_OK)
		return rc;
	uint8_t *block = writ_alloc(size);
	struct bump b = { block, size };
	ProtobufCAllocator a = { bump_alloc, bump_free, &b };
	ProtobufCMessage *m = protobuf_c_message_unpack(d, &a, n, n > 0 ? p : (const void *)"");
	if (!m) {
		writ_free(block);
		return writ_fail(err, WRIT_EINVAL, "%s: cannot be unpacked", d->name);
	}
	/* the message itself is the first thing that is asked for: freeing it frees the block */
	assert((void *)m == block);
	*ret = m;
	return WRIT_OK;
}

void writ_pb_free(ProtobufCMessage *m)
{
	writ_free(m);
}

writ_rc writ_pb_pack(const ProtobufCMessage *m, struct writ_buf *out, struct writ_err *err)
{
	size_t n = protobuf_c_message_get_packed_size(m);
	uint8_t *p = writ_buf_room(out, n);
	if (!p)
		return writ_fail(err, WRIT_ELIMIT, "%s: %zu bytes, more than there is room for",
			m->descriptor->name, n);
	writ_buf_grew(out, protobuf_c_message_pack(m, p));
	return WRIT_OK;
}
