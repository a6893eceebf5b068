/* SPDX-License-Identifier: Apache-2.0 */
#include "node/kube_config.h"

#include "base/fs.h"
#include "base/mem.h"
#include "crypto/digest.h"

#include <jansson.h>
#include <string.h>

#define FILE_MAX (1024 * 1024)
#define CAS_MAX  64
#define POD_HOST "kubernetes.default.svc"

static void json_freep(json_t **j)
{
	json_decref(*j);
}

/* What of the file counts: texts, borrowed from it. */
struct entry {
	const json_t *cluster, *user;
	char *dir; /* of the file: its paths may be relative */
};

static const char *text_of(const json_t *o, const char *name)
{
	const char *s = json_string_value(json_object_get(o, name));
	return s && *s ? s : NULL;
}

static const json_t *named(const json_t *root, const char *list, const char *name, const char *what)
{
	const json_t *all = json_object_get(root, list);
	for (size_t i = 0; name && i < json_array_size(all); i++) {
		const json_t *e = json_array_get(all, i);
		const char *n = text_of(e, "name");
		if (n && !strcmp(n, name))
			return json_object_get(e, what);
	}
	return NULL;
}

/* NAME-data in base64, else the file that NAME names. WRIT_ENOENT: neither. */
static writ_rc read_item(const struct entry *e, const json_t *o, const char *name,
	struct writ_buf *out, struct writ_err *err)
{
	WRIT_AUTO(writ_freep) char *data = writ_asprintf("%s-data", name);
	const char *inlined = text_of(o, data), *path = text_of(o, name);
	if (inlined) {
		writ_rc rc = writ_base64_decode(writ_cstr(inlined), out, err);
		return rc == WRIT_OK ? rc : writ_wrap(err, rc, "%s", data);
	}
	if (!path)
		return writ_fail(err, WRIT_ENOENT, "there is no %s", name);
	WRIT_AUTO(writ_freep)
	char *whole = *path == '/' ? writ_strdup(path) : writ_fs_join(e->dir, path);
	return writ_fs_read_linked(whole, out, err);
}

static writ_rc parse_server(const char *url, struct writ_kube_config *c, struct writ_err *err)
{
	struct writ_str s = writ_cstr(url), host;
	uint64_t port = 443;
	bool ok = writ_str_starts(s, WRIT_STR("https://"));
	if (!ok)
		return writ_fail(err, WRIT_EINVAL,
			"the cluster's server is '%.200s': it has to start with https://", url);
	s.p += 8;
	s.n -= 8;
	if (writ_str_ends(s, WRIT_STR("/")))
		s.n--;
	if (s.n && s.p[0] == '[') {
		s.p++;
		s.n--;
		ok = writ_str_cut(&s, ']', &host) && (!s.n || s.p[0] == ':');
		if (ok && s.n)
			(void)writ_str_cut(&s, ':', &(struct writ_str){ NULL, 0 });
	} else {
		(void)writ_str_cut(&s, ':', &host);
	}
	if (ok && s.n)
		ok = writ_parse_u64(s, 1, 65535, &port, NULL) == WRIT_OK;
	if (!ok || !host.n || memchr(host.p, '/', host.n))
		return writ_fail(err, WRIT_EINVAL,
			"the cluster's server is '%.200s': only https://HOST:PORT is understood",
			url);
	c->host = writ_strndup(host.p, host.n);
	c->port = (uint16_t)port;
	return WRIT_OK;
}

static writ_rc set_token(struct writ_kube_config *c, struct writ_str s, struct writ_err *err)
{
	s = writ_str_trim(s);
	return s.n ? writ_secret_set(&c->bearer, s.p, s.n, err)
		   : writ_fail(err, WRIT_EINVAL, "the token to ask the API server with is empty");
}

