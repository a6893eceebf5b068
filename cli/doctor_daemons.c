/* SPDX-License-Identifier: Apache-2.0 */
/* What writ doctor checks of the agent, the server and the way to them. */
#include "doctor.h"
#include "identity.h"
#include "reach.h"
#include "session.h"

#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "rpc/rpc.h"

#include "grpc/health/v1/health.pb-c.h"

#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define SVID_SOON_S 60
#define R(name)     Writ__Agent__V1__##name

#define FIX_AGENT "systemctl start writ-agent; journalctl -u writ-agent says why it ended"

/* "12m3s" */
static const char *span(int64_t s, char *buf, size_t n)
{
	return writ_format_duration(s > 0 ? s * 1000 : 0, buf, n);
}

/* --- agent --- */

/* A socket that others may write to, though it is for operators. */
static void check_mode(struct writ_doctor *d, const char *path)
{
	struct stat st;
	if (stat(path, &st) == 0 && (st.st_mode & 07))
		writ_found(d, WRIT_FOUND_WARN, "chmod o-rwx it, or restart the agent",
			"%s is open to all users (mode %04o)", path, (unsigned)st.st_mode & 07777);
}

static void no_agent(struct writ_doctor *d, const char *path, const char *from, writ_rc rc,
	const struct writ_err *err)
{
	bool meant = strcmp(from, "default") != 0 || access("/etc/writ/agent.conf", F_OK) == 0;
	if (rc == WRIT_EDENIED)
		writ_found(d, WRIT_FOUND_NONE, "run writ doctor as root or in group writ-admin",
			"the agent's state is for operators: %s", err->msg);
	else if (!meant)
		writ_found(d, WRIT_FOUND_NONE, NULL,
			"no agent on this machine: no %s, no /etc/writ/agent.conf", path);
	else
		writ_found(d, WRIT_FOUND_FAIL, FIX_AGENT, "admin socket (%s): %s", from, err->msg);
}

static writ_rc ask_agent(struct writ_doctor *d, const char *method, const ProtobufCMessage *q,
	const ProtobufCMessageDescriptor *out, ProtobufCMessage **ret, struct writ_err *err)
{
	struct writ_session s = { 0 };
	const char *from;
	const char *path = writ_agent_admin_path(&d->in->args, &from);
	writ_rc rc = writ_session_open_path(d->in, path, &s, err);
	s.timeout_ms = d->timeout_ms;
	if (rc == WRIT_OK)
		rc = writ_session_call(&s, method, q, out, ret, err);
	writ_session_close(&s);
	return rc;
}

void writ_check_agent(struct writ_doctor *d)
{
	R(GetStatusRequest) q = WRIT__AGENT__V1__GET_STATUS_REQUEST__INIT;
	const char *from, *path = writ_agent_admin_path(&d->in->args, &from);
	ProtobufCMessage *m = NULL;
	struct writ_err err = { 0 };
	int64_t began = writ_mono_us();
	writ_rc rc = ask_agent(d, "/writ.agent.v1.Admin/GetStatus", &q.base,
		&writ__agent__v1__get_status_response__descriptor, &m, &err);
	if (rc != WRIT_OK) {
		no_agent(d, path, from, rc, &err);
		return;
	}
	const R(GetStatusResponse) *a = (const void *)m;
	char up[32];
	d->agent = a;
	writ_found(d, WRIT_FOUND_OK, NULL,
		"writ-agent %s, pid %d, up %s, answers on %s (%s) in %.1f ms", a->version, a->pid,
		span(writ_wall_s() - a->started_at, up, sizeof(up)), path, from,
		(double)(writ_mono_us() - began) / 1000.0);
	if (strcmp(a->version, WRIT_VERSION) != 0)
		writ_found(d, WRIT_FOUND_WARN, "systemctl restart writ-agent",
			"the agent is of version %s, this program of %s", a->version, WRIT_VERSION);
	check_mode(d, path);
	if (a->ready)
		writ_found(d, WRIT_FOUND_OK, NULL, "%" PRIu64 " entr%s, %" PRIu64 " SVID%s ready",
			a->entries, a->entries == 1 ? "y" : "ies", a->svids,
			a->svids == 1 ? "" : "s");
	else
		writ_found(d, WRIT_FOUND_FAIL, "the server and the lines below; writ-agent's log",
			"no caller gets an identity from it");
}

