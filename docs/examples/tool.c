/* SPDX-License-Identifier: Apache-2.0 */
/* A tool that answers one kind of caller: mutual TLS with this process's own identity.
 * usage: tool PORT ALLOWED-SPIFFE-ID */
#include <writ/tls.h>

#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int listen_on(uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };
	socklen_t n = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, n) != 0 || listen(fd, 16) != 0 ||
		getsockname(fd, (struct sockaddr *)&a, &n) != 0)
		return -1;
	printf("listening %u\n", ntohs(a.sin_port));
	fflush(stdout);
	return fd;
}

static void serve(SSL_CTX *ctx, int fd)
{
	char text[512];
	SSL *ssl = SSL_new(ctx);
	/* Who is not allowed does not get beyond SSL_accept. */
	if (ssl && SSL_set_fd(ssl, fd) == 1 && SSL_accept(ssl) == 1 &&
		SSL_read(ssl, text, sizeof(text)) > 0) {
		int n = snprintf(text, sizeof(text), "hello, %s\n", writ_tls_peer(ssl));
		SSL_write(ssl, text, n);
		SSL_shutdown(ssl);
	}
	SSL_free(ssl);
	close(fd);
}

int main(int argc, char **argv)
{
	struct writ_error error;
	const struct writ_x509_source_options options = { .size = sizeof(options) };
	struct writ_x509_source *source;
	SSL_CTX *ctx;
	if (argc != 3)
		return fprintf(stderr, "usage: tool PORT ALLOWED-SPIFFE-ID\n"), 2;
	const struct writ_authorize who = { .ids = (const char *const *)&argv[2], .n_ids = 1 };
	signal(SIGPIPE, SIG_IGN);
	if (writ_x509_source_new(&options, &source, &error) ||
		writ_tls_server(source, &who, &ctx, &error))
		return fprintf(stderr, "tool: %s\n", error.message), 1;
	int listener = listen_on((uint16_t)strtoul(argv[1], NULL, 10));
	for (int fd; (fd = accept(listener, NULL, NULL)) >= 0;)
		serve(ctx, fd);
	return perror("tool"), 1;
}
