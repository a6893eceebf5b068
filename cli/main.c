/* SPDX-License-Identifier: Apache-2.0 */
/* writ: the command line for operators and workloads. */
#include "command.h"

#include "base/secret.h"

#include <stdio.h>
#include <string.h>

/* A peer's text must not move the terminal; quotes in it are to be copied as they are. */
static void add_safe(struct writ_buf *out, struct writ_str text)
{
	struct writ_str part;
	bool more;
	do {
		more = writ_str_cut(&text, '"', &part);
		writ_buf_add_json(out, part);
		if (more)
			writ_buf_add_byte(out, '"');
	} while (more);
}

static int report(const struct writ_invocation *in, const struct writ_err *err, writ_rc rc)
{
	if (rc != WRIT_OK) {
		WRIT_AUTO(writ_buf_done) struct writ_buf text = WRIT_BUF(4096);
		add_safe(&text, writ_cstr(err->msg));
		fprintf(stderr, "writ%s%s: %s\n", in->command ? " " : "",
			in->command ? in->command->words : "", writ_buf_cstr(&text));
		if (in->next)
			fprintf(stderr, "  next: %s\n", in->next);
	}
	return in->exit_code >= 0 ? in->exit_code : writ_rc_exit(rc);
}

static int run(struct writ_invocation *in, int argc, char **argv)
{
	struct writ_err err = { 0 };
	int words;
	in->command = writ_command_find(argc, argv, &words, &err);
	if (!in->command)
		return report(in, &err, WRIT_EINVAL);
	const struct writ_command *c = in->command;
	writ_rc rc = writ_args_parse(&in->args, c->options, c->n_options, argc - words,
		argv + words, c->runs_others, &err);
	if (rc == WRIT_OK && in->args.help) {
		writ_help_command(c);
		return 0;
	}
	if (rc == WRIT_OK && !c->operands)
		rc = writ_args_no_rest(&in->args, &err);
	if (rc == WRIT_OK)
		rc = c->run(in, &err);
	return report(in, &err, rc);
}

int main(int argc, char **argv)
{
	static struct writ_invocation in = { .exit_code = -1 };
	writ_process_harden();
	if (argc < 2 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "-help") == 0 ||
		strcmp(argv[1], "--help") == 0) {
		writ_help_overview();
		return argc < 2 ? 2 : 0;
	}
	if (strcmp(argv[1], "-version") == 0 || strcmp(argv[1], "--version") == 0) {
		puts("writ " WRIT_VERSION);
		return 0;
	}
	return run(&in, argc - 1, argv + 1);
}
