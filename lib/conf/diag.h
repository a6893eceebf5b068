/* SPDX-License-Identifier: Apache-2.0 */
/* diag: what is wrong with a configuration, as a list with positions: all problems in one run. */
#ifndef WRIT_CONF_DIAG_H
#define WRIT_CONF_DIAG_H

#include "base/buf.h"

#define WRIT_CONF_DIAGS_MAX 20 /* kept of each severity; the rest is counted */

enum writ_conf_severity { WRIT_CONF_ERROR, WRIT_CONF_WARNING };

/* Both count from 1; a column is a character, a tab is one. Line 0: given on the command line. */
struct writ_conf_pos {
	unsigned line, column;
};

struct writ_conf_diag {
	enum writ_conf_severity severity;
	struct writ_conf_pos pos;
	char *text; /* owned */
};

struct writ_conf_diags {
	const char *file; /* borrowed: how messages call the file */
	struct writ_conf_diag items[2 * WRIT_CONF_DIAGS_MAX]; /* by position */
	size_t n;                                             /* of items */
	size_t errors;                                        /* all, the ones not kept included */
	size_t warnings;                                      /* the same */
};

#define WRIT_CONF_DIAGS(file_name) ((struct writ_conf_diags){ .file = (file_name) })

void writ_conf_diags_done(struct writ_conf_diags *d);
/* No text of a peer or of the file goes in unquoted: see writ_conf_quote. */
void writ_conf_diag_add(struct writ_conf_diags *d, enum writ_conf_severity severity,
	struct writ_conf_pos pos, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* Lines as compilers write them: "server.conf:12:3: error: text". */
void writ_conf_diags_print(const struct writ_conf_diags *d, struct writ_buf *out);
/* WRIT_EINVAL with the first error and how many more there are; WRIT_OK when there is no error. */
WRIT_MUST writ_rc writ_conf_diags_check(const struct writ_conf_diags *d, struct writ_err *err);

struct writ_conf_quoted {
	char text[112];
};
/* s in double quotes, escaped and cut, for a message. */
struct writ_conf_quoted writ_conf_quote(struct writ_str s);
#define WRIT_CONF_Q(cstr) (writ_conf_quote(writ_cstr(cstr)).text)

#endif
