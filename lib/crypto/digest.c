/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/digest.h"

#include "base/mem.h"
#include "crypto/ossl.h"

#include <errno.h>
#include <inttypes.h>
#include <openssl/err.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct {
	pthread_once_t once;
	EVP_MD *sha256, *sha384, *sha512, *sha1;
} md = { .once = PTHREAD_ONCE_INIT };

static void md_fetch(void)
{
	md.sha256 = EVP_MD_fetch(NULL, "SHA2-256", NULL);
	md.sha384 = EVP_MD_fetch(NULL, "SHA2-384", NULL);
	md.sha512 = EVP_MD_fetch(NULL, "SHA2-512", NULL);
	md.sha1 = EVP_MD_fetch(NULL, "SHA1", NULL);
	if (!md.sha256 || !md.sha384 || !md.sha512 || !md.sha1) {
		fputs("OpenSSL has no SHA-2 or SHA-1: is its default provider switched off?\n",
			stderr);
		abort();
	}
}

const EVP_MD *writ_md_sha256(void)
{
	pthread_once(&md.once, md_fetch);
	return md.sha256;
}

const EVP_MD *writ_md_sha384(void)
{
	pthread_once(&md.once, md_fetch);
	return md.sha384;
}

const EVP_MD *writ_md_sha512(void)
{
	pthread_once(&md.once, md_fetch);
	return md.sha512;
}

const EVP_MD *writ_md_sha1(void)
{
	pthread_once(&md.once, md_fetch);
	return md.sha1;
}

writ_rc writ_fail_ossl(struct writ_err *err, writ_rc rc, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	writ_vfail(err, rc, fmt, ap);
	va_end(ap);
	unsigned long e = ERR_get_error();
	const char *why = e ? ERR_reason_error_string(e) : NULL;
	if (why && err) {
		char what[WRIT_ERR_MAX];
		snprintf(what, sizeof(what), "%s", err->msg);
		writ_fail(err, rc, "%s: %s", what, why);
	}
	ERR_clear_error();
	return rc;
}

static void hash(const EVP_MD *type, const void *p, size_t n, uint8_t *out)
{
	if (EVP_Digest(p, n, out, NULL, type, NULL) != 1) {
		fputs("OpenSSL cannot hash\n", stderr);
		abort();
	}
}

void writ_sha256(const void *p, size_t n, uint8_t out[WRIT_SHA256_LEN])
{
	hash(writ_md_sha256(), p, n, out);
}

void writ_sha1(const void *p, size_t n, uint8_t out[WRIT_SHA1_LEN])
{
	hash(writ_md_sha1(), p, n, out);
}

#define READ_SIZE (256 * 1024)

writ_rc writ_sha256_file(int fd, uint64_t max, uint8_t out[WRIT_SHA256_LEN], struct writ_err *err)
{
	WRIT_AUTO(writ_evp_md_ctx_freep) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	WRIT_AUTO(writ_freep) uint8_t *buf = writ_alloc(READ_SIZE);
	uint8_t digest[EVP_MAX_MD_SIZE];
	uint64_t at = 0;
	if (!ctx || EVP_DigestInit_ex2(ctx, writ_md_sha256(), NULL) != 1)
		return writ_fail_ossl(err, WRIT_ECRYPTO, "start SHA-256");
	for (;;) {
		ssize_t n = pread(fd, buf, READ_SIZE, (off_t)at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return writ_fail_errno(err, errno, "read the file to hash");
		if (n == 0)
			break;
		at += (uint64_t)n;
		if (at > max)
			return writ_fail(err, WRIT_ELIMIT,
				"the file to hash is larger than %" PRIu64 " bytes", max);
		if (EVP_DigestUpdate(ctx, buf, (size_t)n) != 1)
			return writ_fail_ossl(err, WRIT_ECRYPTO, "SHA-256 of a file");
	}
	if (EVP_DigestFinal_ex(ctx, digest, NULL) != 1)
		return writ_fail_ossl(err, WRIT_ECRYPTO, "SHA-256 of a file");
	for (size_t i = 0; i < WRIT_SHA256_LEN; i++)
		out[i] = digest[i];
	return WRIT_OK;
}
