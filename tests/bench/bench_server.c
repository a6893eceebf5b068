/* SPDX-License-Identifier: Apache-2.0 */
/* What a server costs, ours or any other with SPIRE's API: give each as
 * NAME=HOST:PORT=ADMIN_SOCKET=PID[,PID...], and all are measured in turn.
 *
 *   bench_server [-e ENTRIES] [-b BATCHES] -t example.org
 * writ=127.0.0.1:8081=/run/writ/server/private/api.sock=10,11 other=...
 *
 * Joins as an agent with a token; BatchNewX509SVID in batches of 100, four at a time, over mutual
 * TLS with CSRs made beforehand (CPU is the sum of the PIDs: name the server's and the signer's);
 * BatchCreateEntry in batches of 100 over the admin socket; ListEntries by pages of 1,000; idle CPU
 * with all those entries. A server that limits signatures for an address must have that switched
 * off. */
#include "base/clock.h"
#include "base/mem.h"
#include "crypto/csr.h"
#include "front/dial.h"
#include "rpc/channel.h"
#include "rpc/rpc.h"
#include "spiffe/svid.h"

#include "spire/api/server/agent/v1/agent.pb-c.h"
#include "spire/api/server/bundle/v1/bundle.pb-c.h"
#include "spire/api/server/entry/v1/entry.pb-c.h"
#include "spire/api/server/svid/v1/svid.pb-c.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BATCH       100
#define AT_A_TIME   4
#define SERVERS_MAX 4
#define PIDS_MAX    8
#define PAGE        1000
#define CALL_MS     60000

struct target {
	char *name, *host, *admin_path;
	uint16_t port;
	long pids[PIDS_MAX];
	size_t n_pids;
	struct writ_channel *admin, *api;
	struct writ_dial *dial;
	char *agent_id;
	struct writ_svid *svid;
	struct writ_bundles *bundles;
	char *entry_ids[BATCH];
};

static struct writ_loop *loop;
static const char *td = "example.org";
static int n_entries = 20000, n_batches = 100;

static void die(const char *what, const struct writ_err *err)
{
	fprintf(stderr, "%s: %s\n", what, err ? err->msg : "failed");
	exit(1);
}

static double cpu_ms(const struct target *t)
{
	double sum = 0;
	for (size_t i = 0; i < t->n_pids; i++) {
		char path[64], text[1024];
		long long user, system;
		snprintf(path, sizeof(path), "/proc/%ld/stat", t->pids[i]);
		FILE *f = fopen(path, "re");
		size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;
		if (f)
			fclose(f);
		text[n] = '\0';
		const char *at = strrchr(text, ')');
		if (at &&
			sscanf(at + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lld %lld",
				&user, &system) == 2)
			sum += (double)(user + system) * 1000.0 / (double)sysconf(_SC_CLK_TCK);
	}
	return sum;
}

static double pss_mb(const struct target *t)
{
	double sum = 0;
	for (size_t i = 0; i < t->n_pids; i++) {
		char path[64], line[256];
		long long kb;
		snprintf(path, sizeof(path), "/proc/%ld/smaps_rollup", t->pids[i]);
		FILE *f = fopen(path, "re");
		while (f && fgets(line, sizeof(line), f)) {
			if (sscanf(line, "Pss: %lld kB", &kb) == 1) {
				sum += (double)kb / 1024;
				break;
			}
		}
		if (f)
			fclose(f);
	}
	return sum;
}

static ProtobufCMessage *call(struct writ_channel *c, const char *path, const ProtobufCMessage *in,
	const ProtobufCMessageDescriptor *out)
{
	struct writ_err err;
	ProtobufCMessage *m;
	if (writ_rpc_call(c, path, in, out, CALL_MS, &m, NULL, &err) != WRIT_OK)
		die(path, &err);
	return m;
}

/* --- joining --- */

struct dialled {
	bool done;
	int fd;
	struct writ_err err;
	writ_rc rc;
};

