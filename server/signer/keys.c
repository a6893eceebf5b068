/* SPDX-License-Identifier: Apache-2.0 */
#include "signer/keys.h"

#include "base/clock.h"
#include "base/mem.h"
#include "signer/vault.h"

struct memory {
	struct writ_keys base;
};

struct disk {
	struct writ_keys base;
	struct writ_vault_link *monitor;
};

static writ_rc generate(
	struct writ_keys *k, enum writ_key_type type, struct writ_key **ret, struct writ_err *err)
{
	(void)k;
	return writ_key_generate(type, ret, err);
}

static writ_rc memory_save(struct writ_keys *k, const struct writ_slot *s, struct writ_err *err)
{
	(void)k;
	(void)s;
	(void)err;
	return WRIT_OK;
}

static writ_rc memory_forget(struct writ_keys *k, const char *authority, struct writ_err *err)
{
	(void)k;
	(void)authority;
	(void)err;
	return WRIT_OK;
}

static void memory_close(struct writ_keys *k)
{
	writ_free(writ_container(k, struct memory, base));
}

static const struct writ_keys_vt memory_vt = { "memory", false, generate, memory_save,
	memory_forget, memory_close };

static writ_rc ask(struct disk *d, const struct writ_vault_msg *m, struct writ_err *err)
{
	struct writ_vault_msg answer;
	struct writ_str frame;
	writ_rc rc = writ_vault_send(d->monitor->fd, m, -1, err);
	if (!rc)
		rc = writ_vault_next(
			d->monitor, writ_mono_ms() + WRIT_VAULT_WAIT_MS, &answer, &frame, err);
	if (rc)
		return rc;
	if (answer.type != WRIT_VAULT_DONE)
		rc = writ_fail(err, WRIT_EPROTO, "an answer of type '%c'", (int)answer.type);
	else if (answer.data.n)
		rc = writ_fail(err, WRIT_EIO, WRIT_FMT, WRIT_ARG(answer.data));
	writ_frame_drop(&d->monitor->in, frame);
	return rc;
}

static writ_rc disk_save(struct writ_keys *k, const struct writ_slot *s, struct writ_err *err)
{
	struct disk *d = writ_container(k, struct disk, base);
	WRIT_AUTO(writ_buf_wipe) struct writ_buf text = WRIT_BUF(WRIT_VAULT_MAX);
	writ_rc rc = writ_slot_print(s, &text, err);
	if (rc)
		return rc;
	const struct writ_vault_msg m = { WRIT_VAULT_STORE, writ_cstr(s->authority),
		writ_buf_str(&text) };
	rc = ask(d, &m, err);
	return rc ? writ_wrap(err, rc, "store the key of CA %s", s->authority) : WRIT_OK;
}

static writ_rc disk_forget(struct writ_keys *k, const char *authority, struct writ_err *err)
{
	struct disk *d = writ_container(k, struct disk, base);
	const struct writ_vault_msg m = { WRIT_VAULT_FORGET, writ_cstr(authority), { "", 0 } };
	writ_rc rc = ask(d, &m, err);
	return rc ? writ_wrap(err, rc, "remove the key of CA %s", authority) : WRIT_OK;
}

static void disk_close(struct writ_keys *k)
{
	writ_free(writ_container(k, struct disk, base));
}

static const struct writ_keys_vt disk_vt = { "disk", true, generate, disk_save, disk_forget,
	disk_close };

writ_rc writ_keys_open(struct writ_str name, struct writ_vault_link *monitor,
	struct writ_keys **ret, struct writ_err *err)
{
	if (writ_str_eq(name, writ_cstr(memory_vt.name))) {
		struct memory *m = writ_alloc(sizeof(*m));
		m->base.vt = &memory_vt;
		*ret = &m->base;
		return WRIT_OK;
	}
	if (writ_str_eq(name, writ_cstr(disk_vt.name))) {
		struct disk *d = writ_alloc(sizeof(*d));
		d->base.vt = &disk_vt;
		d->monitor = monitor;
		*ret = &d->base;
		return WRIT_OK;
	}
	return writ_fail(
		err, WRIT_EINVAL, "key manager '" WRIT_FMT "': use memory or disk", WRIT_ARG(name));
}

void writ_keys_close(struct writ_keys *k)
{
	if (k)
		k->vt->close(k);
}
