/* SPDX-License-Identifier: Apache-2.0 */
/* The smallest user of libwrit: every header compiles, every function links, an error is one, and
 * nothing is printed. It has a function whose name libwrit uses inside. */
#include <writ/source.h>
#include <writ/tls.h>

#include <stdio.h>
#include <string.h>

int writ_buf_add(void);

int writ_buf_add(void)
{
	return 7;
}

/* Linked, and called in no test: this process has no agent. */
int everything(struct writ_x509_source *source);

int everything(struct writ_x509_source *source)
{
	struct writ_authorize nobody = { 0 };
	struct writ_x509_svid *svid = NULL;
	SSL_CTX *ctx = NULL;
	char *pem = NULL;
	int bad = writ_x509_source_svid(source, &svid, NULL) +
		writ_x509_source_bundle_pem(source, NULL, &pem, NULL) +
		writ_tls_server(source, &nobody, &ctx, NULL) +
		writ_tls_client(source, &nobody, &ctx, NULL);
	writ_x509_svid_free(svid);
	writ_text_free(pem);
	return bad + (writ_tls_peer(NULL) != NULL);
}

int main(int argc, char **argv)
{
	struct writ_error error = { WRIT_ERROR_NONE, "" };
	struct writ_x509_source *source = NULL;
	struct writ_x509_source_options options = { 0 };
	(void)argv;
	options.size = sizeof(options);
	options.endpoint = "unix:///nowhere/api.sock";
	options.timeout_ms = 100;
	int code = writ_x509_source_new(&options, &source, &error);
	if (argc > 99)
		return everything(source);
	writ_x509_source_free(source);
	printf("%d %s\n", code, error.message);
	return code == WRIT_ERROR_UNAVAILABLE && strstr(error.message, "/nowhere/api.sock") &&
			writ_buf_add() == 7
		? 0
		: 1;
}
