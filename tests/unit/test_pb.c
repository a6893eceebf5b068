/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"

#include "base/mem.h"
#include "rpc/pb.h"
#include "rpc/rpc.h"

#include "google/protobuf/struct.pb-c.h"
#include "google/protobuf/wrappers.pb-c.h"
#include "grpc/health/v1/health.pb-c.h"
#include "spire/api/server/entry/v1/entry.pb-c.h"
#include "workloadapi.pb-c.h"

#define HEALTH  (&grpc__health__v1__health_check_request__descriptor)
#define STATUS  (&grpc__health__v1__health_check_response__descriptor)
#define SVIDS   (&x509_svidresponse__descriptor)
#define VALUE   (&google__protobuf__value__descriptor)
#define DOUBLE  (&google__protobuf__double_value__descriptor)
#define BOOLEAN (&google__protobuf__bool_value__descriptor)
#define FILTER  (&spire__api__server__entry__v1__list_entries_request__filter__descriptor)
#define LIST    (&spire__api__server__entry__v1__list_entries_request__descriptor)

static const struct {
	const char *name;
	const ProtobufCMessageDescriptor *d;
	const char *bytes;
	size_t n;
	const char *error; /* NULL: good */
} table[] = {
#define ROW(name, d, bytes, error)                                                                 \
	{                                                                                          \
		name, d, bytes, sizeof(bytes) - 1, error                                           \
	}
	ROW("empty", HEALTH, "", NULL),
	ROW("a text", HEALTH,
		"\x0a\x03"
		"abc",
		NULL),
	ROW("an empty text", HEALTH, "\x0a\x00", NULL),
	ROW("the last of two texts", HEALTH, "\x0a\x01x\x0a\x01y", NULL),
	ROW("two-byte character", HEALTH, "\x0a\x02\xc3\xa9", NULL),
	ROW("NUL in a text", HEALTH, "\x0a\x03x\x00y", "NUL"),
	ROW("not UTF-8", HEALTH, "\x0a\x02\xc3\x28", "UTF-8"),
	ROW("surrogate", HEALTH, "\x0a\x03\xed\xa0\x80", "UTF-8"),
	ROW("text cut short", HEALTH, "\x0a\x04xyz", "longer than"),
	ROW("length of 2^32", HEALTH, "\x0a\x80\x80\x80\x80\x10", "longer than"),
	ROW("length of 2^32 + 1", HEALTH, "\x0a\x81\x80\x80\x80\x10z", "longer than"),
	ROW("length of 2^31", HEALTH, "\x0a\x80\x80\x80\x80\x08", "longer than"),
	ROW("length of 2^64 - 1", HEALTH, "\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
		"longer than"),
	ROW("length in 6 bytes", HEALTH, "\x0a\x81\x80\x80\x80\x80\x00z", "longer than"),
	ROW("length does not end", HEALTH, "\x0a\xff", "does not end"),
	ROW("number for a text", HEALTH, "\x08\x01", "another type"),
	ROW("bytes for a number", STATUS, "\x0a\x01\x01", "number is expected"),
	ROW("fixed for a number", STATUS, "\x0d\x01\x02\x03\x04", "another type"),
	ROW("field 0", HEALTH, "\x02\x00", "field number"),
	ROW("field number over 2^29", HEALTH, "\x80\x80\x80\x80\x10\x01", "field number"),
	ROW("field number in 6 bytes", HEALTH, "\x8a\x80\x80\x80\x80\x00\x00", "field number"),
	ROW("group", HEALTH, "\x0b\x0c", "not supported"),
	ROW("unknown group", HEALTH, "\x7b\x7c", "not supported"),
	ROW("wire type 6", HEALTH, "\x7e\x00", "not supported"),
	ROW("unknown number", HEALTH, "\x78\x96\x01", NULL),
	ROW("unknown text", HEALTH, "\x7a\x02hi", NULL),
	ROW("unknown fixed32", HEALTH, "\x7d\x01\x02\x03\x04", NULL),
	ROW("unknown fixed32 cut short", HEALTH, "\x7d\x01\x02\x03", "does not end"),
	ROW("unknown fixed64", HEALTH, "\x79\x01\x02\x03\x04\x05\x06\x07\x08", NULL),
	ROW("unknown text longer than the message", HEALTH, "\x7a\x05hi", "longer than"),
	ROW("number of 11 bytes", STATUS, "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
		"does not end"),
	ROW("unknown enum value", STATUS, "\x08\x63", NULL),
	ROW("double", DOUBLE, "\x09\x01\x02\x03\x04\x05\x06\x07\x08", NULL),
	ROW("double cut short", DOUBLE, "\x09\x01\x02\x03", "does not end"),
	ROW("bool", BOOLEAN, "\x08\x01", NULL),
	ROW("bool with bytes", BOOLEAN, "\x0a\x01\x01", "number is expected"),
	ROW("NUL in an inner text", SVIDS, "\x0a\x03\x0a\x01\x00", "spiffe_id"),
	ROW("NUL in bytes is fine", SVIDS, "\x0a\x03\x12\x01\x00", NULL),
	ROW("map", SVIDS, "\x1a\x06\x0a\x01k\x12\x01v", NULL),
	ROW("map key not UTF-8", SVIDS, "\x1a\x03\x0a\x01\xff", "UTF-8"),
	ROW("inner message longer than the outer", SVIDS, "\x0a\x05\x0a\x01", "longer than"),
	ROW("inner message twice", LIST, "\x0a\x00\x0a\x00", "twice"),
#undef ROW
};

