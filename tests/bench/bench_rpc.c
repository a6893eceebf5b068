/* SPDX-License-Identifier: Apache-2.0 */
/* What one fresh call costs the server: connect, one call of a server stream, first message of 1.5
 * kB, close; over a Unix socket, through the front. CPU is that of the server's process, clients
 * are another one. `bench_rpc [calls]`; with -P there is no front: what gRPC and lib/rpc cost by
 * themselves. With -I N: memory of N idle streams. */
#include "base/clock.h"
#include "base/mem.h"
#include "rpc/channel.h"
#include "rpc/server.h"

#include "grpc/health/v1/health.pb-c.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define TEXT_BYTES 1500

typedef Grpc__Health__V1__HealthCheckRequest Text;
#define TEXT (&grpc__health__v1__health_check_request__descriptor)

/* --- the server's process --- */

struct report {
	int64_t cpu_us, pss_kb, calls, switches;
};

static struct writ_loop *loop;
static struct writ_rpc_server *server;
static char text[TEXT_BYTES + 1];
static int64_t calls;
static int control, listener;

static void ended(struct writ_call *c)
{
	(void)c;
	calls++;
}

static void idle(struct writ_call *c)
{
	Text m = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;
	m.service = text;
	writ_call_on_end(c, ended);
	if (writ_call_send(c, &m.base, NULL) != WRIT_OK)
		abort();
}

static int64_t pss_kb(void)
{
	char line[256];
	long long kb = 0;
	FILE *f = fopen("/proc/self/smaps_rollup", "re");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "Pss: %lld kB", &kb) == 1)
			break;
	if (f)
		fclose(f);
	return kb;
}

static void on_control(void *arg, int events)
{
	char c;
	struct rusage u;
	(void)arg;
	(void)events;
	if (read(control, &c, 1) != 1) {
		writ_loop_stop(loop);
		return;
	}
	getrusage(RUSAGE_SELF, &u);
	struct report r = { .calls = calls, .pss_kb = c == 'm' ? pss_kb() : 0 };
	r.cpu_us = (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000 + u.ru_utime.tv_usec +
		u.ru_stime.tv_usec;
	r.switches = u.ru_nvcsw;
	if (write(control, &r, sizeof(r)) != sizeof(r))
		abort();
}

static void on_listener(void *arg, int events)
{
	(void)arg;
	(void)events;
	for (;;) {
		int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0)
			return;
		struct writ_peer *p = writ_alloc(sizeof(*p));
		p->refs = 1;
		p->pidfd = -1;
		writ_rpc_server_add_fd(server, fd, p);
		writ_peer_unref(p);
	}
}

static void refused(void *arg, const char *addr, const struct writ_err *why)
{
	(void)arg;
	fprintf(stderr, "bench_rpc: refused %s: %s\n", addr, why->msg);
}

static void closed(void *arg, struct writ_peer *peer, const char *why)
{
	(void)arg;
	if (getenv("BENCH_VERBOSE"))
		fprintf(stderr, "bench_rpc: closed %s: %s\n", peer->addr, why);
}

static void stopped(void *arg)
{
	(void)arg;
	writ_loop_stop(loop);
}

static int serve(bool front)
{
	static const struct writ_rpc_method methods[] = { { .path = "/t.Echo/Idle",
		.kind = WRIT_RPC_SERVER_STREAM,
		.in = TEXT,
		.out = TEXT,
		.handle = idle } };
	struct writ_err err;
	struct writ_poll *poll = NULL, *accepting = NULL;
	memset(text, 'x', TEXT_BYTES);
	writ_rpc_init();
	writ_rc rc = writ_loop_new(&loop, &err);
	struct writ_rpc_server_config cfg = {
		.loop = loop, .methods = methods, .n_methods = 1, .max_request = 65536
	};
	cfg.front.name = "bench";
	cfg.front.refused = refused;
	cfg.front.closed = closed;
	cfg.front.limits = WRIT_FRONT_LIMITS;
	cfg.front.limits.per_uid = cfg.front.limits.per_process = 100000;
	cfg.front.limits.stream_rate = cfg.front.limits.stream_burst = 1000000;
	cfg.front.limits.control_rate = cfg.front.limits.control_burst = 1000000;
	if (rc == WRIT_OK)
		rc = writ_rpc_server_start(&cfg, front ? listener : -1, &server, &err);
	if (rc == WRIT_OK)
		rc = writ_poll_new(loop, control, on_control, NULL, &poll, &err);
	if (rc == WRIT_OK && !front)
		rc = writ_poll_new(loop, listener, on_listener, NULL, &accepting, &err);
	if (rc != WRIT_OK) {
		fprintf(stderr, "bench_rpc: %s\n", err.msg);
		return 1;
	}
	writ_poll_set(poll, WRIT_READABLE);
	if (accepting)
		writ_poll_set(accepting, WRIT_READABLE);
	writ_loop_run(loop);
	writ_poll_free(poll);
	if (accepting)
		writ_poll_free(accepting);
	writ_rpc_server_stop(server, 1000, stopped, NULL);
	writ_loop_run(loop);
	writ_loop_free(loop);
	writ_rpc_shutdown();
	return 0;
}

