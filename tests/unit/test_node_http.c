/* SPDX-License-Identifier: Apache-2.0 */
/* http_challenge, the server's side: who may claim what, and what counts as the proof. */
#include "check.h"
#include "node_kit.h"

#include "config/host_pattern.h"
#include "front/httpd.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#define PATH "/.well-known/spiffe/nodeattestor/http_challenge/default/challenge"

/* The machine that is asked: serves this, at this path, with this status. */
struct machine {
	struct writ_httpd *httpd;
	uint16_t port;
	char body[200];
	int status;
	int asked;
	char path[200];
};

static void handle(
	void *arg, const struct writ_httpd_request *req, struct writ_httpd_answer *answer)
{
	struct machine *m = arg;
	m->asked++;
	(void)snprintf(m->path, sizeof(m->path), "%.*s", WRIT_ARG(req->path));
	answer->status = m->status;
	answer->type = "text/plain";
	writ_buf_add_cstr(&answer->body, m->body);
}

static void machine_start(struct machine *m, struct writ_loop *loop)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	socklen_t len = sizeof(sin);
	struct writ_err err = { 0 };
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	assert_int_equal(listen(fd, 8), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
	m->port = ntohs(sin.sin_port);
	m->status = 200;
	assert_ok(writ_httpd_start(loop, fd, handle, m, &m->httpd, &err), err);
}

static struct writ_server_config config_of(const char *pattern)
{
	static char *patterns[1];
	union {
		const char *in;
		char *out;
	} u = { .in = pattern };
	patterns[0] = u.out;
	struct writ_server_config cfg = { .nodes.http_challenge = { .is_on = true,
						  .allow_non_root_ports = true,
						  .tofu = true,
						  .allow_local_addresses = true } };
	if (pattern)
		cfg.nodes.http_challenge.allowed_dns_patterns =
			(struct writ_conf_strings){ patterns, 1 };
	return cfg;
}

static void claim_text(char *out, size_t n, const char *host, unsigned port)
{
	(void)snprintf(
		out, n, "{\"hostname\":\"%s\",\"agentname\":\"default\",\"port\":%u}", host, port);
}

static void test_claims_are_checked_before_anything_is_asked(void **state)
{
	(void)state;
	static const struct {
		const char *payload, *text;
		writ_rc rc;
	} rows[] = {
		{ "", "no JSON", WRIT_EINVAL },
		{ "[]", "no JSON object", WRIT_EINVAL },
		{ "{\"agentname\":\"a\",\"port\":80}", "hostname must be set", WRIT_EINVAL },
		{ "{\"hostname\":\"h.test\",\"port\":80}", "agent name", WRIT_EINVAL },
		{ "{\"hostname\":\"h.test\",\"agentname\":\"a/../b\",\"port\":80}", "agent name",
			WRIT_EINVAL },
		{ "{\"hostname\":\"h.test\",\"agentname\":\"a.b\",\"port\":80}", "agent name",
			WRIT_EINVAL },
		{ "{\"hostname\":\"h.test\",\"agentname\":\"a\"}", "port is invalid", WRIT_EINVAL },
		{ "{\"hostname\":\"h.test\",\"agentname\":\"a\",\"port\":0}", "port is invalid",
			WRIT_EINVAL },
		{ "{\"hostname\":\"h.test\",\"agentname\":\"a\",\"port\":65616}", "port is invalid",
			WRIT_EINVAL },
		{ "{\"hostname\":\"h.test\",\"agentname\":\"a\",\"port\":\"80\"}",
			"port is invalid", WRIT_EINVAL },
		{ "{\"hostname\":\"h.test/x\",\"agentname\":\"a\",\"port\":80}", "hostname is not",
			WRIT_EINVAL },
		{ "{\"hostname\":\"h.test:81\",\"agentname\":\"a\",\"port\":80}", "hostname is not",
			WRIT_EINVAL },
		{ "{\"hostname\":\"h.test.\",\"agentname\":\"a\",\"port\":80}", "hostname is not",
			WRIT_EINVAL },
		{ "{\"hostname\":\"u@h.test\",\"agentname\":\"a\",\"port\":80}", "hostname is not",
			WRIT_EINVAL },
		{ "{\"hostname\":\"h\\u0000.test\",\"agentname\":\"a\",\"port\":80}", "no JSON",
			WRIT_EINVAL },
		{ "{\"hostname\":\"127.1\",\"agentname\":\"a\",\"port\":80}", "four decimal",
			WRIT_EINVAL },
		{ "{\"hostname\":\"0x7f000001\",\"agentname\":\"a\",\"port\":80}", "four decimal",
			WRIT_EINVAL },
		{ "{\"hostname\":\"LocalHost\",\"agentname\":\"a\",\"port\":80}",
			"you can not use localhost", WRIT_EDENIED },
		{ "{\"hostname\":\"x.localhost\",\"agentname\":\"a\",\"port\":80}",
			"you can not use localhost", WRIT_EDENIED },
		{ "{\"hostname\":\"h.other\",\"agentname\":\"a\",\"port\":80}",
			"not allowed to connect", WRIT_EDENIED },
		{ "{\"hostname\":\"h.test.evil\",\"agentname\":\"a\",\"port\":80}",
			"not allowed to connect", WRIT_EDENIED },
	};
	const struct writ_server_config cfg = config_of("[a-z0-9]+[.]test");
	struct node_kit k;
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		node_kit_open(&k, &cfg, "http_challenge");
		writ_rc rc = node_kit_begin(&k, rows[i].payload);
		if (rc != rows[i].rc || !strstr(k.err.msg, rows[i].text))
			fail_msg("%s: %s, %s", rows[i].payload, writ_rc_name(rc), k.err.msg);
		node_kit_close(&k);
	}
}

