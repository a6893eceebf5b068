/* SPDX-License-Identifier: Apache-2.0 */
/* What the server says to Kubernetes, what it believes of the answers, and how it gets there. */
#include "check.h"
#include "forge.h"

#include "base/fs.h"
#include "base/mem.h"
#include "crypto/digest.h"
#include "node/kube_config.h"
#include "node/kube_review.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define NOW 1000
#define UID "79261129-6b60-11e9-9054-0800277ac80f"

static char *one[] = { (char[]){ "spire-server" } };
static const struct writ_conf_strings ours = { one, 1 };
static const struct writ_conf_strings none = { NULL, 0 };

/* A token with these claims; nobody checks its signature but the API server. */
static void token_of(const char *claims, struct writ_buf *out)
{
	writ_buf_add_cstr(out, "e30.");
	writ_base64url_add(out, claims, strlen(claims));
	writ_buf_add_cstr(out, ".c2ln");
}

static void test_tokens_that_cannot_hold_are_not_asked_about(void **state)
{
	(void)state;
	static const struct {
		const char *claims;
		writ_rc rc;
	} rows[] = {
		{ "{\"exp\":2000}", WRIT_OK },
		{ "{}", WRIT_OK },
		{ "{\"exp\":999}", WRIT_EEXPIRED },
		{ "{\"exp\":2000,\"exp\":1}", WRIT_EINVAL },
		{ "[]", WRIT_EINVAL },
		{ "x", WRIT_EINVAL },
	};
	struct writ_err err = { 0 };
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		struct writ_buf t = WRIT_BUF(4096);
		token_of(rows[i].claims, &t);
		if (writ_kube_token_check(writ_buf_str(&t), NOW, &err) != rows[i].rc)
			fail_msg("%s: %s", rows[i].claims, err.msg);
		writ_buf_done(&t);
	}
	static const char *const bad[] = { "", "a", "a.b", "..", "a.b.c.d", "a.e30=.c" };
	for (size_t i = 0; i < WRIT_COUNT(bad); i++)
		assert_fails(writ_kube_token_check(writ_cstr(bad[i]), NOW, &err), WRIT_EINVAL, err,
			"no JWT");
	WRIT_AUTO(writ_freep) char *huge = writ_alloc(WRIT_KUBE_TOKEN_MAX + 1);
	memset(huge, 'a', WRIT_KUBE_TOKEN_MAX + 1);
	assert_fails(writ_kube_token_check(writ_strn(huge, WRIT_KUBE_TOKEN_MAX + 1), NOW, &err),
		WRIT_EINVAL, err, "longer than");
}

static void test_the_review_asks_for_our_audience(void **state)
{
	(void)state;
	struct writ_buf out = WRIT_BUF(4096);
	writ_kube_review_print(WRIT_STR("a\".b"), &ours, &out);
	assert_string_equal(writ_buf_cstr(&out),
		"{\"apiVersion\":\"authentication.k8s.io/v1\",\"kind\":\"TokenReview\",\"spec\":{"
		"\"token\":\"a\\\".b\",\"audiences\":[\"spire-server\"]}}");
	writ_buf_reset(&out);
	writ_kube_review_print(WRIT_STR("t"), &none, &out);
	assert_null(strstr(writ_buf_cstr(&out), "audiences"));
	writ_buf_done(&out);
}

#define STATUS(user, audiences)                                                                    \
	"{\"status\":{\"authenticated\":true,\"user\":" user ",\"audiences\":" audiences "}}"
#define USER(name, pod, uid)                                                                       \
	"{\"username\":\"" name "\",\"extra\":{\"authentication.kubernetes.io/pod-name\":" pod     \
	",\"authentication.kubernetes.io/pod-uid\":" uid "}}"
#define AGENT USER("system:serviceaccount:spire:spire-agent", "[\"agent-1\"]", "[\"" UID "\"]")