static writ_rc load_token(const struct entry *e, struct writ_kube_config *c, struct writ_err *err)
{
	WRIT_AUTO(writ_buf_wipe) struct writ_buf text = WRIT_BUF(WRIT_SECRET_MAX);
	const char *token = text_of(e->user, "token"), *path = text_of(e->user, "tokenFile");
	if (token)
		return set_token(c, writ_cstr(token), err);
	if (!path)
		return WRIT_OK;
	WRIT_AUTO(writ_freep)
	char *whole = *path == '/' ? writ_strdup(path) : writ_fs_join(e->dir, path);
	writ_rc rc = writ_fs_read_linked(whole, &text, err);
	return rc == WRIT_OK ? set_token(c, writ_buf_str(&text), err) : rc;
}

/* Certificates and key, as they come together in a context. */
struct material {
	struct writ_cert *cas[CAS_MAX], *chain[WRIT_CHAIN_MAX];
	size_t n_cas, n_chain;
	struct writ_key *key;
};

static void material_done(struct material *m)
{
	writ_certs_unref(m->cas, m->n_cas);
	writ_certs_unref(m->chain, m->n_chain);
	writ_key_unref(m->key);
}

static writ_rc make_tls(struct writ_kube_config *c, const struct material *m, struct writ_err *err)
{
	const struct writ_tls_web_config web = { .host = c->host,
		.cas = m->cas,
		.n_cas = m->n_cas,
		.chain = m->chain,
		.n_chain = m->n_chain,
		.key = m->key };
	return writ_tls_web_new(&web, &c->tls, err);
}

static writ_rc load_ca(const struct entry *e, struct material *m, struct writ_err *err)
{
	WRIT_AUTO(writ_buf_done) struct writ_buf text = WRIT_BUF(FILE_MAX);
	writ_rc rc = read_item(e, e->cluster, "certificate-authority", &text, err);
	if (rc == WRIT_OK)
		rc = writ_certs_parse_pem(writ_buf_str(&text), m->cas, CAS_MAX, &m->n_cas, err);
	return rc == WRIT_OK ? rc : writ_wrap(err, rc, "the CA of the API server");
}

static writ_rc load_client(const struct entry *e, struct material *m, struct writ_err *err)
{
	WRIT_AUTO(writ_buf_done) struct writ_buf text = WRIT_BUF(FILE_MAX);
	WRIT_AUTO(writ_buf_wipe) struct writ_buf key = WRIT_BUF(FILE_MAX);
	struct writ_err none;
	writ_rc rc = read_item(e, e->user, "client-certificate", &text, &none);
	if (rc == WRIT_ENOENT && !text_of(e->user, "client-certificate"))
		return WRIT_OK;
	if (rc != WRIT_OK)
		return writ_fail(err, rc, "the client certificate: %s", none.msg);
	rc = writ_certs_parse_pem(writ_buf_str(&text), m->chain, WRIT_CHAIN_MAX, &m->n_chain, err);
	if (rc == WRIT_OK)
		rc = read_item(e, e->user, "client-key", &key, err);
	if (rc == WRIT_OK)
		rc = writ_key_from_pem(writ_buf_str(&key), &m->key, err);
	return rc == WRIT_OK ? rc : writ_wrap(err, rc, "the client certificate");
}

static writ_rc use_entry(const struct entry *e, struct writ_kube_config *c, struct writ_err *err)
{
	WRIT_AUTO(material_done) struct material m = { .n_cas = 0 };
	const char *server = text_of(e->cluster, "server");
	if (!e->cluster || !e->user || !server)
		return writ_fail(err, WRIT_EINVAL,
			"current-context, its cluster with a server, or its user is missing");
	if (json_object_get(e->user, "exec") || json_object_get(e->user, "auth-provider"))
		return writ_fail(err, WRIT_EUNSUP,
			"the user has an exec or auth-provider plugin: give it a token, tokenFile "
			"or client-certificate");
	if (json_is_true(json_object_get(e->cluster, "insecure-skip-tls-verify")))
		return writ_fail(err, WRIT_EINVAL,
			"insecure-skip-tls-verify: whoever answers would say who our nodes are; "
			"give the cluster a certificate-authority");
	writ_rc rc = parse_server(server, c, err);
	if (rc == WRIT_OK)
		rc = load_token(e, c, err);
	if (rc == WRIT_OK)
		rc = load_ca(e, &m, err);
	if (rc == WRIT_OK)
		rc = load_client(e, &m, err);
	return rc == WRIT_OK ? make_tls(c, &m, err) : rc;
}

