/* SPDX-License-Identifier: Apache-2.0 */
#include "signer_kit.h"

#include "base/clock.h"
#include "base/mem.h"
#include "signer/frame.h"
#include "signer/lockin.h"
#include "signer/upstream.h"
#include "signer/vault.h"
#include "crypto/digest.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static int setup(void **state)
{
	struct kit *k = writ_alloc(sizeof(*k));
	assert_int_equal(writ_crypto_init(NULL), WRIT_OK);
	kit_init(k);
	*state = k;
	return 0;
}

static int teardown(void **state)
{
	kit_done(*state);
	writ_free(*state);
	return 0;
}

static void frames_of_a_forbidden_length_end_the_talk(void **state)
{
	(void)state;
	static const struct {
		const char *bytes;
		size_t n;
		writ_rc rc;
	} rows[] = {
		{ "", 0, WRIT_ENOENT },
		{ "\0\0\0", 3, WRIT_ENOENT },
		{ "\0\0\0\0", 4, WRIT_EPROTO },
		{ "\0\x10\0\1", 4, WRIT_EPROTO },
		{ "\xff\xff\xff\xff", 4, WRIT_EPROTO },
		{ "\0\x10\0\0", 4, WRIT_ENOENT },
		{ "\0\0\0\2a", 5, WRIT_ENOENT },
		{ "\0\0\0\2ab", 6, WRIT_OK },
		{ "\0\0\0\2abcd", 8, WRIT_OK },
	};
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		struct writ_buf b = WRIT_BUF(64);
		struct writ_str frame = { 0 };
		writ_buf_add(&b, rows[i].bytes, rows[i].n);
		writ_rc rc = writ_frame_peek(&b, WRIT_FRAME_MAX, &frame, NULL);
		if (rc != rows[i].rc)
			fail_msg("row %zu: %s", i, writ_rc_name(rc));
		if (!rc)
			assert_true(writ_str_eq(frame, WRIT_STR("ab")));
		writ_buf_done(&b);
	}
}

static void what_is_no_request_gets_no_answer(void **state)
{
	struct kit *k = *state;
	struct writ_buf out = WRIT_BUF(1000), many = WRIT_BUF(WRIT_FRAME_MAX);
	/* Each two bytes ask for an empty item: half a million structures from one frame. */
	uint8_t *at = writ_buf_room(&many, 1000000);
	for (size_t i = 0; i < 1000000; i += 2) {
		at[i] = 0x0a;
		at[i + 1] = 0;
	}
	memcpy(at, "\x32\xfc\x83\x3d", 4); /* sign, of all the rest */
	writ_buf_grew(&many, 1000000);
	const struct writ_str rows[] = { WRIT_STR("hello"), WRIT_STR("\x08\x01"),
		WRIT_STR("\xff\xff"), WRIT_STR("\x32\x05\x0a"), writ_buf_str(&many) };
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		struct writ_err err = { 0 };
		assert_int_equal(writ_signer_handle(k->signer, rows[i], &out, &err), WRIT_EPROTO);
		assert_int_equal(out.n, 0);
		assert_true(*err.msg);
	}
	writ_buf_done(&many);
	writ_buf_done(&out);
}

