/* SPDX-License-Identifier: Apache-2.0 */
/* The server's sshpop against certificates with any flaw. */
#include "check.h"
#include "forge.h"
#include "node_kit.h"

#include "base/mem.h"
#include "base/rand.h"
#include "crypto/digest.h"
#include "spiffe/sshpop.h"

#define TEXT_MAX (64 * 1024)
#define P256     "ecdsa-sha2-nistp256"
#define POINT    65

/* A key in both its halves. */
struct pair {
	struct writ_ssh_key *key;
	struct writ_buf public; /* wire form */
};

static struct pair ca, stranger, host, other;

static void put(struct writ_buf *out, const void *p, size_t n)
{
	const uint8_t size[] = { 0, 0, (uint8_t)(n >> 8), (uint8_t)n };
	writ_buf_add(out, size, sizeof(size));
	writ_buf_add(out, p, n);
}

static void put_text(struct writ_buf *out, const char *s)
{
	put(out, s, strlen(s));
}

static void put_number(struct writ_buf *out, uint64_t v, int bytes)
{
	for (int i = bytes - 1; i >= 0; i--)
		writ_buf_add_byte(out, (uint8_t)(v >> 8 * i));
}

static struct pair make_pair(void)
{
	struct pair p = { .public = WRIT_BUF(1024) };
	struct writ_key *k = forge_key(WRIT_KEY_P256);
	struct writ_secret der = { .p = NULL };
	struct writ_pubkey pub;
	struct writ_err err;
	WRIT_AUTO(writ_buf_done) struct writ_buf pem = WRIT_BUF(TEXT_MAX);
	assert_ok(writ_key_to_pkcs8(k, &der, &err), err);
	writ_pem_add(&pem, "PRIVATE KEY", der.p, der.n);
	assert_ok(writ_ssh_key_parse(writ_buf_str(&pem), &p.key, &err), err);
	assert_ok(writ_pubkey_of_key(k, &pub, &err), err);
	put_text(&p.public, P256);
	put_text(&p.public, "nistp256");
	put(&p.public, pub.spki + pub.spki_len - POINT, POINT);
	writ_secret_done(&der);
	writ_key_unref(k);
	return p;
}

static void drop_pair(struct pair *p)
{
	writ_ssh_key_free(p->key);
	writ_buf_done(&p->public);
}

static int make_keys(void **state)
{
	(void)state;
	ca = make_pair();
	stranger = make_pair();
	host = make_pair();
	other = make_pair();
	return 0;
}

static int drop_keys(void **state)
{
	(void)state;
	drop_pair(&ca);
	drop_pair(&stranger);
	drop_pair(&host);
	drop_pair(&other);
	return 0;
}

/* A certificate; what is not said is right. */
struct ssh_forge {
	const struct pair *by;
	uint32_t kind;
	const char *host;
	int64_t before, after;
	bool critical, tampered;
	const char *sig_format;
};

static void certify(const struct ssh_forge *f, struct writ_buf *out)
{
	const struct pair *by = f->by ? f->by : &ca;
	struct writ_ssh_sig sig;
	struct writ_err err;
	size_t head = 4 + strlen(P256);
	WRIT_AUTO(writ_buf_done) struct writ_buf list = WRIT_BUF(1024);
	put_text(out, P256 "-cert-v01@openssh.com");
	put_text(out, "a nonce of the CA's");
	writ_buf_add(out, host.public.p + head, host.public.n - head);
	put_number(out, 4711, 8);
	put_number(out, f->kind ? f->kind : 2, 4);
	put_text(out, "key-id-1");
	if (!f->host || *f->host)
		put_text(&list, f->host ? f->host : "web1.example.org");
	put(out, list.p, list.n);
	put_number(out, (uint64_t)(f->after ? f->after : FORGE_NOW - 60), 8);
	put_number(out, (uint64_t)(f->before ? f->before : FORGE_NOW + 60), 8);
	put_text(out, f->critical ? "anything" : "");
	put_text(out, "");
	put_text(out, "");
	put(out, by->public.p, by->public.n);
	assert_ok(writ_ssh_sign(by->key, out->p, out->n, &sig, &err), err);
	if (f->tampered)
		out->p[4 + strlen(P256 "-cert-v01@openssh.com") + 5] ^= 1;
	writ_buf_reset(&list);
	put_text(&list, f->sig_format ? f->sig_format : sig.format);
	put(&list, sig.blob, sig.n);
	put(out, list.p, list.n);
}

static char by_host[] = "/{{ .PluginName }}/{{ .Hostname }}", domain[] = "example.org";

static struct writ_server_config config(char **line)
{
	WRIT_AUTO(writ_buf_done) struct writ_buf text = WRIT_BUF(1024);
	writ_base64_add(&text, ca.public.p, ca.public.n);
	*line = writ_asprintf(P256 " %s our CA", writ_buf_cstr(&text));
	return (struct writ_server_config){ .nodes = { .sshpop = { .is_on = true,
							       .cert_authorities = { line, 1 },
							       .canonical_domain = domain,
							       .agent_path_template = by_host } } };
}

