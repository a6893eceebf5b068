/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/cmdline.h"

#include <string.h>

#include "base/mem.h"

/* The options of one kind of interpreter. Letters may stand together in one word. Long ones end
 * with NULL; of flags the beginning is enough. */
struct grammar {
	const char *flags;             /* letters without an argument */
	const char *rest;              /* the rest of the word is theirs */
	const char *arg;               /* the rest of the word, or the next one */
	const char *ends;              /* there is no script in a file */
	const char *const *long_flags; /* --name */
	const char *const *long_arg;   /* --name VALUE, --name=VALUE */
	const char *const *long_ends;
	bool plus; /* +x is an option too */
};

static const char *const none[] = { NULL };
static const char *const python_arg[] = { "--check-hash-based-pycs", NULL };
static const char *const help[] = { "--help", "--version", NULL };
static const char *const node_arg[] = { "--require", "--import", "--loader",
	"--experimental-loader", "--conditions", "--env-file", "--env-file-if-exists", "--title",
	"--icu-data-dir", "--input-type", "--inspect-port", "--debug-port",
	"--max-http-header-size", "--dns-result-order", "--openssl-config", "--redirect-warnings",
	"--trace-event-categories", "--trace-event-file-pattern", "--trace-require-module",
	"--diagnostic-dir", "--report-dir", "--report-directory", "--report-filename",
	"--report-signal", "--unhandled-rejections", "--secure-heap", "--secure-heap-min",
	"--tls-cipher-list", "--tls-keylog", "--tls-min-v1.0", "--cpu-prof-dir", "--cpu-prof-name",
	"--cpu-prof-interval", "--heap-prof-dir", "--heap-prof-name", "--heap-prof-interval",
	"--heapsnapshot-signal", "--heapsnapshot-near-heap-limit", "--disable-proto",
	"--disable-warning", "--localstorage-file", "--experimental-default-type",
	"--experimental-sea-config", "--stack-trace-limit", "--watch-path",
	"--network-family-autoselection-attempt-timeout", NULL };
static const char *const node_flags[] = { "--no-", "--inspect", "--experimental-", "--enable-",
	"--expose", "--harmony", "--preserve-", "--trace-", "--throw-", "--pending-", "--use-",
	"--abort-", "--interpreted-frames-", "--perf-", "--prof", "--cpu-prof", "--heap-prof",
	"--watch", "--allow-", "--permission", "--frozen-intrinsics", "--jitless", "--zero-fill-",
	"--verify-", "--track-heap-", "--insecure-http-parser", "--force-", "--report-on-",
	"--report-compact", "--report-uncaught-exception", "--optimize", "--max-lazy",
	"--lite-mode", NULL };
static const char *const node_ends[] = { "--eval", "--print", "--interactive", "--test", "--run",
	"--help", "--version", "--v8-options", "--completion-bash", NULL };
static const char *const shell_arg[] = { "--rcfile", "--init-file", NULL };
static const char *const shell_flags[] = { "--login", "--noprofile", "--norc", "--posix",
	"--restricted", "--verbose", "--debugger", "--noediting", "--emacs", "--vi", NULL };
static const char *const ruby_arg[] = { "--enable", "--disable", "--encoding",
	"--external-encoding", "--internal-encoding", "--backtrace-limit", NULL };
static const char *const ruby_flags[] = { "--jit", "--yjit", "--rjit", "--mjit", "--verbose",
	"--debug", NULL };

static const struct grammar grammars[WRIT_INTERP_COUNT] = {
	[WRIT_INTERP_PYTHON] = { "bBdEiIOPqRsSuvx", "", "WX", "cmhV?", none, python_arg, help,
		false },
	[WRIT_INTERP_NODE] = { "c", "", "rC", "epivh", node_flags, node_arg, node_ends, false },
	[WRIT_INTERP_SHELL] = { "abefhiklmnprtuvxBCEHPTDX", "", "oO", "cs", shell_flags, shell_arg,
		help, true },
	[WRIT_INTERP_RUBY] = { "acdlnpsvwyU", "WFKT0i", "IrCE", "eSxh", ruby_flags, ruby_arg, help,
		false },
	[WRIT_INTERP_PERL] = { "acfgnpstTuUwWX", "0DFilCmMd", "I", "eExShvV?", none, none, help,
		false },
};

/* What follows from one word. */
enum step { NEXT, SKIP_ONE, END, UNKNOWN };

static bool in(char c, const char *letters)
{
	return c != '\0' && strchr(letters, c);
}