static void on_dialled(
	void *arg, writ_rc rc, const struct writ_err *err, int fd, struct writ_peer *peer)
{
	struct dialled *d = arg;
	(void)peer;
	d->done = true;
	d->rc = rc;
	d->fd = fd;
	if (rc != WRIT_OK)
		d->err = *err;
}

static void on_gone(void *arg, const char *why)
{
	(void)arg;
	(void)why;
}

static struct writ_channel *connect_to(struct target *t, enum writ_tls_peer_mode mode)
{
	struct writ_tls_ctx *tls;
	struct writ_err err;
	struct dialled d = { .fd = -1 };
	struct writ_channel *c;
	const struct writ_tls_config cfg = {
		.peer = mode, .h2 = true, .svid = t->svid, .bundles = t->bundles
	};
	if (writ_tls_ctx_new(&cfg, &tls, &err) != WRIT_OK)
		die("TLS", &err);
	const struct writ_dial_config dial = { .loop = loop,
		.host = t->host,
		.port = t->port,
		.tls = tls,
		.deadline_ms = 5000,
		.done = on_dialled,
		.closed = on_gone,
		.arg = &d };
	t->dial = writ_dial_start(&dial);
	(void)writ_loop_run_until(loop, &d.done, writ_mono_ms() + 6000);
	writ_tls_ctx_unref(tls);
	if (!d.done || d.rc != WRIT_OK)
		die("connect", &d.err);
	if (writ_channel_new(loop, d.fd, &c, &err) != WRIT_OK)
		die("channel", &err);
	return c;
}

struct attest {
	bool done;
	int code;
	char text[256];
	struct target *t;
	struct writ_key *key;
};

static void on_attest(void *arg, struct writ_rpc *r, const ProtobufCMessage *m)
{
	struct attest *a = arg;
	const Spire__Api__Server__Agent__V1__AttestAgentResponse *res = (const void *)m;
	const Spire__Api__Types__X509SVID *svid = res->result ? res->result->svid : NULL;
	struct writ_cert *chain[WRIT_CHAIN_MAX];
	struct writ_err err;
	size_t n = 0;
	for (; svid && n < svid->n_cert_chain && n < WRIT_CHAIN_MAX; n++) {
		if (writ_cert_parse(svid->cert_chain[n].data, svid->cert_chain[n].len, &chain[n],
			    &err) != WRIT_OK)
			die("SVID", &err);
	}
	if (writ_svid_new(chain, n, a->key, "", &a->t->svid, &err) != WRIT_OK)
		die("SVID", &err);
	writ_certs_unref(chain, n);
	a->t->agent_id = writ_strdup(a->t->svid->spiffe_id);
	writ_rpc_close_send(r);
}

static void on_attest_end(void *arg, struct writ_rpc *r, const struct writ_rpc_status *s)
{
	struct attest *a = arg;
	(void)r;
	a->code = s->code;
	snprintf(a->text, sizeof(a->text), "%s", s->message ? s->message : "");
	a->done = true;
}