static void test_ports_are_checked(void **state)
{
	(void)state;
	char text[200];
	struct node_kit k;
	struct writ_server_config cfg = config_of(NULL);
	cfg.nodes.http_challenge.required_port = 80;
	claim_text(text, sizeof(text), "h.test", 81);
	node_kit_open(&k, &cfg, "http_challenge");
	assert_fails(node_kit_begin(&k, text), WRIT_EINVAL, k.err, "port 81 is not allowed");
	node_kit_close(&k);
	cfg.nodes.http_challenge.required_port = 0;
	cfg.nodes.http_challenge.allow_non_root_ports = false;
	claim_text(text, sizeof(text), "h.test", 1024);
	node_kit_open(&k, &cfg, "http_challenge");
	assert_fails(node_kit_begin(&k, text), WRIT_EINVAL, k.err, ">= 1024");
	node_kit_close(&k);
}

static void test_a_port_and_a_name_that_are_allowed_are_asked(void **state)
{
	(void)state;
	static const struct {
		uint16_t required;
		bool non_root;
		unsigned port;
	} rows[] = { { 81, false, 81 }, { 8081, true, 8081 }, { 0, false, 1023 },
		{ 0, true, 1024 } };
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		struct writ_server_config cfg = config_of("[a-z0-9]+[.]test");
		struct node_kit k;
		char text[200];
		cfg.nodes.http_challenge.required_port = rows[i].required;
		cfg.nodes.http_challenge.allow_non_root_ports = rows[i].non_root;
		claim_text(text, sizeof(text), "H.Test", rows[i].port);
		node_kit_open(&k, &cfg, "http_challenge");
		assert_ok(node_kit_begin(&k, text), k.err);
		assert_true(k.x.challenge.n > 0);
		node_kit_close(&k);
	}
}

/* The nonce that was sent: {"nonce":"..."}. */
static void take_nonce(const struct node_kit *k, char *out, size_t n)
{
	const char *p = (const char *)k->x.challenge.p;
	assert_true(k->x.challenge.n == strlen("{\"nonce\":\"\"}") + 44);
	assert_memory_equal(p, "{\"nonce\":\"", 10);
	(void)snprintf(out, n, "%.44s", p + 10);
	assert_int_equal(out[43], '=');
}

static void test_no_nonce_comes_twice(void **state)
{
	(void)state;
	const struct writ_server_config cfg = config_of(NULL);
	char text[200], nonce[2][64];
	claim_text(text, sizeof(text), "h.test", 80);
	for (int i = 0; i < 2; i++) {
		struct node_kit k;
		node_kit_open(&k, &cfg, "http_challenge");
		assert_ok(node_kit_begin(&k, text), k.err);
		take_nonce(&k, nonce[i], sizeof(nonce[i]));
		node_kit_close(&k);
	}
	assert_string_not_equal(nonce[0], nonce[1]);
}

/* Trust on first use: one key for each name, for ever; without it whoever serves the nonce. */
static void test_without_tofu_a_host_may_come_again(void **state)
{
	(void)state;
	for (int tofu = 0; tofu < 2; tofu++) {
		struct writ_server_config cfg = config_of(NULL);
		struct machine m = { .asked = 0 };
		struct node_kit k;
		char text[200];
		cfg.nodes.http_challenge.tofu = tofu != 0;
		node_kit_open(&k, &cfg, "http_challenge");
		machine_start(&m, k.loop);
		claim_text(text, sizeof(text), "127.0.0.1", m.port);
		assert_ok(node_kit_begin(&k, text), k.err);
		take_nonce(&k, m.body, sizeof(m.body));
		assert_ok(node_kit_respond(&k, "\n"), k.err);
		assert_ok(node_kit_ask(&k), k.err);
		assert_int_equal(k.x.first_only, tofu);
		assert_int_equal(k.x.can_reattest, !tofu);
		writ_httpd_stop(m.httpd);
		node_kit_close(&k);
	}
}