static const struct {
	const char *body, *text;
	writ_rc rc;
} reviews[] = {
	{ STATUS(AGENT, "[\"x\",\"spire-server\"]"), "", WRIT_OK },
	{ STATUS(AGENT, "[\"x\"]"), "audience", WRIT_EDENIED },
	{ STATUS(AGENT, "[]"), "audience", WRIT_EDENIED },
	{ "{\"status\":{\"authenticated\":true,\"user\":" AGENT "}}", "audience", WRIT_EDENIED },
	{ "{\"status\":{\"authenticated\":false}}", "not authenticated", WRIT_EDENIED },
	{ "{\"status\":{\"authenticated\":\"true\",\"user\":" AGENT "}}", "not authenticated",
		WRIT_EDENIED },
	{ "{\"status\":{\"error\":\"boom\",\"authenticated\":true}}", "boom", WRIT_EUNAVAIL },
	{ "{\"status\":{\"authenticated\":false,\"authenticated\":true}}", "no TokenReview",
		WRIT_EPROTO },
	{ "{}", "no TokenReview", WRIT_EPROTO },
	{ "nothing", "no TokenReview", WRIT_EPROTO },
	{ STATUS(USER("admin", "[\"p\"]", "[\"u\"]"), "[\"spire-server\"]"), "service account",
		WRIT_EDENIED },
	{ STATUS(USER("system:serviceaccount:spire", "[\"p\"]", "[\"u\"]"), "[\"spire-server\"]"),
		"service account", WRIT_EPROTO },
	{ STATUS(USER("system:serviceaccount:a:b:c", "[\"p\"]", "[\"u\"]"), "[\"spire-server\"]"),
		"service account", WRIT_EPROTO },
	{ STATUS(USER("system:serviceaccount:a/..:b", "[\"p\"]", "[\"u\"]"), "[\"spire-server\"]"),
		"namespace", WRIT_EPROTO },
	{ STATUS(USER("system:serviceaccount:a:b", "[\"p\",\"q\"]", "[\"u\"]"),
		  "[\"spire-server\"]"),
		"not bound to a pod", WRIT_EDENIED },
	{ STATUS(USER("system:serviceaccount:a:b", "[\"../nodes\"]", "[\"u\"]"),
		  "[\"spire-server\"]"),
		"pod name", WRIT_EPROTO },
	{ STATUS(USER("system:serviceaccount:a:b", "[\"p\"]", "[\"u/v\"]"), "[\"spire-server\"]"),
		"pod UID", WRIT_EPROTO },
	{ STATUS("{\"username\":\"system:serviceaccount:a:b\"}", "[\"spire-server\"]"),
		"not bound to a pod", WRIT_EDENIED },
};

static void test_a_review_says_who_or_why_not(void **state)
{
	(void)state;
	for (size_t i = 0; i < WRIT_COUNT(reviews); i++) {
		struct writ_kube_subject s;
		struct writ_err err = { 0 };
		writ_rc rc = writ_kube_review_parse(writ_cstr(reviews[i].body), &ours, &s, &err);
		if (rc != reviews[i].rc || !strstr(err.msg, reviews[i].text))
			fail_msg("row %zu: %s, %s", i, writ_rc_name(rc), err.msg);
		if (rc != WRIT_OK)
			continue;
		assert_string_equal(s.ns, "spire");
		assert_string_equal(s.account, "spire-agent");
		assert_string_equal(s.pod, "agent-1");
		assert_string_equal(s.pod_uid, UID);
	}
	struct writ_kube_subject s;
	struct writ_err err = { 0 };
	assert_ok(writ_kube_review_parse(WRIT_STR(STATUS(AGENT, "[]")), &none, &s, &err), err);
}

/* --- kubeconfig --- */

static char dir[64];