static void requests_out_of_order_are_refused(void **state)
{
	struct kit *k = *state;
	struct kit_item item, *items[] = { &item };
	kit_item(&item);
	kit_reply *r = kit_sign(k, items, 1);
	assert_int_equal(r->rc, WRIT_EPRECOND);
	kit_free(r);
	r = kit_activate(k, "00");
	assert_int_equal(r->rc, WRIT_EPRECOND);
	kit_free(r);
	r = kit_drop(k, "00");
	assert_int_equal(r->rc, WRIT_EPRECOND);
	kit_free(r);
	kit_reply *ca = kit_prepare(k, 3600);
	assert_int_equal(ca->rc, 0);
	assert_int_equal(ca->n_cas, 1);
	assert_false(ca->cas[0]->active);
	r = kit_sign(k, items, 1); /* prepared is not active */
	assert_int_equal(r->rc, WRIT_EPRECOND);
	kit_free(r);
	r = kit_activate(k, "0123");
	assert_int_equal(r->rc, WRIT_ENOENT);
	kit_free(r);
	r = kit_activate(k, ca->cas[0]->authority_id);
	assert_int_equal(r->rc, 0);
	assert_true(r->cas[0]->active);
	kit_free(r);
	r = kit_drop(k, ca->cas[0]->authority_id);
	assert_int_equal(r->rc, WRIT_EPRECOND);
	kit_free(r);
	kit_make_active(k, 3600);
	r = kit_activate(k, ca->cas[0]->authority_id); /* an old one never comes back */
	assert_int_equal(r->rc, WRIT_EPRECOND);
	kit_free(r);
	r = kit_drop(k, ca->cas[0]->authority_id);
	assert_int_equal(r->rc, 0);
	assert_int_equal(r->n_cas, 1);
	kit_free(r);
	kit_free(ca);
	for (int i = 1; i < WRIT_SIGNER_SLOTS_MAX; i++)
		kit_free(kit_prepare(k, 3600));
	r = kit_prepare(k, 3600);
	assert_int_equal(r->rc, WRIT_EPRECOND);
	kit_free(r);
}

static void a_ca_outside_its_rules_is_not_made(void **state)
{
	struct kit *k = *state;
	int64_t now = writ_wall_s();
	char td[] = KIT_TD, other[] = "example.com", us[] = "US", usa[] = "USA", bell[] = "a\ab",
	     empty[] = "";
	char longer[66];
	memset(longer, 'x', 65);
	longer[65] = 0;
	const struct {
		char *td, *country, *org;
		int type;
		int64_t before, after;
	} rows[] = {
		{ other, us, empty, 0, now, now + 60 },
		{ empty, us, empty, 0, now, now + 60 },
		{ td, usa, empty, 0, now, now + 60 },
		{ td, us, bell, 0, now, now + 60 },
		{ td, us, longer, 0, now, now + 60 },
		{ td, us, empty, WRIT_KEY_OTHER, now, now + 60 },
		{ td, us, empty, -1, now, now + 60 },
		{ td, us, empty, 0, now + 100, now + 160 },
		{ td, us, empty, 0, now - 100, now + 60 },
		{ td, us, empty, 0, now, now },
		{ td, us, empty, 0, INT64_MIN, INT64_MAX },
	};
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		Writ__Signer__V1__PrepareCa p = WRIT__SIGNER__V1__PREPARE_CA__INIT;
		kit_request q = WRIT__SIGNER__V1__REQUEST__INIT;
		p.trust_domain = rows[i].td;
		p.country = rows[i].country;
		p.organization = rows[i].org;
		p.key_type = rows[i].type;
		p.not_before = rows[i].before;
		p.not_after = rows[i].after;
		q.op_case = WRIT__SIGNER__V1__REQUEST__OP_PREPARE_CA;
		q.prepare_ca = &p;
		kit_reply *r = kit_ask(k, &q);
		if (!r->rc || !*r->error)
			fail_msg("row %zu was taken", i);
		kit_free(r);
	}
	kit_reply *r = kit_status(k);
	assert_int_equal(r->n_cas, 0);
	kit_free(r);
}

