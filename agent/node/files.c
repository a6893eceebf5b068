/* SPDX-License-Identifier: Apache-2.0 */
#include "node/files.h"

#include "base/fs.h"

#include <errno.h>
#include <sys/stat.h>

writ_rc writ_node_read_key(const char *path, struct writ_buf *text, struct writ_err *err)
{
	struct stat st;
	if (stat(path, &st) != 0)
		return writ_fail_errno(err, errno, "open it");
	if (st.st_mode & 027)
		return writ_fail(err, WRIT_EDENIED,
			"its mode is %04o: whoever reads or replaces it is this machine; do: chmod "
			"o-rwx,g-w",
			(unsigned)(st.st_mode & 07777));
	return writ_fs_read(path, text, err);
}