static writ_rc begin(
	struct node_kit *k, const struct writ_server_config *cfg, const struct ssh_forge *f)
{
	WRIT_AUTO(writ_buf_done) struct writ_buf wire = WRIT_BUF(TEXT_MAX);
	WRIT_AUTO(writ_buf_done) struct writ_buf payload = WRIT_BUF(TEXT_MAX);
	node_kit_open(k, cfg, "sshpop");
	k->x.now = FORGE_NOW;
	certify(f, &wire);
	writ_sshpop_print(writ_buf_str(&wire), &payload);
	return node_kit_begin(k, writ_buf_cstr(&payload));
}

static void answer_with(const struct node_kit *k, const struct pair *by, struct writ_buf *out)
{
	struct writ_sshpop_answer a;
	uint8_t nonce[WRIT_POP_NONCE], message[WRIT_SHA256_LEN];
	struct writ_err err;
	assert_ok(writ_sshpop_challenge_parse(writ_buf_str(&k->x.challenge), nonce, &err), err);
	writ_rand(a.nonce, sizeof(a.nonce));
	writ_pop_message(nonce, a.nonce, message);
	assert_ok(writ_ssh_sign(by->key, message, sizeof(message), &a.sig, &err), err);
	writ_sshpop_answer_print(&a, out);
}

static writ_rc attest(struct node_kit *k, const struct writ_server_config *cfg,
	const struct ssh_forge *f, const struct pair *by)
{
	WRIT_AUTO(writ_buf_done) struct writ_buf answer = WRIT_BUF(TEXT_MAX);
	writ_rc rc = begin(k, cfg, f);
	if (rc != WRIT_OK)
		return rc;
	answer_with(k, by, &answer);
	return node_kit_respond(k, writ_buf_cstr(&answer));
}

static void a_host_of_the_operators_ca_gets_in(void **state)
{
	WRIT_AUTO(writ_freep) char *line = NULL;
	const struct writ_server_config cfg = config(&line);
	const struct ssh_forge good = { .by = NULL };
	struct node_kit k;
	(void)state;
	assert_ok(attest(&k, &cfg, &good, &host), k.err);
	assert_string_equal(node_kit_path(&k), "/sshpop/web1");
	assert_string_equal(node_kit_selectors(&k), "");
	assert_true(k.x.can_reattest);
	node_kit_close(&k);
}

/* Two certificates are never one agent. */
static void the_fingerprint_and_the_serial_are_the_certificates(void **state)
{
	static char all[] = "/{{ .PluginName }}/{{ .Fingerprint }}/{{ .KeyId }}/{{ .Serial }}";
	WRIT_AUTO(writ_freep) char *line = NULL;
	struct writ_server_config cfg = config(&line);
	const struct ssh_forge good = { .by = NULL };
	(void)state;
	cfg.nodes.sshpop.agent_path_template = all;
	for (int i = 0; i < 2; i++) { /* their signatures differ */
		WRIT_AUTO(writ_buf_done) struct writ_buf wire = WRIT_BUF(TEXT_MAX);
		WRIT_AUTO(writ_buf_done) struct writ_buf payload = WRIT_BUF(TEXT_MAX);
		WRIT_AUTO(writ_buf_done) struct writ_buf answer = WRIT_BUF(TEXT_MAX);
		WRIT_AUTO(writ_buf_done) struct writ_buf want = WRIT_BUF(TEXT_MAX);
		uint8_t sha256[WRIT_SHA256_LEN];
		struct node_kit k;
		node_kit_open(&k, &cfg, "sshpop");
		k.x.now = FORGE_NOW;
		certify(&good, &wire);
		writ_sshpop_print(writ_buf_str(&wire), &payload);
		assert_ok(node_kit_begin(&k, writ_buf_cstr(&payload)), k.err);
		answer_with(&k, &host, &answer);
		assert_ok(node_kit_respond(&k, writ_buf_cstr(&answer)), k.err);
		writ_sha256(wire.p, wire.n, sha256);
		writ_buf_add_cstr(&want, "/sshpop/");
		writ_base64url_add(&want, sha256, sizeof(sha256));
		writ_buf_add_cstr(&want, "/key-id-1/4711");
		assert_string_equal(node_kit_path(&k), writ_buf_cstr(&want));
		node_kit_close(&k);
	}
}