static writ_rc load_file(const char *path, struct writ_kube_config *c, struct writ_err *err)
{
	WRIT_AUTO(writ_buf_wipe) struct writ_buf text = WRIT_BUF(FILE_MAX);
	WRIT_AUTO(json_freep) json_t *root = NULL;
	json_error_t why;
	writ_rc rc = writ_fs_read_linked(path, &text, err);
	if (rc != WRIT_OK)
		return rc;
	root = json_loadb((const char *)text.p, text.n, JSON_REJECT_DUPLICATES, &why);
	if (!json_is_object(root))
		return writ_fail(err, WRIT_EINVAL,
			"it is not in JSON (line %d: %s); make one with: kubectl config view --raw "
			"--minify --flatten -o json",
			why.line, root ? "no object" : why.text);
	const json_t *ctx = named(root, "contexts", text_of(root, "current-context"), "context");
	const struct entry e = { .cluster = named(
					 root, "clusters", text_of(ctx, "cluster"), "cluster"),
		.user = named(root, "users", text_of(ctx, "user"), "user"),
		.dir = writ_fs_dirname(path) };
	rc = use_entry(&e, c, err);
	writ_free(e.dir);
	return rc;
}

static writ_rc load_pod(const char *dir, struct writ_kube_config *c, struct writ_err *err)
{
	WRIT_AUTO(writ_buf_wipe) struct writ_buf token = WRIT_BUF(WRIT_SECRET_MAX);
	WRIT_AUTO(writ_buf_done) struct writ_buf ca = WRIT_BUF(FILE_MAX);
	WRIT_AUTO(material_done) struct material m = { .n_cas = 0 };
	WRIT_AUTO(writ_freep) char *token_path = writ_fs_join(dir, "token");
	WRIT_AUTO(writ_freep) char *ca_path = writ_fs_join(dir, "ca.crt");
	c->host = writ_strdup(POD_HOST);
	c->port = 443;
	writ_rc rc = writ_fs_read_linked(token_path, &token, err);
	if (rc == WRIT_OK)
		rc = set_token(c, writ_buf_str(&token), err);
	if (rc == WRIT_OK)
		rc = writ_fs_read_linked(ca_path, &ca, err);
	if (rc == WRIT_OK)
		rc = writ_certs_parse_pem(writ_buf_str(&ca), m.cas, CAS_MAX, &m.n_cas, err);
	return rc == WRIT_OK ? make_tls(c, &m, err) : rc;
}

writ_rc writ_kube_config_load(
	const char *path, const char *pod_dir, struct writ_kube_config *ret, struct writ_err *err)
{
	struct writ_kube_config c = { .host = NULL };
	writ_rc rc = path ? load_file(path, &c, err) : load_pod(pod_dir, &c, err);
	if (rc != WRIT_OK) {
		writ_kube_config_done(&c);
		return path ? writ_wrap(err, rc, "kube_config_file '%s'", path)
			    : writ_wrap(err, rc,
				      "without kube_config_file the server has to be a pod of the "
				      "cluster");
	}
	*ret = c;
	return WRIT_OK;
}

void writ_kube_config_done(struct writ_kube_config *c)
{
	writ_free(writ_steal(c->host));
	writ_secret_done(&c->bearer);
	writ_tls_ctx_unref(writ_steal(c->tls));
}
