/* SPDX-License-Identifier: Apache-2.0 */
#include "entry_lint.h"

#include <string.h>

#include "base/interp.h"
#include "base/mem.h"

#define DAY_S 86400

/* What a selector says of a process. docs/selectors.md has the reasons. */
enum class {
	USER = 1,     /* a user of the machine: the kernel's word */
	PLACE = 2,    /* a unit, container or job: the kernel's word, and the runtime's */
	PROGRAM = 4,  /* a file; who has the same user can pose as it */
	ROOT = 8,     /* root, who can pose as anybody */
	INTERP = 16,  /* a program that runs any file */
	MUTABLE = 32, /* a name of an image that may mean another one tomorrow */
};

struct prefix {
	const char *text; /* of "type:value" */
	unsigned classes;
};

static const struct prefix prefixes[] = {
	{ "unix:uid:", USER },
	{ "unix:user:", USER },
	{ "unix:path:", PROGRAM },
	{ "unix:sha256:", PROGRAM },
	{ "systemd:id:", PLACE },
	{ "systemd:fragment_path:", PLACE },
	{ "systemd-user:", PLACE },
	{ "container:id:", PLACE },
	{ "container:pod:", PLACE },
	{ "cgroup:path:", PLACE },
	{ "podman-rootless:", PLACE },
	{ "docker:label:", PLACE },
	{ "docker:env:", PLACE },
	{ "docker:image_id:", PLACE },
	{ "docker:image_config_digest:", PLACE },
	{ "k8s:sa:", PLACE },
	{ "k8s:pod-", PLACE },
	{ "k8s:container-", PLACE },
	{ "slurm:", PLACE },
	{ "run:", PLACE },
};

static const char *const image_names[] = {
	"docker:image_id:", "k8s:container-image:", "k8s:pod-image:", "k8s:pod-init-image:"
};

static bool starts(struct writ_str s, const char *prefix)
{
	return writ_str_starts(s, writ_cstr(prefix));
}

static bool names_image(struct writ_str text)
{
	for (size_t i = 0; i < WRIT_COUNT(image_names); i++)
		if (starts(text, image_names[i]))
			return true;
	return starts(text, "podman-rootless:") && memmem(text.p, text.n, ":image_id:", 10);
}

static unsigned classes_of(struct writ_str text)
{
	unsigned c = 0;
	for (size_t i = 0; i < WRIT_COUNT(prefixes); i++)
		if (starts(text, prefixes[i].text))
			c |= prefixes[i].classes;
	if (writ_str_eq(
		    text, WRIT_STR("cgroup:path:/"))) /* where all are that nobody put elsewhere */
		c = 0;
	if (writ_str_eq(text, WRIT_STR("unix:uid:0")) ||
		writ_str_eq(text, WRIT_STR("unix:user:root")))
		c |= ROOT;
	if (starts(text, "unix:path:") && writ_interp_of(text) != WRIT_INTERP_NONE)
		c |= INTERP;
	if (names_image(text) && !memmem(text.p, text.n, "sha256:", 7))
		c |= MUTABLE;
	return c;
}

/* An entry warns when it has a selector of class `of` and none of the classes `unless`. */
static const struct rule {
	const char *code;
	unsigned of; /* 0: any, and the line names none */
	unsigned unless;
	const char *why;
} rules[] = {
	{ "W-INTERP", INTERP, USER | PLACE,
		"an interpreter: every script on the machine that it runs gets this identity; add "
		"the agent's unit (systemd:id:NAME.service), its container, or a user of its own "
		"(unix:uid:N)" },
	{ "W-ROOT", ROOT, PLACE,
		"every process of root gets this identity, and root can pose as any other; give "
		"the service a user of its own, or add its unit or container" },
	{ "W-PATH", PROGRAM, USER | PLACE | INTERP,
		"whoever may start this program can make it do anything (LD_PRELOAD, a debugger); "
		"add the user (unix:uid:N), unit or container that it runs as" },
	{ "W-BROAD", 0, USER | PLACE | PROGRAM,
		"no selector names a user, a unit or a container: strangers on the same machine "
		"may match; add unix:uid:N, systemd:id:NAME.service or a container selector" },
	{ "W-MUTABLE", MUTABLE, 0,
		"a tag can be moved to another image; name the image by its digest (@sha256:...)" },
};

static struct writ_str text_of(const Spire__Api__Types__Selector *s, struct writ_buf *b)
{
	writ_buf_reset(b);
	writ_buf_addf(b, "%s:%s", s->type, s->value);
	return writ_buf_str(b);
}

