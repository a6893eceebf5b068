/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "base/mem.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/un.h>

#define SECOND INT64_C(1000)

#define AT(member) .offset = offsetof(struct writ_gate_config, member)

static const struct writ_conf_field gate_fields[] = {
	{ .key = "listen",
		.type = WRIT_CONF_STRING,
		.flags = WRIT_CONF_REQUIRED,
		AT(listen_text),
		.help = "Address that callers connect to, as 0.0.0.0:8443 or [::1]:8443." },
	{ .key = "target",
		.type = WRIT_CONF_STRING,
		.flags = WRIT_CONF_REQUIRED,
		AT(target_text),
		.help = "The tool behind the gate, as 127.0.0.1:8080 or unix:/run/tool.sock." },
	{ .key = "allow",
		.type = WRIT_CONF_STRINGS,
		AT(allow_text),
		.help = "SPIFFE IDs that may call, exact, or everything below a path that ends in "
			"a slash." },
	{ .key = "svid",
		.type = WRIT_CONF_STRING,
		AT(svid),
		.help = "The gate's own SPIFFE ID, needed where it is given several." },
	{ .key = "endpoint_socket",
		.type = WRIT_CONF_STRING,
		AT(endpoint),
		.help = "The Workload API, as unix:///path; else SPIFFE_ENDPOINT_SOCKET, else the "
			"agent's default." },
	{ .key = "unsafe_target",
		.type = WRIT_CONF_BOOL,
		.def = "false",
		AT(unsafe_target),
		.help = "Let the target be on another host, which the gate reaches without any "
			"protection." },
	{ .key = "max_connections",
		.type = WRIT_CONF_INT,
		.def = "4096",
		.min = 1,
		.max = 65536,
		AT(max_connections),
		.help = "Connections at the same time." },
	{ .key = "max_handshakes",
		.type = WRIT_CONF_INT,
		.def = "500",
		.min = 1,
		.max = 100000,
		AT(max_handshakes),
		.help = "TLS handshakes a second; callers beyond it wait for their turn." },
	{ .key = "connect_timeout",
		.type = WRIT_CONF_DURATION,
		.def = "5s",
		.min = 10,
		.max = 300 * SECOND,
		AT(connect_timeout_ms),
		.help = "How long the target may take to accept a connection." },
	WRIT_CONF_LOG_ROWS(struct writ_gate_config),
};
static const struct writ_conf_table gate_table = { "gate", gate_fields, WRIT_COUNT(gate_fields),
	0 };

static const struct writ_conf_field file_fields[] = {
	{ .key = "gate",
		.type = WRIT_CONF_BLOCK,
		.block = &gate_table,
		.help = "What the gate does." },
	{ .key = "health_checks",
		.type = WRIT_CONF_BLOCK,
		AT(health),
		.block = &writ_conf_health_table,
		.help = "HTTP listener for /live and /ready." },
	{ .key = "telemetry",
		.type = WRIT_CONF_BLOCK,
		AT(telemetry),
		.block = &writ_conf_telemetry_table,
		.help = "Metrics." },
};
static const struct writ_conf_table file_table = { "", file_fields, WRIT_COUNT(file_fields), 0 };

static writ_rc unix_address(struct writ_str path, struct writ_gate_address *a, struct writ_err *err)
{
	struct sockaddr_un *un = (struct sockaddr_un *)&a->addr;
	if (writ_str_starts(path, WRIT_STR("//")))
		path = writ_strn(path.p + 2, path.n - 2);
	if (!path.n || path.p[0] != '/' || path.n >= sizeof(un->sun_path))
		return writ_fail(err, WRIT_EINVAL,
			"'%s': an absolute path of at most %zu bytes is needed after unix:",
			a->text, sizeof(un->sun_path) - 1);
	un->sun_family = AF_UNIX;
	memcpy(un->sun_path, path.p, path.n);
	a->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path.n + 1);
	return WRIT_OK;
}

static writ_rc ip_address(struct writ_str host, struct writ_gate_address *a, struct writ_err *err)
{
	char text[INET6_ADDRSTRLEN];
	struct sockaddr_in *in = (struct sockaddr_in *)&a->addr;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&a->addr;
	if (host.n >= 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
		host = writ_strn(host.p + 1, host.n - 2);
	if (!host.n)
		host = WRIT_STR("0.0.0.0");
	if (writ_str_eq(host, WRIT_STR("localhost")))
		host = WRIT_STR("127.0.0.1");
	if (host.n >= sizeof(text))
		return writ_fail(err, WRIT_EINVAL, "'%s' is not an address", a->text);
	memcpy(text, host.p, host.n);
	text[host.n] = '\0';
	if (inet_pton(AF_INET, text, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
		in->sin_port = htons(a->port);
		a->len = sizeof(*in);
		return WRIT_OK;
	}
	if (inet_pton(AF_INET6, text, &in6->sin6_addr) == 1) {
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(a->port);
		a->len = sizeof(*in6);
		return WRIT_OK;
	}
	return writ_fail(err, WRIT_EINVAL,
		"'%s': '%s' is not an IP address; names are not looked up, write the address",
		a->text, text);
}

static writ_rc parse(struct writ_gate_address *a, struct writ_err *err)
{
	struct writ_str s = writ_cstr(a->text);
	if (writ_str_starts(s, WRIT_STR("unix:")))
		return unix_address(writ_strn(s.p + 5, s.n - 5), a, err);
	const char *colon = strrchr(a->text, ':');
	uint64_t port = 0;
	writ_rc rc = colon ? writ_parse_u64(writ_cstr(colon + 1), 0, 65535, &port, err)
			   : writ_fail(err, WRIT_EINVAL, "no port");
	if (rc != WRIT_OK)
		return writ_fail(err, WRIT_EINVAL,
			"'%s' is not an address: write 127.0.0.1:8080, [::1]:8080 or unix:/path",
			a->text);
	a->port = (uint16_t)port;
	return ip_address(writ_strn(s.p, (size_t)(colon - a->text)), a, err);
}

writ_rc writ_gate_address_parse(
	const char *text, struct writ_gate_address *ret, struct writ_err *err)
{
	struct writ_gate_address a = { .text = writ_strdup(text) };
	writ_rc rc = parse(&a, err);
	if (rc == WRIT_OK)
		*ret = a;
	else
		writ_free(a.text);
	return rc;
}

bool writ_gate_address_is_local(const struct writ_gate_address *a)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)&a->addr;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&a->addr;
	switch (a->addr.ss_family) {
	case AF_UNIX: return true;
	case AF_INET: return (ntohl(in->sin_addr.s_addr) >> 24) == 127;
	case AF_INET6: return IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr);
	default: return false;
	}
}

