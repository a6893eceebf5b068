/* SPDX-License-Identifier: Apache-2.0 */
/* table: what may stand in a block, as data. One table drives reading, defaults, checks, messages,
 * freeing and the manual. */
#ifndef WRIT_CONF_TABLE_H
#define WRIT_CONF_TABLE_H

#include "conf/node.h"

enum writ_conf_type {       /* and what stands at the offset */
	WRIT_CONF_STRING,   /* char *, owned by the struct; NULL when not set */
	WRIT_CONF_PATH,     /* the same; not empty */
	WRIT_CONF_INT,      /* int64_t in [min, max] */
	WRIT_CONF_PORT,     /* uint16_t in [min, 65535] */
	WRIT_CONF_BOOL,     /* bool */
	WRIT_CONF_DURATION, /* int64_t, milliseconds in [min, max]; text is Go's: "1h30m" */
	WRIT_CONF_ENUM,     /* int, one of choices; case does not matter */
	WRIT_CONF_STRINGS,  /* struct writ_conf_strings; a single string is a list of one */
	WRIT_CONF_BLOCK,    /* a struct of its own, or struct writ_conf_list when repeated */
	WRIT_CONF_NODE, /* const struct writ_conf_node *, borrowed from the tree; NULL when not set
			 */
	WRIT_CONF_PRESENT, /* bool: the block was written. No key. */
	WRIT_CONF_LABEL,   /* char *: the label of a repeated block. No key. */
};

enum writ_conf_flags {
	WRIT_CONF_REQUIRED = 1 << 0, /* and, for text and lists, not empty */
	WRIT_CONF_SECRET = 1 << 1,   /* never in a message; wiped */
	WRIT_CONF_REPEATED = 1 << 2, /* a block with a label each, or a list of blocks */
	/* Known from SPIRE and not there: `note` says why and what to do. Only a value other than
	 * `def` is reported; nothing is stored. Error where it changes whom we trust or what we
	 * issue. */
	WRIT_CONF_UNSUPPORTED_ERROR = 1 << 3,
	WRIT_CONF_UNSUPPORTED_WARN = 1 << 4,
};

struct writ_conf_strings {
	char **items; /* owned, and each of them */
	size_t n;
};

struct writ_conf_list {
	void *items; /* owned array of the block's struct */
	size_t n;
};

struct writ_conf_choice {
	const char *name;
	int value;
};

struct writ_conf_field {
	const char *key;
	enum writ_conf_type type;
	unsigned flags;   /* enum writ_conf_flags */
	size_t offset;    /* from the start of the struct that the table is about */
	const char *def;  /* as it would be written, a list with commas; NULL: zero */
	int64_t min, max; /* STRING, PATH: bytes at most, 0 for no limit but the parser's */
	const struct writ_conf_choice *choices; /* up to one without a name */
	const struct writ_conf_table *block;
	const char *note;
	const char *help; /* one sentence */
};

struct writ_conf_table {
	const char *name; /* in messages: "server"; "" for the file itself */
	const struct writ_conf_field *fields;
	size_t n;
	size_t size; /* of the struct; needed for repeated blocks only */
};

/* A row for a key of SPIRE that we do not have. */
#define WRIT_CONF_REFUSE(k, harmless, why)                                                         \
	{                                                                                          \
		.key = k, .type = WRIT_CONF_NODE, .flags = WRIT_CONF_UNSUPPORTED_ERROR,            \
		.def = harmless, .note = why                                                       \
	}
#define WRIT_CONF_IGNORE(k, harmless, why)                                                         \
	{                                                                                          \
		.key = k, .type = WRIT_CONF_NODE, .flags = WRIT_CONF_UNSUPPORTED_WARN,             \
		.def = harmless, .note = why                                                       \
	}

/* Fills target, a zeroed struct, from n, or with defaults when n is NULL. Adds what is wrong to d
 * and goes on: after errors the struct is for writ_conf_done only. */
void writ_conf_fill(const struct writ_conf_table *t, const struct writ_conf_node *n, void *target,
	struct writ_conf_diags *d);
/* Frees what fill put into target; fine on a zeroed struct, and twice. */
void writ_conf_done(const struct writ_conf_table *t, void *target);

/* "did you mean" over the keys of a table: appends `: did you mean "x"?` or nothing. */
void writ_conf_suggest(
	struct writ_str key, const char *const *known, size_t n, struct writ_buf *out);

/* The table for a manual: key, type, default, help; nested blocks with their path, and at the end
 * the keys of SPIRE that are not there. */
void writ_conf_print_help(const struct writ_conf_table *t, struct writ_buf *out);

#endif