static void attest(struct target *t, const char *token)
{
	struct attest a = { .t = t };
	struct writ_err err;
	WRIT_AUTO(writ_buf_done) struct writ_buf csr = WRIT_BUF(WRIT_CSR_MAX);
	if (writ_key_generate(WRIT_KEY_P256, &a.key, &err) != WRIT_OK ||
		writ_csr_build(a.key, NULL, NULL, 0, &csr, &err) != WRIT_OK)
		die("CSR", &err);
	Spire__Api__Types__AttestationData data = SPIRE__API__TYPES__ATTESTATION_DATA__INIT;
	Spire__Api__Server__Agent__V1__AgentX509SVIDParams x =
		SPIRE__API__SERVER__AGENT__V1__AGENT_X509_SVIDPARAMS__INIT;
	Spire__Api__Server__Agent__V1__AttestAgentRequest__Params p =
		SPIRE__API__SERVER__AGENT__V1__ATTEST_AGENT_REQUEST__PARAMS__INIT;
	Spire__Api__Server__Agent__V1__AttestAgentRequest req =
		SPIRE__API__SERVER__AGENT__V1__ATTEST_AGENT_REQUEST__INIT;
	data.type = (char[]){ "join_token" };
	data.payload = (ProtobufCBinaryData){ strlen(token), (uint8_t *)(uintptr_t)token };
	x.csr = (ProtobufCBinaryData){ csr.n, csr.p };
	p.data = &data;
	p.params = &x;
	req.step_case = SPIRE__API__SERVER__AGENT__V1__ATTEST_AGENT_REQUEST__STEP_PARAMS;
	req.params = &p;
	const struct writ_rpc_request call_attest = {
		.path = "/spire.api.server.agent.v1.Agent/AttestAgent",
		.message = &req.base,
		.out = &spire__api__server__agent__v1__attest_agent_response__descriptor,
		.deadline_ms = 10000,
		.bidi = true,
		.message_in = on_attest,
		.ended = on_attest_end,
		.arg = &a
	};
	writ_rpc_start(t->api, &call_attest);
	(void)writ_loop_run_until(loop, &a.done, writ_mono_ms() + 11000);
	if (!t->svid) {
		fprintf(stderr, "%s: attestation: %d %s\n", t->name, a.code, a.text);
		exit(1);
	}
	writ_key_unref(a.key);
}

static void learn_bundle(struct target *t)
{
	Spire__Api__Server__Bundle__V1__GetBundleRequest req =
		SPIRE__API__SERVER__BUNDLE__V1__GET_BUNDLE_REQUEST__INIT;
	ProtobufCMessage *m = call(t->admin, "/spire.api.server.bundle.v1.Bundle/GetBundle",
		&req.base, &spire__api__types__bundle__descriptor);
	const Spire__Api__Types__Bundle *b = (const void *)m;
	struct writ_cert *certs[64];
	struct writ_bundle *bundle;
	struct writ_err err;
	size_t n = 0;
	for (; n < b->n_x509_authorities && n < 64; n++) {
		if (writ_cert_parse(b->x509_authorities[n]->asn1.data,
			    b->x509_authorities[n]->asn1.len, &certs[n], &err) != WRIT_OK)
			die("bundle", &err);
	}
	if (writ_bundle_new(writ_cstr(td), certs, NULL, n, 1, 0, &bundle, &err) != WRIT_OK)
		die("bundle", &err);
	t->bundles = writ_bundles_with(NULL, bundle);
	writ_bundle_unref(bundle);
	writ_certs_unref(certs, n);
	writ_pb_free(m);
}

static void join_as_agent(struct target *t)
{
	struct writ_err err;
	Spire__Api__Server__Agent__V1__CreateJoinTokenRequest req =
		SPIRE__API__SERVER__AGENT__V1__CREATE_JOIN_TOKEN_REQUEST__INIT;
	if (writ_channel_unix(loop, t->admin_path, &t->admin, &err) != WRIT_OK)
		die(t->admin_path, &err);
	learn_bundle(t);
	req.ttl = 600;
	ProtobufCMessage *m = call(t->admin, "/spire.api.server.agent.v1.Agent/CreateJoinToken",
		&req.base, &spire__api__types__join_token__descriptor);
	t->api = connect_to(t, WRIT_TLS_PEER_REQUIRED);
	attest(t, ((const Spire__Api__Types__JoinToken *)(const void *)m)->value);
	writ_pb_free(m);
	t->api = connect_to(t, WRIT_TLS_PEER_REQUIRED); /* now with the SVID; the first connection
							   is left to the end of the process */
}

/* --- entries --- */

struct entry_form {
	Spire__Api__Types__Entry e;
	Spire__Api__Types__SPIFFEID id, parent;
	Spire__Api__Types__Selector s[2], *list[2];
	char path[96], value[96], parent_path[512];
};