static int make_dir(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof(dir), "/tmp/writ-kube-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int drop_dir(void **state)
{
	(void)state;
	return writ_fs_remove_tree(dir, NULL) == WRIT_OK ? 0 : -1;
}

static char *put(const char *name, const char *text)
{
	struct writ_err err = { 0 };
	char *path = writ_fs_join(dir, name);
	assert_ok(writ_fs_write(path, text, strlen(text), 0600, &err), err);
	return path;
}

static void put_pki(void)
{
	struct writ_key *key = forge_key(WRIT_KEY_P256);
	struct forge f = forge_ca("kube", key);
	struct writ_cert *ca = forge_cert(&f);
	struct writ_buf pem = WRIT_BUF(8192);
	writ_pem_add(&pem, "CERTIFICATE", writ_cert_der(ca).p, writ_cert_der(ca).n);
	writ_free(put("ca.crt", writ_buf_cstr(&pem)));
	writ_free(put("token", "pod-token\n"));
	writ_free(put("empty", "\n"));
	writ_buf_done(&pem);
	writ_cert_unref(ca);
	writ_key_unref(key);
}

#define KUBECONFIG(server, more, user)                                                             \
	"{\"current-context\":\"c\",\"contexts\":[{\"name\":\"c\",\"context\":{\"cluster\":\"k\"," \
	"\"user\":\"u\"}}],\"clusters\":[{\"name\":\"other\",\"cluster\":{}},{\"name\":\"k\","     \
	"\"cluster\":{\"server\":\"" server "\"," more "}}],\"users\":[{\"name\":\"u\",\"user\":"  \
	"{" user "}}]}"
#define CA "\"certificate-authority\":\"ca.crt\""

static void test_a_kubeconfig_leads_to_one_server_that_is_checked(void **state)
{
	(void)state;
	static const struct {
		const char *text, *say, *host;
		uint16_t port;
		writ_rc rc;
	} rows[] = {
		{ KUBECONFIG("https://10.0.0.1:6443", CA, "\"token\":\"t\""), "", "10.0.0.1", 6443,
			WRIT_OK },
		{ KUBECONFIG("https://api.test/", CA, "\"tokenFile\":\"token\""), "", "api.test",
			443, WRIT_OK },
		{ KUBECONFIG("https://[::1]:6443", CA, ""), "", "::1", 6443, WRIT_OK },
		{ KUBECONFIG("http://api.test", CA, ""), "https://", NULL, 0, WRIT_EINVAL },
		{ KUBECONFIG("https://api.test/k8s/x", CA, ""), "HOST:PORT", NULL, 0, WRIT_EINVAL },
		{ KUBECONFIG("https://api.test:0", CA, ""), "HOST:PORT", NULL, 0, WRIT_EINVAL },
		{ KUBECONFIG("https://api.test", "\"insecure-skip-tls-verify\":true", ""),
			"insecure-skip-tls-verify", NULL, 0, WRIT_EINVAL },
		{ KUBECONFIG("https://api.test", "\"x\":1", ""), "certificate-authority", NULL, 0,
			WRIT_ENOENT },
		{ KUBECONFIG("https://api.test", CA, "\"exec\":{}"), "plugin", NULL, 0,
			WRIT_EUNSUP },
		{ KUBECONFIG("https://api.test", CA, "\"client-certificate\":\"ca.crt\""),
			"client-key", NULL, 0, WRIT_ENOENT },
		{ KUBECONFIG("https://[::1]", CA, ""), "", "::1", 443, WRIT_OK },
		{ KUBECONFIG("https://api.test:65535", CA, ""), "", "api.test", 65535, WRIT_OK },
		{ KUBECONFIG("https://api.test:65536", CA, ""), "HOST:PORT", NULL, 0, WRIT_EINVAL },
		{ KUBECONFIG("https://api.test:x", CA, ""), "HOST:PORT", NULL, 0, WRIT_EINVAL },
		{ KUBECONFIG("https://:443", CA, ""), "HOST:PORT", NULL, 0, WRIT_EINVAL },
		{ KUBECONFIG("https://", CA, ""), "HOST:PORT", NULL, 0, WRIT_EINVAL },
		{ KUBECONFIG("https://[]:443", CA, ""), "HOST:PORT", NULL, 0, WRIT_EINVAL },
		{ KUBECONFIG("https://[::1", CA, ""), "HOST:PORT", NULL, 0, WRIT_EINVAL },
		{ KUBECONFIG("https://[::1]443", CA, ""), "HOST:PORT", NULL, 0, WRIT_EINVAL },
		{ KUBECONFIG("https://[::1]/k8s", CA, ""), "HOST:PORT", NULL, 0, WRIT_EINVAL },
		{ KUBECONFIG("https://api.test", CA, "\"auth-provider\":{}"), "plugin", NULL, 0,
			WRIT_EUNSUP },
		{ KUBECONFIG("https://api.test", CA, "\"tokenFile\":\"empty\""), "is empty", NULL,
			0, WRIT_EINVAL },
		{ KUBECONFIG("https://api.test", CA, "\"client-certificate\":\"absent\""),
			"client certificate", NULL, 0, WRIT_ENOENT },
		{ "apiVersion: v1\nkind: Config\n", "kubectl config view", NULL, 0, WRIT_EINVAL },
		{ "{}", "current-context", NULL, 0, WRIT_EINVAL },
	};
	put_pki();
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		struct writ_kube_config c;
		struct writ_err err = { 0 };
		WRIT_AUTO(writ_freep) char *path = put("config", rows[i].text);
		writ_rc rc = writ_kube_config_load(path, "/nowhere", &c, &err);
		if (rc != rows[i].rc || !strstr(err.msg, rows[i].say))
			fail_msg("row %zu: %s, %s", i, writ_rc_name(rc), err.msg);
		if (rc != WRIT_OK)
			continue;
		assert_string_equal(c.host, rows[i].host);
		assert_int_equal(c.port, rows[i].port);
		writ_kube_config_done(&c);
	}
}

