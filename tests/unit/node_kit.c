/* SPDX-License-Identifier: Apache-2.0 */
#include "node_kit.h"

#include "check.h"

#include "base/clock.h"
#include "base/mem.h"
#include "store/pack.h"

void node_kit_open(struct node_kit *k, const struct writ_server_config *cfg, const char *name)
{
	*k = (struct node_kit){ .done = false };
	assert_ok(writ_loop_new(&k->loop, &k->err), k->err);
	assert_ok(writ_node_attestors_open(cfg, &k->all, &k->err), k->err);
	const struct writ_node_attestor *a = writ_node_attestors_find(&k->all, writ_cstr(name));
	assert_non_null(a);
	writ_node_exchange_init(&k->x, a);
	k->x.loop = k->loop;
	k->x.td = WRIT_STR("example.org");
	k->x.now = writ_wall_s();
	(void)snprintf(k->x.address, sizeof(k->x.address), "192.0.2.1");
}

void node_kit_close(struct node_kit *k)
{
	writ_node_exchange_done(&k->x);
	writ_node_attestors_close(&k->all);
	writ_loop_free(k->loop);
}

writ_rc node_kit_begin(struct node_kit *k, const char *payload)
{
	return k->x.by->vt->begin(&k->x, writ_cstr(payload), &k->err);
}

writ_rc node_kit_respond(struct node_kit *k, const char *answer)
{
	return k->x.by->vt->respond(&k->x, writ_cstr(answer), &k->err);
}

static void asked(struct writ_node_exchange *x, writ_rc rc, const struct writ_err *err)
{
	struct node_kit *k = x->arg;
	assert_false(k->done);
	k->done = true;
	k->rc = rc;
	if (rc != WRIT_OK)
		k->err = *err;
}

writ_rc node_kit_ask(struct node_kit *k)
{
	assert_true(k->x.ask);
	k->x.asked = asked;
	k->x.arg = k;
	k->done = false;
	k->x.by->vt->ask(&k->x);
	assert_false(k->done);
	assert_true(writ_loop_run_until(k->loop, &k->done, writ_mono_ms() + 15000));
	return k->rc;
}

const char *node_kit_path(const struct node_kit *k)
{
	return writ_buf_cstr(&k->x.path);
}

const char *node_kit_selectors(const struct node_kit *k)
{
	static char out[4096];
	struct writ_str rest = writ_buf_str(&k->x.selectors), value;
	size_t n = 0;
	*out = 0;
	while (writ_pack_next(&rest, &value))
		n += (size_t)snprintf(
			out + n, sizeof(out) - n, "%s%.*s", n ? "\n" : "", WRIT_ARG(value));
	return out;
}
