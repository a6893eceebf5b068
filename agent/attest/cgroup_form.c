/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/cgroup_form.h"

#include <string.h>

#include "base/mem.h"

#define CONTAINER_HEX 64
#define UUID_LEN      36
#define UUID_PLAIN    32

/* A pattern is matched from the root and has to end where a component ends.
 *   %H  container ID: 64 lower-case hex digits
 *   %P  pod UID: UUID with - or _ between its groups, or 32 hex digits
 *   %Q  QoS class of a pod
 *   %R  name of a runtime, as in the table below
 *   %U  user ID; every %U of a pattern has to be the same
 *   %W  user@UID.service of the same user ID: a unit, and how far the path is root's
 *   %T  a unit of that user's manager, below any number of slices: name
 *   %S  one or more slices: /a.slice/b.slice
 *   %V  a component NAME.service or NAME.scope: the unit
 *   %N  a name up to the literal that ends its component, or up to the end of it
 *   %I  64 lower-case hex digits that are not kept
 *   %M  slurm, or slurm_NODE, which Debian's is built for
 *   %O  slurmstepd.scope, or NODE_slurmstepd.scope where several slurmds run
 *   %J  job_ and decimal digits, or a SLUID: 's', letters and digits: name
 *   %K  letters and digits: detail
 * Order: what is inside the unit of a runtime comes before the units. */
struct form {
	const char *pattern;
	enum writ_cgroup_kind kind;
	const char *runtime; /* NULL: %R says */
};

#define KUBE    "/kubepods.slice/kubepods"
#define KUBELET "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods"

static const struct form forms[] = {
	{ "/docker/%H", WRIT_CGROUP_CONTAINER, "docker" },
	{ "/system.slice/docker-%H.scope", WRIT_CGROUP_CONTAINER, "docker" },
	{ "/kubepods/%Q/pod%P/%H", WRIT_CGROUP_CONTAINER, "" },
	{ "/kubepods/pod%P/%H", WRIT_CGROUP_CONTAINER, "" },
	{ "/kubepods/%Q/pod%P/crio-%H", WRIT_CGROUP_CONTAINER, "crio" },
	{ "/kubepods/pod%P/crio-%H", WRIT_CGROUP_CONTAINER, "crio" },
	{ "/kubepods/%Q/pod%P/crio-conmon-%H", WRIT_CGROUP_MONITOR, "crio" },
	{ "/kubepods/pod%P/crio-conmon-%H", WRIT_CGROUP_MONITOR, "crio" },
	{ KUBE "-%Q.slice/kubepods-%Q-pod%P.slice/%R-%H.scope", WRIT_CGROUP_CONTAINER, NULL },
	{ KUBE "-pod%P.slice/%R-%H.scope", WRIT_CGROUP_CONTAINER, NULL },
	{ KUBE "-%Q.slice/kubepods-%Q-pod%P.slice/%R-conmon-%H.scope", WRIT_CGROUP_MONITOR, NULL },
	{ KUBE "-pod%P.slice/%R-conmon-%H.scope", WRIT_CGROUP_MONITOR, NULL },
	{ KUBELET "-%Q.slice/kubelet-kubepods-%Q-pod%P.slice/%R-%H.scope", WRIT_CGROUP_CONTAINER,
		NULL },
	{ KUBELET "-pod%P.slice/%R-%H.scope", WRIT_CGROUP_CONTAINER, NULL },
	{ KUBELET "-%Q.slice/kubelet-kubepods-%Q-pod%P.slice/%R-conmon-%H.scope",
		WRIT_CGROUP_MONITOR, NULL },
	{ KUBELET "-pod%P.slice/%R-conmon-%H.scope", WRIT_CGROUP_MONITOR, NULL },
	{ "/kubelet/kubepods/%Q/pod%P/%H", WRIT_CGROUP_CONTAINER, "" },
	{ "/kubelet/kubepods/pod%P/%H", WRIT_CGROUP_CONTAINER, "" },
	{ "/system.slice/containerd.service/kubepods-%Q-pod%P.slice:%R:%H", WRIT_CGROUP_CONTAINER,
		NULL },
	{ "/system.slice/containerd.service/kubepods-pod%P.slice:%R:%H", WRIT_CGROUP_CONTAINER,
		NULL },
	{ "/machine.slice/libpod-%H.scope", WRIT_CGROUP_CONTAINER, "podman" },
	{ "/machine.slice/libpod-conmon-%H.scope", WRIT_CGROUP_MONITOR, "podman" },
	{ "/machine.slice/machine-libpod_pod_%I.slice/libpod-%H.scope", WRIT_CGROUP_CONTAINER,
		"podman" },
	{ "/machine.slice/machine-libpod_pod_%I.slice/libpod-conmon-%H.scope", WRIT_CGROUP_MONITOR,
		"podman" },
	{ "/libpod_parent/libpod-%H", WRIT_CGROUP_CONTAINER, "podman" },
	{ "/libpod_parent/libpod-conmon-%H", WRIT_CGROUP_MONITOR, "podman" },
	{ "/libpod_parent/conmon", WRIT_CGROUP_MONITOR, "podman" },
	{ "/user.slice/user-%U.slice/%W/user.slice/libpod-%H.scope", WRIT_CGROUP_ROOTLESS,
		"podman" },
	{ "/user.slice/user-%U.slice/%W/user.slice/user-libpod_pod_%I.slice/libpod-%H.scope",
		WRIT_CGROUP_ROOTLESS, "podman" },
	{ "%S/%V/libpod-payload-%H", WRIT_CGROUP_CONTAINER, "podman" },
	{ "/system.slice/%O/%J/step_%K", WRIT_CGROUP_SLURM, "" },
	{ "/%M/uid_%U/%J/step_%K", WRIT_CGROUP_SLURM, "" },
	{ "/machine.slice/machine-%N.scope", WRIT_CGROUP_MACHINE, "" },
	{ "/lxc.payload.%N", WRIT_CGROUP_MACHINE, "" },
	{ "/lxc/%N", WRIT_CGROUP_MACHINE, "" },
	{ "/user.slice/user-%U.slice/session-%N.scope", WRIT_CGROUP_SESSION, "" },
	{ "/user.slice/user-%U.slice/%W/%T", WRIT_CGROUP_UNIT, "" },
	{ "%S/%V", WRIT_CGROUP_UNIT, "" },
};

