/* SPDX-License-Identifier: Apache-2.0 */
/* OpenSSL wipes what it knows to be a key, but its encoders and its lists of parameters leave
 * copies in memory that they free. */
#include "crypto/key.h"

#include "base/mem.h"
#include "base/secret.h"

#include <malloc.h>
#include <openssl/crypto.h>
#include <string.h>

static void *take(size_t n, const char *file, int line)
{
	(void)file;
	(void)line;
	return n ? writ_realloc(NULL, n) : NULL;
}

static void give_back(void *p, const char *file, int line)
{
	(void)file;
	(void)line;
	if (!p)
		return;
	writ_wipe(p, malloc_usable_size(p));
	writ_free(p);
}

static void *resize(void *p, size_t n, const char *file, int line)
{
	size_t had = p ? malloc_usable_size(p) : 0;
	if (p && n && n <= had && n > had / 2)
		return p;
	void *more = take(n, file, line);
	if (more && p)
		memcpy(more, p, had < n ? had : n);
	give_back(p, file, line);
	return more;
}

void writ_crypto_wipe_freed(void)
{
	/* It fails when OpenSSL has memory already: then there is less wiping, and no harm. */
	(void)CRYPTO_set_mem_functions(take, resize, give_back);
}
