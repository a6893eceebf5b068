/* SPDX-License-Identifier: Apache-2.0 */
#include "dev.h"

#include "convert.h"
#include "session.h"

#include "base/fs.h"
#include "base/mem.h"
#include "base/secret.h"
#include "crypto/digest.h"
#include "rpc/rpc.h"

#include "spire/api/server/agent/v1/agent.pb-c.h"
#include "spire/api/server/bundle/v1/bundle.pb-c.h"
#include "spire/api/server/entry/v1/entry.pb-c.h"

#include <string.h>
#include <unistd.h>

static writ_rc save_bundle(struct writ_dev *d, struct writ_session *s, struct writ_err *err)
{
	Spire__Api__Server__Bundle__V1__GetBundleRequest req =
		SPIRE__API__SERVER__BUNDLE__V1__GET_BUNDLE_REQUEST__INIT;
	WRIT_AUTO(writ_buf_done) struct writ_buf pem = WRIT_BUF(1u << 20);
	ProtobufCMessage *m;
	writ_rc rc = writ_session_call(s, "/spire.api.server.bundle.v1.Bundle/GetBundle", &req.base,
		&spire__api__types__bundle__descriptor, &m, err);
	if (rc != WRIT_OK)
		return rc;
	const Spire__Api__Types__Bundle *b = (const void *)m;
	for (size_t i = 0; i < b->n_x509_authorities; i++)
		writ_pem_add(&pem, "CERTIFICATE", b->x509_authorities[i]->asn1.data,
			b->x509_authorities[i]->asn1.len);
	writ_pb_free(m);
	WRIT_AUTO(writ_freep) char *path = writ_fs_join(d->dir, "bundle.pem");
	return writ_fs_write(path, pem.p, pem.n, 0644, err);
}

static writ_rc save_token(struct writ_dev *d, struct writ_session *s, struct writ_err *err)
{
	Spire__Api__Server__Agent__V1__CreateJoinTokenRequest req =
		SPIRE__API__SERVER__AGENT__V1__CREATE_JOIN_TOKEN_REQUEST__INIT;
	Spire__Api__Types__SPIFFEID node;
	ProtobufCMessage *m;
	writ_rc rc = writ_api_id(WRIT_DEV_NODE, "node", &node, err);
	if (rc != WRIT_OK)
		return rc;
	req.ttl = 60;
	req.agent_id = &node;
	rc = writ_session_call(s, "/spire.api.server.agent.v1.Agent/CreateJoinToken", &req.base,
		&spire__api__types__join_token__descriptor, &m, err);
	writ_api_id_done(&node);
	if (rc != WRIT_OK)
		return rc;
	const Spire__Api__Types__JoinToken *t = (const void *)m;
	WRIT_AUTO(writ_freep) char *path = writ_fs_join(d->dir, "token");
	rc = writ_fs_write(path, t->value, strlen(t->value), 0600, err);
	writ_wipe(t->value, strlen(t->value));
	writ_pb_free(m);
	return rc;
}

writ_rc writ_dev_bootstrap(struct writ_dev *d, struct writ_err *err)
{
	struct writ_session s;
	writ_rc rc = writ_session_open_path(d->in, d->server_socket, &s, err);
	if (rc != WRIT_OK)
		return rc;
	rc = save_bundle(d, &s, err);
	if (rc == WRIT_OK)
		rc = save_token(d, &s, err);
	writ_session_close(&s);
	return rc;
}

struct form {
	Spire__Api__Types__Entry entry;
	Spire__Api__Types__SPIFFEID id, parent;
	Spire__Api__Types__Selector selectors[2], *list[2];
};

static writ_rc fill(struct form *f, const char *id, const char *const *selectors, size_t n,
	struct writ_err *err)
{
	spire__api__types__entry__init(&f->entry);
	writ_rc rc = writ_api_id(id, "spiffeID", &f->id, err);
	if (rc == WRIT_OK)
		rc = writ_api_id(WRIT_DEV_NODE, "parentID", &f->parent, err);
	for (size_t i = 0; rc == WRIT_OK && i < n; i++) {
		rc = writ_api_selector(selectors[i], &f->selectors[i], err);
		f->list[i] = &f->selectors[i];
		f->entry.n_selectors = i + 1;
	}
	f->entry.spiffe_id = &f->id;
	f->entry.parent_id = &f->parent;
	f->entry.selectors = f->list;
	return rc;
}

static void form_done(struct form *f)
{
	writ_api_id_done(&f->id);
	writ_api_id_done(&f->parent);
	for (size_t i = 0; i < f->entry.n_selectors; i++)
		writ_api_selector_done(&f->selectors[i]);
}

static writ_rc create(struct writ_dev *d, struct form *forms, size_t n, struct writ_err *err)
{
	Spire__Api__Types__Entry *entries[2];
	Spire__Api__Server__Entry__V1__BatchCreateEntryRequest req =
		SPIRE__API__SERVER__ENTRY__V1__BATCH_CREATE_ENTRY_REQUEST__INIT;
	struct writ_session s;
	ProtobufCMessage *m;
	for (size_t i = 0; i < n; i++)
		entries[i] = &forms[i].entry;
	req.entries = entries;
	req.n_entries = n;
	writ_rc rc = writ_session_open_path(d->in, d->server_socket, &s, err);
	if (rc != WRIT_OK)
		return rc;
	rc = writ_session_call(&s, "/spire.api.server.entry.v1.Entry/BatchCreateEntry", &req.base,
		&spire__api__server__entry__v1__batch_create_entry_response__descriptor, &m, err);
	writ_session_close(&s);
	if (rc != WRIT_OK)
		return rc;
	const Spire__Api__Server__Entry__V1__BatchCreateEntryResponse *r = (const void *)m;
	for (size_t i = 0; rc == WRIT_OK && i < r->n_results; i++) {
		if (r->results[i]->status && r->results[i]->status->code)
			rc = writ_fail(err, writ_rc_from_grpc(r->results[i]->status->code),
				"register: %s", r->results[i]->status->message);
	}
	writ_pb_free(m);
	return rc;
}

writ_rc writ_dev_register(struct writ_dev *d, struct writ_err *err)
{
	struct form forms[2] = { 0 };
	WRIT_AUTO(writ_freep) char *gate = NULL;
	writ_rc rc = writ_sibling("writ-gate", &gate, err);
	if (rc != WRIT_OK)
		return rc;
	WRIT_AUTO(writ_freep) char *uid = writ_asprintf("unix:uid:%u", (unsigned)getuid());
	WRIT_AUTO(writ_freep) char *path = writ_asprintf("unix:path:%s", gate);
	const char *const you[] = { uid }, *const tool[] = { uid, path };
	rc = fill(&forms[0], d->user_id, you, 1, err);
	if (rc == WRIT_OK)
		rc = fill(&forms[1], WRIT_DEV_TOOL, tool, 2, err);
	if (rc == WRIT_OK)
		rc = create(d, forms, 2, err);
	form_done(&forms[0]);
	form_done(&forms[1]);
	return rc;
}