#define WHERE(root, key) writ_conf_where(root, "gate", key)

static void check_address(const char *text, const char *key, const struct writ_conf_node *root,
	struct writ_gate_address *a, struct writ_conf_diags *d)
{
	struct writ_err err;
	if (text && writ_gate_address_parse(text, a, &err) != WRIT_OK)
		writ_conf_diag_add(d, WRIT_CONF_ERROR, WHERE(root, key), "%s: %s", key, err.msg);
}

static void check(
	struct writ_gate_config *c, const struct writ_conf_node *root, struct writ_conf_diags *d)
{
	struct writ_err err;
	struct writ_id id;
	check_address(c->listen_text, "listen", root, &c->listen, d);
	check_address(c->target_text, "target", root, &c->target, d);
	if (c->listen.text && c->listen.addr.ss_family == AF_UNIX)
		writ_conf_diag_add(d, WRIT_CONF_ERROR, WHERE(root, "listen"),
			"listen: mutual TLS is served over TCP; write an address and a port");
	if (c->target.text && !c->unsafe_target && !writ_gate_address_is_local(&c->target))
		writ_conf_diag_add(d, WRIT_CONF_ERROR, WHERE(root, "target"),
			"target: %s is on another host, which the gate would reach in clear text; "
			"put a gate beside the tool, or set "
			"unsafe_target = true",
			WRIT_CONF_Q(c->target_text));
	if (!c->allow_text.n)
		writ_conf_diag_add(d, WRIT_CONF_ERROR, WHERE(root, "allow"),
			"allow: nobody may call; name at least one, like allow = "
			"[\"spiffe://example.org/agent/research\"]");
	for (size_t i = 0; i < c->allow_text.n; i++) {
		if (writ_allow_add(&c->allow, writ_cstr(c->allow_text.items[i]), &err) != WRIT_OK)
			writ_conf_diag_add(
				d, WRIT_CONF_ERROR, WHERE(root, "allow"), "allow: %s", err.msg);
	}
	if (c->svid && writ_id_parse_leaf(writ_cstr(c->svid), &id, &err) != WRIT_OK)
		writ_conf_diag_add(d, WRIT_CONF_ERROR, WHERE(root, "svid"), "svid: %s", err.msg);
}

/* Without a file: the flags alone are laid over an empty one. */
static writ_rc load(const char *path, const struct writ_conf_source *source,
	struct writ_conf_diags *d, struct writ_conf_node **root, struct writ_err *err)
{
	if (path)
		return writ_conf_load(path, "gate", source, d, root, err);
	*root = writ_conf_new();
	for (size_t i = 0; i < source->n_overrides; i++)
		writ_conf_set(*root, "gate", source->overrides[i].key, source->overrides[i].value);
	return WRIT_OK;
}

/* -allow on the command line stands in place of the file's list. */
static void take_allow(struct writ_gate_config *c, const char *const *allow, size_t n)
{
	if (!n)
		return;
	for (size_t i = 0; i < c->allow_text.n; i++)
		writ_free(c->allow_text.items[i]);
	c->allow_text.items = writ_realloc(c->allow_text.items, n * sizeof(char *));
	c->allow_text.n = n;
	for (size_t i = 0; i < n; i++)
		c->allow_text.items[i] = writ_strdup(allow[i]);
}

writ_rc writ_gate_config_load(const char *path, const struct writ_conf_source *source,
	const char *const *allow, size_t n_allow, struct writ_conf_diags *d,
	struct writ_gate_config *ret, struct writ_err *err)
{
	struct writ_conf_node *root = NULL;
	struct writ_gate_config c = { 0 };
	writ_rc rc = load(path, source, d, &root, err);
	if (rc != WRIT_OK)
		return rc;
	writ_conf_fill(&file_table, root, &c, d);
	take_allow(&c, allow, n_allow);
	check(&c, root, d);
	rc = writ_conf_diags_check(d, err);
	writ_conf_free(root);
	if (rc == WRIT_OK)
		*ret = c;
	else
		writ_gate_config_done(&c);
	return rc;
}

void writ_gate_config_done(struct writ_gate_config *c)
{
	writ_conf_done(&file_table, c);
	writ_free(c->listen.text);
	writ_free(c->target.text);
	writ_allow_done(&c->allow);
	*c = (struct writ_gate_config){ 0 };
}

void writ_gate_config_print_help(struct writ_buf *out)
{
	writ_conf_print_help(&file_table, out);
}