static void every_certificate_is_on_record_and_no_refused_one(void **state)
{
	struct kit *k = *state;
	kit_make_active(k, 3600);
	struct kit_item good, bad_id, bad_key, bad_time, foreign, bad_dns;
	struct kit_item *items[] = { &good, &bad_id, &bad_key, &bad_time, &foreign, &bad_dns };
	for (size_t i = 0; i < WRIT_COUNT(items); i++)
		kit_item(items[i]);
	char dot[] = "spiffe://" KIT_TD "/../x", away[] = "spiffe://example.com/w",
	     quote[] = "e\"\n1";
	char *dns[] = { (char[]){ "-bad-.example" } };
	good.item.entry_id = quote;
	bad_id.item.spiffe_id = dot;
	bad_key.item.spki.len--;
	bad_time.item.not_before += 3600;
	foreign.item.spiffe_id = away;
	bad_dns.item.dns = dns;
	bad_dns.item.n_dns = 1;
	kit_reply *r = kit_sign(k, items, WRIT_COUNT(items));
	if (r->rc)
		fail_msg("%s", r->error);
	assert_int_equal(r->n_results, WRIT_COUNT(items));
	assert_int_equal(r->results[0]->rc, 0);
	for (size_t i = 1; i < r->n_results; i++) {
		if (!r->results[i]->rc || r->results[i]->cert.len || !*r->results[i]->error)
			fail_msg("item %zu was signed", i);
	}
	struct writ_cert *c;
	ProtobufCBinaryData der = r->results[0]->cert;
	assert_int_equal(writ_cert_parse(der.data, der.len, &c, NULL), WRIT_OK);
	assert_int_equal(writ_cert_not_after(c), r->results[0]->not_after);
	char *record = kit_record(k), want[128];
	snprintf(want, sizeof(want), "\"serial\":\"%s\"", writ_cert_serial_hex(c));
	assert_int_equal(kit_count(record, want), 1);
	assert_int_equal(kit_count(record, "\n"), 2); /* the CA and the leaf */
	assert_int_equal(kit_count(record, "\"ca\":true"), 1);
	assert_int_equal(kit_count(record, "\"entry_id\":\"e\\\"\\u000a1\""), 1);
	writ_free(record);
	writ_cert_unref(c);
	kit_free(r);
}

static void a_leaf_never_outlives_its_issuer(void **state)
{
	struct kit *k = *state;
	kit_make_active(k, 100);
	struct kit_item item, *items[] = { &item };
	kit_item(&item);
	kit_reply *r = kit_sign(k, items, 1), *s = kit_status(k);
	struct writ_cert *ca;
	assert_int_equal(r->results[0]->rc, 0);
	assert_int_equal(
		writ_cert_parse(s->cas[0]->cert.data, s->cas[0]->cert.len, &ca, NULL), WRIT_OK);
	assert_int_equal(r->results[0]->not_after, writ_cert_not_after(ca) - 1);
	writ_cert_unref(ca);
	kit_free(s);
	kit_free(r);
}

/* docs/adr/0009: an agent that knows the old certificate takes what was signed under the new one.
 */
static void a_ca_that_is_certified_again_is_found_under_its_old_certificate(void **state)
{
	struct kit *k = *state;
	struct writ_err err = { 0 };
	struct writ_cert *old = NULL, *leaf = NULL;
	struct writ_anchors *anchors = NULL;
	struct kit_item item, *items[] = { &item };
	int64_t now = writ_wall_ms();
	kit_make_active(k, 100);
	kit_reply *r = kit_status(k);
	assert_int_equal(
		writ_cert_parse(r->cas[0]->cert.data, r->cas[0]->cert.len, &old, &err), WRIT_OK);
	writ_clock_set_wall_ms(now + 1000 * 1000);
	Writ__Signer__V1__PrepareCa p = WRIT__SIGNER__V1__PREPARE_CA__INIT;
	kit_request q = WRIT__SIGNER__V1__REQUEST__INIT;
	p.trust_domain = (char[]){ KIT_TD };
	p.key_type = WRIT_KEY_P256;
	p.not_before = writ_wall_s() - 10;
	p.not_after = writ_wall_s() + 3600;
	p.organization = (char[]){ "Writ" };
	p.renew_authority_id = r->cas[0]->authority_id;
	q.op_case = WRIT__SIGNER__V1__REQUEST__OP_PREPARE_CA;
	q.prepare_ca = &p;
	kit_reply *again = kit_ask(k, &q);
	assert_int_equal(again->rc, 0);
	assert_int_equal(again->n_cas, 1);
	assert_true(again->cas[0]->active);
	assert_string_equal(again->cas[0]->authority_id, r->cas[0]->authority_id);
	kit_free(again);
	kit_free(r);
	kit_item(&item);
	r = kit_sign(k, items, 1);
	assert_int_equal(r->results[0]->rc, 0);
	assert_int_equal(
		writ_cert_parse(r->results[0]->cert.data, r->results[0]->cert.len, &leaf, &err),
		WRIT_OK);
	kit_free(r);
	assert_int_equal(writ_anchors_new(&old, 1, &anchors, &err), WRIT_OK);
	assert_int_equal(
		writ_chain_verify(anchors, &leaf, 1, WRIT_PURPOSE_ANY, writ_wall_s(), &err),
		WRIT_EEXPIRED);
	writ_anchors_allow_expired(anchors, 3600);
	if (writ_chain_verify(anchors, &leaf, 1, WRIT_PURPOSE_ANY, writ_wall_s(), &err) != WRIT_OK)
		fail_msg("%s", err.msg);
	writ_anchors_unref(anchors);
	writ_cert_unref(old);
	writ_cert_unref(leaf);
	writ_clock_set_wall_ms(-1);
}

