/* SPDX-License-Identifier: Apache-2.0 */
/* Who may call what: every method of the table by every kind of caller, against the table that the
 * integration tests use; and the pure parts of the API. */
#include "api/authorize.h"
#include "api/key_proof.h"
#include "api/mask.h"
#include "api/methods.h"
#include "api/ratelimit.h"
#include "crypto/digest.h"
#include "forge.h"
#include "push/page.h"
#include "registry_world.h"
#include "spire/api/types/entry.pb-c.h"
#include "spire/api/types/status.pb-c.h"

#define TABLE        "tests/integration/who_may_call.txt"
#define AGENT        "spiffe://td/spire/agent/join_token/one"
#define ROWS         128
#define NOW          FORGE_NOW
#define HOUR         3600
#define REASON(name) SPIRE__API__TYPES__PERMISSION_DENIED_DETAILS__REASON__##name

enum caller {
	STRANGER,
	OPERATOR,
	ADMIN_BY_ID,
	ADMIN_BY_ENTRY,
	GOOD_AGENT,
	AGENT_NEW_SERIAL,
	DOWNSTREAM,
	/* from here on nobody may do anything that is not open to all */
	WORKLOAD,
	EXPIRED_ADMIN,
	LATE_ADMIN_ENTRY,
	EXPIRED_AGENT,
	BANNED_AGENT,
	UNKNOWN_AGENT,
	OLD_SERIAL_AGENT,
	CALLERS
};

static const struct {
	const char *name, *id; /* id NULL: no certificate */
	const char *right;     /* its word in the table */
	uint8_t serial;
	int64_t not_after;
	int reason; /* with which an agent's method refuses it */
} callers[CALLERS] = {
	[STRANGER] = { "stranger", NULL, "any", 0, 0, WRIT_REASON_NONE },
	[OPERATOR] = { "operator", NULL, "local", 0, 0, WRIT_REASON_NONE },
	[ADMIN_BY_ID] = { "admin by id", "spiffe://td/boss", "admin", 1, NOW + HOUR,
		REASON(AGENT_NOT_ATTESTED) },
	[ADMIN_BY_ENTRY] = { "admin by entry", "spiffe://td/chief", "admin", 2, NOW + HOUR,
		REASON(AGENT_NOT_ATTESTED) },
	[GOOD_AGENT] = { "agent", AGENT, "agent", 3, NOW + HOUR, 0 },
	[AGENT_NEW_SERIAL] = { "agent, new certificate", AGENT, "agent", 4, NOW + HOUR, 0 },
	[DOWNSTREAM] = { "downstream", "spiffe://td/below", "downstream", 5, NOW + HOUR,
		REASON(AGENT_NOT_ATTESTED) },
	[WORKLOAD] = { "workload", "spiffe://td/web", "", 6, NOW + HOUR,
		REASON(AGENT_NOT_ATTESTED) },
	[EXPIRED_ADMIN] = { "expired admin", "spiffe://td/boss", "", 7, NOW - 1,
		REASON(AGENT_EXPIRED) },
	[LATE_ADMIN_ENTRY] = { "admin of an expired entry", "spiffe://td/late", "", 8, NOW + HOUR,
		REASON(AGENT_NOT_ATTESTED) },
	[EXPIRED_AGENT] = { "expired agent", AGENT, "", 3, NOW - 1, REASON(AGENT_EXPIRED) },
	[BANNED_AGENT] = { "banned agent", "spiffe://td/spire/agent/join_token/bad", "", 9,
		NOW + HOUR, REASON(AGENT_BANNED) },
	[UNKNOWN_AGENT] = { "deleted agent", "spiffe://td/spire/agent/join_token/gone", "", 10,
		NOW + HOUR, REASON(AGENT_NOT_ATTESTED) },
	[OLD_SERIAL_AGENT] = { "agent, other certificate", AGENT, "", 11, NOW + HOUR,
		REASON(AGENT_NOT_ACTIVE) },
};

static struct {
	char path[128], who[64];
	bool served;
} rows[ROWS];
static size_t n_rows;

static void read_table(void)
{
	char line[256], served[8];
	FILE *f = fopen(TABLE, "re");
	assert_non_null(f);
	for (n_rows = 0; fgets(line, sizeof(line), f);) {
		rows[n_rows].who[0] = ' ';
		if (line[0] != '/' ||
			sscanf(line, "%127s %7s %62[a-z ]", rows[n_rows].path, served,
				rows[n_rows].who + 1) != 3)
			continue;
		strcat(rows[n_rows].who, " ");
		rows[n_rows].served = strcmp(served, "yes") == 0;
		n_rows++;
		assert_true(n_rows < ROWS);
	}
	fclose(f);
}

static const char *who_of(const char *path)
{
	for (size_t i = 0; i < n_rows; i++)
		if (strcmp(rows[i].path, path) == 0)
			return rows[i].who;
	return NULL;
}

