/* SPDX-License-Identifier: Apache-2.0 */
/* SPIRE's own messages of x509pop and sshpop, from tests/golden/node_pop.txt: read, verified, and
 * written again byte by byte; and what is no such message. */
#include "check.h"

#include "base/fs.h"
#include "base/mem.h"
#include "spiffe/sshpop.h"
#include "spiffe/x509pop.h"

#define GOLDEN   "tests/golden/node_pop.txt"
#define FILE_MAX (64 * 1024)
#define NONCE    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

static struct writ_buf file = { .max = FILE_MAX };

static int read_file(void **state)
{
	struct writ_err err;
	(void)state;
	assert_ok(writ_fs_read(GOLDEN, &file, &err), err);
	return 0;
}

static int drop_file(void **state)
{
	(void)state;
	writ_buf_done(&file);
	return 0;
}

static struct writ_str golden(const char *kind, const char *what)
{
	char name[64];
	struct writ_str rest = writ_buf_str(&file), line, word;
	snprintf(name, sizeof(name), "%s_%s", kind, what);
	while (writ_str_cut(&rest, '\n', &line))
		if (writ_str_cut(&line, ' ', &word) && writ_str_eq(word, writ_cstr(name)))
			return line;
	fail_msg("no %s in " GOLDEN, name);
	return line;
}

static void assert_same(const struct writ_buf *got, struct writ_str want)
{
	assert_int_equal(got->n, want.n);
	assert_memory_equal(got->p, want.p, want.n);
}

static void check_x509pop(const char *kind)
{
	struct writ_cert *certs[WRIT_X509POP_CERTS_MAX];
	struct writ_x509pop_challenge c;
	struct writ_x509pop_answer a;
	struct writ_err err;
	size_t n = 0;
	uint8_t message[WRIT_SHA256_LEN];
	WRIT_AUTO(writ_buf_done) struct writ_buf payload = WRIT_BUF(FILE_MAX);
	WRIT_AUTO(writ_buf_done) struct writ_buf challenge = WRIT_BUF(FILE_MAX);
	WRIT_AUTO(writ_buf_done) struct writ_buf answer = WRIT_BUF(FILE_MAX);
	assert_ok(writ_x509pop_parse(
			  golden(kind, "payload"), WRIT_X509POP_CERTS_MAX, certs, &n, &err),
		err);
	assert_int_equal(n, 1);
	assert_ok(writ_x509pop_challenge_parse(golden(kind, "challenge"), &c, &err), err);
	assert_ok(writ_x509pop_answer_parse(golden(kind, "answer"), &a, &err), err);
	struct writ_str key = writ_cert_spki(certs[0]);
	writ_pop_message(c.nonce, a.nonce, message);
	assert_ok(writ_pop_verify(key, message, &a.sig, &err), err);
	message[0] ^= 1;
	assert_fails(
		writ_pop_verify(key, message, &a.sig, &err), WRIT_ECRYPTO, err, "not by that key");
	assert_ok(writ_x509pop_print(certs, n, &payload, &err), err);
	writ_x509pop_challenge_print(&c, &challenge);
	writ_x509pop_answer_print(&a, &answer);
	assert_same(&payload, golden(kind, "payload"));
	assert_same(&challenge, golden(kind, "challenge"));
	assert_same(&answer, golden(kind, "answer"));
	writ_certs_unref(certs, n);
}

static void x509pop_speaks_as_spire_does(void **state)
{
	(void)state;
	check_x509pop("p256");
	check_x509pop("p384");
	check_x509pop("rsa");
}

static void check_sshpop(const char *kind)
{
	uint8_t nonce[WRIT_POP_NONCE], message[WRIT_SHA256_LEN], sha256[WRIT_SHA256_LEN];
	struct writ_sshpop_answer a;
	struct writ_ssh_cert cert;
	struct writ_err err;
	WRIT_AUTO(writ_buf_done) struct writ_buf wire = WRIT_BUF(WRIT_SSH_CERT_MAX);
	WRIT_AUTO(writ_buf_done) struct writ_buf ca = WRIT_BUF(1024);
	WRIT_AUTO(writ_buf_done) struct writ_buf out = WRIT_BUF(FILE_MAX);
	WRIT_AUTO(writ_buf_done) struct writ_buf print = WRIT_BUF(64);
	assert_ok(writ_sshpop_parse(golden(kind, "payload"), &wire, &err), err);
	assert_ok(writ_ssh_cert_parse(writ_buf_str(&wire), &cert, &err), err);
	assert_int_equal(cert.serial, 9);
	assert_true(writ_str_eq(cert.host, WRIT_STR("host1.example.org")));
	assert_ok(writ_ssh_read_line(golden("ssh", "ca"), &ca, &err), err);
	const struct writ_str cas[] = { writ_buf_str(&ca) };
	assert_ok(writ_ssh_cert_check(&cert, cas, 1, 1800000000, &err), err);
	assert_ok(writ_ssh_cert_verify(&cert, &err), err);
	writ_sha256(wire.p, wire.n, sha256);
	writ_base64url_add(&print, sha256, sizeof(sha256));
	assert_true(writ_str_ends(golden(kind, "id"), writ_buf_str(&print)));
	assert_ok(writ_sshpop_challenge_parse(golden(kind, "challenge"), nonce, &err), err);
	assert_ok(writ_sshpop_answer_parse(golden(kind, "answer"), &a, &err), err);
	writ_pop_message(nonce, a.nonce, message);
	assert_ok(writ_ssh_verify(&cert, message, sizeof(message), &a.sig, &err), err);
	message[0] ^= 1;
	assert_fails(writ_ssh_verify(&cert, message, sizeof(message), &a.sig, &err), WRIT_ECRYPTO,
		err, "not by that key");
	writ_sshpop_print(writ_buf_str(&wire), &out);
	assert_same(&out, golden(kind, "payload"));
	writ_buf_reset(&out);
	writ_sshpop_challenge_print(nonce, &out);
	assert_same(&out, golden(kind, "challenge"));
	writ_buf_reset(&out);
	writ_sshpop_answer_print(&a, &out);
	assert_same(&out, golden(kind, "answer"));
}

