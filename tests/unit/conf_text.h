/* SPDX-License-Identifier: Apache-2.0 */
/* conf_text: configuration texts as files without a name, for the tests of the programs' schemas.
 */
#ifndef WRIT_TEST_CONF_TEXT_H
#define WRIT_TEST_CONF_TEXT_H

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct conf_text {
	int fd;
	char path[32];
};

static inline struct conf_text conf_text_open(const char *text)
{
	struct conf_text t = { .fd = memfd_create("conf", MFD_CLOEXEC) };
	(void)snprintf(t.path, sizeof(t.path), "/proc/self/fd/%d", t.fd);
	ssize_t n = write(t.fd, text, strlen(text));
	assert_int_equal(n, strlen(text));
	return t;
}

static inline void conf_text_close(struct conf_text *t)
{
	close(t->fd);
}

#endif
