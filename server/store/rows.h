/* SPDX-License-Identifier: Apache-2.0 */
/* rows: what the store keeps, as values. Entries and nodes are one block of memory each, immutable
 * once they were handed on and shared by reference (any thread may ref and unref). Times are Unix
 * seconds; 0 means never or not set. Lists inside are packs (store/pack.h). */
#ifndef WRIT_STORE_ROWS_H
#define WRIT_STORE_ROWS_H

#include "store/pack.h"

#define WRIT_ROW_BYTES_MAX (256u * 1024u) /* all text of one entry or node */
#define WRIT_KEY_HASH_LEN  32u            /* SHA-256 */

/* SPIFFE ID, parent ID and selectors come first and together: those bytes are the uniqueness key.
 */
enum writ_entry_field {
	WRIT_ENTRY_SPIFFE_ID,
	WRIT_ENTRY_PARENT_ID,
	WRIT_ENTRY_SELECTORS, /* a set of "type:value" */
	WRIT_ENTRY_ID,
	WRIT_ENTRY_FEDERATES_WITH, /* a set of trust domain names */
	WRIT_ENTRY_DNS_NAMES,      /* in the order given: the first is the common name */
	WRIT_ENTRY_HINT,
	WRIT_ENTRY_FIELDS
};

enum writ_entry_flag {
	WRIT_ENTRY_ADMIN = 1,
	WRIT_ENTRY_DOWNSTREAM = 2,
	WRIT_ENTRY_STORE_SVID = 4,
	WRIT_ENTRY_NO_PREFETCH = 8,
	WRIT_ENTRY_JWT_JTI = 16,
};

struct writ_entry_meta {
	uint64_t seq;            /* order of creation; never changes */
	uint64_t changed_at;     /* revision of the store that wrote it */
	int64_t revision_number; /* SPIRE's: 0 at creation, one more with each update */
	int64_t created_at, expires_at;
	int32_t x509_ttl_s, jwt_ttl_s; /* 0: the server's default */
	uint8_t flags;
};

struct writ_entry {
	_Atomic unsigned refs;
	uint32_t end[WRIT_ENTRY_FIELDS];
	struct writ_entry_meta meta;
	char bytes[];
};

/* What an entry is made of; borrowed. */
struct writ_entry_spec {
	struct writ_str text[WRIT_ENTRY_FIELDS];
	struct writ_entry_meta meta;
};

/* WRIT_ELIMIT when the text is over WRIT_ROW_BYTES_MAX. */
WRIT_MUST writ_rc writ_entry_new(
	const struct writ_entry_spec *spec, struct writ_entry **ret, struct writ_err *err);
struct writ_entry *writ_entry_ref(struct writ_entry *e);
void writ_entry_unref(struct writ_entry *e);
void writ_entry_unrefp(struct writ_entry **e);
/* Borrowed from e, and NUL-terminated. */
struct writ_str writ_entry_get(const struct writ_entry *e, enum writ_entry_field f);
struct writ_str writ_entry_key(const struct writ_entry *e); /* uniqueness key, borrowed */
void writ_entry_describe(const struct writ_entry *e, struct writ_entry_spec *spec); /* borrows */

enum writ_node_field {
	WRIT_NODE_ID,
	WRIT_NODE_TYPE,       /* of attestation */
	WRIT_NODE_SERIAL,     /* of the agent's certificate, decimal; empty: banned */
	WRIT_NODE_NEW_SERIAL, /* issued by a renewal and not seen in use yet; empty: none */
	WRIT_NODE_SELECTORS,  /* a set of "type:value" */
	WRIT_NODE_VERSION,    /* as the agent reported it */
	WRIT_NODE_FIELDS
};

struct writ_node_meta {
	uint64_t seq;
	uint64_t changed_at;
	int64_t not_after, new_not_after;
	int64_t attested_at; /* last proof of identity: attestation, or proof of the recorded key */
	bool banned, can_reattest;
	bool has_key, has_new_key;
	uint8_t key[WRIT_KEY_HASH_LEN]; /* SHA-256 of the public key in the certificate of serial */
	uint8_t new_key[WRIT_KEY_HASH_LEN];
};

struct writ_node {
	_Atomic unsigned refs;
	uint32_t end[WRIT_NODE_FIELDS];
	struct writ_node_meta meta;
	char bytes[];
};

struct writ_node_spec {
	struct writ_str text[WRIT_NODE_FIELDS];
	struct writ_node_meta meta;
};

WRIT_MUST writ_rc writ_node_new(
	const struct writ_node_spec *spec, struct writ_node **ret, struct writ_err *err);
struct writ_node *writ_node_ref(struct writ_node *n);
void writ_node_unref(struct writ_node *n);
void writ_node_unrefp(struct writ_node **n);
struct writ_str writ_node_get(const struct writ_node *n, enum writ_node_field f);
void writ_node_describe(const struct writ_node *n, struct writ_node_spec *spec);

/* A join token: known by its hash alone. */
struct writ_token {
	uint8_t hash[WRIT_KEY_HASH_LEN];
	int64_t expires_at;
	struct writ_str agent_id;  /* the ID that an agent gets for it */
	struct writ_str spiffe_id; /* of the entry that was made with it; empty: none */
};

/* The authorities of a trust domain. cas is a pack: '0' or '1' (tainted) and the DER of one CA. */
struct writ_trust {
	struct writ_str td;
	struct writ_str cas;
	uint64_t sequence;
	int64_t refresh_hint_s;
};

/* One CA of ours, as the CA manager wrote it down. The key is the signer's alone. */
struct writ_ca_slot {
	struct writ_str authority_id;
	struct writ_str state; /* "prepared", "active", "old" */
	struct writ_str cert;  /* DER */
	int64_t issued_at, not_after;
};

/* One line of the index over the issuance records. */
struct writ_issued {
	struct writ_str serial, spiffe_id, entry_id, agent_id;
	uint8_t key[WRIT_KEY_HASH_LEN];
	int64_t not_before, not_after;
};

struct writ_pair {
	struct writ_str name, value;
};

#endif
