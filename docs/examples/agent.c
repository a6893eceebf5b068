/* SPDX-License-Identifier: Apache-2.0 */
/* An agent that calls a tool, and is sure which tool it is.
 * usage: agent PORT TOOL-SPIFFE-ID */
#include <writ/tls.h>

#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int connect_to(uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0)
		return fd;
	perror("agent: connect");
	return -1;
}

static int call(SSL_CTX *ctx, int fd)
{
	char text[512];
	int n = -1;
	SSL *ssl = SSL_new(ctx);
	if (ssl && SSL_set_fd(ssl, fd) == 1 && SSL_connect(ssl) == 1 &&
		SSL_write(ssl, "hello\n", 6) == 6)
		n = SSL_read(ssl, text, sizeof(text));
	if (n > 0)
		printf("%s says: %.*s", writ_tls_peer(ssl), n, text);
	else
		fprintf(stderr, "agent: refused, by the tool or by us\n");
	SSL_free(ssl);
	close(fd);
	return n > 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
	struct writ_error error;
	const struct writ_x509_source_options options = { .size = sizeof(options) };
	struct writ_x509_source *source;
	SSL_CTX *ctx;
	if (argc != 3)
		return fprintf(stderr, "usage: agent PORT TOOL-SPIFFE-ID\n"), 2;
	const struct writ_authorize whom = { .ids = (const char *const *)&argv[2], .n_ids = 1 };
	if (writ_x509_source_new(&options, &source, &error) ||
		writ_tls_client(source, &whom, &ctx, &error))
		return fprintf(stderr, "agent: %s\n", error.message), 1;
	int fd = connect_to((uint16_t)strtoul(argv[1], NULL, 10));
	int failed = fd < 0 || call(ctx, fd);
	SSL_CTX_free(ctx);
	writ_x509_source_free(source);
	return failed;
}
