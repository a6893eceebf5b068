/* SPDX-License-Identifier: Apache-2.0 */
/* What a fresh connection costs the front: accept, credentials, guard, hand-over, one answer,
 * close. The backend is this program, so that nothing of gRPC is in the figures. Prints connections
 * a second and CPU of the serving thread for each, for 1, 4 and 8 clients on a Unix socket; a plain
 * accept-read-write-close loop beside it shows what the kernel takes. bench_front [seconds] [idle
 * connections] */
#include "front/front.h"

#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* Preface, SETTINGS, HEADERS on stream 1, DATA with its end. */
static const char request[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"
			      "\0\0\4\1\4\0\0\0\1abcd"
			      "\0\0\5\0\1\0\0\0\1\0\0\0\0\0";
static char answer[9 + 9 + 1500 + 13];

static struct {
	struct writ_front *front;
	int fds[65536]; /* backend end by connection number, modulo */
	uint64_t served;
} b;

static void on_ready(void *arg, int fd, struct writ_peer *peer)
{
	char c[512];
	(void)arg;
	if (recv(fd, c, sizeof(c), MSG_DONTWAIT) < (ssize_t)sizeof(request) - 1 ||
		send(fd, answer, sizeof(answer), MSG_NOSIGNAL) != sizeof(answer))
		abort();
	b.fds[peer->conn_id % 65536] = fd;
}

static void on_closed(void *arg, struct writ_peer *peer, const char *why)
{
	(void)arg, (void)why;
	close(b.fds[peer->conn_id % 65536]);
	b.served++;
}

static int dial(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	memcpy(sa.sun_path, path, strlen(path));
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&sa, sizeof(sa)) != 0)
		_exit(1);
	return fd;
}

static void call(const char *path)
{
	char c[4096];
	size_t got = 0;
	int fd = dial(path);
	if (send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL) < 0)
		_exit(1);
	while (got < sizeof(answer)) {
		ssize_t n = recv(fd, c, sizeof(c), 0);
		if (n <= 0)
			_exit(2);
		got += (size_t)n;
	}
	close(fd);
}

static pid_t start_client(const char *path)
{
	pid_t pid = fork();
	if (pid == 0) {
		for (;;)
			call(path);
	}
	return pid;
}