void writ_check_agent_svid(struct writ_doctor *d)
{
	const R(GetStatusResponse) *a = d->agent;
	char text[32];
	if (!a)
		return;
	int64_t left = a->svid_expires_at - writ_wall_s();
	if (!a->agent_id[0] || !a->svid_expires_at)
		writ_found(d, WRIT_FOUND_FAIL,
			"journalctl -u writ-agent says why; by token: writ token generate on the "
			"server, then join_token_file in agent.conf",
			"the agent has not joined");
	else if (left <= 0)
		writ_found(d, WRIT_FOUND_FAIL, "see the server's checks; then the agent's log",
			"the agent's own SVID ended %s ago", span(-left, text, sizeof(text)));
	else
		writ_found(d, left < SVID_SOON_S ? WRIT_FOUND_WARN : WRIT_FOUND_OK, NULL,
			"%s, its SVID is good for %s", a->agent_id, span(left, text, sizeof(text)));
}

/* A server has the next CA in the bundle when half of the last one's life is over. */
void writ_check_agent_ca(struct writ_doctor *d)
{
	const R(GetStatusResponse) *a = d->agent;
	char text[32];
	if (!a || !a->cas)
		return;
	int64_t left = a->ca_expires_at - writ_wall_s();
	bool late = left < (a->ca_expires_at - a->ca_starts_at) / 3;
	if (left <= 0)
		writ_found(d, WRIT_FOUND_FAIL, "the server's log, its lines ca.*",
			"none of the %u CAs in the bundle is in time", a->cas);
	else
		writ_found(d, late ? WRIT_FOUND_WARN : WRIT_FOUND_OK,
			late ? "the server's log, its lines ca.*: the next CA is overdue" : NULL,
			"the bundle has %u CA%s, the last one ends in %s", a->cas,
			a->cas == 1 ? "" : "s", span(left, text, sizeof(text)));
}

/* Clock ticks since boot: with its number, a name for this process that no other has. 0: not known.
 */
static uint64_t own_start_time(void)
{
	WRIT_AUTO(writ_buf_done) struct writ_buf text = WRIT_BUF(4096);
	uint64_t v = 0;
	if (writ_fs_read("/proc/self/stat", &text, NULL) != WRIT_OK)
		return 0;
	const char *p = strrchr(writ_buf_cstr(&text), ')'); /* field 2 is any text */
	for (int field = 2; p && field < 22; field++)
		p = strchr(p + 1, ' ');
	struct writ_str rest = writ_cstr(p ? p + 1 : ""), word;
	(void)writ_str_cut(&rest, ' ', &word);
	return writ_parse_u64(word, 1, UINT64_MAX, &v, NULL) == WRIT_OK ? v : 0;
}

static void judge_sight(struct writ_doctor *d, const R(ExplainResponse) * r)
{
	/* In a PID namespace of its own this process has another number for the agent. */
	if (!r->process || r->process->start_time != own_start_time()) {
		writ_found(d, WRIT_FOUND_NONE, "run writ doctor outside of this container",
			"which program this process runs: pid %d is another process for the agent",
			(int)getpid());
		return;
	}
	for (size_t i = 0; i < r->n_withheld; i++) {
		const char *why = r->withheld[i];
		if (strncmp(why, "unix:path", 9) != 0)
			continue;
		writ_found(d, WRIT_FOUND_WARN,
			strstr(why, "CAP_SYS_PTRACE")
				? "systemctl edit writ-agent: [Service] "
				  "AmbientCapabilities=CAP_SYS_PTRACE CAP_DAC_READ_SEARCH"
				: "run writ doctor as the machine's programs are run, then it may "
				  "see those",
			"it cannot see which program this process runs: %s", why);
		return;
	}
	writ_found(d, WRIT_FOUND_OK, NULL, "it sees which program this process runs");
}

/* Is there anything that it may not learn of other users? This process stands for them; it holds no
 * secret yet, and opens itself as far as most programs are open. */