static bool has_word(const char *words, const char *word)
{
	char padded[32];
	if (!*word)
		return false;
	snprintf(padded, sizeof(padded), " %s ", word);
	return strstr(words, padded) != NULL;
}

struct scene {
	struct writ_server_config config;
	struct writ_api api;
	char *admins[1];
	struct writ_key *ca, *key;
	struct writ_cert *certs[CALLERS];
	struct writ_peer peers[CALLERS];
};

static void make_peer(struct scene *s, enum caller who)
{
	struct writ_peer *p = &s->peers[who];
	p->kind = who == OPERATOR ? WRIT_PEER_UNIX : WRIT_PEER_TCP;
	p->spiffe_id = (char *)(uintptr_t)(callers[who].id ? callers[who].id : "");
	if (!callers[who].id)
		return;
	struct forge f = forge_leaf(callers[who].id, s->key, "ca", s->ca);
	f.not_before = NOW - 2 * HOUR;
	f.not_after = callers[who].not_after;
	f.serial[0] = callers[who].serial;
	f.serial_len = 1;
	s->certs[who] = forge_cert(&f);
	assert_non_null(s->certs[who]);
	p->cert = s->certs[who];
}

static void make_entry(
	struct world *w, const char *id, const char *name, uint8_t flags, int64_t end)
{
	struct writ_entry_request q = entry(id, "spiffe://td/node", name, "9:unix:uid:,");
	q.spec.text[WRIT_ENTRY_SELECTORS] = WRIT_STR("10:unix:uid:1,");
	q.spec.meta.flags = flags;
	q.spec.meta.expires_at = end;
	struct answer a = create(w, &q, 1);
	if (a.items[0].rc != WRIT_OK)
		fail_msg("%s", a.items[0].msg);
}

static struct writ_str serial_of(const struct scene *s, enum caller who)
{
	return writ_cstr(writ_cert_serial_dec(s->certs[who]));
}

static void make_agents(struct world *w, struct scene *s)
{
	static const uint8_t key[WRIT_KEY_HASH_LEN];
	struct writ_node_edit e = { .act = WRIT_NODE_ATTEST,
		.id = WRIT_STR(AGENT),
		.type = WRIT_STR("join_token"),
		.serial = serial_of(s, GOOD_AGENT),
		.not_after = NOW + HOUR,
		.key = key };
	assert_int_equal(edit(w, &e).rc, WRIT_OK);
	e.act = WRIT_NODE_RENEW;
	e.serial = serial_of(s, AGENT_NEW_SERIAL);
	assert_int_equal(edit(w, &e).rc, WRIT_OK);
	e.act = WRIT_NODE_ATTEST;
	e.id = writ_cstr(callers[BANNED_AGENT].id);
	e.serial = serial_of(s, BANNED_AGENT);
	assert_int_equal(edit(w, &e).rc, WRIT_OK);
	e.act = WRIT_NODE_BAN;
	assert_int_equal(edit(w, &e).rc, WRIT_OK);
}

static void open_scene(struct world *w, struct scene *s)
{
	*s = (struct scene){ .ca = forge_key(WRIT_KEY_P256), .key = forge_key(WRIT_KEY_P256) };
	s->admins[0] = (char *)(uintptr_t)callers[ADMIN_BY_ID].id;
	s->config.admin_ids.items = s->admins;
	s->config.admin_ids.n = 1;
	s->api = (struct writ_api){ .config = &s->config, .td = WRIT_STR("td"), .registry = w->r };
	for (enum caller i = 0; i < CALLERS; i++)
		make_peer(s, i);
	make_agents(w, s);
	make_entry(w, "a", callers[ADMIN_BY_ENTRY].id, WRIT_ENTRY_ADMIN, 0);
	make_entry(w, "b", callers[LATE_ADMIN_ENTRY].id, WRIT_ENTRY_ADMIN, NOW);
	make_entry(w, "c", callers[DOWNSTREAM].id, WRIT_ENTRY_DOWNSTREAM, 0);
	make_entry(w, "d", callers[WORKLOAD].id, 0, 0);
	read_table();
}

static void close_scene(struct scene *s)
{
	for (size_t i = 0; i < CALLERS; i++)
		writ_cert_unref(s->certs[i]);
	writ_key_unref(s->ca);
	writ_key_unref(s->key);
}