static size_t check_selectors(
	const Spire__Api__Types__Entry *e, const struct rule *r, struct writ_buf *out)
{
	WRIT_AUTO(writ_buf_done) struct writ_buf text = WRIT_BUF(64 * 1024);
	unsigned all = 0;
	size_t n = 0;
	for (size_t i = 0; i < e->n_selectors; i++)
		all |= classes_of(text_of(e->selectors[i], &text));
	if (all & r->unless)
		return 0;
	if (r->of == 0) {
		writ_buf_addf(out, "%s %s\n", r->code, r->why);
		return 1;
	}
	for (size_t i = 0; i < e->n_selectors; i++) {
		struct writ_str s = text_of(e->selectors[i], &text);
		if (!(classes_of(s) & r->of))
			continue;
		writ_buf_addf(out, "%s ", r->code);
		writ_buf_add_json(out, s);
		writ_buf_addf(out, ": %s\n", r->why);
		n++;
	}
	return n;
}

/* --- what no process can have --- */

static bool is_number(struct writ_str s)
{
	uint64_t v;
	bool is_short = s.n == 1 || !starts(s, "0"); /* as it is written when it is given */
	return is_short && writ_parse_u64(s, 0, UINT32_MAX, &v, NULL) == WRIT_OK;
}

static bool is_path(struct writ_str s)
{
	return starts(s, "/");
}

static bool is_sha256(struct writ_str s)
{
	bool hex = s.n == 64;
	for (size_t i = 0; hex && i < s.n; i++)
		hex = strchr("0123456789abcdef", s.p[i]) != NULL;
	return hex;
}

static bool is_true(struct writ_str s)
{
	return writ_str_eq(s, WRIT_STR("true"));
}

/* Forms of values that are the agent's own; of other selectors nothing is known here. */
static const struct form {
	const char *prefix;
	bool (*fits)(struct writ_str value);
	const char *is;
} forms[] = {
	{ "unix:uid:", is_number, "a number; a name is unix:user:NAME" },
	{ "unix:gid:", is_number, "a number; a name is unix:group:NAME" },
	{ "unix:supplementary_gid:", is_number,
		"a number; a name is unix:supplementary_group:NAME" },
	{ "unix:path:", is_path, "a whole path, which begins with /" },
	{ "unix:sha256:", is_sha256, "64 digits of 0-9a-f" },
	{ "script:path:", is_path, "a whole path, which begins with /" },
	{ "script:sha256:", is_sha256, "64 digits of 0-9a-f" },
	{ "cgroup:path:", is_path, "a whole path, which begins with /" },
	{ "systemd:fragment_path:", is_path, "a whole path, which begins with /" },
	{ "proc:main:", is_true, "true; for a child it is proc:depth:N" },
	{ "proc:depth:", is_number, "a number" },
	{ "proc:ancestor-path:", is_path, "a whole path, which begins with /" },
	{ "run:as:", is_path, "a path, which begins with /" },
};

static bool is_text(struct writ_str s)
{
	bool ok = writ_is_utf8(s.p, s.n);
	for (size_t i = 0; ok && i < s.n; i++)
		ok = (unsigned char)s.p[i] >= 0x20 && s.p[i] != 0x7f;
	return ok;
}

/* What its value had to be, when it is something else; NULL: nothing is wrong with it. */
static const char *form_of(struct writ_str text)
{
	if (!is_text(text))
		return "UTF-8 text without control characters";
	for (size_t i = 0; i < WRIT_COUNT(forms); i++) {
		size_t n = strlen(forms[i].prefix);
		if (starts(text, forms[i].prefix))
			return forms[i].fits(writ_strn(text.p + n, text.n - n)) ? NULL
										: forms[i].is;
	}
	return NULL;
}

static size_t check_forms(const Spire__Api__Types__Entry *e, struct writ_buf *out)
{
	WRIT_AUTO(writ_buf_done) struct writ_buf text = WRIT_BUF(64 * 1024);
	size_t n = 0;
	for (size_t i = 0; i < e->n_selectors; i++) {
		struct writ_str s = text_of(e->selectors[i], &text);
		const char *is = form_of(s);
		if (!is)
			continue;
		writ_buf_add_cstr(out, "W-NEVER ");
		writ_buf_add_json(out, s);
		writ_buf_addf(out, ": no process can have it: its value is %s\n", is);
		n++;
	}
	return n;
}

static size_t check_ttl(const char *what, int32_t ttl, struct writ_buf *out)
{
	if (ttl <= DAY_S)
		return 0;
	writ_buf_addf(out,
		"W-TTL %s of %d s: a stolen certificate is good for as long as that; minutes are "
		"enough, identities are renewed by themselves\n",
		what, (int)ttl);
	return 1;
}

/* The selectors of an alias are those of agents, not of processes. */
static bool is_alias(const Spire__Api__Types__Entry *e)
{
	return e->parent_id && strcmp(e->parent_id->path, "/spire/server") == 0;
}

size_t writ_entry_lint(const Spire__Api__Types__Entry *e, struct writ_buf *out)
{
	size_t n = 0;
	for (size_t i = 0; i < WRIT_COUNT(rules) && e->n_selectors && !is_alias(e); i++)
		n += check_selectors(e, &rules[i], out);
	if (!is_alias(e))
		n += check_forms(e, out);
	n += check_ttl("X509-SVID TTL", e->x509_svid_ttl, out);
	return n + check_ttl("JWT-SVID TTL", e->jwt_svid_ttl, out);
}
