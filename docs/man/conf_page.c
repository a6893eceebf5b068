/* SPDX-License-Identifier: Apache-2.0 */
/* conf_page: fills the keys of a configuration into its manual page, from the table that the
 * program itself reads. Built once for each program; standard input has the page with a line
 * @KEYS@. */
#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"

#include <stdio.h>
#include <string.h>

void PRINT_HELP(struct writ_buf *out);

#define LINE 4096

/* A line may begin with what mdoc would take for a request. */
static void put(struct writ_str s)
{
	if (s.n && (s.p[0] == '.' || s.p[0] == '\''))
		fputs("\\&", stdout);
	for (size_t i = 0; i < s.n; i++) {
		/* mdoc wants each sentence on a line of its own. */
		bool is_end = i > 0 && s.p[i] == ' ' && s.p[i - 1] == '.';
		if (s.p[i] == '\\')
			fputs("\\e", stdout);
		else
			putchar(is_end ? '\n' : s.p[i]);
	}
	putchar('\n');
}

/* "key (what it takes)" begins an item, an indented line is its text, any other a new part. */
static void keys(void)
{
	WRIT_AUTO(writ_buf_done) struct writ_buf text = WRIT_BUF(1u << 20);
	PRINT_HELP(&text);
	struct writ_str rest = writ_buf_str(&text), line;
	bool in_list = false;
	while (rest.n) {
		writ_str_cut(&rest, '\n', &line);
		bool is_item = line.n && line.p[0] != ' ' && line.p[line.n - 1] == ')';
		if (is_item && !in_list)
			puts(".Bl -tag -width Ds");
		if (!is_item && in_list && line.n && line.p[0] != ' ')
			puts(".El\n.Pp");
		in_list = is_item || (in_list && (!line.n || line.p[0] == ' '));
		if (!line.n)
			continue;
		while (line.n && line.p[0] == ' ')
			line = writ_strn(line.p + 1, line.n - 1);
		if (is_item)
			fputs(".It ", stdout);
		put(line);
	}
	if (in_list)
		puts(".El");
}

int main(void)
{
	char line[LINE];
	while (fgets(line, sizeof(line), stdin)) {
		if (strcmp(line, "@KEYS@\n") == 0)
			keys();
		else
			fputs(line, stdout);
	}
	return ferror(stdin) || fflush(stdout) != 0;
}
