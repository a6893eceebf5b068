/* SPDX-License-Identifier: Apache-2.0 */
/* What the Workload API costs an agent, ours or any other: give each as NAME=SOCKET=PID, and all
 * are measured in turn in one run.
 *
 *   bench_workload [-n CALLS] [-r ROUNDS] [-s STREAMS] [-k KEEP_SECONDS]
 * writ=/run/writ/agent/public/api.sock=4711 other=/tmp/other/api.sock=4712
 *
 * Fresh calls: connect, FetchX509SVID, first message, close; CPU (user and system) is that of the
 * agent's process, from /proc. Idle streams: the same without the close; memory is Pss. The machine
 * is shared: compare figures of one run. */
#include "h2_client.h"

#include "base/clock.h"
#include "base/mem.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define METHOD     "/SpiffeWorkloadAPI/FetchX509SVID"
#define HEADER     "workload.spiffe.io"
#define AGENTS_MAX 4

struct agent {
	char *name, *socket;
	long pid;
	double first_cpu[2]; /* us a call with 1 and 8 clients: sums over the rounds */
};

static int calls = 3000, rounds = 3, streams = 1000, keep_s = 0;

static int64_t cpu_us(long pid)
{
	char path[64], text[1024];
	long long user, system;
	snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
	FILE *f = fopen(path, "re");
	size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;
	if (f)
		fclose(f);
	text[n] = '\0';
	const char *at = strrchr(text, ')');
	if (!at ||
		sscanf(at + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lld %lld", &user,
			&system) != 2) {
		fprintf(stderr, "process %ld cannot be read\n", pid);
		exit(1);
	}
	return (user + system) * 1000000 / sysconf(_SC_CLK_TCK);
}

static int64_t pss_kb(long pid)
{
	char path[64], line[256];
	long long kb = 0;
	snprintf(path, sizeof(path), "/proc/%ld/smaps_rollup", pid);
	FILE *f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "Pss: %lld kB", &kb) == 1)
			break;
	}
	if (f)
		fclose(f);
	return kb;
}

struct worker {
	pthread_t thread;
	const struct agent *agent;
	int n;
	int64_t *took_us;
	int failed;
};

static void *call_many(void *arg)
{
	struct worker *w = arg;
	struct h2 *h = writ_alloc(sizeof(*h));
	for (int i = 0; i < w->n; i++) {
		int64_t began = writ_mono_us();
		if (h2_open(h, w->agent->socket, METHOD, HEADER) != 0 || !h2_wait(h, 1, 5000))
			w->failed++;
		h2_close(h);
		w->took_us[i] = writ_mono_us() - began;
	}
	writ_free(h);
	return NULL;
}

static int by_size(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return (x > y) - (x < y);
}

static double fresh_calls(const struct agent *a, int clients)
{
	struct worker *w = writ_alloc_array((size_t)clients, sizeof(*w));
	int64_t *took = writ_alloc_array((size_t)calls, sizeof(*took));
	int each = calls / clients, failed = 0;
	int64_t cpu = cpu_us(a->pid), began = writ_mono_us();
	for (int i = 0; i < clients; i++) {
		w[i] = (struct worker){ .agent = a, .n = each, .took_us = took + i * each };
		pthread_create(&w[i].thread, NULL, call_many, &w[i]);
	}
	for (int i = 0; i < clients; i++) {
		pthread_join(w[i].thread, NULL);
		failed += w[i].failed;
	}
	int64_t wall = writ_mono_us() - began;
	usleep(50000); /* let it finish closing: that is part of the price */
	cpu = cpu_us(a->pid) - cpu;
	int done = each * clients;
	qsort(took, (size_t)done, sizeof(*took), by_size);
	double per_call = (double)cpu / done;
	printf("%-8s fresh, %d client%s %5d calls  cpu %6.0f us  p50 %6.0f us  p99 %6.0f us  %6.0f "
	       "calls/s  failed %d\n",
		a->name, clients, clients == 1 ? " " : "s", done, per_call, (double)took[done / 2],
		(double)took[done * 99 / 100], done / ((double)wall / 1e6), failed);
	fflush(stdout);
	writ_free(took);
	writ_free(w);
	return per_call;
}

static void idle_streams(const struct agent *a)
{
	struct h2 **h = writ_alloc_array((size_t)streams, sizeof(*h));
	int open = 0;
	int64_t before = pss_kb(a->pid);
	for (; open < streams; open++) {
		h[open] = writ_alloc(sizeof(**h));
		if (h2_open(h[open], a->socket, METHOD, HEADER) != 0 ||
			!h2_wait(h[open], 1, 5000)) {
			h2_close(h[open]);
			writ_free(h[open]);
			break;
		}
	}
	int64_t after = pss_kb(a->pid);
	printf("%-8s idle streams %5d   Pss %6.1f -> %6.1f MB   %5.1f kB a stream\n", a->name, open,
		(double)before / 1024, (double)after / 1024,
		open ? (double)(after - before) / open : 0.0);
	fflush(stdout);
	sleep((unsigned)keep_s);
	while (open > 0) {
		h2_close(h[--open]);
		writ_free(h[open]);
	}
	writ_free(h);
}

static int parse_agent(const char *text, struct agent *a)
{
	const char *first = strchr(text, '='), *last = strrchr(text, '=');
	if (!first || first == last)
		return -1;
	a->name = writ_strndup(text, (size_t)(first - text));
	a->socket = writ_strndup(first + 1, (size_t)(last - first - 1));
	a->pid = strtol(last + 1, NULL, 10);
	return a->pid > 0 ? 0 : -1;
}

int main(int argc, char **argv)
{
	struct agent agents[AGENTS_MAX] = { 0 };
	int n = 0, opt;
	while ((opt = getopt(argc, argv, "n:r:s:k:")) != -1) {
		int v = (int)strtol(optarg ? optarg : "0", NULL, 10);
		if (opt == 'n')
			calls = v;
		else if (opt == 'r')
			rounds = v;
		else if (opt == 's')
			streams = v;
		else if (opt == 'k')
			keep_s = v;
		else
			return 2;
	}
	struct rlimit r;
	if (getrlimit(RLIMIT_NOFILE, &r) == 0) {
		r.rlim_cur = r.rlim_max;
		setrlimit(RLIMIT_NOFILE, &r);
	}
	for (; optind < argc && n < AGENTS_MAX; optind++) {
		if (parse_agent(argv[optind], &agents[n++]) != 0) {
			fprintf(stderr,
				"bench_workload [-n CALLS] [-r ROUNDS] [-s STREAMS] "
				"NAME=SOCKET=PID...\n");
			return 2;
		}
	}
	for (int i = 0; i < n; i++)
		printf("%-8s idle Pss %.1f MB\n", agents[i].name,
			(double)pss_kb(agents[i].pid) / 1024);
	static const int clients[] = { 1, 8 };
	for (int round = 0; round < rounds; round++) {
		for (size_t c = 0; c < 2; c++) {
			for (int i = 0; i < n; i++)
				agents[i].first_cpu[c] += fresh_calls(&agents[i], clients[c]);
		}
	}
	for (int i = 0; streams > 0 && i < n; i++)
		idle_streams(&agents[i]);
	for (size_t c = 0; n > 1 && c < 2; c++)
		printf("ratio %s / %s, %d client%s: cpu %.2f\n", agents[0].name, agents[1].name,
			clients[c], clients[c] == 1 ? "" : "s",
			agents[0].first_cpu[c] / agents[1].first_cpu[c]);
	return 0;
}