static void check_cell(
	const struct scene *s, const struct writ_rpc_method *m, const char *words, enum caller who)
{
	struct writ_verdict v =
		writ_authorize(&s->api, m->who, who == OPERATOR, &s->peers[who], NOW);
	bool open = has_word(words, "any");
	bool want = open || has_word(words, callers[who].right);
	if ((v.as != 0) != want)
		fail_msg("%s by %s: %s", m->path, callers[who].name, v.as ? "let in" : "refused");
	assert_int_equal(v.promote, want && !open && who == AGENT_NEW_SERIAL);
	if (v.as)
		return;
	int reason = has_word(words, "agent") ? callers[who].reason : WRIT_REASON_NONE;
	if (v.reason != reason)
		fail_msg("%s by %s: reason %d, not %d", m->path, callers[who].name, v.reason,
			reason);
	assert_non_null(v.why);
}

static void test_each_method_lets_in_whom_the_table_names(void **state)
{
	struct scene s;
	open_scene(*state, &s);
	for (size_t i = 0; i < writ_api_n_methods; i++) {
		const struct writ_rpc_method *m = &writ_api_methods[i];
		const char *words = who_of(m->path);
		bool ours = strstr(m->path, "/writ.push.") == m->path;
		if (!words && !ours)
			fail_msg("%s is not in " TABLE, m->path);
		for (enum caller who = 0; who < CALLERS; who++)
			check_cell(&s, m, ours ? " agent " : words, who);
	}
	close_scene(&s);
}

static void test_each_row_of_the_table_is_a_method(void **state)
{
	(void)state;
	read_table();
	assert_true(n_rows > 50);
	for (size_t i = 0; i < n_rows; i++) {
		size_t found = 0;
		for (size_t k = 0; k < writ_api_n_methods; k++)
			found += strcmp(rows[i].path, writ_api_methods[k].path) == 0;
		if (found != 1)
			fail_msg("%s: %zu methods", rows[i].path, found);
	}
}

static void test_masks_name_fields_by_number(void **state)
{
	Spire__Api__Types__EntryMask m = SPIRE__API__TYPES__ENTRY_MASK__INIT;
	(void)state;
	assert_int_equal(writ_mask_bits(NULL), UINT32_MAX);
	assert_int_equal(writ_mask_bits(&m.base), 1u << 1);
	m.spiffe_id = m.additional_attributes = 1;
	assert_int_equal(writ_mask_bits(&m.base), 1u << 1 | 1u << 2 | 1u << 16);
}

static void test_a_page_token_comes_back_as_it_went(void **state)
{
	static const char *const bad[] = { "", ".", "1.2.3", "1.2.2.4", "1.2.0.", "1.2.0.4.",
		"1.2.0.4.5", "-1.2.0.4", "1.2.0.18446744073709551616", "x" };
	const struct writ_push_page p = { UINT64_MAX, 7, true, UINT64_MAX - 1 };
	struct writ_push_page q;
	struct writ_err err;
	char text[WRIT_PUSH_PAGE_TEXT];
	(void)state;
	writ_push_page_print(&p, text);
	assert_ok(writ_push_page_parse(writ_cstr(text), &q, &err), err);
	assert_true(p.epoch == q.epoch && p.revision == q.revision && p.full == q.full);
	assert_true(p.after == q.after);
	for (size_t i = 0; i < WRIT_COUNT(bad); i++)
		assert_fails(writ_push_page_parse(writ_cstr(bad[i]), &q, &err), WRIT_EINVAL, err,
			"malformed page token");
}

/* A claim for AGENT and that key. */
static void make_claim(const struct writ_pubkey *key, struct writ_buf *out)
{
	size_t n = sizeof(AGENT) - 1;
	writ_buf_add_byte(out, 1);
	writ_buf_add_byte(out, (uint8_t)(n >> 8));
	writ_buf_add_byte(out, (uint8_t)n);
	writ_buf_add_cstr(out, AGENT);
	writ_buf_add_byte(out, (uint8_t)(key->spki_len >> 8));
	writ_buf_add_byte(out, (uint8_t)key->spki_len);
	writ_buf_add(out, key->spki, key->spki_len);
}

static void test_a_claim_is_read_whole_or_not_at_all(void **state)
{
	struct writ_key *key = forge_key(WRIT_KEY_P256);
	struct writ_pubkey pub;
	struct writ_key_claim claim;
	struct writ_err err;
	WRIT_AUTO(writ_buf_done) struct writ_buf b = WRIT_BUF(4096);
	(void)state;
	assert_ok(writ_pubkey_of_key(key, &pub, &err), err);
	make_claim(&pub, &b);
	assert_ok(writ_key_claim_parse(writ_buf_str(&b), &claim, &err), err);
	assert_true(writ_str_eq(claim.agent_id, WRIT_STR(AGENT)));
	assert_int_equal(claim.spki.n, pub.spki_len);
	for (size_t n = 0; n < b.n; n++)
		assert_fails(writ_key_claim_parse(writ_strn(b.p, n), &claim, &err), WRIT_EINVAL,
			err, "malformed key proof: ");
	writ_buf_add_byte(&b, 0);
	assert_fails(writ_key_claim_parse(writ_buf_str(&b), &claim, &err), WRIT_EINVAL, err,
		"bytes behind its end");
	b.p[0] = 2;
	assert_fails(
		writ_key_claim_parse(writ_buf_str(&b), &claim, &err), WRIT_EINVAL, err, "version");
	writ_key_unref(key);
}