static void test_who_serves_the_nonce_is_the_host(void **state)
{
	(void)state;
	static const struct {
		const char *form; /* of the body; %s: the nonce */
		int status;
		writ_rc rc;
	} rows[] = {
		{ "%s", 200, WRIT_OK },
		{ " %s\r\n", 200, WRIT_OK },
		{ "%s", 404, WRIT_EDENIED },
		{ "%s", 302, WRIT_EDENIED },
		{ "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", 200, WRIT_EDENIED },
		{ "%sx", 200, WRIT_EDENIED },
		{ "", 200, WRIT_EDENIED },
		{ "%s                                                              ", 200,
			WRIT_EDENIED },
	};
	const struct writ_server_config cfg = config_of(NULL);
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		struct machine m = { .asked = 0 };
		struct node_kit k;
		char text[200], nonce[64];
		node_kit_open(&k, &cfg, "http_challenge");
		machine_start(&m, k.loop);
		m.status = rows[i].status;
		claim_text(text, sizeof(text), "127.0.0.1", m.port);
		assert_ok(node_kit_begin(&k, text), k.err);
		take_nonce(&k, nonce, sizeof(nonce));
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		(void)snprintf(m.body, sizeof(m.body), rows[i].form, nonce);
#pragma GCC diagnostic pop
		assert_int_equal(m.asked, 0);
		assert_ok(node_kit_respond(&k, "\n"), k.err);
		writ_rc rc = node_kit_ask(&k);
		if (rc != rows[i].rc)
			fail_msg("row %zu: %s, %s", i, writ_rc_name(rc), k.err.msg);
		assert_int_equal(m.asked, 1);
		assert_string_equal(m.path, PATH);
		if (rc == WRIT_OK) {
			assert_string_equal(node_kit_path(&k), "/http_challenge/127.0.0.1");
			assert_string_equal(node_kit_selectors(&k), "hostname:127.0.0.1");
			assert_true(k.x.first_only && !k.x.can_reattest);
		} else {
			/* The stranger learns nothing of what was there. */
			assert_null(strstr(k.err.msg, "HTTP status"));
			assert_null(strstr(k.err.msg, nonce));
		}
		writ_httpd_stop(m.httpd);
		node_kit_close(&k);
	}
}

static void test_one_host_has_one_spelling(void **state)
{
	(void)state;
	char out[WRIT_HOST_MAX + 1];
	struct writ_err err = { 0 };
	assert_ok(writ_host_fold(WRIT_STR("Web1.Example.ORG"), out, &err), err);
	assert_string_equal(out, "web1.example.org");
}

static void test_a_name_for_this_machine_is_refused_unless_it_is_wanted(void **state)
{
	(void)state;
	struct machine m = { .asked = 0 };
	struct node_kit k;
	char text[200];
	struct writ_server_config cfg = config_of(NULL);
	cfg.nodes.http_challenge.allow_local_addresses = false;
	node_kit_open(&k, &cfg, "http_challenge");
	machine_start(&m, k.loop);
	claim_text(text, sizeof(text), "127.0.0.1", m.port);
	assert_ok(node_kit_begin(&k, text), k.err);
	assert_ok(node_kit_respond(&k, "\n"), k.err);
	assert_fails(node_kit_ask(&k), WRIT_EDENIED, k.err, "challenge verification failed");
	assert_int_equal(m.asked, 0);
	writ_httpd_stop(m.httpd);
	node_kit_close(&k);
}

static void test_patterns_of_another_dialect_are_refused(void **state)
{
	(void)state;
	static const struct {
		const char *pattern, *host;
		bool match;
	} good[] = {
		{ "p[0-9][.]example[.]com", "p1.example.com", true },
		{ "p[0-9][.]example[.]com", "p1.example.com.evil.net", false },
		{ "p[0-9][.]example[.]com", "xp1.example.com", false },
		{ "^web\\.test$", "web.test", true },
		{ "^web\\.test$", "webxtest", false },
		{ "a|b", "b", true },
		{ "a|b", "ab", false },
		{ "WEB", "web", true },
		{ ".*\\.test", "x.y.test", true },
	};
	static const char *const bad[] = { "\\d+", "(?i)web", "web\\", "(", "[a", "[\\]]", "\\w" };
	struct writ_err err = { 0 };
	for (size_t i = 0; i < WRIT_COUNT(good); i++) {
		struct writ_host_pattern *p;
		assert_ok(writ_host_pattern_new(good[i].pattern, &p, &err), err);
		if (writ_host_pattern_match(p, good[i].host) != good[i].match)
			fail_msg("%s, %s", good[i].pattern, good[i].host);
		writ_host_pattern_free(p);
	}
	for (size_t i = 0; i < WRIT_COUNT(bad); i++) {
		struct writ_host_pattern *p = NULL;
		if (writ_host_pattern_new(bad[i], &p, &err) != WRIT_EINVAL)
			fail_msg("%s was taken", bad[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_claims_are_checked_before_anything_is_asked),
		cmocka_unit_test(test_ports_are_checked),
		cmocka_unit_test(test_a_port_and_a_name_that_are_allowed_are_asked),
		cmocka_unit_test(test_no_nonce_comes_twice),
		cmocka_unit_test(test_without_tofu_a_host_may_come_again),
		cmocka_unit_test(test_who_serves_the_nonce_is_the_host),
		cmocka_unit_test(test_one_host_has_one_spelling),
		cmocka_unit_test(test_a_name_for_this_machine_is_refused_unless_it_is_wanted),
		cmocka_unit_test(test_patterns_of_another_dialect_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