static const struct {
	struct writ_str in_path;
	const char *name;
} runtimes[] = {
	{ { "cri-containerd", 14 }, "containerd" },
	{ { "docker", 6 }, "docker" },
	{ { "crio", 4 }, "crio" },
	{ { "libpod", 6 }, "podman" },
};

static const struct writ_str qos_classes[] = {
	{ "burstable", 9 },
	{ "besteffort", 10 },
	{ "guaranteed", 10 },
};

struct cursor {
	struct writ_str rest; /* of the path */
	const char *pattern;  /* after the directive */
	size_t whole;         /* length of the path */
	size_t anchor;        /* 0: all that matched */
	struct writ_cgroup *out;
};

static void advance(struct cursor *c, size_t n)
{
	c->rest = writ_strn(c->rest.p + n, c->rest.n - n);
}

static bool is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_alnum(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_unit_char(char c) /* systemd.unit(5) */
{
	return is_alnum(c) || (c != '\0' && strchr(":-_.\\@", c));
}

static size_t span(struct writ_str s, bool (*is)(char))
{
	size_t n = 0;
	while (n < s.n && is(s.p[n]))
		n++;
	return n;
}

static struct writ_str component(struct writ_str s)
{
	const char *end = s.n > 0 ? memchr(s.p, '/', s.n) : NULL;
	return end ? writ_strn(s.p, (size_t)(end - s.p)) : s;
}

static bool take_container(struct cursor *c)
{
	if (span(c->rest, is_hex) != CONTAINER_HEX)
		return false;
	c->out->container = writ_strn(c->rest.p, CONTAINER_HEX);
	advance(c, CONTAINER_HEX);
	return true;
}

static bool is_uuid(struct writ_str s)
{
	if (s.n < UUID_LEN)
		return false;
	for (size_t i = 0; i < UUID_LEN; i++) {
		bool gap = i == 8 || i == 13 || i == 18 || i == 23;
		if (gap ? s.p[i] != s.p[8] || (s.p[8] != '-' && s.p[8] != '_') : !is_hex(s.p[i]))
			return false;
	}
	return true;
}

static bool take_pod(struct cursor *c)
{
	size_t n = is_uuid(c->rest) ? UUID_LEN : UUID_PLAIN;
	if (n == UUID_PLAIN && span(c->rest, is_hex) != UUID_PLAIN)
		return false;
	for (size_t i = 0; i < n; i++)
		c->out->pod[i] = c->rest.p[i];
	for (size_t i = 0; i < n; i++)
		if (c->out->pod[i] == '_')
			c->out->pod[i] = '-';
	c->out->pod[n] = '\0';
	advance(c, n);
	return true;
}

static bool take_qos(struct cursor *c)
{
	for (size_t i = 0; i < WRIT_COUNT(qos_classes); i++) {
		if (writ_str_starts(c->rest, qos_classes[i])) {
			advance(c, qos_classes[i].n);
			return true;
		}
	}
	return false;
}

static bool take_runtime(struct cursor *c)
{
	for (size_t i = 0; i < WRIT_COUNT(runtimes); i++) {
		if (writ_str_starts(c->rest, runtimes[i].in_path)) {
			c->out->runtime = runtimes[i].name;
			advance(c, runtimes[i].in_path.n);
			return true;
		}
	}
	return false;
}

static bool take_uid(struct cursor *c)
{
	size_t n = span(c->rest, is_digit);
	uint64_t uid;
	if (n > 1 && c->rest.p[0] == '0')
		return false;
	if (writ_parse_u64(writ_strn(c->rest.p, n), 0, UINT32_MAX, &uid, NULL) != WRIT_OK)
		return false;
	if (c->out->has_owner && c->out->owner_uid != uid)
		return false;
	c->out->has_owner = true;
	c->out->owner_uid = (uint32_t)uid;
	advance(c, n);
	return true;
}

static bool take_user_manager(struct cursor *c)
{
	struct writ_str unit = component(c->rest);
	if (!writ_str_starts(c->rest, WRIT_STR("user@")))
		return false;
	advance(c, 5);
	if (!take_uid(c) || !writ_str_starts(c->rest, WRIT_STR(".service/")))
		return false;
	advance(c, 8);
	c->out->unit = unit;
	c->anchor = c->whole - c->rest.n;
	return true;
}

static bool take_id_unkept(struct cursor *c)
{
	bool ok = span(c->rest, is_hex) == CONTAINER_HEX;
	if (ok)
		advance(c, CONTAINER_HEX);
	return ok;
}

static bool is_unit_name(struct writ_str s)
{
	bool service = writ_str_ends(s, WRIT_STR(".service")) && s.n > 8;
	bool scope = writ_str_ends(s, WRIT_STR(".scope")) && s.n > 6;
	return (service || scope) && s.n <= 255 && span(s, is_unit_char) == s.n;
}

static bool take_users_unit(struct cursor *c)
{
	struct writ_str part = component(c->rest);
	while (writ_str_ends(part, WRIT_STR(".slice")) && part.n < c->rest.n) {
		advance(c, part.n + 1);
		part = component(c->rest);
	}
	if (!is_unit_name(part))
		return false;
	c->out->name = part;
	advance(c, part.n);
	return true;
}

static bool take_slices(struct cursor *c)
{
	bool any = false;
	while (c->rest.n > 1 && c->rest.p[0] == '/') {
		struct writ_str name = component(writ_strn(c->rest.p + 1, c->rest.n - 1));
		if (!writ_str_ends(name, WRIT_STR(".slice")) || name.n == 6)
			break;
		advance(c, 1 + name.n);
		any = true;
	}
	return any;
}

static bool take_unit(struct cursor *c)
{
	struct writ_str unit = component(c->rest);
	size_t n = unit.n;
	/* systemd puts one '_' before a name that the kernel could mistake for a file of its own.
	 */
	if (n > 0 && unit.p[0] == '_')
		unit = writ_strn(unit.p + 1, n - 1);
	if (!is_unit_name(unit))
		return false;
	c->out->unit = unit;
	advance(c, n);
	return true;
}

static bool take_name(struct cursor *c)
{
	const char *end = strchrnul(c->pattern, '/');
	struct writ_str suffix = writ_strn(c->pattern, (size_t)(end - c->pattern));
	struct writ_str part = component(c->rest);
	if (part.n <= suffix.n || !writ_str_ends(part, suffix))
		return false;
	c->out->name = writ_strn(part.p, part.n - suffix.n);
	advance(c, c->out->name.n);
	return span(c->out->name, is_unit_char) == c->out->name.n;
}

static bool take_slurm_scope(struct cursor *c)
{
	struct writ_str part = component(c->rest);
	struct writ_str scope = WRIT_STR("slurmstepd.scope");
	bool plain = writ_str_eq(part, scope);
	bool of_node = writ_str_ends(part, WRIT_STR("_slurmstepd.scope"));
	advance(c, part.n);
	return plain || of_node;
}

static bool take_slurm_folder(struct cursor *c)
{
	struct writ_str part = component(c->rest);
	bool ok = writ_str_eq(part, WRIT_STR("slurm")) ||
		(writ_str_starts(part, WRIT_STR("slurm_")) && part.n > 6);
	advance(c, part.n);
	return ok;
}

static bool take_job(struct cursor *c)
{
	bool numbered = writ_str_starts(c->rest, WRIT_STR("job_"));
	if (numbered)
		advance(c, 4);
	else if (c->rest.n == 0 || c->rest.p[0] != 's')
		return false;
	size_t n = span(c->rest, numbered ? is_digit : is_alnum);
	c->out->name = writ_strn(c->rest.p, n);
	advance(c, n);
	return n > (numbered ? 0 : 1) && n <= 20;
}

static bool take_detail(struct cursor *c)
{
	size_t n = span(c->rest, is_alnum);
	c->out->detail = writ_strn(c->rest.p, n);
	advance(c, n);
	return n > 0 && n <= 32;
}

static bool (*const directives[128])(struct cursor *c) = {
	['H'] = take_container,
	['P'] = take_pod,
	['Q'] = take_qos,
	['R'] = take_runtime,
	['U'] = take_uid,
	['W'] = take_user_manager,
	['S'] = take_slices,
	['V'] = take_unit,
	['N'] = take_name,
	['T'] = take_users_unit,
	['I'] = take_id_unkept,
	['M'] = take_slurm_folder,
	['O'] = take_slurm_scope,
	['J'] = take_job,
	['K'] = take_detail,
};

static bool match_form(
	const struct form *f, struct writ_str path, struct writ_cgroup *out, size_t *anchor)
{
	struct cursor c = { .rest = path, .pattern = f->pattern, .whole = path.n, .out = out };
	while (*c.pattern) {
		char want = *c.pattern++;
		if (want == '%') {
			char directive = *c.pattern++;
			if (!directives[(unsigned char)directive & 127](&c))
				return false;
			continue;
		}
		if (c.rest.n == 0 || c.rest.p[0] != want)
			return false;
		advance(&c, 1);
	}
	if (c.rest.n > 0 && c.rest.p[0] != '/')
		return false;
	*anchor = c.anchor ? c.anchor : path.n - c.rest.n;
	return true;
}

/* The literal start of the pattern, which settles most forms without any work. */
static bool may_match(const char *pattern, struct writ_str path)
{
	size_t i = 0;
	while (pattern[i] != '%' && pattern[i] != '\0' && i < path.n && pattern[i] == path.p[i])
		i++;
	return pattern[i] == '%' || pattern[i] == '\0';
}

void writ_cgroup_form_match(struct writ_str path, struct writ_cgroup *ret, size_t *anchor)
{
	/* None is of the root alone, where a process is in most hierarchies of v1. */
	for (size_t i = 0; path.n > 1 && i < WRIT_COUNT(forms); i++) {
		if (!may_match(forms[i].pattern, path))
			continue;
		struct writ_cgroup out = { .kind = forms[i].kind, .runtime = forms[i].runtime };
		if (!match_form(&forms[i], path, &out, anchor))
			continue;
		if (!out.runtime)
			out.runtime = "";
		if (out.kind == WRIT_CGROUP_MONITOR) /* it is beside the container, not in it */
			out.container = writ_strn(NULL, 0);
		*ret = out;
		return;
	}
	*ret = (struct writ_cgroup){ .kind = WRIT_CGROUP_NONE, .runtime = "" };
	*anchor = 0;
}