static void sshpop_speaks_as_spire_does(void **state)
{
	(void)state;
	check_sshpop("ssh_rsa");
	check_sshpop("ssh_ecdsa");
	check_sshpop("ssh_ed25519");
}

static const struct {
	const char *text, *why;
} not_answers[] = {
	{ "", "no JSON" },
	{ "[]", "no JSON object" },
	{ "{}", "neither" },
	{ "{\"rsa_signature\":null,\"ecdsa_signature\":null}", "neither" },
	{ "{\"rsa_signature\":{},\"ecdsa_signature\":{}}", "both" },
	{ "{\"rsa_signature\":{\"nonce\":\"AAAA\",\"signature\":\"AAAA\"}}",
		"\"nonce\" has 3 bytes" },
	{ "{\"rsa_signature\":{\"nonce\":\"" NONCE "\"}}", "no \"signature\"" },
	{ "{\"rsa_signature\":{\"nonce\":\"" NONCE "\",\"signature\":\"A\"}}", "not base64" },
	{ "{\"rsa_signature\":{\"nonce\":\"" NONCE "\",\"signature\":7}}", "no \"signature\"" },
	{ "{\"ecdsa_signature\":{\"nonce\":\"" NONCE "\",\"r\":\"AAAA\"}}", "no \"s\"" },
	{ "{\"ecdsa_signature\":{\"nonce\":\"" NONCE "\",\"r\":\"" NONCE NONCE NONCE
	  "\",\"s\":\"AAAA\"}}",
		"\"r\" is not base64" },
	{ "{\"rsa_signature\":null,\"rsa_signature\":null}", "no JSON" },
};

static void what_is_no_answer_is_refused(void **state)
{
	struct writ_x509pop_answer a;
	struct writ_sshpop_answer s;
	struct writ_err err;
	(void)state;
	for (size_t i = 0; i < WRIT_COUNT(not_answers); i++) {
		assert_fails(writ_x509pop_answer_parse(writ_cstr(not_answers[i].text), &a, &err),
			WRIT_EINVAL, err, not_answers[i].why);
		assert_int_equal(writ_sshpop_answer_parse(writ_cstr(not_answers[i].text), &s, &err),
			WRIT_EINVAL);
	}
	/* Larger than any signature of a key that is taken. */
	WRIT_AUTO(writ_buf_done) struct writ_buf big = WRIT_BUF(FILE_MAX);
	static const uint8_t zeros[WRIT_SIG_MAX + 1];
	writ_buf_add_cstr(&big, "{\"rsa_signature\":{\"nonce\":\"" NONCE "\",\"signature\":\"");
	writ_base64_add(&big, zeros, sizeof(zeros));
	writ_buf_add_cstr(&big, "\"}}");
	assert_fails(writ_x509pop_answer_parse(writ_buf_str(&big), &a, &err), WRIT_EINVAL, err,
		"not base64 of 1 to 512 bytes");
}

static void a_certificate_cut_anywhere_is_refused(void **state)
{
	struct writ_ssh_cert cert;
	struct writ_err err;
	WRIT_AUTO(writ_buf_done) struct writ_buf wire = WRIT_BUF(WRIT_SSH_CERT_MAX);
	(void)state;
	assert_ok(writ_sshpop_parse(golden("ssh_ecdsa", "payload"), &wire, &err), err);
	for (size_t n = 0; n < wire.n; n++) {
		/* Of its own size, so that a read behind the end is found out. */
		uint8_t *copy = n ? writ_memdup(wire.p, n) : NULL;
		assert_int_equal(writ_ssh_cert_parse(writ_strn(copy, n), &cert, &err), WRIT_EINVAL);
		writ_free(copy);
	}
	writ_buf_add_byte(&wire, 0);
	assert_fails(writ_ssh_cert_parse(writ_buf_str(&wire), &cert, &err), WRIT_EINVAL, err,
		"malformed");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(x509pop_speaks_as_spire_does),
		cmocka_unit_test(sshpop_speaks_as_spire_does),
		cmocka_unit_test(what_is_no_answer_is_refused),
		cmocka_unit_test(a_certificate_cut_anywhere_is_refused),
	};
	return cmocka_run_group_tests(tests, read_file, drop_file);
}