void writ_check_agent_sight(struct writ_doctor *d)
{
	R(ExplainRequest) q = WRIT__AGENT__V1__EXPLAIN_REQUEST__INIT;
	ProtobufCMessage *m = NULL;
	struct writ_err err = { 0 };
	if (!d->agent)
		return;
	q.pid = getpid();
	q.max_entries = 1;
	(void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	writ_rc rc = ask_agent(d, "/writ.agent.v1.Admin/Explain", &q.base,
		&writ__agent__v1__explain_response__descriptor, &m, &err);
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	if (rc == WRIT_ETIMEOUT) {
		writ_found(d, WRIT_FOUND_FAIL, "systemctl restart writ-agent",
			"the agent's attestation process (writ-attestor) does not answer: no "
			"caller is served");
		return;
	}
	if (rc != WRIT_OK) {
		writ_found(d, WRIT_FOUND_WARN,
			"run writ doctor where the agent runs, not in a container",
			"the agent cannot look at this process: %s", err.msg);
		return;
	}
	judge_sight(d, (const void *)m);
	writ_pb_free(m);
}

void writ_check_agent_done(struct writ_doctor *d)
{
	union {
		const R(GetStatusResponse) * in;
		R(GetStatusResponse) * out;
	} u = { .in = d->agent };
	writ_pb_free(&u.out->base);
	d->agent = NULL;
}

/* --- server --- */

/* From here, since the agent says only that it has no connection. */
static void try_server(struct writ_doctor *d)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	struct addrinfo *list = NULL;
	WRIT_AUTO(writ_freep) char *host = writ_strdup(d->agent->server);
	char *colon = strrchr(host, ':');
	int errnum = 0;
	if (!colon)
		return;
	*colon = '\0';
	int rc = getaddrinfo(host, colon + 1, &hints, &list);
	if (rc != 0) {
		writ_found(d, WRIT_FOUND_FAIL, "server_address in agent.conf", "%s: %s", host,
			gai_strerror(rc));
		return;
	}
	if (writ_reach(list->ai_addr, list->ai_addrlen, d->timeout_ms, &errnum))
		writ_found(d, WRIT_FOUND_FAIL,
			"the agent's log says what the two do not agree on; a clock, a CA, a token",
			"something answers at %s, but the agent has no connection to it",
			d->agent->server);
	else
		writ_found(d, WRIT_FOUND_FAIL,
			"systemctl status writ-server there; the firewall between",
			"the server at %s cannot be reached: %s", d->agent->server,
			strerror(errnum));
	freeaddrinfo(list);
}

void writ_check_server_link(struct writ_doctor *d)
{
	const R(GetStatusResponse) *a = d->agent;
	char text[32];
	if (!a) {
		writ_found(
			d, WRIT_FOUND_NONE, NULL, "what the agent sees of its server is not known");
		return;
	}
	if (!a->connected)
		try_server(d);
	else
		writ_found(d, WRIT_FOUND_OK, NULL, "the agent is connected to %s", a->server);
	if (a->synced_at)
		writ_found(d, WRIT_FOUND_OK, NULL, "the last change came %s ago",
			span(writ_wall_s() - a->synced_at, text, sizeof(text)));
	else
		writ_found(d, WRIT_FOUND_FAIL, NULL, "the agent has never been told its entries");
}

#define FIX_CLOCK                                                                                  \
	"timedatectl set-ntp true here and on the server; timedatectl timesync-status shows the "  \
	"source"

void writ_check_server_clock(struct writ_doctor *d)
{
	const R(GetStatusResponse) *a = d->agent;
	int64_t ahead = a ? a->server_ahead_ms : 0;
	double s = (double)(ahead < 0 ? -ahead : ahead) / 1000.0;
	if (!a)
		return;
	if (!a->server_clock_known)
		writ_found(d, WRIT_FOUND_NONE, NULL, "the server has not said what its clock is");
	else if (ahead > WRIT_SVID_SKEW_MS)
		writ_found(d, WRIT_FOUND_WARN, FIX_CLOCK,
			"the clock of this machine is %.1f s behind the server's: what was issued "
			"a "
			"moment ago is not valid here yet, from %d s on",
			s, WRIT_SVID_BACKDATED_S);
	else if (ahead < -WRIT_SVID_SKEW_MS)
		writ_found(d, WRIT_FOUND_WARN, FIX_CLOCK,
			"the clock of this machine is %.1f s ahead of the server's: certificates "
			"end "
			"here so much too early, those that live shorter on arrival",
			s);
	else
		writ_found(d, WRIT_FOUND_OK, NULL,
			"the clock of this machine agrees with the server's, to %.1f s", s);
}

static writ_rc ask_health(struct writ_session *s, struct writ_err *err)
{
	Grpc__Health__V1__HealthCheckRequest q = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;
	ProtobufCMessage *m;
	writ_rc rc = writ_session_call(s, "/grpc.health.v1.Health/Check", &q.base,
		&grpc__health__v1__health_check_response__descriptor, &m, err);
	if (rc != WRIT_OK)
		return rc;
	int status = (int)((const Grpc__Health__V1__HealthCheckResponse *)(const void *)m)->status;
	writ_pb_free(m);
	return status == GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING
		? WRIT_OK
		: writ_fail(err, WRIT_EPRECOND, "it answers, but is not serving");
}

