/* SPDX-License-Identifier: Apache-2.0 */
/* bench_signer [seconds for each row] [folder of the record]: what an X509-SVID costs in the signer
 * process, lint, issuance record and its sync included: micro-seconds of CPU there, and SVIDs a
 * second when batches go one by one. */
#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "crypto/issue.h"
#include "signer/vault.h"
#include "writ/signer/v1/signer.pb-c.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TD      "example.org"
#define ITEMS   128
#define WAIT_MS 30000

typedef Writ__Signer__V1__Request request;
typedef Writ__Signer__V1__Reply reply;

static struct {
	pid_t pid;
	clockid_t cpu;
	int server, monitor;
	struct writ_buf in, out;
	struct writ_pubkey keys[ITEMS];
	uint64_t id;
} b;

static void must(writ_rc rc, const struct writ_err *err)
{
	if (rc != WRIT_OK) {
		fprintf(stderr, "bench_signer: %s\n", err->msg);
		exit(1);
	}
}

static int64_t cpu_ns(void)
{
	struct timespec t = { 0 };
	if (clock_gettime(b.cpu, &t) != 0)
		exit(1);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void run_signer(int server, int record, int monitor)
{
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 32);
	if (n <= 0)
		_exit(127);
	path[n] = 0;
	snprintf(strrchr(path, '/'), 32, "/../bin/writ-signer");
	int fds[] = { server, record, monitor };
	for (int i = 0; i < 3; i++) /* out of the way of what they will be */
		fds[i] = fcntl(fds[i], F_DUPFD, 20);
	for (int i = 0; i < 3; i++)
		if (dup2(fds[i], 3 + i) < 0)
			_exit(127);
	execl(path, "writ-signer", NULL);
	_exit(127);
}

static void tell(enum writ_vault_type type, const char *name, const char *data)
{
	struct writ_err err;
	const struct writ_vault_msg m = { type, writ_cstr(name), writ_cstr(data) };
	must(writ_vault_send(b.monitor, &m, -1, &err), &err);
}

static void start(const char *dir)
{
	int server[2], monitor[2];
	struct writ_err err;
	WRIT_AUTO(writ_freep) char *path = writ_asprintf("%s/bench-issued.jsonl", dir);
	int record = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	if (record < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, server) != 0 ||
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, monitor) != 0) {
		perror("bench_signer");
		exit(1);
	}
	unlink(path);
	b.pid = fork();
	if (b.pid == 0)
		run_signer(server[1], record, monitor[1]);
	close(server[1]);
	close(monitor[1]);
	close(record);
	b.server = server[0];
	b.monitor = monitor[0];
	tell(WRIT_VAULT_CONFIG, "trust_domain", TD);
	tell(WRIT_VAULT_CONFIG, "key_manager", "memory");
	tell(WRIT_VAULT_GO, "", "");
	struct writ_vault_link l;
	struct writ_vault_msg m;
	struct writ_str frame;
	writ_vault_link_init(&l, b.monitor);
	must(writ_vault_next(&l, writ_mono_ms() + WAIT_MS, &m, &frame, &err), &err);
	writ_vault_link_done(&l);
	if (clock_getcpuclockid(b.pid, &b.cpu) != 0)
		exit(1);
}

static reply *ask(request *q)
{
	struct writ_err err;
	struct writ_str frame;
	q->id = ++b.id;
	writ_buf_reset(&b.out);
	size_t at = writ_frame_start(&b.out), n = writ__signer__v1__request__get_packed_size(q);
	writ_buf_grew(&b.out, writ__signer__v1__request__pack(q, writ_buf_room(&b.out, n)));
	must(writ_frame_end(&b.out, at, &err), &err);
	must(writ_frame_send(b.server, writ_buf_str(&b.out), -1, writ_mono_ms() + WAIT_MS, &err),
		&err);
	must(writ_frame_recv(b.server, &b.in, NULL, writ_mono_ms() + WAIT_MS, &frame, &err), &err);
	reply *r = writ__signer__v1__reply__unpack(NULL, frame.n, (const uint8_t *)frame.p);
	writ_frame_drop(&b.in, frame);
	if (!r || r->rc) {
		fprintf(stderr, "bench_signer: %s\n", r ? r->error : "no reply");
		exit(1);
	}
	return r;
}

