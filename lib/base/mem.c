/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *or_abort(void *p)
{
	if (!p)
		abort(); /* no half-tested branches for memory that never runs out
			    alone */
	return p;
}

void *writ_alloc(size_t n)
{
	return or_abort(calloc(1, n ? n : 1));
}

void *writ_alloc_array(size_t count, size_t size)
{
	return or_abort(calloc(count ? count : 1, size ? size : 1));
}

void *writ_realloc(void *p, size_t n)
{
	return or_abort(realloc(p, n ? n : 1));
}

char *writ_strndup(const char *s, size_t n)
{
	char *d = writ_alloc(n + 1);
	if (n)
		memcpy(d, s, n);
	return d;
}

char *writ_strdup(const char *s)
{
	return s ? writ_strndup(s, strlen(s)) : NULL;
}

void *writ_memdup(const void *p, size_t n)
{
	void *d = writ_alloc(n);
	if (n)
		memcpy(d, p, n);
	return d;
}

char *writ_asprintf(const char *fmt, ...)
{
	va_list ap;
	char *s = NULL;
	va_start(ap, fmt);
	if (vasprintf(&s, fmt, ap) < 0)
		s = NULL;
	va_end(ap);
	return or_abort(s);
}

void writ_free(void *p)
{
	free(p);
}

void writ_freep(void *pp)
{
	void *p;
	memcpy(&p, pp, sizeof(p));
	free(p);
}

void writ_closep(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}