static void the_check_and_the_unpacking_agree_on_every_row(void **state)
{
	(void)state;
	for (size_t i = 0; i < WRIT_COUNT(table); i++) {
		struct writ_err err = { 0 };
		ProtobufCMessage *m = NULL;
		/* an exact copy, so that the sanitizer sees a read past the end */
		char *p = writ_memdup(table[i].bytes, table[i].n);
		writ_rc rc = writ_pb_check(table[i].d, p, table[i].n, 1 << 20, &err);
		if (rc != (table[i].error ? WRIT_EINVAL : WRIT_OK) ||
			(table[i].error && !strstr(err.msg, table[i].error)))
			fail_msg("%s: %s '%s'", table[i].name, writ_rc_name(rc), err.msg);
		assert_int_equal(writ_pb_unpack(table[i].d, p, table[i].n, &m, &err), rc);
		assert_true((m != NULL) == (rc == WRIT_OK));
		writ_pb_free(m);
		writ_free(p);
	}
}

static void errors_name_the_message_and_the_field(void **state)
{
	struct writ_err err;
	(void)state;
	assert_fails(writ_pb_check(HEALTH, "\x0a\x01\xff", 3, 4096, &err), WRIT_EINVAL, err,
		"grpc.health.v1.HealthCheckRequest: field 'service': not UTF-8");
}

static void what_was_packed_comes_back(void **state)
{
	struct writ_err err;
	uint8_t key[] = { 0, 1, 2 };
	X509SVID svid = X509_SVID__INIT, *svids[] = { &svid, &svid };
	X509SVIDResponse in = X509_SVIDRESPONSE__INIT;
	WRIT_AUTO(writ_buf_done) struct writ_buf b = WRIT_BUF(4096);
	ProtobufCMessage *m = NULL;
	(void)state;
	svid.spiffe_id = (char[]){ "spiffe://td/a" };
	svid.x509_svid_key = (ProtobufCBinaryData){ sizeof(key), key };
	in.svids = svids;
	in.n_svids = 2;
	writ_buf_add_cstr(&b, "in front");
	assert_ok(writ_pb_pack(&in.base, &b, &err), err);
	assert_ok(writ_pb_unpack(SVIDS, b.p + 8, b.n - 8, &m, &err), err);
	X509SVIDResponse *out = (X509SVIDResponse *)(void *)m;
	assert_int_equal(out->n_svids, 2);
	assert_string_equal(out->svids[1]->spiffe_id, "spiffe://td/a");
	assert_memory_equal(out->svids[1]->x509_svid_key.data, key, sizeof(key));
	writ_pb_free(m);
}

static void packing_over_the_maximum_is_refused(void **state)
{
	struct writ_err err;
	Grpc__Health__V1__HealthCheckRequest m = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;
	WRIT_AUTO(writ_buf_done) struct writ_buf b = WRIT_BUF(16);
	(void)state;
	m.service = (char[]){ "sixteen and more bytes" };
	assert_fails(writ_pb_pack(&m.base, &b, &err), WRIT_ELIMIT, err, "24 bytes");
}

