/* SPDX-License-Identifier: Apache-2.0 */
/* Help, shell completion and the man page, all from the command table. */
#include "command.h"

#include "base/mem.h"

#include <stdio.h>
#include <string.h>

void writ_help_overview(void)
{
	puts("writ: identities for processes, and calls that carry them\n\nusage: writ COMMAND "
	     "[FLAGS]\n");
	for (size_t g = 0; g < writ_n_command_groups; g++) {
		printf("%s\n", writ_command_groups[g]->title);
		for (size_t i = 0; i < writ_command_groups[g]->n; i++) {
			const struct writ_command *c = &writ_command_groups[g]->commands[i];
			printf("  %-16s %s\n", c->words, c->summary);
		}
	}
	puts("\n`writ COMMAND -help` says more. Flags have two spellings: -spiffeID and "
	     "--spiffe-id.");
}

static void option_label(const struct writ_option *o, char *buf, size_t n)
{
	snprintf(buf, n, "-%s%s%s", o->name, o->arg ? " " : "", o->arg ? o->arg : "");
}

void writ_help_command(const struct writ_command *c)
{
	printf("usage: writ %s%s%s%s\n\n%s.\n", c->words, c->n_options ? " [FLAGS]" : "",
		c->operands ? " " : "", c->operands ? c->operands : "", c->summary);
	if (c->detail)
		printf("\n%s\n", c->detail);
	if (c->n_options)
		puts("\nflags");
	for (size_t i = 0; i < c->n_options; i++) {
		char label[96];
		option_label(&c->options[i], label, sizeof(label));
		printf("  %-28s %s%s\n", label, c->options[i].help,
			c->options[i].kind == WRIT_OPT_LIST ? " (may be given again)" : "");
	}
}

static writ_rc run_help(struct writ_invocation *in, struct writ_err *err)
{
	if (!in->args.n_rest) {
		writ_help_overview();
		return WRIT_OK;
	}
	char *words[WRIT_ARGS_MAX];
	for (size_t i = 0; i < in->args.n_rest; i++)
		words[i] = (char *)(uintptr_t)in->args.rest[i];
	int n;
	const struct writ_command *c = writ_command_find((int)in->args.n_rest, words, &n, err);
	if (!c)
		return WRIT_EINVAL;
	writ_help_command(c);
	return WRIT_OK;
}

/* What may stand behind a command: the word that makes another command of it ("dev", "dev env"),
 * and its flags. */
static void bash_command(const struct writ_command *c)
{
	size_t n = strlen(c->words);
	printf("\t\"%s\"|\"%s \"*) COMPREPLY=($(compgen -W \"", c->words, c->words);
	for (size_t g = 0; g < writ_n_command_groups; g++) {
		for (size_t i = 0; i < writ_command_groups[g]->n; i++) {
			const char *other = writ_command_groups[g]->commands[i].words;
			if (strncmp(other, c->words, n) == 0 && other[n] == ' ')
				printf("%s ", other + n + 1);
		}
	}
	for (size_t k = 0; k < c->n_options; k++)
		printf("-%s ", c->options[k].name);
	puts("-help\" -- \"$cur\")) ;;");
}

static void bash_commands(bool of_two_words)
{
	for (size_t g = 0; g < writ_n_command_groups; g++) {
		for (size_t i = 0; i < writ_command_groups[g]->n; i++) {
			const struct writ_command *c = &writ_command_groups[g]->commands[i];
			if ((strchr(c->words, ' ') != NULL) == of_two_words)
				bash_command(c);
		}
	}
}

static void bash_completion(void)
{
	puts("# bash completion for writ; made by `writ completion bash`\n_writ()\n{\n"
	     "\tlocal cur=${COMP_WORDS[COMP_CWORD]} line=\"${COMP_WORDS[*]:1:COMP_CWORD-1}\"\n"
	     "\tcase \"$line\" in");
	bash_commands(true); /* the first pattern that fits counts */
	bash_commands(false);
	puts("\t*) local all=\"");
	for (size_t g = 0; g < writ_n_command_groups; g++) {
		for (size_t i = 0; i < writ_command_groups[g]->n; i++)
			puts(writ_command_groups[g]->commands[i].words);
	}
	puts("\"\n\t\tlocal words=$(printf '%s\\n' \"$all\" | grep -E \"^${line:+$line }\" | "
	     "awk -v n=\"$COMP_CWORD\" '{print $n}' | sort -u)\n"
	     "\t\tCOMPREPLY=($(compgen -W \"$words\" -- \"$cur\")) ;;\n\tesac\n}\ncomplete -o "
	     "default -F _writ writ");
}

static void zsh_completion(void)
{
	puts("#compdef writ\n# made by `writ completion zsh`\nautoload -U +X bashcompinit && "
	     "bashcompinit");
	bash_completion();
}

static void fish_completion(void)
{
	puts("# fish completion for writ; made by `writ completion fish`\ncomplete -c writ -f");
	for (size_t g = 0; g < writ_n_command_groups; g++) {
		for (size_t i = 0; i < writ_command_groups[g]->n; i++) {
			const struct writ_command *c = &writ_command_groups[g]->commands[i];
			struct writ_str rest = writ_cstr(c->words), first;
			if (writ_str_cut(&rest, ' ', &first))
				printf("complete -c writ -n '__fish_seen_subcommand_from " WRIT_FMT
				       "' -a '" WRIT_FMT "' -d '%s'\n",
					WRIT_ARG(first), WRIT_ARG(rest), c->summary);
			printf("complete -c writ -n '__fish_use_subcommand' -a '" WRIT_FMT "'\n",
				WRIT_ARG(first));
			for (size_t k = 0; k < c->n_options; k++)
				printf("complete -c writ -n '__fish_seen_subcommand_from " WRIT_FMT
				       "' -o '%s'\n",
					WRIT_ARG(first), c->options[k].name);
		}
	}
}