static void make_ca(void)
{
	Writ__Signer__V1__PrepareCa p = WRIT__SIGNER__V1__PREPARE_CA__INIT;
	Writ__Signer__V1__ActivateCa a = WRIT__SIGNER__V1__ACTIVATE_CA__INIT;
	request q = WRIT__SIGNER__V1__REQUEST__INIT;
	char td[] = TD, org[] = "bench";
	p.trust_domain = td;
	p.organization = org;
	p.not_before = writ_wall_s() - 10;
	p.not_after = writ_wall_s() + 3600;
	q.op_case = WRIT__SIGNER__V1__REQUEST__OP_PREPARE_CA;
	q.prepare_ca = &p;
	reply *r = ask(&q);
	a.authority_id = r->cas[0]->authority_id;
	q.op_case = WRIT__SIGNER__V1__REQUEST__OP_ACTIVATE_CA;
	q.activate_ca = &a;
	writ__signer__v1__reply__free_unpacked(ask(&q), NULL);
	writ__signer__v1__reply__free_unpacked(r, NULL);
}

static void sign(size_t n)
{
	static char id[] = "spiffe://" TD "/ns/production/sa/billing",
		    entry[] = "0f5b2c1e-6a3d-4b8e-9d61-2f1f6f0b7a11",
		    agent[] = "spiffe://" TD "/spire/agent/join_token/4c1d6ea0";
	Writ__Signer__V1__SignItem items[ITEMS], *list[ITEMS];
	Writ__Signer__V1__Sign s = WRIT__SIGNER__V1__SIGN__INIT;
	request q = WRIT__SIGNER__V1__REQUEST__INIT;
	for (size_t i = 0; i < n; i++) {
		writ__signer__v1__sign_item__init(&items[i]);
		items[i].spiffe_id = id;
		items[i].entry_id = entry;
		items[i].agent_id = agent;
		items[i].spki = (ProtobufCBinaryData){ b.keys[i].spki_len, b.keys[i].spki };
		items[i].not_before = writ_wall_s() - 10;
		items[i].not_after = writ_wall_s() + 300;
		list[i] = &items[i];
	}
	s.items = list;
	s.n_items = n;
	q.op_case = WRIT__SIGNER__V1__REQUEST__OP_SIGN;
	q.sign = &s;
	reply *r = ask(&q);
	for (size_t i = 0; i < n; i++)
		if (r->results[i]->rc) {
			fprintf(stderr, "bench_signer: %s\n", r->results[i]->error);
			exit(1);
		}
	writ__signer__v1__reply__free_unpacked(r, NULL);
}

static void row(size_t batch, int64_t ms)
{
	int64_t cpu = cpu_ns(), start_us = writ_mono_us(), n = 0;
	while (writ_mono_us() - start_us < ms * 1000) {
		sign(batch);
		n += (int64_t)batch;
	}
	double us = (double)(cpu_ns() - cpu) / 1000.0 / (double)n;
	double wall = (double)(writ_mono_us() - start_us) / 1e6;
	printf("%7zu %10lld %14.1f %12.0f\n", batch, (long long)n, us, (double)n / wall);
}

int main(int argc, char **argv)
{
	static const size_t batches[] = { 1, 10, 100, 128 };
	struct writ_err err;
	uint64_t seconds = 3;
	b.in = b.out = WRIT_BUF(WRIT_FRAME_MAX + WRIT_FRAME_HEAD);
	if (argc > 1)
		must(writ_parse_u64(writ_cstr(argv[1]), 1, 600, &seconds, &err), &err);
	for (size_t i = 0; i < ITEMS; i++) {
		struct writ_key *k;
		must(writ_key_generate(WRIT_KEY_P256, &k, &err), &err);
		must(writ_pubkey_of_key(k, &b.keys[i], &err), &err);
		writ_key_unref(k);
	}
	start(argc > 2 ? argv[2] : ".");
	make_ca();
	sign(ITEMS);
	printf("%7s %10s %14s %12s\n", "batch", "SVIDs", "signer us/SVID", "SVIDs/s");
	for (size_t i = 0; i < WRIT_COUNT(batches); i++)
		row(batches[i], (int64_t)seconds * 1000);
	kill(b.pid, SIGKILL);
	waitpid(b.pid, NULL, 0);
	return 0;
}
