/* SPDX-License-Identifier: Apache-2.0 */
#include "dev.h"

#include "base/fs.h"
#include "base/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

char *writ_dev_folder(const char *name)
{
	const char *run = getenv("XDG_RUNTIME_DIR");
	struct stat st;
	const char *suffix = name ? name : "dev";
	if (run && run[0] == '/' && stat(run, &st) == 0 && st.st_uid == getuid() &&
		strlen(run) < 40)
		return writ_asprintf("%s/writ-%s", run, suffix);
	return writ_asprintf("/tmp/writ-%u-%s", (unsigned)getuid(), suffix);
}

static writ_rc check_name(const char *name, struct writ_err *err)
{
	size_t n = name ? strlen(name) : 1;
	if (!n || n > 24 || (name && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != n))
		return writ_fail(
			err, WRIT_EINVAL, "--name '%s': use 1 to 24 of a-z, 0-9 and -", name);
	return WRIT_OK;
}

writ_rc writ_dev_make_folder(struct writ_dev *d, struct writ_err *err)
{
	writ_rc rc = check_name(d->name, err);
	if (rc != WRIT_OK)
		return rc;
	if (d->once && !d->name) {
		/* As many at a time as people like. */
		WRIT_AUTO(writ_freep) char *base = writ_dev_folder("once");
		d->dir = writ_asprintf("%s.XXXXXX", base);
		if (!mkdtemp(d->dir))
			return writ_fail_errno(err, errno, "make a folder at %s", d->dir);
	} else {
		d->dir = writ_dev_folder(d->name);
		if (mkdir(d->dir, 0700) != 0) {
			int e = errno;
			char *dir = writ_steal(d->dir); /* not ours to remove */
			if (e == EEXIST)
				rc = writ_fail(err, WRIT_EEXIST,
					"%s is there: another `writ dev` runs, or one was killed; "
					"take another --name, or remove the folder",
					dir);
			else
				rc = writ_fail_errno(err, e, "make %s", dir);
			writ_free(dir);
			return rc;
		}
	}
	d->server_socket = writ_fs_join(d->dir, "server/api.sock");
	d->agent_socket = writ_fs_join(d->dir, "agent/api.sock");
	d->agent_admin_socket = writ_fs_join(d->dir, "agent/admin/admin.sock");
	return WRIT_OK;
}

static writ_rc write_text(const struct writ_dev *d, const char *name, const struct writ_buf *text,
	struct writ_err *err)
{
	WRIT_AUTO(writ_freep) char *path = writ_fs_join(d->dir, name);
	return writ_fs_write(path, text->p, text->n, 0600, err);
}

static writ_rc make_dir(const struct writ_dev *d, const char *name, struct writ_err *err)
{
	WRIT_AUTO(writ_freep) char *path = writ_fs_join(d->dir, name);
	return writ_fs_ensure_dir(path, 0700, err);
}

writ_rc writ_dev_write_server(const struct writ_dev *d, struct writ_err *err)
{
	WRIT_AUTO(writ_buf_done) struct writ_buf t = WRIT_BUF(8192);
	writ_buf_addf(&t,
		"server {\n\ttrust_domain = \"" WRIT_DEV_TD
		"\"\n\tbind_address = \"127.0.0.1\"\n\tbind_port = \"0\"\n"
		"\tsocket_path = \"%s\"\n\tdata_dir = \"%s/server/data\"\n\tca_ttl = "
		"\"24h\"\n\tdefault_x509_svid_ttl = \"1h\"\n"
		"\taudit_log_file = \"%s/audit.log\"\n}\n\n"
		"plugins {\n\tDataStore \"sql\" {\n\t\tplugin_data {\n\t\t\tdatabase_type = "
		"\"sqlite3\"\n\t\t\tconnection_string = "
		"\"%s/server/data/writ.db\"\n\t\t}\n\t}\n\tKeyManager \"memory\" "
		"{\n\t\tplugin_data {}\n\t}\n"
		"\tNodeAttestor \"join_token\" {\n\t\tplugin_data {}\n\t}\n}\n",
		d->server_socket, d->dir, d->dir, d->dir);
	writ_rc rc = make_dir(d, "server", err);
	if (rc == WRIT_OK)
		rc = make_dir(d, "server/data", err);
	return rc == WRIT_OK ? write_text(d, "server.conf", &t, err) : rc;
}

writ_rc writ_dev_write_agent(const struct writ_dev *d, struct writ_err *err)
{
	WRIT_AUTO(writ_buf_done) struct writ_buf t = WRIT_BUF(8192);
	writ_buf_addf(&t,
		"agent {\n\ttrust_domain = \"" WRIT_DEV_TD
		"\"\n\tserver_address = \"127.0.0.1\"\n\tserver_port = \"%u\"\n"
		"\tsocket_path = \"%s\"\n\tadmin_socket_path = \"%s\"\n\tdata_dir = "
		"\"%s/agent/data\"\n\ttrust_bundle_path = \"%s/bundle.pem\"\n"
		"\tallow_foreign_namespaces = true\n}\n\n"
		"plugins {\n\tKeyManager \"memory\" {\n\t\tplugin_data {}\n\t}\n\tNodeAttestor "
		"\"join_token\" {\n\t\tplugin_data {}\n\t}\n"
		"\tWorkloadAttestor \"unix\" {\n\t\tplugin_data {}\n\t}\n"
		"\tWorkloadAttestor \"systemd\" {\n\t\tplugin_data {}\n\t}\n"
		"\tWorkloadAttestor \"container\" {\n\t\tplugin_data {}\n\t}\n"
		"\tWorkloadAttestor \"slurm\" {\n\t\tplugin_data {}\n\t}\n"
		"\tWorkloadAttestor \"cgroup\" {\n\t\tplugin_data {}\n\t}\n}\n",
		d->server_port, d->agent_socket, d->agent_admin_socket, d->dir, d->dir);
	writ_rc rc = make_dir(d, "agent", err);
	if (rc == WRIT_OK)
		rc = make_dir(d, "agent/data", err);
	return rc == WRIT_OK ? write_text(d, "agent.conf", &t, err) : rc;
}