static void batches_are_bounded(void **state)
{
	struct kit *k = *state;
	kit_make_active(k, 3600);
	struct kit_item item, *items[WRIT_SIGNER_BATCH_MAX + 1];
	kit_item(&item);
	for (size_t i = 0; i < WRIT_COUNT(items); i++)
		items[i] = &item;
	kit_reply *r = kit_sign(k, items, WRIT_COUNT(items));
	assert_int_equal(r->rc, WRIT_EINVAL);
	kit_free(r);
	r = kit_sign(k, items, 0);
	assert_int_equal(r->rc, WRIT_EINVAL);
	kit_free(r);
	r = kit_sign(k, items, WRIT_SIGNER_BATCH_MAX);
	assert_int_equal(r->rc, 0);
	for (size_t i = 0; i < r->n_results; i++)
		assert_int_equal(r->results[i]->rc, 0);
	kit_free(r);
}

static void a_full_disk_issues_nothing_and_heals(void **state)
{
	struct kit *k = *state;
	kit_make_active(k, 3600);
	struct kit_item item, *items[] = { &item, &item, &item };
	kit_item(&item);
	struct rlimit before, full;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	full = before;
	full.rlim_cur = (rlim_t)lseek(k->record_fd, 0, SEEK_END) + 500; /* ends inside a line */
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &full), 0);
	kit_reply *r = kit_sign(k, items, 3);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(r->rc, WRIT_ELIMIT);
	assert_int_equal(r->n_results, 0);
	kit_free(r);
	r = kit_sign(k, items, 1);
	assert_int_equal(r->rc, 0);
	kit_free(r);
	char *record = kit_record(k), *last = strrchr(record, '{');
	assert_true(last[-1] == '\n'); /* the line that was cut short was ended first */
	writ_free(record);
}

static void a_line_that_a_killed_process_left_open_is_ended(void **state)
{
	struct kit *k = *state;
	assert_int_equal(write(k->record_fd, "{\"time", 6), 6);
	kit_restart(k);
	kit_make_active(k, 3600);
	char *record = kit_record(k);
	assert_int_equal(strncmp(record, "{\"time\n{\"time\"", 14), 0);
	writ_free(record);
}

static void a_kept_ca_with_another_key_is_refused(void **state)
{
	struct kit *k = *state;
	struct writ_err err = { 0 };
	kit_make_active(k, 3600);
	kit_reply *s = kit_status(k);
	struct writ_slot slot = { .state = WRIT_SLOT_ACTIVE, .activated = 7 }, again = { 0 };
	assert_int_equal(writ_key_generate(WRIT_KEY_P256, &slot.key, NULL), WRIT_OK);
	assert_int_equal(
		writ_cert_parse(s->cas[0]->cert.data, s->cas[0]->cert.len, &slot.cert, NULL),
		WRIT_OK);
	slot.roots[slot.n_roots++] = writ_cert_ref(slot.cert);
	assert_int_equal(
		writ_slot_seal(&slot, &err), WRIT_ECRYPTO); /* not the key of that certificate */
	struct writ_buf text = WRIT_BUF(65536);
	assert_int_equal(writ_slot_print(&slot, &text, &err), WRIT_OK);
	assert_int_equal(writ_slot_parse(writ_buf_str(&text), &again, &err), WRIT_ECRYPTO);
	assert_int_equal(writ_signer_adopt(k->signer, writ_buf_str(&text), &err), WRIT_ECRYPTO);
	writ_buf_done(&text);
	writ_slot_done(&slot);
	kit_free(s);
}

