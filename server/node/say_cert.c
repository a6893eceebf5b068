/* SPDX-License-Identifier: Apache-2.0 */
#include "node/say_cert.h"

#include "base/mem.h"

#include <string.h>

void writ_cert_print(const struct writ_cert *c, char out[WRIT_CERT_PRINT])
{
	uint8_t sha1[WRIT_SHA1_LEN];
	struct writ_str der = writ_cert_der(c);
	writ_sha1(der.p, der.n, sha1);
	writ_hex(sha1, sizeof(sha1), out);
}

void writ_node_select_cn(struct writ_node_exchange *x, const char *kind, struct writ_str cn)
{
	if (cn.n && !memchr(cn.p, '\0', cn.n))
		writ_node_select(x, "%s:cn:" WRIT_FMT, kind, WRIT_ARG(cn));
}

void writ_node_select_cas(struct writ_node_exchange *x, struct writ_cert *const *path, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		char print[WRIT_CERT_PRINT];
		writ_cert_print(path[i], print);
		writ_node_select(x, "ca:fingerprint:%s", print);
	}
}