/* --- the clients --- */

static struct sockaddr_un address = { .sun_family = AF_UNIX };
static atomic_int left;

static const char request[] =
	"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
	"\0\0\0\4\0\0\0\0\0"                          /* SETTINGS */
	"\0\0\70\1\4\0\0\0\1"                         /* HEADERS */
	"\203\206\4\14/t.Echo/Idle\1\1x"              /* POST, http, path, authority */
	"\20\2te\10trailers\17\20\20application/grpc" /* te, content-type */
	"\20\1k\1v"
	"\0\0\5\0\1\0\0\0\1\0\0\0\0\0"; /* DATA: an empty message, and the end */

static int connect_and_call(void)
{
	uint8_t buf[8192];
	size_t got = 0;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
		write(fd, request, sizeof(request) - 1) != sizeof(request) - 1) {
		perror("bench_rpc: client");
		exit(1);
	}
	while (got < TEXT_BYTES) { /* the message is most of what comes */
		ssize_t n = read(fd, buf, sizeof(buf));
		if (n <= 0) {
			fprintf(stderr, "bench_rpc: the server hung up\n");
			exit(1);
		}
		got += (size_t)n;
	}
	return fd;
}

static void *client(void *arg)
{
	(void)arg;
	while (atomic_fetch_sub(&left, 1) > 0)
		close(connect_and_call());
	return NULL;
}

/* "c": the counters, "m": memory too, which costs CPU itself. */
static struct report ask(int fd, const char *what)
{
	struct report r;
	if (write(fd, what, 1) != 1 || read(fd, &r, sizeof(r)) != sizeof(r)) {
		fprintf(stderr, "bench_rpc: the server does not answer\n");
		exit(1);
	}
	return r;
}

static void wait_calls(int fd, int64_t n)
{
	while (ask(fd, "c").calls < n)
		usleep(1000);
}

static void run(int fd, int clients, int n)
{
	pthread_t t[64];
	int64_t start_us = writ_mono_us();
	struct report before = ask(fd, "c");
	atomic_store(&left, n);
	for (int i = 0; i < clients; i++)
		pthread_create(&t[i], NULL, client, NULL);
	for (int i = 0; i < clients; i++)
		pthread_join(t[i], NULL);
	int64_t wall = writ_mono_us() - start_us;
	wait_calls(fd, before.calls + n);
	struct report after = ask(fd, "c"), memory = ask(fd, "m");
	printf("%7d %8d %10.1f %10.1f %12.2f %9.1f\n", clients, n,
		(double)(after.cpu_us - before.cpu_us) / n, n / (wall / 1e6),
		(double)(after.switches - before.switches) / n, (double)memory.pss_kb / 1024);
}

static void run_idle(int fd, int n)
{
	int *fds = calloc((size_t)n, sizeof(*fds));
	struct report before = ask(fd, "m");
	for (int i = 0; i < n; i++)
		fds[i] = connect_and_call();
	struct report with = ask(fd, "m");
	printf("%d idle streams: %.1f kB each (%lld -> %lld kB)\n", n,
		(double)(with.pss_kb - before.pss_kb) / n, (long long)before.pss_kb,
		(long long)with.pss_kb);
	for (int i = 0; i < n; i++)
		close(fds[i]);
	free(fds);
	wait_calls(fd, before.calls + n);
}

int main(int argc, char **argv)
{
	bool front = true;
	int n = 5000, streams = 0, pair[2], o;
	while ((o = getopt(argc, argv, "PI:")) != -1) {
		front = o == 'P' ? false : front;
		streams = o == 'I' ? atoi(optarg) : streams;
	}
	if (optind < argc)
		n = atoi(argv[optind]);
	char dir[] = "/tmp/bench_rpc.XXXXXX";
	if (!mkdtemp(dir) || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
		return 1;
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/s", dir);
	struct writ_err err;
	if (writ_listen_unix(address.sun_path, 0600, &listener, &err) != WRIT_OK) {
		fprintf(stderr, "bench_rpc: %s\n", err.msg);
		return 1;
	}
	pid_t pid = fork();
	if (pid == 0) {
		close(pair[0]);
		control = pair[1];
		_exit(serve(front));
	}
	close(pair[1]);
	close(listener);
	if (streams > 0) {
		run_idle(pair[0], streams);
	} else {
		printf("%7s %8s %10s %10s %12s %9s\n", "clients", "calls", "us CPU", "calls/s",
			"switches", "Pss MB");
		run(pair[0], 1, n / 10 + 1); /* warm */
		run(pair[0], 1, n);
		run(pair[0], 8, n);
	}
	close(pair[0]);
	int status = 0;
	waitpid(pid, &status, 0);
	unlink(address.sun_path);
	rmdir(dir);
	return status != 0;
}
