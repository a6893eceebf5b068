/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens, bundles, CA journal, values: few and small. Each is one block: the row, then its text. */
#include "registry/impl.h"

#include "base/mem.h"

#include <string.h>

static struct writ_str place(char **at, struct writ_str s)
{
	struct writ_str copy = { *at, s.n };
	if (s.n)
		memcpy(*at, s.p, s.n);
	*at += s.n;
	*(*at)++ = '\0';
	return copy;
}

void writ_rows_put_token(struct writ_registry *r, const struct writ_token *t)
{
	struct writ_token *c = writ_alloc(sizeof(*c) + t->agent_id.n + t->spiffe_id.n + 2);
	char *at = (char *)(c + 1);
	*c = *t;
	c->agent_id = place(&at, t->agent_id);
	c->spiffe_id = place(&at, t->spiffe_id);
	/* The old block holds the key that the map has. */
	writ_rows_remove_token(r, writ_strn(t->hash, sizeof(t->hash)));
	writ_map_put(&r->tokens, writ_strn(c->hash, sizeof(c->hash)), c);
	writ_prune_expect_token(r, t);
}

void writ_rows_remove_token(struct writ_registry *r, struct writ_str hash)
{
	writ_free(writ_map_remove(&r->tokens, hash));
}

void writ_rows_put_trust(struct writ_registry *r, const struct writ_trust *t)
{
	struct writ_trust *c = writ_alloc(sizeof(*c) + t->td.n + t->cas.n + 2);
	char *at = (char *)(c + 1);
	*c = *t;
	c->td = place(&at, t->td);
	c->cas = place(&at, t->cas);
	writ_rows_remove_trust(r, t->td);
	writ_map_put(&r->trusts, c->td, c);
}

void writ_rows_remove_trust(struct writ_registry *r, struct writ_str td)
{
	writ_free(writ_map_remove(&r->trusts, td));
}

static struct writ_ca_slot *find_ca(const struct writ_registry *r, struct writ_str authority_id)
{
	for (uint32_t i = 0; i < r->cas.n; i++) {
		struct writ_ca_slot *s = r->cas.v[i];
		if (writ_str_eq(s->authority_id, authority_id))
			return s;
	}
	return NULL;
}

void writ_rows_put_ca(struct writ_registry *r, const struct writ_ca_slot *s)
{
	struct writ_ca_slot *c =
		writ_alloc(sizeof(*c) + s->authority_id.n + s->state.n + s->cert.n + 3);
	char *at = (char *)(c + 1);
	*c = *s;
	c->authority_id = place(&at, s->authority_id);
	c->state = place(&at, s->state);
	c->cert = place(&at, s->cert);
	for (uint32_t i = 0; i < r->cas.n; i++) {
		struct writ_ca_slot *old = r->cas.v[i];
		if (writ_str_eq(old->authority_id, s->authority_id)) {
			writ_free(old);
			r->cas.v[i] = c;
			return;
		}
	}
	writ_vec_add(&r->cas, c);
}

void writ_rows_remove_ca(struct writ_registry *r, struct writ_str authority_id)
{
	struct writ_ca_slot *s = find_ca(r, authority_id);
	if (!s)
		return;
	uint32_t i = 0;
	while (r->cas.v[i] != s)
		i++;
	for (; i + 1 < r->cas.n; i++)
		r->cas.v[i] = r->cas.v[i + 1];
	r->cas.n--;
	writ_free(s);
}

struct value {
	struct writ_str name, value;
};

void writ_rows_put_value(struct writ_registry *r, const struct writ_pair *p)
{
	struct value *c = writ_alloc(sizeof(*c) + p->name.n + p->value.n + 2);
	char *at = (char *)(c + 1);
	c->name = place(&at, p->name);
	c->value = place(&at, p->value);
	writ_rows_remove_value(r, p->name);
	writ_map_put(&r->values, c->name, c);
}

void writ_rows_remove_value(struct writ_registry *r, struct writ_str name)
{
	writ_free(writ_map_remove(&r->values, name));
}

const struct writ_trust *writ_registry_trust(const struct writ_registry *r, struct writ_str td)
{
	return writ_map_get(&r->trusts, td);
}

size_t writ_registry_count_trusts(const struct writ_registry *r)
{
	return writ_map_count(&r->trusts);
}

const struct writ_token *writ_registry_token(
	const struct writ_registry *r, const uint8_t hash[WRIT_KEY_HASH_LEN])
{
	return writ_map_get(&r->tokens, writ_strn(hash, WRIT_KEY_HASH_LEN));
}

const struct writ_str *writ_registry_value(const struct writ_registry *r, struct writ_str name)
{
	const struct value *v = writ_map_get(&r->values, name);
	return v ? &v->value : NULL;
}

const struct writ_ca_slot *writ_registry_ca(const struct writ_registry *r, size_t i)
{
	return i < r->cas.n ? r->cas.v[i] : NULL;
}

static void free_all(struct writ_map *m)
{
	size_t i = 0;
	void *p;
	while ((p = writ_map_next(m, &i, NULL)))
		writ_free(p);
	writ_map_done(m);
}

void writ_rows_done(struct writ_registry *r)
{
	free_all(&r->tokens);
	free_all(&r->trusts);
	free_all(&r->values);
	for (uint32_t i = 0; i < r->cas.n; i++)
		writ_free(r->cas.v[i]);
	writ_vec_done(&r->cas);
}
