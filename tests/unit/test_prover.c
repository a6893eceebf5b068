/* SPDX-License-Identifier: Apache-2.0 */
/* What the agent says of its machine by http_challenge and k8s_psat, byte by byte as SPIRE's agent
 * does, and what it serves meanwhile. */
#include "check.h"

#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "front/http.h"
#include "node/prover.h"

#include <stdlib.h>

#define PATH "/.well-known/spiffe/nodeattestor/http_challenge/default/challenge"

static char *text(const char *s)
{
	union {
		const char *in;
		char *out;
	} u = { .in = s };
	return u.out;
}

struct visit {
	bool done;
	writ_rc rc;
	int status;
	char body[128];
};

static void on_answer(void *arg, const struct writ_http_answer *a)
{
	struct visit *v = arg;
	v->done = true;
	v->rc = a->rc;
	v->status = a->status;
	(void)snprintf(v->body, sizeof(v->body), "%.*s", WRIT_ARG(a->body));
}

static struct visit visit(struct writ_loop *loop, uint16_t port, const char *path)
{
	struct visit v = { .done = false };
	const struct writ_http_request q = { .loop = loop,
		.method = "GET",
		.host = "127.0.0.1",
		.port = port,
		.target = path,
		.body_max = 100,
		.deadline_ms = 5000,
		.done = on_answer,
		.arg = &v };
	(void)writ_http_start(&q);
	assert_true(writ_loop_run_until(loop, &v.done, writ_mono_ms() + 10000));
	return v;
}

static uint16_t port_of(const struct writ_buf *payload)
{
	const char *p = strstr(writ_buf_cstr(payload), "\"port\":");
	uint64_t port = 0;
	assert_non_null(p);
	struct writ_str s = writ_cstr(p + 7);
	s.n--;
	assert_int_equal(writ_parse_u64(s, 1, 65535, &port, NULL), WRIT_OK);
	return (uint16_t)port;
}

static struct writ_prover *open_http(struct writ_agent_config *cfg)
{
	struct writ_prover *p = NULL;
	struct writ_err err = { 0 };
	cfg->nodes.http_challenge.is_on = true;
	cfg->nodes.http_challenge.hostname = text("web1.test");
	cfg->nodes.http_challenge.agentname = text("default");
	assert_ok(writ_prover_open(cfg, &p, &err), err);
	assert_string_equal(p->vt->name, "http_challenge");
	return p;
}

static void test_the_nonce_is_served_on_one_path_while_it_is_wanted(void **state)
{
	(void)state;
	struct writ_agent_config cfg = { .trust_domain = NULL };
	struct writ_prover *p = open_http(&cfg);
	struct writ_loop *loop;
	struct writ_err err = { 0 };
	assert_ok(writ_loop_new(&loop, &err), err);
	for (int round = 0; round < 2; round++) {
		struct writ_buf out = WRIT_BUF(1024), answer = WRIT_BUF(64);
		assert_ok(p->vt->start(p, loop, &err), err);
		assert_ok(p->vt->payload(p, &out, &err), err);
		uint16_t port = port_of(&out);
		assert_int_equal(visit(loop, port, PATH).status, 404);
		assert_ok(p->vt->answer(p, WRIT_STR("{\"nonce\":\"abc=\"}"), &answer, &err), err);
		assert_true(answer.n > 0);
		struct visit v = visit(loop, port, PATH);
		assert_int_equal(v.status, 200);
		assert_string_equal(v.body, "abc=\n");
		assert_int_equal(visit(loop, port, "/").status, 404);
		assert_int_equal(visit(loop, port, PATH "/").status, 404);
		p->vt->stop(p);
		assert_int_equal(visit(loop, port, PATH).rc, WRIT_EUNAVAIL);
		writ_buf_done(&out);
		writ_buf_done(&answer);
	}
	writ_prover_close(p);
	writ_loop_free(loop);
}