/* google.protobuf.Value: a list of a list of a list ... */
static size_t nested(uint8_t *p, size_t depth)
{
	size_t n = 0;
	uint8_t tmp[1024];
	for (size_t i = 0; i < depth; i++) {
		uint8_t tag = i % 2 == 0 ? 0x32 : 0x0a; /* Value.list_value, ListValue.values */
		size_t at = 0;
		tmp[at++] = depth % 2 == 1 ? tag : (uint8_t)(tag ^ 0x38);
		if (n >= 128)
			tmp[at++] = (uint8_t)(0x80 | (n & 0x7f));
		tmp[at++] = (uint8_t)(n >= 128 ? n >> 7 : n);
		memcpy(tmp + at, p, n);
		n += at;
		memcpy(p, tmp, n);
	}
	return n;
}

static void nesting_has_a_maximum(void **state)
{
	uint8_t p[1024];
	struct writ_err err;
	ProtobufCMessage *m = NULL;
	(void)state;
	size_t n = nested(p, 32);
	assert_ok(writ_pb_unpack(VALUE, p, n, &m, &err), err);
	writ_pb_free(m);
	n = nested(p, 33);
	assert_fails(writ_pb_check(VALUE, p, n, 1 << 20, &err), WRIT_EINVAL, err, "too deep");
}

/* The same few bytes again and again: what they take in memory, by kind. */
static void memory_is_counted_before_it_is_taken(void **state)
{
	static const struct {
		const char *name, *unit;
		size_t n;
		const ProtobufCMessageDescriptor *d;
	} rows[] = {
		{ "empty messages", "\x0a\x00", 2, SVIDS },
		{ "empty byte strings", "\x12\x00", 2, SVIDS },
		{ "empty map entries", "\x1a\x00", 2, SVIDS },
		{ "unknown numbers", "\x78\x00", 2, SVIDS },
		{ "unknown texts", "\x7a\x00", 2, SVIDS },
		{ "repeated text", "\x0a\x00", 2, HEALTH },
	};
	size_t units = 200000;
	(void)state;
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		struct writ_err err = { 0 };
		ProtobufCMessage *m = NULL;
		size_t n = units * rows[i].n;
		uint8_t *p = writ_alloc(n);
		for (size_t k = 0; k < units; k++)
			memcpy(p + k * rows[i].n, rows[i].unit, rows[i].n);
		writ_rc rc = writ_pb_unpack(rows[i].d, p, n, &m, &err);
		if (rc != WRIT_ELIMIT || !strstr(err.msg, "memory"))
			fail_msg("%s: %s '%s'", rows[i].name, writ_rc_name(rc), err.msg);
		/* a small one of the same kind is fine */
		assert_ok(writ_pb_unpack(rows[i].d, p, 100 * rows[i].n, &m, &err), err);
		writ_pb_free(m);
		writ_free(p);
	}
}

static void honest_lists_are_within_the_budget(void **state)
{
	struct writ_err err;
	ProtobufCMessage *m = NULL;
	(void)state;
	/* Selector { type: "unix", value: "uid:1000" }: the smallest honest element there is */
	static const uint8_t unit[] = "\x0a\x12\x0a\x04unix\x12\x08uid:1000";
	size_t units = 100000, size = sizeof(unit) - 1;
	uint8_t *p = writ_alloc(units * size);
	for (size_t k = 0; k < units; k++)
		memcpy(p + k * size, unit, size);
	p[1] = 16;
	for (size_t k = 0; k < units; k++)
		p[k * size + 1] = 16;
	assert_ok(writ_pb_unpack(&spire__api__types__selector_match__descriptor, p, units * size,
			  &m, &err),
		err);
	writ_pb_free(m);
	writ_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_check_and_the_unpacking_agree_on_every_row),
		cmocka_unit_test(errors_name_the_message_and_the_field),
		cmocka_unit_test(what_was_packed_comes_back),
		cmocka_unit_test(packing_over_the_maximum_is_refused),
		cmocka_unit_test(nesting_has_a_maximum),
		cmocka_unit_test(memory_is_counted_before_it_is_taken),
		cmocka_unit_test(honest_lists_are_within_the_budget),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
