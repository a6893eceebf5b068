/* SPDX-License-Identifier: Apache-2.0 */
#include "signer_kit.h"

#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "signer/frame.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void kit_init(struct kit *k)
{
	*k = (struct kit){ .record_fd = -1 };
	char path[] = "/tmp/writ-signer-XXXXXX";
	assert_non_null(mkdtemp(path));
	k->dir = writ_strdup(path);
	k->record_path = writ_fs_join(path, "issued.jsonl");
	k->record_fd = open(k->record_path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	assert_true(k->record_fd >= 0);
	kit_restart(k);
}

static void stop(struct kit *k)
{
	writ_signer_free(k->signer);
	writ_record_done(&k->record);
	writ_keys_close(k->keys);
	k->keys = NULL;
}

void kit_restart(struct kit *k)
{
	struct writ_err err;
	stop(k);
	assert_int_equal(writ_record_init(&k->record, k->record_fd, 0, &err), WRIT_OK);
	assert_int_equal(writ_keys_open(WRIT_STR("memory"), NULL, &k->keys, &err), WRIT_OK);
	const struct writ_signer_config c = { KIT_TD, k->keys, &k->record, k->upstream };
	assert_int_equal(writ_signer_new(&c, &k->signer, &err), WRIT_OK);
}

void kit_done(struct kit *k)
{
	stop(k);
	close(k->record_fd);
	assert_int_equal(writ_fs_remove_tree(k->dir, NULL), WRIT_OK);
	writ_free(k->dir);
	writ_free(k->record_path);
}

kit_reply *kit_ask(struct kit *k, kit_request *q)
{
	q->id = ++k->last_id;
	size_t n = writ__signer__v1__request__get_packed_size(q);
	uint8_t *bytes = writ_alloc(n);
	writ__signer__v1__request__pack(q, bytes);
	struct writ_buf out = WRIT_BUF(WRIT_FRAME_MAX);
	struct writ_err err = { 0 };
	if (writ_signer_handle(k->signer, writ_strn(bytes, n), &out, &err) != WRIT_OK)
		fail_msg("no answer: %s", err.msg);
	kit_reply *r = writ__signer__v1__reply__unpack(NULL, out.n, out.p);
	assert_non_null(r);
	assert_int_equal(r->id, q->id);
	writ_buf_done(&out);
	writ_free(bytes);
	return r;
}

void kit_free(kit_reply *r)
{
	writ__signer__v1__reply__free_unpacked(r, NULL);
}

kit_reply *kit_prepare(struct kit *k, int64_t ttl_s)
{
	Writ__Signer__V1__PrepareCa p = WRIT__SIGNER__V1__PREPARE_CA__INIT;
	kit_request q = WRIT__SIGNER__V1__REQUEST__INIT;
	p.trust_domain = (char[]){ KIT_TD };
	p.key_type = WRIT_KEY_P256;
	p.not_before = writ_wall_s() - 10;
	p.not_after = writ_wall_s() + ttl_s;
	p.organization = (char[]){ "Writ" };
	q.op_case = WRIT__SIGNER__V1__REQUEST__OP_PREPARE_CA;
	q.prepare_ca = &p;
	return kit_ask(k, &q);
}

kit_reply *kit_activate(struct kit *k, const char *authority)
{
	Writ__Signer__V1__ActivateCa a = WRIT__SIGNER__V1__ACTIVATE_CA__INIT;
	kit_request q = WRIT__SIGNER__V1__REQUEST__INIT;
	char id[64] = "";
	snprintf(id, sizeof(id), "%s", authority);
	a.authority_id = id;
	q.op_case = WRIT__SIGNER__V1__REQUEST__OP_ACTIVATE_CA;
	q.activate_ca = &a;
	return kit_ask(k, &q);
}

kit_reply *kit_drop(struct kit *k, const char *authority)
{
	Writ__Signer__V1__DropCa d = WRIT__SIGNER__V1__DROP_CA__INIT;
	kit_request q = WRIT__SIGNER__V1__REQUEST__INIT;
	char id[64] = "";
	snprintf(id, sizeof(id), "%s", authority);
	d.authority_id = id;
	q.op_case = WRIT__SIGNER__V1__REQUEST__OP_DROP_CA;
	q.drop_ca = &d;
	return kit_ask(k, &q);
}

kit_reply *kit_status(struct kit *k)
{
	Writ__Signer__V1__Status s = WRIT__SIGNER__V1__STATUS__INIT;
	kit_request q = WRIT__SIGNER__V1__REQUEST__INIT;
	q.op_case = WRIT__SIGNER__V1__REQUEST__OP_STATUS;
	q.status = &s;
	return kit_ask(k, &q);
}

void kit_make_active(struct kit *k, int64_t ttl_s)
{
	kit_reply *r = kit_prepare(k, ttl_s);
	if (r->rc)
		fail_msg("prepare: %s", r->error);
	kit_reply *a = kit_activate(k, r->cas[r->n_cas - 1]->authority_id);
	if (a->rc)
		fail_msg("activate: %s", a->error);
	kit_free(r);
	kit_free(a);
}

void kit_item(struct kit_item *i)
{
	struct writ_key *key;
	writ__signer__v1__sign_item__init(&i->item);
	assert_int_equal(writ_key_generate(WRIT_KEY_P256, &key, NULL), WRIT_OK);
	assert_int_equal(writ_pubkey_of_key(key, &i->key, NULL), WRIT_OK);
	writ_key_unref(key);
	static char id[] = "spiffe://" KIT_TD "/w", entry[] = "entry-1",
		    agent[] = "spiffe://" KIT_TD "/spire/agent/a";
	i->item.spiffe_id = id;
	i->item.entry_id = entry;
	i->item.agent_id = agent;
	i->item.spki = (ProtobufCBinaryData){ i->key.spki_len, i->key.spki };
	i->item.not_before = writ_wall_s() - 10;
	i->item.not_after = writ_wall_s() + 300;
}

kit_reply *kit_sign(struct kit *k, struct kit_item *const *items, size_t n)
{
	Writ__Signer__V1__Sign s = WRIT__SIGNER__V1__SIGN__INIT;
	kit_request q = WRIT__SIGNER__V1__REQUEST__INIT;
	s.items = writ_alloc_array(n, sizeof(*s.items));
	for (size_t i = 0; i < n; i++)
		s.items[i] = &items[i]->item;
	s.n_items = n;
	q.op_case = WRIT__SIGNER__V1__REQUEST__OP_SIGN;
	q.sign = &s;
	kit_reply *r = kit_ask(k, &q);
	writ_free(s.items);
	return r;
}

char *kit_record(struct kit *k)
{
	struct writ_buf b = WRIT_BUF(64 * 1024 * 1024);
	assert_int_equal(writ_fs_read(k->record_path, &b, NULL), WRIT_OK);
	writ_buf_add(&b, "", 0);
	return b.p ? writ_buf_steal(&b) : writ_strdup("");
}

size_t kit_count(const char *text, const char *what)
{
	size_t n = 0;
	for (const char *p = text; (p = strstr(p, what)); p += strlen(what))
		n++;
	return n;
}