static void fill(struct entry_form *f, const char *parent, const char *kind, int i)
{
	spire__api__types__entry__init(&f->e);
	spire__api__types__spiffeid__init(&f->id);
	spire__api__types__spiffeid__init(&f->parent);
	snprintf(f->path, sizeof(f->path), "/%s/workload-%d", kind, i);
	snprintf(f->value, sizeof(f->value), "uid:%d", 100000 + i);
	snprintf(f->parent_path, sizeof(f->parent_path), "%s", parent);
	f->id.trust_domain = f->parent.trust_domain = (char *)(uintptr_t)td;
	f->id.path = f->path;
	f->parent.path = f->parent_path;
	for (size_t k = 0; k < 2; k++) {
		spire__api__types__selector__init(&f->s[k]);
		f->s[k].type = (char *)(uintptr_t) "unix";
		f->s[k].value = k ? (char *)(uintptr_t) "gid:1000" : f->value;
		f->list[k] = &f->s[k];
	}
	f->e.spiffe_id = &f->id;
	f->e.parent_id = &f->parent;
	f->e.selectors = f->list;
	f->e.n_selectors = 2;
}

/* One batch; keeps the IDs when asked. */
static void create_batch(
	struct target *t, const char *parent, const char *kind, int from, char **ids)
{
	static struct entry_form forms[BATCH];
	Spire__Api__Types__Entry *list[BATCH];
	Spire__Api__Server__Entry__V1__BatchCreateEntryRequest req =
		SPIRE__API__SERVER__ENTRY__V1__BATCH_CREATE_ENTRY_REQUEST__INIT;
	for (int i = 0; i < BATCH; i++) {
		fill(&forms[i], parent, kind, from + i);
		list[i] = &forms[i].e;
	}
	req.entries = list;
	req.n_entries = BATCH;
	ProtobufCMessage *m = call(t->admin, "/spire.api.server.entry.v1.Entry/BatchCreateEntry",
		&req.base, &spire__api__server__entry__v1__batch_create_entry_response__descriptor);
	const Spire__Api__Server__Entry__V1__BatchCreateEntryResponse *r = (const void *)m;
	for (size_t i = 0; i < r->n_results; i++) {
		if (r->results[i]->status->code) {
			fprintf(stderr, "%s: entry: %s\n", t->name, r->results[i]->status->message);
			exit(1);
		}
		if (ids)
			ids[i] = writ_strdup(r->results[i]->entry->id);
	}
	writ_pb_free(m);
}

static void bench_create(struct target *t)
{
	int64_t began = writ_mono_us();
	double cpu = cpu_ms(t);
	for (int i = 0; i < n_entries; i += BATCH)
		create_batch(t, "/spire/agent/bench/nobody", "bulk", i, NULL);
	double s = (double)(writ_mono_us() - began) / 1e6;
	printf("%-8s BatchCreateEntry x%d  %8.0f entries/s   cpu %5.0f us an entry   Pss %.1f MB\n",
		t->name, BATCH, n_entries / s, (cpu_ms(t) - cpu) * 1000.0 / n_entries, pss_mb(t));
	fflush(stdout);
}

static int by_size(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return (x > y) - (x < y);
}

static void bench_list(struct target *t)
{
	Spire__Api__Server__Entry__V1__ListEntriesRequest req =
		SPIRE__API__SERVER__ENTRY__V1__LIST_ENTRIES_REQUEST__INIT;
	int64_t took[1024];
	int n = 0;
	char *token = writ_strdup("");
	req.page_size = PAGE;
	while (n < 1024) {
		int64_t began = writ_mono_us();
		req.page_token = token;
		ProtobufCMessage *m =
			call(t->admin, "/spire.api.server.entry.v1.Entry/ListEntries", &req.base,
				&spire__api__server__entry__v1__list_entries_response__descriptor);
		took[n++] = writ_mono_us() - began;
		writ_free(token);
		token = writ_strdup((
			(const Spire__Api__Server__Entry__V1__ListEntriesResponse *)(const void *)m)
					    ->next_page_token);
		writ_pb_free(m);
		if (!token[0])
			break;
	}
	writ_free(token);
	double first = (double)took[0] / 1000;
	qsort(took, (size_t)n, sizeof(took[0]), by_size);
	printf("%-8s ListEntries, pages of %d: %d pages, first %.1f ms, median %.1f ms, slowest "
	       "%.1f ms\n",
		t->name, PAGE, n, first, (double)took[n / 2] / 1000, (double)took[n - 1] / 1000);
	fflush(stdout);
}