/* The 82 bytes that the protocol says, built here by hand. */
static void sign_proof(const struct writ_key *key, const uint8_t challenge[32], struct writ_str csr,
	uint8_t sig[WRIT_SIG_MAX], size_t *n)
{
	uint8_t text[82] = "writ-key-proof-v1";
	struct writ_err err;
	memcpy(text + 18, challenge, 32);
	writ_sha256(csr.p, csr.n, text + 50);
	assert_ok(writ_key_sign(key, text, sizeof(text), sig, n, &err), err);
}

static void test_a_key_proof_holds_for_its_key_challenge_and_request(void **state)
{
	static const enum writ_key_type types[] = { WRIT_KEY_P256, WRIT_KEY_P384,
		WRIT_KEY_RSA2048 };
	uint8_t challenge[32] = { 1, 2, 3 }, other[32] = { 9 }, sig[WRIT_SIG_MAX];
	struct writ_err err;
	(void)state;
	for (size_t i = 0; i < WRIT_COUNT(types); i++) {
		struct writ_key *key = forge_key(types[i]);
		struct writ_pubkey pub, got;
		struct writ_key_claim claim;
		size_t n;
		WRIT_AUTO(writ_buf_done) struct writ_buf b = WRIT_BUF(4096);
		assert_ok(writ_pubkey_of_key(key, &pub, &err), err);
		make_claim(&pub, &b);
		assert_ok(writ_key_claim_parse(writ_buf_str(&b), &claim, &err), err);
		sign_proof(key, challenge, WRIT_STR("csr"), sig, &n);
		assert_ok(writ_key_proof_verify(&claim, challenge, WRIT_STR("csr"),
				  writ_strn(sig, n), &got, &err),
			err);
		assert_true(writ_pubkey_eq(&pub, &got));
		assert_int_not_equal(writ_key_proof_verify(&claim, other, WRIT_STR("csr"),
					     writ_strn(sig, n), &got, &err),
			WRIT_OK);
		assert_int_not_equal(writ_key_proof_verify(&claim, challenge, WRIT_STR("CSR"),
					     writ_strn(sig, n), &got, &err),
			WRIT_OK);
		sig[n / 2] ^= 1;
		assert_int_not_equal(writ_key_proof_verify(&claim, challenge, WRIT_STR("csr"),
					     writ_strn(sig, n), &got, &err),
			WRIT_OK);
		writ_key_unref(key);
	}
}

/* As the front counts connections: whoever has one IPv6 address has its whole /64. */
static void test_a_host_is_one_source_whatever_address_of_it_calls(void **state)
{
	(void)state;
	static const struct {
		const char *a, *b;
		bool same;
	} pairs[] = {
		{ "192.0.2.1:1000", "192.0.2.1:2000", true },
		{ "192.0.2.1:1000", "192.0.2.2:1000", false },
		{ "[2001:db8::1]:1000", "[2001:db8::1]:2000", true },
		{ "[2001:db8::1]:1000", "[2001:db8:0:0:ffff:1:2:3]:1000", true },
		{ "[2001:db8:0:1::1]:1000", "[2001:db8:0:2::1]:1000", false },
		{ "[::ffff:192.0.2.1]:1000", "[::ffff:192.0.2.1]:2000", true },
		{ "[::ffff:192.0.2.1]:1000", "[::ffff:192.0.2.2]:1000", false },
	};
	for (size_t i = 0; i < WRIT_COUNT(pairs); i++) {
		char a[WRIT_RATE_SOURCE_MAX], b[WRIT_RATE_SOURCE_MAX];
		writ_ratelimit_source(pairs[i].a, a);
		writ_ratelimit_source(pairs[i].b, b);
		if ((strcmp(a, b) == 0) != pairs[i].same)
			fail_msg("%s and %s: %s and %s", pairs[i].a, pairs[i].b, a, b);
	}
}

int main(void)
{
	struct writ_err err;
	const struct CMUnitTest tests[] = {
		T(test_each_method_lets_in_whom_the_table_names),
		cmocka_unit_test(test_each_row_of_the_table_is_a_method),
		cmocka_unit_test(test_masks_name_fields_by_number),
		cmocka_unit_test(test_a_page_token_comes_back_as_it_went),
		cmocka_unit_test(test_a_claim_is_read_whole_or_not_at_all),
		cmocka_unit_test(test_a_key_proof_holds_for_its_key_challenge_and_request),
		cmocka_unit_test(test_a_host_is_one_source_whatever_address_of_it_calls),
	};
	if (writ_crypto_init(&err) != WRIT_OK)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