static void test_the_claim_is_in_spires_form(void **state)
{
	(void)state;
	struct writ_agent_config cfg = { .trust_domain = NULL };
	struct writ_buf out = WRIT_BUF(1024);
	struct writ_err err = { 0 };
	struct writ_prover *p = open_http(&cfg);
	cfg.nodes.http_challenge.advertised_port = 80;
	assert_ok(p->vt->payload(p, &out, &err), err);
	assert_string_equal(writ_buf_cstr(&out),
		"{\"hostname\":\"web1.test\",\"agentname\":\"default\",\"port\":80}");
	writ_buf_reset(&out);
	assert_fails(p->vt->answer(p, WRIT_STR("{\"nonce\":\"a\\r\\nb\"}"), &out, &err),
		WRIT_EPROTO, err, "the server's challenge");
	assert_fails(p->vt->answer(p, WRIT_STR("{}"), &out, &err), WRIT_EPROTO, err, "no nonce");
	writ_prover_close(p);
	cfg.nodes.http_challenge.agentname = text("a.b");
	assert_fails(writ_prover_open(&cfg, &p, &err), WRIT_EINVAL, err, "agentname is 'a.b'");
	writ_buf_done(&out);
}

static void test_a_port_that_is_taken_is_said(void **state)
{
	(void)state;
	struct writ_agent_config cfg = { .trust_domain = NULL };
	struct writ_buf out = WRIT_BUF(1024);
	struct writ_err err = { 0 };
	struct writ_loop *loop;
	assert_ok(writ_loop_new(&loop, &err), err);
	struct writ_prover *a = open_http(&cfg);
	assert_ok(a->vt->start(a, loop, &err), err);
	assert_ok(a->vt->payload(a, &out, &err), err);
	struct writ_agent_config second = { .trust_domain = NULL };
	struct writ_prover *b = open_http(&second);
	second.nodes.http_challenge.port = port_of(&out);
	assert_fails(b->vt->start(b, loop, &err), WRIT_EIO, err, "listen on port");
	b->vt->stop(b);
	writ_prover_close(b);
	writ_prover_close(a);
	writ_buf_done(&out);
	writ_loop_free(loop);
}

static void test_the_token_is_read_anew_each_time(void **state)
{
	(void)state;
	char dir[] = "/tmp/writ-prover-XXXXXX";
	struct writ_agent_config cfg = { .trust_domain = NULL };
	struct writ_prover *p = NULL;
	struct writ_err err = { 0 };
	struct writ_buf out = WRIT_BUF(1024);
	assert_non_null(mkdtemp(dir));
	WRIT_AUTO(writ_freep) char *path = writ_fs_join(dir, "token");
	cfg.nodes.k8s_psat = (struct writ_agent_k8s_psat){ true, text("prod"), path };
	assert_ok(writ_prover_open(&cfg, &p, &err), err);
	assert_fails(p->vt->payload(p, &out, &err), WRIT_ENOENT, err, "token_path");
	static const char *const rows[] = { "a.b.c", "d.e.f\n" };
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		assert_ok(writ_fs_write(path, rows[i], strlen(rows[i]), 0600, &err), err);
		writ_buf_reset(&out);
		assert_ok(p->vt->payload(p, &out, &err), err);
		assert_string_equal(writ_buf_cstr(&out),
			i ? "{\"cluster\":\"prod\",\"token\":\"d.e.f\"}"
			  : "{\"cluster\":\"prod\",\"token\":\"a.b.c\"}");
	}
	assert_ok(writ_fs_write(path, "\n", 1, 0600, &err), err);
	assert_fails(p->vt->payload(p, &out, &err), WRIT_EINVAL, err, "is empty");
	WRIT_AUTO(writ_freep) char *huge = writ_alloc(32 * 1024);
	memset(huge, 'a', 32 * 1024);
	assert_ok(writ_fs_write(path, huge, 32 * 1024, 0600, &err), err);
	assert_fails(p->vt->payload(p, &out, &err), WRIT_ELIMIT, err, "no token");
	writ_prover_close(p);
	writ_buf_done(&out);
	assert_ok(writ_fs_remove_tree(dir, &err), err);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_nonce_is_served_on_one_path_while_it_is_wanted),
		cmocka_unit_test(test_the_claim_is_in_spires_form),
		cmocka_unit_test(test_a_port_that_is_taken_is_said),
		cmocka_unit_test(test_the_token_is_read_anew_each_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