static void bench_idle(struct target *t)
{
	const bool never = false;
	double before = cpu_ms(t);
	(void)writ_loop_run_until(loop, &never, writ_mono_ms() + 10000);
	printf("%-8s idle with %d entries: %.2f %% of a core, Pss %.1f MB\n", t->name, n_entries,
		(cpu_ms(t) - before) / 100.0, pss_mb(t));
	fflush(stdout);
}

/* --- signing --- */

static struct writ_buf csrs[BATCH];

static void make_csrs(void)
{
	struct writ_err err;
	for (int i = 0; i < BATCH; i++) {
		struct writ_key *k;
		csrs[i] = WRIT_BUF(WRIT_CSR_MAX);
		if (writ_key_generate(WRIT_KEY_P256, &k, &err) != WRIT_OK ||
			writ_csr_build(k, NULL, NULL, 0, &csrs[i], &err) != WRIT_OK)
			die("CSR", &err);
		writ_key_unref(k);
	}
}

struct signing {
	struct target *t;
	int started, ended, svids;
	bool done;
	char problem[256];
};

static void start_batch(struct signing *s);

static void on_signed(void *arg, struct writ_rpc *r, const ProtobufCMessage *m)
{
	struct signing *s = arg;
	const Spire__Api__Server__Svid__V1__BatchNewX509SVIDResponse *res = (const void *)m;
	(void)r;
	for (size_t i = 0; i < res->n_results; i++) {
		if (res->results[i]->status->code == 0)
			s->svids++;
		else
			snprintf(s->problem, sizeof(s->problem), "%s",
				res->results[i]->status->message);
	}
}

static void on_signed_end(void *arg, struct writ_rpc *r, const struct writ_rpc_status *status)
{
	struct signing *s = arg;
	(void)r;
	if (status->code)
		snprintf(s->problem, sizeof(s->problem), "%s",
			status->message ? status->message : "");
	s->ended++;
	if (s->started < n_batches)
		start_batch(s);
	s->done = s->ended == s->started && s->started >= n_batches;
}

static void start_batch(struct signing *s)
{
	static Spire__Api__Server__Svid__V1__NewX509SVIDParams params[BATCH], *list[BATCH];
	Spire__Api__Server__Svid__V1__BatchNewX509SVIDRequest req =
		SPIRE__API__SERVER__SVID__V1__BATCH_NEW_X509_SVIDREQUEST__INIT;
	for (int i = 0; i < BATCH; i++) {
		spire__api__server__svid__v1__new_x509_svidparams__init(&params[i]);
		params[i].entry_id = s->t->entry_ids[i];
		params[i].csr = (ProtobufCBinaryData){ csrs[i].n, csrs[i].p };
		list[i] = &params[i];
	}
	req.params = list;
	req.n_params = BATCH;
	const struct writ_rpc_request call_sign = {
		.path = "/spire.api.server.svid.v1.SVID/BatchNewX509SVID",
		.message = &req.base,
		.out = &spire__api__server__svid__v1__batch_new_x509_svidresponse__descriptor,
		.deadline_ms = CALL_MS,
		.message_in = on_signed,
		.ended = on_signed_end,
		.arg = s
	};
	s->started++;
	writ_rpc_start(s->t->api, &call_sign);
}

static bool one_batch_works(struct target *t)
{
	int batches = n_batches;
	n_batches = 1;
	struct signing s = { .t = t };
	start_batch(&s);
	(void)writ_loop_run_until(loop, &s.done, writ_mono_ms() + CALL_MS);
	n_batches = batches;
	return s.svids == BATCH;
}

