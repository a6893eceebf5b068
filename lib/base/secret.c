/* SPDX-License-Identifier: Apache-2.0 */
#include "base/secret.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

static size_t page_round(size_t n)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	return (n + page - 1) / page * page;
}

writ_rc writ_secret_set(struct writ_secret *s, const void *p, size_t n, struct writ_err *err)
{
	if (n > WRIT_SECRET_MAX)
		return writ_fail(err, WRIT_ELIMIT, "a secret of %zu bytes, at most %d are taken", n,
			WRIT_SECRET_MAX);
	writ_secret_done(s);
	if (!n)
		return WRIT_OK;
	size_t size = page_round(n);
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (at == MAP_FAILED)
		return writ_fail_errno(err, errno, "memory for a secret");
	if (mlock(at, size) != 0) {
		int e = errno;
		munmap(at, size);
		return writ_fail_errno(err, e,
			"lock %zu bytes of memory for a secret (raise LimitMEMLOCK or ulimit -l)",
			size);
	}
	(void)madvise(at, size, MADV_DONTDUMP);
	(void)madvise(at, size, MADV_WIPEONFORK);
	memcpy(at, p, n);
	s->p = at;
	s->n = n;
	return WRIT_OK;
}

void writ_secret_done(struct writ_secret *s)
{
	if (s->p) {
		size_t size = page_round(s->n);
		writ_wipe(s->p, size);
		munmap(s->p, size);
	}
	*s = (struct writ_secret){ 0 };
}

bool writ_ct_eq(const void *a, const void *b, size_t n)
{
	const volatile uint8_t *x = a, *y = b;
	uint8_t diff = 0;
	for (size_t i = 0; i < n; i++)
		diff = (uint8_t)(diff | (x[i] ^ y[i]));
	return diff == 0;
}

bool writ_secret_eq(const struct writ_secret *s, const void *p, size_t n)
{
	return s->n == n && writ_ct_eq(s->p, p, n);
}

void writ_wipe(void *p, size_t n)
{
	if (n)
		explicit_bzero(p, n);
}

void writ_process_harden(void)
{
	const struct rlimit none = { 0, 0 };
	(void)setrlimit(RLIMIT_CORE, &none);
#ifndef WRIT_SANITIZED /* LeakSanitizer must be able to trace its own process */
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	(void)sigaction(SIGPIPE, &ignore, NULL);
}
