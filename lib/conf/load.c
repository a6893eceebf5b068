/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/parse.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_STEP 16384

/* Not writ_fs_read: a configuration may well be a link (a mounted ConfigMap) or a pipe. */
static writ_rc read_file(const char *path, struct writ_buf *text, struct writ_err *err)
{
	WRIT_AUTO(writ_closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return writ_fail_errno(err, errno, "open '%s'", path);
	struct stat st;
	if (fstat(fd, &st) != 0)
		return writ_fail_errno(err, errno, "stat '%s'", path);
	if (S_ISDIR(st.st_mode))
		return writ_fail(err, WRIT_EINVAL, "'%s' is a folder: name the file in it", path);
	for (;;) {
		uint8_t *room = writ_buf_room(text, READ_STEP);
		if (room == NULL)
			return writ_buf_check(text, path, err);
		ssize_t n = read(fd, room, READ_STEP);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return writ_fail_errno(err, errno, "read '%s'", path);
		if (n == 0)
			return WRIT_OK;
		writ_buf_grew(text, (size_t)n);
	}
}

writ_rc writ_conf_load(const char *path, const char *block, const struct writ_conf_source *source,
	struct writ_conf_diags *d, struct writ_conf_node **ret, struct writ_err *err)
{
	/* The parser says what is too large: leave room to see that it is. */
	struct writ_buf text = WRIT_BUF(WRIT_CONF_TEXT_MAX + 2 * READ_STEP);
	struct writ_conf_node *root = NULL;
	writ_rc rc = read_file(path, &text, err);
	if (rc != WRIT_OK)
		rc = writ_wrap(err, rc, "configuration");
	else
		rc = writ_conf_parse(writ_buf_str(&text), source, d, &root, err);
	writ_buf_wipe(&text);
	if (rc != WRIT_OK)
		return rc;
	for (size_t i = 0; source != NULL && i < source->n_overrides; i++)
		writ_conf_set(root, block, source->overrides[i].key, source->overrides[i].value);
	*ret = root;
	return WRIT_OK;
}
