/* SPDX-License-Identifier: Apache-2.0 */
/* The half of the monitor that looks after the signer. */
#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/secret.h"
#include "monitor/control.h"
#include "monitor/monitor_impl.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define START_MS 10000 /* until it is ready */
#define END_MS   1000  /* from the end of the talk to the end of the process */

static writ_rc send_text(struct writ_monitor *m, enum writ_vault_type type, const char *name,
	struct writ_str data, struct writ_err *err)
{
	const struct writ_vault_msg msg = { type, writ_cstr(name), data };
	return writ_vault_send(m->vault.fd, &msg, -1, err);
}

/* SPIRE takes a key of any mode, and a checkout of its samples has 0644. What others can read is
 * not secret: said loudly, each time. What others can write is not ours. */
static writ_rc read_key(const char *path, struct writ_buf *text, struct writ_err *err)
{
	struct stat st;
	writ_rc rc = writ_fs_read_private(path, text, err);
	if (rc != WRIT_EDENIED || lstat(path, &st) != 0 || !S_ISREG(st.st_mode) ||
		st.st_nlink > 1 || (st.st_uid != 0 && st.st_uid != geteuid()) || (st.st_mode & 022))
		return rc;
	if (st.st_mode & 07)
		WRIT_LOG(WARN, "key.readable_by_all", WRIT_KV("path", path),
			WRIT_KV("do", "chmod 600; every user of this machine can be the CA"));
	return writ_fs_read(path, text, err);
}

/* Read anew for each signer, so that this process does not keep the key. */
static writ_rc send_file(struct writ_monitor *m, const char *name, const char *path, bool secret,
	struct writ_err *err)
{
	if (!path)
		return WRIT_OK;
	WRIT_AUTO(writ_buf_wipe) struct writ_buf text = WRIT_BUF(WRIT_VAULT_MAX / 2);
	writ_rc rc = secret ? read_key(path, &text, err) : writ_fs_read(path, &text, err);
	return rc ? rc : send_text(m, WRIT_VAULT_UPSTREAM, name, writ_buf_str(&text), err);
}

static writ_rc send_key(void *arg, struct writ_str name, struct writ_str data, struct writ_err *err)
{
	struct writ_monitor *m = arg;
	const struct writ_vault_msg msg = { WRIT_VAULT_KEY, name, data };
	return writ_vault_send(m->vault.fd, &msg, -1, err);
}

static writ_rc set_up(struct writ_monitor *m, struct writ_err *err)
{
	const struct writ_monitor_config *c = m->config;
	writ_rc rc =
		send_text(m, WRIT_VAULT_CONFIG, "trust_domain", writ_cstr(c->trust_domain), err);
	if (!rc)
		rc = send_text(m, WRIT_VAULT_CONFIG, "key_manager", writ_cstr(c->key_manager), err);
	if (!rc) {
		char max[24];
		snprintf(max, sizeof(max), "%lld", (long long)c->record.max);
		rc = send_text(m, WRIT_VAULT_CONFIG, "record_max", writ_cstr(max), err);
	}
	if (!rc)
		rc = send_file(m, "cert", c->upstream_cert, false, err);
	if (!rc)
		rc = send_file(m, "key", c->upstream_key, true, err);
	if (!rc)
		rc = send_file(m, "bundle", c->upstream_bundle, false, err);
	if (!rc && m->keys.dir)
		rc = writ_keystore_load(&m->keys, send_key, m, err);
	return rc ? rc : send_text(m, WRIT_VAULT_GO, "", WRIT_STR(""), err);
}

static writ_rc pair(int fds[2], struct writ_err *err)
{
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0)
		return writ_fail_errno(err, errno, "socket to the signer");
	return WRIT_OK;
}

writ_rc writ_monitor_start_signer(struct writ_monitor *m, struct writ_err *err)
{
	WRIT_AUTO(writ_closep) int record = -1;
	int server[2], vault[2];
	writ_monitor_signer_lost(m); /* what a start that failed left */
	writ_rc rc = writ_record_file_open(&m->record, &record, err);
	if (!rc)
		rc = pair(server, err);
	if (rc)
		return rc;
	m->server_end = server[0];
	WRIT_AUTO(writ_closep) int signer_server = server[1];
	rc = pair(vault, err);
	if (rc)
		return rc;
	writ_vault_link_init(&m->vault, vault[0]);
	WRIT_AUTO(writ_closep) int signer_vault = vault[1];
	const int fds[] = { signer_server, record, signer_vault };
	char *const argv[] = { (char[]){ "writ-signer" }, NULL }, *const envp[] = { NULL };
	const struct writ_program p = { m->signer_path, argv, envp };
	rc = writ_child_start(&m->signer, &p, fds, WRIT_COUNT(fds), err);
	if (rc)
		return rc;
	m->signer_due_ms = writ_mono_ms() + START_MS;
	/* Gone here already, so that a signer that dies now is seen to be gone. */
	writ_closep(&signer_vault);
	signer_vault = -1;
	return set_up(m, err);
}

void writ_monitor_signer_lost(struct writ_monitor *m)
{
	int fd = m->vault.fd;
	writ_vault_link_done(&m->vault);
	writ_closep(&fd);
	writ_closep(&m->server_end);
	m->server_end = -1;
	m->signer_ready = false;
	m->signer_due_ms = m->signer.pid ? writ_mono_ms() + END_MS : 0;
}