static void test_a_pod_uses_what_is_mounted(void **state)
{
	(void)state;
	struct writ_kube_config c;
	struct writ_err err = { 0 };
	put_pki();
	assert_ok(writ_kube_config_load(NULL, dir, &c, &err), err);
	assert_string_equal(c.host, "kubernetes.default.svc");
	assert_int_equal(c.port, 443);
	assert_true(writ_secret_eq(&c.bearer, "pod-token", 9));
	writ_kube_config_done(&c);
	assert_fails(writ_kube_config_load(NULL, "/nowhere", &c, &err), WRIT_ENOENT, err,
		"has to be a pod");
}

/* They become parts of URLs, of IDs and of selectors. */
static void test_names_and_uids_are_of_few_letters(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		bool is_name, is_uid;
	} rows[] = {
		{ "a", true, true },
		{ "azAF09", false, true },
		{ "az09-.x", true, false },
		{ "0az9-AF", false, true },
		{ "", false, false },
		{ "-a", false, false },
		{ ".a", false, false },
		{ "a{", false, false },
		{ "a~", false, false },
		{ "a/b", false, false },
		{ "a:b", false, false },
		{ "aG", false, false },
		{ "a\x80", false, false },
	};
	char text[WRIT_KUBE_NAME_MAX + 2];
	for (size_t i = 0; i < WRIT_COUNT(rows); i++)
		if (writ_kube_is_name(rows[i].text) != rows[i].is_name ||
			writ_kube_is_uid(rows[i].text) != rows[i].is_uid)
			fail_msg("'%s'", rows[i].text);
	for (size_t n = 1; n < sizeof(text); n++) {
		memset(text, 'a', n);
		text[n] = 0;
		assert_int_equal(writ_kube_is_name(text), n <= WRIT_KUBE_NAME_MAX);
		assert_int_equal(writ_kube_is_uid(text), n <= WRIT_KUBE_UID_MAX);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tokens_that_cannot_hold_are_not_asked_about),
		cmocka_unit_test(test_the_review_asks_for_our_audience),
		cmocka_unit_test(test_names_and_uids_are_of_few_letters),
		cmocka_unit_test(test_a_review_says_who_or_why_not),
		cmocka_unit_test_setup_teardown(
			test_a_kubeconfig_leads_to_one_server_that_is_checked, make_dir, drop_dir),
		cmocka_unit_test_setup_teardown(
			test_a_pod_uses_what_is_mounted, make_dir, drop_dir),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