/* One on this machine, where there is one. */
void writ_check_server(struct writ_doctor *d)
{
	const char *named = getenv("WRIT_SERVER_SOCKET");
	const char *path = named ? named : WRIT_SERVER_SOCKET_DEFAULT;
	struct writ_session s = { 0 };
	struct writ_err err = { 0 };
	bool meant = named || access("/etc/writ/server.conf", F_OK) == 0;
	if (!meant && access(path, F_OK) != 0 && errno == ENOENT) {
		writ_found(d, WRIT_FOUND_NONE, NULL, "no server on this machine");
		return;
	}
	writ_rc rc = writ_session_open_path(d->in, path, &s, &err);
	s.timeout_ms = d->timeout_ms;
	if (rc == WRIT_OK)
		rc = ask_health(&s, &err);
	writ_session_close(&s);
	if (rc == WRIT_OK)
		writ_found(
			d, WRIT_FOUND_OK, NULL, "the server on this machine is healthy (%s)", path);
	else if (rc == WRIT_EDENIED)
		writ_found(d, WRIT_FOUND_NONE, "run writ doctor as root or in group writ-admin",
			"the server on this machine is for operators: %s", err.msg);
	else
		writ_found(d, WRIT_FOUND_FAIL,
			rc == WRIT_EPRECOND
				? "journalctl -u writ-server"
				: "systemctl start writ-server; journalctl -u writ-server says "
				  "why it ended",
			"the server on this machine: %s", err.msg);
}

/* --- the Workload API --- */

static bool is_agent_meant(const struct writ_doctor *d, const char *from)
{
	return d->agent || strcmp(from, "default") != 0 ||
		access("/etc/writ/agent.conf", F_OK) == 0;
}

void writ_check_workload_socket(struct writ_doctor *d)
{
	WRIT_AUTO(writ_freep) char *path = NULL;
	const char *from;
	struct writ_session s = { 0 };
	struct writ_err err = { 0 };
	int64_t began = writ_mono_us();
	writ_rc rc = writ_workload_socket(&d->in->args, &path, &from, &err);
	if (rc != WRIT_OK) {
		writ_found(d, WRIT_FOUND_FAIL, "export SPIFFE_ENDPOINT_SOCKET=unix://PATH", "%s",
			err.msg);
		return;
	}
	rc = writ_session_open_path(d->in, path, &s, &err);
	s.timeout_ms = d->timeout_ms;
	if (rc == WRIT_OK)
		rc = ask_health(&s, &err);
	writ_session_close(&s);
	if (rc == WRIT_OK)
		writ_found(d, WRIT_FOUND_OK, NULL, "%s (%s) answers in %.1f ms", path, from,
			(double)(writ_mono_us() - began) / 1000.0);
	else if (rc == WRIT_EUNAVAIL && !is_agent_meant(d, from))
		writ_found(d, WRIT_FOUND_NONE, NULL, "no %s", path);
	else
		writ_found(d, WRIT_FOUND_FAIL,
			rc == WRIT_EPRECOND ? "what the agent's lines above say" : FIX_AGENT,
			"%s: %s", from, err.msg);
	d->is_workload_api_there = rc == WRIT_OK;
}

static void check_lifetime(struct writ_doctor *d, const struct writ_svid *s)
{
	char text[32];
	int64_t now = writ_wall_s();
	if (writ_svid_not_before(s) > now)
		writ_found(d, WRIT_FOUND_FAIL, "set this machine's clock",
			"%s starts in %s: this machine's clock is behind the server's",
			s->spiffe_id, span(writ_svid_not_before(s) - now, text, sizeof(text)));
	else
		writ_found(d, writ_svid_not_after(s) <= now ? WRIT_FOUND_FAIL : WRIT_FOUND_OK, NULL,
			"this process is %s, for %s", s->spiffe_id,
			span(writ_svid_not_after(s) - now, text, sizeof(text)));
}

void writ_check_identity(struct writ_doctor *d)
{
	struct writ_wl_update *u = NULL;
	struct writ_err err = { 0 };
	if (!d->is_workload_api_there)
		return;
	writ_rc rc = writ_identity_fetch(d->in, d->timeout_ms, &u, &err);
	if (rc == WRIT_EDENIED)
		writ_found(d, WRIT_FOUND_WARN, "writ explain TRACE, with the number above",
			"this process matches no entry: %s", err.msg);
	else if (rc != WRIT_OK)
		writ_found(d, WRIT_FOUND_FAIL, "writ-agent's log", "%s", err.msg);
	for (size_t i = 0; u && i < u->n; i++)
		check_lifetime(d, u->svids[i]);
	if (u)
		writ_wl_update_unref(u);
}