static void an_authority_that_is_none_is_found_at_the_start(void **state)
{
	static char *bad[] = { (char *)(uintptr_t) "", (char *)(uintptr_t)P256 " AAAA",
		(char *)(uintptr_t)P256 " AAAAE2VjZHNhLXNoYTItbmlzdHAyNTY=",
		(char *)(uintptr_t) "ssh-new AAAAB3NzaC1uZXc=" };
	WRIT_AUTO(writ_freep) char *line = NULL;
	struct writ_server_config cfg = config(&line);
	struct writ_node_attestors all;
	struct writ_err err;
	(void)state;
	for (size_t i = 0; i < WRIT_COUNT(bad); i++) {
		cfg.nodes.sshpop.cert_authorities = (struct writ_conf_strings){ &bad[i], 1 };
		if (writ_node_attestors_open(&cfg, &all, &err) == WRIT_OK)
			fail_msg("'%s' was taken", bad[i]);
	}
	cfg.nodes.sshpop.cert_authorities = (struct writ_conf_strings){ NULL, 0 };
	assert_fails(writ_node_attestors_open(&cfg, &all, &err), WRIT_EINVAL, err,
		"there is no authority");
}

static const struct {
	struct ssh_forge f;
	writ_rc rc;
	const char *why;
	bool before_challenge;
} flaws[] = {
	{ { .by = &stranger }, WRIT_EDENIED, "not among cert_authorities", true },
	{ { .kind = 1 }, WRIT_EDENIED, "not a host's certificate", true },
	{ { .host = "" }, WRIT_EDENIED, "no valid principals", true },
	{ { .before = FORGE_NOW }, WRIT_EEXPIRED, "the certificate expired at", true },
	{ { .after = FORGE_NOW + 1 }, WRIT_EEXPIRED, "not valid yet", true },
	{ { .critical = true }, WRIT_EDENIED, "critical option", true },
	{ { .tampered = true }, WRIT_ECRYPTO, "the certificate's signature", false },
	{ { .sig_format = "ssh-rsa" }, WRIT_ECRYPTO, "the certificate's signature", false },
	{ { .host = "web1.example.com" }, WRIT_EDENIED, "not in domain \".example.org\"", false },
	{ { .host = ".example.org" }, WRIT_EDENIED, "the host's name is empty", false },
	{ { .host = "a/b.example.org" }, WRIT_EDENIED, "cannot be a segment", false },
};

static void a_certificate_with_a_flaw_is_refused_with_the_reason(void **state)
{
	WRIT_AUTO(writ_freep) char *line = NULL;
	const struct writ_server_config cfg = config(&line);
	struct node_kit k;
	(void)state;
	for (size_t i = 0; i < WRIT_COUNT(flaws); i++) {
		assert_fails(
			attest(&k, &cfg, &flaws[i].f, &host), flaws[i].rc, k.err, flaws[i].why);
		assert_int_equal(k.x.challenge.n == 0, flaws[i].before_challenge);
		node_kit_close(&k);
	}
}

static void other_keys_and_old_answers_prove_nothing(void **state)
{
	WRIT_AUTO(writ_freep) char *line = NULL;
	WRIT_AUTO(writ_buf_done) struct writ_buf answer = WRIT_BUF(TEXT_MAX);
	const struct writ_server_config cfg = config(&line);
	const struct ssh_forge good = { .by = NULL };
	struct node_kit k, again;
	(void)state;
	assert_fails(attest(&k, &cfg, &good, &other), WRIT_ECRYPTO, k.err, "not by that key");
	node_kit_close(&k);
	assert_ok(begin(&k, &cfg, &good), k.err);
	assert_ok(begin(&again, &cfg, &good), again.err);
	answer_with(&k, &host, &answer);
	assert_ok(node_kit_respond(&k, writ_buf_cstr(&answer)), k.err);
	assert_fails(node_kit_respond(&again, writ_buf_cstr(&answer)), WRIT_ECRYPTO, again.err,
		"not by that key");
	node_kit_close(&k);
	node_kit_close(&again);
}

static void what_is_no_certificate_costs_nothing(void **state)
{
	static const char *const rows[] = { "", "{}", "{\"Certificate\":null}",
		"{\"Certificate\":\"AAAA\"}", "{\"Certificate\":\"AAAAB3NzaC1yc2E=\"}",
		"{\"Certificate\":[\"AAAA\"]}" };
	WRIT_AUTO(writ_freep) char *line = NULL;
	const struct writ_server_config cfg = config(&line);
	struct node_kit k;
	(void)state;
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		node_kit_open(&k, &cfg, "sshpop");
		assert_int_equal(node_kit_begin(&k, rows[i]), WRIT_EINVAL);
		assert_int_equal(k.x.challenge.n, 0);
		node_kit_close(&k);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_host_of_the_operators_ca_gets_in),
		cmocka_unit_test(the_fingerprint_and_the_serial_are_the_certificates),
		cmocka_unit_test(an_authority_that_is_none_is_found_at_the_start),
		cmocka_unit_test(a_certificate_with_a_flaw_is_refused_with_the_reason),
		cmocka_unit_test(other_keys_and_old_answers_prove_nothing),
		cmocka_unit_test(what_is_no_certificate_costs_nothing),
	};
	return cmocka_run_group_tests(tests, make_keys, drop_keys);
}
