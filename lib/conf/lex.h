/* SPDX-License-Identifier: Apache-2.0 */
/* lex: one lexer for both syntaxes. Private to lib/conf. */
#ifndef WRIT_CONF_LEX_H
#define WRIT_CONF_LEX_H

#include "conf/parse.h"

enum writ__conf_tok {
	TOK_END,
	TOK_IDENT,
	TOK_STRING,
	TOK_NUMBER,
	TOK_BOOL, /* from a variable; a bare true is TOK_IDENT, because a key may be named so */
	TOK_LBRACE,
	TOK_RBRACE,
	TOK_LBRACKET,
	TOK_RBRACKET,
	TOK_ASSIGN,
	TOK_COLON,
	TOK_COMMA,
};

struct writ__conf_lex {
	const char *p, *end;
	struct writ_conf_pos at; /* of p */
	const struct writ_conf_source *source;
	struct writ_conf_diags *diags;
	bool is_json;
	/* The current token. */
	enum writ__conf_tok tok;
	struct writ_conf_pos pos;
	struct writ_buf text; /* of ident, string (escapes undone), number and bool */
};

void writ__conf_lex_init(struct writ__conf_lex *lx, struct writ_str text,
	const struct writ_conf_source *source, struct writ_conf_diags *d);
void writ__conf_lex_done(struct writ__conf_lex *lx);
bool writ__conf_lex_next(struct writ__conf_lex *lx); /* false: an error was added to diags */
/* The current token as a message shows it: `"{"`, `the word "x"`, `the end of the file`. */
struct writ_conf_quoted writ__conf_lex_name(const struct writ__conf_lex *lx);

#endif