static void stop(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void report(const char *name, int clients, uint64_t n, int64_t cpu_us, int64_t us)
{
	printf("%-8s %7d %12.0f %16.1f\n", name, clients, (double)n * 1e6 / (double)us,
		n ? (double)cpu_us / (double)n : 0);
}

static void run_front(struct writ_loop *loop, const char *path, int clients, int64_t ms)
{
	pid_t pids[64];
	bool never = false;
	for (int i = 0; i < clients; i++)
		pids[i] = start_client(path);
	(void)writ_loop_run_until(loop, &never, writ_mono_ms() + 100);
	uint64_t served = b.served;
	int64_t cpu = writ_thread_cpu_us(), begin = writ_mono_us();
	(void)writ_loop_run_until(loop, &never, writ_mono_ms() + ms);
	report("front", clients, b.served - served, writ_thread_cpu_us() - cpu,
		writ_mono_us() - begin);
	for (int i = 0; i < clients; i++)
		stop(pids[i]);
	(void)writ_loop_run_until(loop, &never, writ_mono_ms() + 100);
}

/* The least that can be done: epoll on the listener, accept, read, write, wait for the end, close.
 */
static void run_plain(const char *path, int clients, int64_t ms)
{
	struct writ_err err;
	int lfd = -1;
	if (writ_listen_unix(path, 0600, &lfd, &err) != WRIT_OK) {
		fprintf(stderr, "%s\n", err.msg);
		exit(1);
	}
	pid_t pids[64];
	for (int i = 0; i < clients; i++)
		pids[i] = start_client(path);
	int ep = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event e = { .events = EPOLLIN, .data.fd = lfd }, got[64];
	epoll_ctl(ep, EPOLL_CTL_ADD, lfd, &e);
	uint64_t n = 0;
	int64_t cpu = writ_thread_cpu_us(), begin = writ_mono_us(), now = begin;
	while ((now = writ_mono_us()) - begin < ms * 1000) {
		int k = epoll_wait(ep, got, 64, 100);
		for (int i = 0; i < k; i++) {
			char c[4096];
			if (got[i].data.fd == lfd) {
				int fd = accept4(lfd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
				struct epoll_event ee = { .events = EPOLLIN, .data.fd = fd };
				if (fd >= 0)
					epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ee);
				continue;
			}
			ssize_t r = recv(got[i].data.fd, c, sizeof(c), 0);
			if (r > 0 && send(got[i].data.fd, answer, sizeof(answer), MSG_NOSIGNAL) > 0)
				continue;
			close(got[i].data.fd);
			n++;
		}
	}
	report("plain", clients, n, writ_thread_cpu_us() - cpu, now - begin);
	for (int i = 0; i < clients; i++)
		stop(pids[i]);
	close(lfd);
	close(ep);
	unlink(path);
}

static long rss_kb(void)
{
	long pages = 0, total = 0;
	FILE *f = fopen("/proc/self/statm", "re");
	if (!f || fscanf(f, "%ld %ld", &total, &pages) != 2)
		pages = 0;
	if (f)
		fclose(f);
	return pages * 4;
}

static void run_idle(struct writ_loop *loop, const char *path, int n)
{
	bool never = false;
	long before = rss_kb();
	int *fds = writ_alloc_array((size_t)n, sizeof(*fds));
	for (int i = 0; i < n; i++) {
		fds[i] = dial(path);
		if (send(fds[i], request, sizeof(request) - 1, MSG_NOSIGNAL) < 0)
			exit(1);
		if (i % 64 == 63)
			(void)writ_loop_run_until(loop, &never, writ_mono_ms() + 1);
	}
	(void)writ_loop_run_until(loop, &never, writ_mono_ms() + 300);
	int64_t cpu = writ_thread_cpu_us();
	(void)writ_loop_run_until(loop, &never, writ_mono_ms() + 1000);
	printf("idle: %zu connections, %.2f kB each, %lld us CPU in a second\n",
		writ_front_count(b.front), (double)(rss_kb() - before) / n,
		(long long)(writ_thread_cpu_us() - cpu));
	for (int i = 0; i < n; i++)
		close(fds[i]);
	(void)writ_loop_run_until(loop, &never, writ_mono_ms() + 500);
	writ_free(fds);
}

int main(int argc, char **argv)
{
	int64_t ms = argc > 1 ? strtol(argv[1], NULL, 10) * 1000 : 2000;
	int idle = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 2000;
	char dir[] = "/tmp/writ-bench-XXXXXX", path[64], plain[64];
	struct writ_loop *loop;
	struct writ_err err;
	int lfd;
	struct rlimit r;
	if (getrlimit(RLIMIT_NOFILE, &r) == 0) {
		r.rlim_cur = r.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &r);
	}
	if (!mkdtemp(dir))
		return 1;
	snprintf(path, sizeof(path), "%s/front.sock", dir);
	snprintf(plain, sizeof(plain), "%s/plain.sock", dir);
	/* SETTINGS, HEADERS, DATA, and nothing ends the stream. */
	memcpy(answer, "\0\0\0\4\0\0\0\0\0\0\0\4\1\4\0\0\0\1hdrs\0\5\xd4\0\0\0\0\0\1", 31);
	struct writ_front_config cfg = { .name = "bench",
		.limits = WRIT_FRONT_LIMITS,
		.http2 = true,
		.ready = on_ready,
		.closed = on_closed };
	cfg.limits.per_uid = cfg.limits.per_process = 100000;
	if (writ_loop_new(&loop, &err) != WRIT_OK ||
		writ_listen_unix(path, 0600, &lfd, &err) != WRIT_OK)
		return 1;
	cfg.loop = loop;
	if (writ_front_start(&cfg, lfd, &b.front, &err) != WRIT_OK)
		return 1;
	printf("%-8s %7s %12s %16s\n", "", "clients", "connections/s", "CPU us each");
	for (int clients = 1; clients <= 8; clients = clients == 1 ? 4 : clients * 2) {
		run_plain(plain, clients, ms);
		run_front(loop, path, clients, ms);
	}
	if (idle)
		run_idle(loop, path, idle);
	writ_front_free(b.front);
	writ_loop_free(loop);
	return writ_fs_remove_tree(dir, NULL) == WRIT_OK ? 0 : 1;
}