static enum step short_option(const struct grammar *g, struct writ_str word)
{
	for (size_t i = 1; i < word.n; i++) {
		char c = word.p[i];
		if (in(c, g->ends))
			return END;
		if (in(c, g->rest))
			return NEXT;
		if (in(c, g->arg))
			return i + 1 < word.n ? NEXT : SKIP_ONE;
		if (!in(c, g->flags))
			return UNKNOWN;
	}
	return NEXT;
}

static bool is_one_of(struct writ_str name, const char *const *names)
{
	for (; *names; names++)
		if (writ_str_eq(name, writ_cstr(*names)))
			return true;
	return false;
}

static bool begins_as_one_of(struct writ_str name, const char *const *names)
{
	for (; *names; names++)
		if (writ_str_starts(name, writ_cstr(*names)))
			return true;
	return false;
}

static enum step long_option(const struct grammar *g, struct writ_str word)
{
	struct writ_str value = word, name;
	bool has_value = writ_str_cut(&value, '=', &name);
	if (is_one_of(name, g->long_ends))
		return END;
	if (has_value)
		return NEXT;
	if (is_one_of(name, g->long_arg))
		return SKIP_ONE;
	return begins_as_one_of(name, g->long_flags) ? NEXT : UNKNOWN;
}

static bool next(struct writ_str *text, struct writ_str *word)
{
	if (text->n == 0)
		return false;
	(void)writ_str_cut(text, '\0', word);
	return true;
}

static writ_rc no_script(struct writ_err *err)
{
	return writ_fail(err, WRIT_ENOENT,
		"the interpreter runs no script from a file, but a module (-m), code "
		"(-c, -e) or its input: start it by the file");
}

static writ_rc cannot_tell(struct writ_str word, struct writ_err *err)
{
	return writ_fail(err, WRIT_EUNSUP,
		"the interpreter was given '" WRIT_FMT "', which is not known here: whether an "
		"argument belongs to it cannot be told",
		WRIT_ARG(word));
}

static writ_rc found(struct writ_str word, struct writ_str *ret, struct writ_err *err)
{
	if (word.n == 0)
		return no_script(err);
	*ret = word;
	return WRIT_OK;
}

static writ_rc by_grammar(
	const struct grammar *g, struct writ_str text, struct writ_str *ret, struct writ_err *err)
{
	struct writ_str word;
	while (next(&text, &word)) {
		bool option = word.n > 1 && (word.p[0] == '-' || (g->plus && word.p[0] == '+'));
		if (writ_str_eq(word, WRIT_STR("--")))
			return next(&text, &word) ? found(word, ret, err) : no_script(err);
		if (!option)
			return writ_str_eq(word, WRIT_STR("-")) ? no_script(err)
								: found(word, ret, err);
		bool is_long = word.p[0] == '-' && word.p[1] == '-';
		enum step s = is_long ? long_option(g, word) : short_option(g, word);
		if (s == UNKNOWN)
			return cannot_tell(word, err);
		if (s == END || (s == SKIP_ONE && !next(&text, &word)))
			return no_script(err);
	}
	return no_script(err);
}

static const char *const java_arg[] = { "-cp", "-classpath", "--class-path", "-p", "--module-path",
	"--upgrade-module-path", "--add-modules", "--add-exports", "--add-opens", "--add-reads",
	"--patch-module", "--limit-modules", "--enable-native-access", "--source", NULL };

/* Only "-jar FILE" names a file; a class is looked for in many. */
static writ_rc by_java(struct writ_str text, struct writ_str *ret, struct writ_err *err)
{
	struct writ_str word;
	while (next(&text, &word)) {
		if (writ_str_starts(word, WRIT_STR("@")))
			return cannot_tell(word, err);
		if (writ_str_eq(word, WRIT_STR("-jar")))
			return next(&text, &word) ? found(word, ret, err) : no_script(err);
		if (word.n == 0 || word.p[0] != '-' || writ_str_eq(word, WRIT_STR("-m")) ||
			writ_str_starts(word, WRIT_STR("--module=")) ||
			writ_str_eq(word, WRIT_STR("--module")))
			return no_script(err);
		if (is_one_of(word, java_arg) && !next(&text, &word))
			return no_script(err);
	}
	return no_script(err);
}

writ_rc writ_cmdline_script(
	enum writ_interp kind, struct writ_str text, struct writ_str *ret, struct writ_err *err)
{
	struct writ_str self;
	if (!next(&text, &self))
		return no_script(err);
	if (kind == WRIT_INTERP_JAVA)
		return by_java(text, ret, err);
	if ((unsigned)kind >= WRIT_INTERP_COUNT || !grammars[kind].flags)
		return writ_fail(err, WRIT_EUNSUP,
			"the options of this interpreter are not known: its script cannot be told");
	return by_grammar(&grammars[kind], text, ret, err);
}