static writ_rc run_completion(struct writ_invocation *in, struct writ_err *err)
{
	static const struct {
		const char *shell;
		void (*print)(void);
	} shells[] = { { "bash", bash_completion }, { "zsh", zsh_completion },
		{ "fish", fish_completion } };
	for (size_t i = 0; in->args.n_rest == 1 && i < WRIT_COUNT(shells); i++) {
		if (strcmp(in->args.rest[0], shells[i].shell) == 0) {
			shells[i].print();
			return WRIT_OK;
		}
	}
	return writ_fail(err, WRIT_EINVAL, "say for which shell: bash, zsh or fish");
}

#define MAN_COLUMNS 72

/* mdoc text: a backslash, and a dot or quote at the start of a line, would be commands; a sentence
 * ends its line. */
static void mdoc(const char *s)
{
	int column = 0;
	for (char before = '\0'; *s; before = *s++) {
		if (*s == ' ' &&
			(before == '.' || before == ':' || before == ';' ||
				column + (int)strcspn(s + 1, " ") > MAN_COLUMNS)) {
			putchar('\n');
			column = 0;
			continue;
		}
		if (!column && (*s == '.' || *s == '\''))
			fputs("\\&", stdout);
		if (*s == '\\')
			fputs("\\e", stdout);
		else if (*s == '-')
			fputs("\\-", stdout);
		else
			putchar(*s);
		column++;
	}
	putchar('\n');
}

static void man_command(const struct writ_command *c)
{
	printf(".It Cm %s", c->words);
	if (c->operands)
		printf(" Ar %s", c->operands);
	putchar('\n');
	mdoc(c->summary);
	if (c->detail) {
		puts(".Pp");
		mdoc(c->detail);
	}
	if (!c->n_options)
		return;
	puts(".Bl -tag -width Ds -compact");
	for (size_t i = 0; i < c->n_options; i++) {
		const struct writ_option *o = &c->options[i];
		printf(".It Fl %s", o->name);
		if (o->dashed)
			printf(" , Fl Fl %s", o->dashed);
		if (o->arg)
			printf(" Ar %s", o->arg);
		if (o->kind == WRIT_OPT_LIST)
			fputs(" ...", stdout);
		putchar('\n');
		mdoc(o->help);
	}
	puts(".El");
}

static const char man_tail[] = ".Sh ENVIRONMENT\n.Bl -tag -width Ds\n.It Ev "
			       "SPIFFE_ENDPOINT_SOCKET\nthe Workload API, as unix:///path\n"
			       ".It Ev WRIT_SERVER_SOCKET\nthe admin socket of the server\n.It Ev "
			       "WRIT_AGENT_ADMIN_SOCKET\nthe admin socket of the agent\n.El\n"
			       ".Sh EXIT STATUS\n.Bl -tag -width Ds -compact\n.It 0\ndone\n.It "
			       "1\ninternal error\n.It 2\nusage or configuration\n"
			       ".It 3\nnot found\n.It 4\ndenied, or no identity\n.It 5\nnot "
			       "available now: try again\n.It 6\na deadline passed\n"
			       ".It 7\nconflict: it is there already, or the state does not allow "
			       "it\n.It 8\nverification failed\n.It 9\nsome of several failed\n"
			       ".It 130\ninterrupted\n.El\n.Sh SEE ALSO\n.Xr writ-agent 8 ,\n.Xr "
			       "writ-gate 8 ,\n.Xr writ-server 8\n";

static writ_rc run_man(struct writ_invocation *in, struct writ_err *err)
{
	(void)in;
	(void)err;
	puts(".\\\" made by `writ man`; SPDX-License-Identifier: Apache-2.0\n.Dd November 22, "
	     "2026\n.Dt WRIT 1\n.Os\n.Sh NAME\n"
	     ".Nm writ\n.Nd identities for processes, and calls that carry them\n.Sh "
	     "SYNOPSIS\n.Nm\n.Ar command\n.Op flags\n"
	     ".Sh DESCRIPTION\nThe command line of Writ for operators and workloads.\nEvery flag "
	     "has two spellings,\n"
	     ".Fl spiffeID\nas in SPIRE and\n.Fl Fl spiffe-id .\n.Sh COMMANDS");
	for (size_t g = 0; g < writ_n_command_groups; g++) {
		printf(".Ss %s\n.Bl -tag -width Ds\n", writ_command_groups[g]->title);
		for (size_t i = 0; i < writ_command_groups[g]->n; i++)
			man_command(&writ_command_groups[g]->commands[i]);
		puts(".El");
	}
	fputs(man_tail, stdout);
	return WRIT_OK;
}

static const struct writ_command commands[] = {
	{ .words = "help",
		.summary = "This overview, or what a command takes",
		.operands = "[COMMAND]",
		.run = run_help },
	{ .words = "completion",
		.summary = "Shell completion to source",
		.operands = "bash|zsh|fish",
		.run = run_completion },
	{ .words = "man", .summary = "The manual page writ(1), in mdoc", .run = run_man },
};
const struct writ_command_group writ_commands_help = { "More", commands, WRIT_COUNT(commands) };