void writ_monitor_hand_over(struct writ_monitor *m)
{
	struct writ_err err;
	if (!m->signer_ready || m->server_end < 0 || m->control < 0)
		return;
	if (writ_control_send(m->control, WRIT_CONTROL_SIGNER, WRIT_STR(""), m->server_end, &err))
		WRIT_LOG(ERROR, "serving.unreachable", WRIT_KV("error", (const char *)err.msg));
	writ_closep(&m->server_end);
	m->server_end = -1;
}

void writ_monitor_join(struct writ_monitor *m)
{
	int fds[2];
	struct writ_err err;
	/* A signer that is not up yet has the end of its first socket here still. */
	if (!m->signer_ready || m->server_end >= 0) {
		writ_monitor_hand_over(m);
		return;
	}
	if (pair(fds, &err) != WRIT_OK) {
		WRIT_LOG(ERROR, "signer.unreachable", WRIT_KV("error", (const char *)err.msg));
		return;
	}
	const struct writ_vault_msg msg = { WRIT_VAULT_SERVER, { "", 0 }, { "", 0 } };
	m->server_end = fds[0];
	if (writ_vault_send(m->vault.fd, &msg, fds[1], &err) != WRIT_OK)
		writ_child_signal(&m->signer, SIGKILL); /* a new one gets it right */
	close(fds[1]);
	writ_monitor_hand_over(m);
}

/* A signer that did not get it would go on with the file before: a new one opens what is there. */
static void hand_record(struct writ_monitor *m, int fd)
{
	const struct writ_vault_msg msg = { WRIT_VAULT_RECORD, { "", 0 }, { "", 0 } };
	struct writ_err err;
	if (writ_vault_send(m->vault.fd, &msg, fd, &err) != WRIT_OK) {
		WRIT_LOG(ERROR, "record.not_handed", WRIT_KV("error", (const char *)err.msg));
		writ_child_signal(&m->signer, SIGKILL);
	}
	close(fd);
}

void writ_monitor_look_at_record(struct writ_monitor *m)
{
	struct writ_err err;
	int fd = -1;
	/* One that is not ready yet got its file when it started, and is looked at when it is. */
	if (!m->signer_ready || !writ_record_file_moved(&m->record))
		return;
	if (writ_record_file_open(&m->record, &fd, &err) == WRIT_OK)
		hand_record(m, fd);
	else
		WRIT_LOG(ERROR, "record.reopen", WRIT_KV("error", (const char *)err.msg));
}

static void rotate(struct writ_monitor *m)
{
	struct writ_err err;
	int fd = -1;
	writ_rc rc = writ_record_file_rotate(&m->record, writ_wall_s(), &fd, &err);
	if (rc == WRIT_OK)
		hand_record(m, fd);
	else if (rc != WRIT_EBUSY)
		WRIT_LOG(ERROR, "record.rotate", WRIT_KV("error", (const char *)err.msg),
			WRIT_KV("consequence", "the file before is written to as long"));
}

static writ_rc keep(struct writ_monitor *m, const struct writ_vault_msg *msg, struct writ_err *err)
{
	if (!m->keys.dir)
		return writ_fail(err, WRIT_EPRECOND, "the key manager is not \"disk\"");
	return msg->type == WRIT_VAULT_STORE
		? writ_keystore_save(&m->keys, msg->name, msg->data, err)
		: writ_keystore_remove(&m->keys, msg->name, err);
}

static writ_rc obey(struct writ_monitor *m, const struct writ_vault_msg *msg, struct writ_err *err)
{
	if (msg->type == WRIT_VAULT_READY && !m->signer_ready) {
		m->signer_ready = m->signer.useful = true;
		m->signer_due_ms = 0;
		writ_monitor_hand_over(m);
		writ_monitor_look_at_record(m);
		return WRIT_OK;
	}
	if (msg->type == WRIT_VAULT_LONG) {
		rotate(m);
		return WRIT_OK;
	}
	if (msg->type != WRIT_VAULT_STORE && msg->type != WRIT_VAULT_FORGET)
		return writ_fail(err, WRIT_EPROTO, "the signer sent '%c'", (int)msg->type);
	struct writ_err why = { 0 };
	if (keep(m, msg, &why) != WRIT_OK)
		WRIT_LOG(ERROR, "key.not_kept", WRIT_KV("error", (const char *)why.msg));
	const struct writ_vault_msg done = { WRIT_VAULT_DONE, msg->name, writ_cstr(why.msg) };
	return writ_vault_send(m->vault.fd, &done, -1, err);
}

void writ_monitor_signer_said(struct writ_monitor *m)
{
	struct writ_err err;
	struct writ_str frame;
	struct writ_vault_msg msg;
	writ_rc rc = writ_frame_fill(m->vault.fd, &m->vault.in, NULL, &err);
	while (!rc) {
		rc = writ_frame_peek(&m->vault.in, WRIT_VAULT_MAX, &frame, &err);
		if (!rc)
			rc = writ_vault_parse(frame, &msg, &err);
		if (!rc)
			rc = obey(m, &msg, &err);
		if (!rc) {
			writ_wipe(m->vault.in.p + WRIT_FRAME_HEAD, frame.n);
			writ_frame_drop(&m->vault.in, frame);
		}
	}
	if (rc == WRIT_ENOENT || rc == WRIT_EBUSY)
		return;
	if (rc != WRIT_EUNAVAIL)
		WRIT_LOG(ERROR, "signer.protocol", WRIT_KV("error", (const char *)err.msg));
	/* It ends by itself now, and says with which status. */
	writ_monitor_signer_lost(m);
}