static void an_upstream_that_does_not_fit_is_refused(void **state)
{
	(void)state;
	struct writ_upstream u;
	struct writ_err err = { 0 };
	struct writ_key *key;
	struct writ_secret der = { 0 };
	struct writ_buf pem = WRIT_BUF(4096);
	assert_int_equal(writ_key_generate(WRIT_KEY_P256, &key, NULL), WRIT_OK);
	assert_int_equal(writ_key_to_pkcs8(key, &der, NULL), WRIT_OK);
	writ_pem_add(&pem, "PRIVATE KEY", der.p, der.n);
	assert_int_not_equal(writ_upstream_open(&u, WRIT_STR("no pem"), writ_buf_str(&pem),
				     WRIT_STR(""), writ_wall_s(), &err),
		WRIT_OK);
	assert_non_null(strstr(err.msg, "cert_file_path"));
	writ_secret_done(&der);
	writ_buf_wipe(&pem);
	writ_key_unref(key);
}

static void an_intermediate_hangs_below_its_upstream(void **state)
{
	struct kit *k = *state;
	struct writ_err err = { 0 };
	struct writ_key *key;
	struct writ_pubkey pub;
	assert_int_equal(writ_key_generate(WRIT_KEY_P384, &key, NULL), WRIT_OK);
	assert_int_equal(writ_pubkey_of_key(key, &pub, NULL), WRIT_OK);
	struct writ_issue q = { .profile = WRIT_PROFILE_CA,
		.trust_domain = KIT_TD,
		.spiffe_id = "spiffe://" KIT_TD,
		.subject = { "US", "Root", "root" },
		.key = &pub,
		.not_before = writ_wall_s() - 5,
		.not_after = writ_wall_s() + 1000,
		.issuer_key = key };
	writ_serial_new(q.serial);
	struct writ_buf der = WRIT_BUF(WRIT_CERT_MAX), cert = WRIT_BUF(65536), kp = WRIT_BUF(65536);
	assert_int_equal(writ_issue(&q, &der, &err), WRIT_OK);
	writ_pem_add(&cert, "CERTIFICATE", der.p, der.n);
	struct writ_secret s = { 0 };
	assert_int_equal(writ_key_to_pkcs8(key, &s, NULL), WRIT_OK);
	writ_pem_add(&kp, "PRIVATE KEY", s.p, s.n);
	struct writ_upstream u;
	if (writ_upstream_open(&u, writ_buf_str(&cert), writ_buf_str(&kp), WRIT_STR(""),
		    writ_wall_s(), &err) != WRIT_OK)
		fail_msg("%s", err.msg);
	k->upstream = &u;
	kit_restart(k);
	kit_reply *r = kit_prepare(k, 3600);
	if (r->rc)
		fail_msg("%s", r->error);
	struct writ_cert *ca, *root;
	assert_int_equal(writ_cert_parse(r->cas[0]->cert.data, r->cas[0]->cert.len, &ca, NULL), 0);
	assert_int_equal(
		writ_cert_parse(r->cas[0]->root.data, r->cas[0]->root.len, &root, NULL), 0);
	assert_string_equal(writ_cert_aki_hex(ca), writ_cert_ski_hex(root));
	assert_true(writ_cert_not_after(ca) < writ_cert_not_after(root));
	assert_int_equal(r->cas[0]->n_chain, 0);
	writ_cert_unref(ca);
	writ_cert_unref(root);
	kit_free(r);
	kit_restart(k);
	k->upstream = NULL;
	writ_upstream_done(&u);
	writ_buf_done(&der);
	writ_buf_done(&cert);
	writ_buf_wipe(&kp);
	writ_secret_done(&s);
	writ_key_unref(key);
}

