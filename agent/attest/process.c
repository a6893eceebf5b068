/* SPDX-License-Identifier: Apache-2.0 */
/* The process attestor: what the caller may do, and which namespaces it shares with the host.
 *
 * caps:none says that neither the effective nor the permitted set holds anything: what is permitted
 * can be made effective at any time, without a trace. caps:has:NAME is spelled with a verb because
 * an entry can only ask for what is there; that something is not there is said for all at once. */
#include "attest/attestor.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "attest/emit.h"
#include "attest/proc_text.h"
#include "base/mem.h"

#define STATUS_MAX 8192

static const char *const caps[] = { "cap_chown", "cap_dac_override", "cap_dac_read_search",
	"cap_fowner", "cap_fsetid", "cap_kill", "cap_setgid", "cap_setuid", "cap_setpcap",
	"cap_linux_immutable", "cap_net_bind_service", "cap_net_broadcast", "cap_net_admin",
	"cap_net_raw", "cap_ipc_lock", "cap_ipc_owner", "cap_sys_module", "cap_sys_rawio",
	"cap_sys_chroot", "cap_sys_ptrace", "cap_sys_pacct", "cap_sys_admin", "cap_sys_boot",
	"cap_sys_nice", "cap_sys_resource", "cap_sys_time", "cap_sys_tty_config", "cap_mknod",
	"cap_lease", "cap_audit_write", "cap_audit_control", "cap_setfcap", "cap_mac_override",
	"cap_mac_admin", "cap_syslog", "cap_wake_alarm", "cap_block_suspend", "cap_audit_read",
	"cap_perfmon", "cap_bpf", "cap_checkpoint_restore" };

static void emit_caps(
	const struct writ_snapshot *s, const struct writ_proc_rights *r, struct writ_answer *out)
{
	if (s->withheld[WRIT_PART_NS + WRIT_NS_USER] || !s->ns_ours[WRIT_NS_USER]) {
		writ_answer_note(out,
			"caps withheld: the caller is in another user namespace, or in one that "
			"cannot be read; capabilities there mean nothing here");
		return;
	}
	if (r->cap_effective == 0 && r->cap_permitted == 0)
		writ_emit(out, "caps", "", WRIT_STR("none"));
	for (unsigned i = 0; i < 64; i++) {
		char number[16];
		if (!(r->cap_effective >> i & 1))
			continue;
		(void)snprintf(number, sizeof(number), "cap_%u", i);
		writ_emit(out, "caps", "has", writ_cstr(i < WRIT_COUNT(caps) ? caps[i] : number));
	}
}

static void emit_rights(const struct writ_snapshot *s, int dirfd, struct writ_answer *out)
{
	const struct writ_pin pin = { .pid = (pid_t)s->pid, .pidfd = -1, .dirfd = dirfd };
	char text[STATUS_MAX];
	size_t n;
	struct writ_proc_rights rights;
	struct writ_err why;
	int e = writ_pin_read(&pin, "status", text, sizeof(text), &n);
	if (e != 0)
		writ_answer_note(out,
			"caps, seccomp and nnp withheld: read the caller's status: %s",
			strerror(e));
	else if (writ_proc_rights_parse(writ_strn(text, n), &rights, &why) != WRIT_OK)
		writ_answer_note(out, "caps, seccomp and nnp withheld: %s", why.msg);
	else {
		emit_caps(s, &rights, out);
		if (rights.has_seccomp)
			writ_emit_number(out, "seccomp", "", rights.seccomp);
		writ_emit_number(out, "nnp", "", rights.no_new_privs);
	}
}

static void emit_ns(struct writ_answer *out, const char *name, int error, bool is_host)
{
	if (error != 0)
		writ_answer_note(out, "ns:%s withheld: the agent may not read it (%s)", name,
			strerror(error));
	else
		writ_emit(out, "ns", name, is_host ? WRIT_STR("host") : WRIT_STR("other"));
}

static void emit_net(const struct writ_attest_ctx *ctx, int dirfd, struct writ_answer *out)
{
	uint64_t ns = 0;
	int e = writ_ns_read(dirfd, "ns/net", &ns);
	if (e == 0 && ctx->host_net == 0)
		writ_answer_note(out,
			"ns:net withheld: the agent may not read the machine's own, that of "
			"process 1");
	else
		emit_ns(out, "net", e, ns == ctx->host_net);
}

static writ_rc attest(const struct writ_attest_ctx *ctx, const struct writ_attest_call *call,
	const struct writ_snapshot *s, struct writ_answer *out, struct writ_err *err)
{
	static const struct {
		enum writ_ns ns;
		const char *name;
	} namespaces[] = { { WRIT_NS_USER, "user" }, { WRIT_NS_MNT, "mnt" },
		{ WRIT_NS_CGROUP, "cgroup" }, { WRIT_NS_PID, "pid" } };
	(void)err;
	emit_rights(s, call->dirfd, out);
	for (size_t i = 0; i < WRIT_COUNT(namespaces); i++)
		emit_ns(out, namespaces[i].name, (int)s->withheld[WRIT_PART_NS + namespaces[i].ns],
			s->ns_ours[namespaces[i].ns] != 0);
	emit_net(ctx, call->dirfd, out);
	return WRIT_OK;
}

const struct writ_attestor_vt writ_attestor_process = {
	.name = "process",
	.types = "caps:none caps:has seccomp nnp ns:user ns:mnt ns:cgroup ns:pid ns:net",
	.wanted = WRIT_ATTEST_PROCESS,
	.attest = attest,
};
