/* SPDX-License-Identifier: Apache-2.0 */
#include "command.h"

#include "base/mem.h"

#include <string.h>

const struct writ_command_group *const writ_command_groups[] = {
	&writ_commands_dev,
	&writ_commands_token,
	&writ_commands_entry,
	&writ_commands_agent,
	&writ_commands_bundle,
	&writ_commands_x509,
	&writ_commands_svid,
	&writ_commands_run,
	&writ_commands_curl,
	&writ_commands_health,
	&writ_commands_explain,
	&writ_commands_doctor,
	&writ_commands_help,
};
const size_t writ_n_command_groups = WRIT_COUNT(writ_command_groups);

/* How many words of argv the command's words match in full; 0 when they differ. */
static int match(const char *words, int argc, char *const *argv)
{
	struct writ_str rest = writ_cstr(words), word;
	int n = 0;
	do {
		bool more = writ_str_cut(&rest, ' ', &word);
		if (n >= argc || !writ_str_eq(word, writ_cstr(argv[n])))
			return 0;
		n++;
		if (!more)
			return n;
	} while (rest.n);
	return n;
}

#define COMMANDS_MAX 64

static size_t all_words(const char *names[COMMANDS_MAX])
{
	size_t n = 0;
	for (size_t g = 0; g < writ_n_command_groups; g++) {
		for (size_t i = 0; i < writ_command_groups[g]->n && n < COMMANDS_MAX; i++)
			names[n++] = writ_command_groups[g]->commands[i].words;
	}
	return n;
}

/* The commands that start with this first word, as "create, delete, show". */
static void siblings(const char *word, struct writ_buf *out)
{
	const char *names[COMMANDS_MAX];
	size_t n = all_words(names);
	for (size_t i = 0; i < n; i++) {
		struct writ_str rest = writ_cstr(names[i]), first;
		if (!writ_str_cut(&rest, ' ', &first) || !writ_str_eq(first, writ_cstr(word)))
			continue;
		writ_buf_addf(out, "%s%s", out->n ? ", " : "", rest.p);
	}
}

static writ_rc unknown(int argc, char *const *argv, struct writ_err *err)
{
	WRIT_AUTO(writ_buf_done) struct writ_buf subs = WRIT_BUF(1024);
	siblings(argv[0], &subs);
	const char *second = argc > 1 && argv[1][0] != '-' ? argv[1] : NULL;
	if (subs.n && !second)
		return writ_fail(
			err, WRIT_EINVAL, "'%s' needs one of: %s", argv[0], writ_buf_cstr(&subs));
	WRIT_AUTO(writ_freep)
	char *said = second ? writ_asprintf("%s %s", argv[0], second) : writ_strdup(argv[0]);
	const char *names[COMMANDS_MAX];
	const char *near = writ_nearest(writ_cstr(said), names, all_words(names));
	if (near)
		return writ_fail(
			err, WRIT_EINVAL, "unknown command '%s': did you mean '%s'?", said, near);
	if (subs.n)
		return writ_fail(err, WRIT_EINVAL, "unknown command '%s'; '%s' has: %s", said,
			argv[0], writ_buf_cstr(&subs));
	return writ_fail(err, WRIT_EINVAL, "unknown command '%s': `writ help` lists them", said);
}

const struct writ_command *writ_command_find(
	int argc, char *const *argv, int *words, struct writ_err *err)
{
	const struct writ_command *best = NULL;
	*words = 0;
	for (size_t g = 0; g < writ_n_command_groups; g++) {
		for (size_t i = 0; i < writ_command_groups[g]->n; i++) {
			int n = match(writ_command_groups[g]->commands[i].words, argc, argv);
			if (n > *words) {
				*words = n;
				best = &writ_command_groups[g]->commands[i];
			}
		}
	}
	if (!best)
		(void)unknown(argc, argv, err);
	return best;
}