static void vault_messages_survive_the_wire(void **state)
{
	(void)state;
	int fds[2], passed[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	assert_int_equal(pipe(passed), 0);
	const struct writ_vault_msg server = { WRIT_VAULT_SERVER, { "", 0 }, { "", 0 } };
	const struct writ_vault_msg done = { WRIT_VAULT_DONE, WRIT_STR("ab"),
		WRIT_STR("why\0not") };
	assert_int_equal(writ_vault_send(fds[0], &server, passed[1], NULL), WRIT_OK);
	assert_int_equal(writ_vault_send(fds[0], &done, -1, NULL), WRIT_OK);
	close(passed[1]);
	struct writ_vault_link l;
	struct writ_vault_msg m;
	struct writ_str frame;
	writ_vault_link_init(&l, fds[1]);
	assert_int_equal(writ_vault_next(&l, writ_mono_ms() + 1000, &m, &frame, NULL), WRIT_OK);
	assert_true(m.type == WRIT_VAULT_DONE && writ_str_eq(m.name, done.name) &&
		writ_str_eq(m.data, done.data));
	assert_true(l.server >= 0);
	assert_int_equal(write(l.server, "x", 1), 1);
	char c;
	assert_int_equal(read(passed[0], &c, 1), 1);
	writ_vault_link_done(&l);
	close(passed[0]);
	close(fds[0]);
	close(fds[1]);
	assert_false(writ_vault_name_ok(WRIT_STR("../x")));
	assert_false(writ_vault_name_ok(WRIT_STR("")));
	assert_false(writ_vault_name_ok(WRIT_STR("AB")));
	assert_true(writ_vault_name_ok(WRIT_STR("0af9")));
}

static void try_exec(void)
{
	char *argv[] = { (char[]){ "/bin/true" }, NULL };
	execv(argv[0], argv);
}
static void try_open(void)
{
	(void)open("/dev/null", O_RDONLY | O_CLOEXEC);
}
static void try_socket(void)
{
	(void)socket(AF_UNIX, SOCK_STREAM, 0);
}
static void try_fork(void)
{
	(void)fork();
}
static void try_kill(void)
{
	(void)kill(getppid(), 0);
}
static void try_nothing(void)
{
	char text[32];
	(void)writ_mono_ms();
	(void)writ_format_time(writ_wall_s(), text, sizeof(text));
}

static void a_locked_in_process_dies_of_what_it_must_not_do(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		void (*act)(void);
		int sig;
	} rows[] = {
		{ "nothing", try_nothing, 0 },
		{ "execve", try_exec, SIGSYS },
		{ "open", try_open, SIGSYS },
		{ "socket", try_socket, SIGSYS },
		{ "fork", try_fork, SIGSYS },
		{ "kill", try_kill, SIGSYS },
	};
	try_nothing(); /* loads the time zone, as the signer's warm-up does */
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		pid_t pid = fork();
		if (pid == 0) {
			if (writ_signer_lock_in(NULL) != WRIT_OK)
				_exit(9);
			rows[i].act();
			_exit(0);
		}
		int status;
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (rows[i].sig ? !WIFSIGNALED(status) || WTERMSIG(status) != rows[i].sig
				: !WIFEXITED(status) || WEXITSTATUS(status) != 0)
			fail_msg("%s: status %x", rows[i].name, (unsigned)status);
	}
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_of_a_forbidden_length_end_the_talk),
		T(what_is_no_request_gets_no_answer),
		T(requests_out_of_order_are_refused),
		T(a_ca_outside_its_rules_is_not_made),
		T(every_certificate_is_on_record_and_no_refused_one),
		T(a_leaf_never_outlives_its_issuer),
		T(a_ca_that_is_certified_again_is_found_under_its_old_certificate),
		T(batches_are_bounded),
		T(a_full_disk_issues_nothing_and_heals),
		T(a_line_that_a_killed_process_left_open_is_ended),
		T(a_kept_ca_with_another_key_is_refused),
		T(an_upstream_that_does_not_fit_is_refused),
		T(an_intermediate_hangs_below_its_upstream),
		cmocka_unit_test(vault_messages_survive_the_wire),
		cmocka_unit_test(a_locked_in_process_dies_of_what_it_must_not_do),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