static void bench_sign(struct target *t)
{
	const bool never = false;
	const char *parent = strchr(t->agent_id + strlen("spiffe://"), '/');
	create_batch(t, parent, "signed", 0, t->entry_ids);
	/* A server that polls its registry needs a while before it knows them. */
	for (int i = 0; i < 60 && !one_batch_works(t); i++)
		(void)writ_loop_run_until(loop, &never, writ_mono_ms() + 250);
	struct signing s = { .t = t };
	double cpu = cpu_ms(t);
	int64_t began = writ_mono_us();
	for (int i = 0; i < AT_A_TIME; i++)
		start_batch(&s);
	(void)writ_loop_run_until(loop, &s.done, writ_mono_ms() + 10 * CALL_MS);
	double wall = (double)(writ_mono_us() - began) / 1e6;
	printf("%-8s BatchNewX509SVID x%d  %8.0f SVIDs/s   cpu %5.0f us an SVID   %d SVIDs %s\n",
		t->name, BATCH, s.svids / wall,
		(cpu_ms(t) - cpu) * 1000.0 / (s.svids ? s.svids : 1), s.svids, s.problem);
	fflush(stdout);
}

/* NAME=HOST:PORT=SOCKET=PID,PID */
static int parse(const char *text, struct target *t)
{
	struct writ_str rest = writ_cstr(text), name, address, socket, pid, host;
	uint64_t v;
	if (!writ_str_cut(&rest, '=', &name) || !writ_str_cut(&rest, '=', &address) ||
		!writ_str_cut(&rest, '=', &socket) || !writ_str_cut(&address, ':', &host) ||
		writ_parse_u64(address, 1, 65535, &v, NULL) != WRIT_OK)
		return -1;
	t->name = writ_strndup(name.p, name.n);
	t->host = writ_strndup(host.p, host.n);
	t->port = (uint16_t)v;
	t->admin_path = writ_strndup(socket.p, socket.n);
	while (rest.n && t->n_pids < PIDS_MAX) {
		(void)writ_str_cut(&rest, ',', &pid);
		if (writ_parse_u64(pid, 1, INT32_MAX, &v, NULL) != WRIT_OK)
			return -1;
		t->pids[t->n_pids++] = (long)v;
	}
	return 0;
}

int main(int argc, char **argv)
{
	static struct target targets[SERVERS_MAX];
	struct writ_err err;
	int n = 0, opt;
	while ((opt = getopt(argc, argv, "e:b:t:")) != -1) {
		if (opt == 'e')
			n_entries = (int)strtol(optarg, NULL, 10);
		else if (opt == 'b')
			n_batches = (int)strtol(optarg, NULL, 10);
		else if (opt == 't')
			td = optarg;
		else
			return 2;
	}
	for (; optind < argc && n < SERVERS_MAX; optind++) {
		if (parse(argv[optind], &targets[n++]) != 0) {
			fprintf(stderr,
				"bench_server [-e ENTRIES] [-b BATCHES] [-t TRUST-DOMAIN] "
				"NAME=HOST:PORT=ADMIN_SOCKET=PID[,PID]...\n");
			return 2;
		}
	}
	if (writ_crypto_init(&err) != WRIT_OK || writ_loop_new(&loop, &err) != WRIT_OK)
		die("start", &err);
	writ_rpc_init();
	make_csrs();
	for (int i = 0; i < n; i++)
		join_as_agent(&targets[i]);
	for (int i = 0; i < n; i++)
		bench_sign(&targets[i]);
	for (int i = 0; i < n && n_entries; i++)
		bench_create(&targets[i]);
	for (int i = 0; i < n && n_entries; i++)
		bench_list(&targets[i]);
	for (int i = 0; i < n && n_entries; i++)
		bench_idle(&targets[i]);
	_exit(0); /* connections end with the process */
}
