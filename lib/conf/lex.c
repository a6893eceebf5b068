/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/lex.h"

#include "base/mem.h"

#include <stdio.h>
#include <string.h>

#define NAME_MAX_ 255 /* of a variable */

#define FAIL(lx, pos, ...)                                                                         \
	(writ_conf_diag_add((lx)->diags, WRIT_CONF_ERROR, (pos), __VA_ARGS__), false)

void writ__conf_lex_init(struct writ__conf_lex *lx, struct writ_str text,
	const struct writ_conf_source *source, struct writ_conf_diags *d)
{
	*lx = (struct writ__conf_lex){ .p = text.p,
		.end = text.p + text.n,
		.at = { 1, 1 },
		.source = source,
		.diags = d,
		.text = WRIT_BUF(WRIT_CONF_VALUE_MAX) };
	if (writ_str_starts(text, WRIT_STR("\xef\xbb\xbf")))
		lx->p += 3;
}

void writ__conf_lex_done(struct writ__conf_lex *lx)
{
	writ_buf_wipe(&lx->text);
}

static int peek(const struct writ__conf_lex *lx, size_t ahead)
{
	return (size_t)(lx->end - lx->p) > ahead ? (unsigned char)lx->p[ahead] : -1;
}

static void advance(struct writ__conf_lex *lx)
{
	unsigned char c = (unsigned char)*lx->p++;
	if (c == '\n') {
		lx->at.line++;
		lx->at.column = 1;
	} else if ((c & 0xc0) != 0x80) {
		lx->at.column++;
	}
}

static bool is_alpha(int c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(int c)
{
	return c >= '0' && c <= '9';
}

static void skip_line(struct writ__conf_lex *lx)
{
	while (lx->p < lx->end && *lx->p != '\n')
		advance(lx);
}

static bool skip_long_comment(struct writ__conf_lex *lx)
{
	struct writ_conf_pos start = lx->at;
	advance(lx);
	advance(lx);
	while (lx->p < lx->end) {
		if (peek(lx, 0) == '*' && peek(lx, 1) == '/') {
			advance(lx);
			advance(lx);
			return true;
		}
		advance(lx);
	}
	return FAIL(lx, start, "the comment that starts here does not end: add */");
}

static bool skip_blank(struct writ__conf_lex *lx)
{
	for (;;) {
		int c = peek(lx, 0), next = peek(lx, 1);
		bool is_line = c == '#' || (c == '/' && next == '/');
		bool is_long = c == '/' && next == '*';
		if ((is_line || is_long) && lx->is_json)
			return FAIL(lx, lx->at,
				"JSON has no comments: remove it, or write the file in the HCL "
				"form");
		if (c == ' ' || c == '\t' || c == '\r' || c == '\n')
			advance(lx);
		else if (is_line)
			skip_line(lx);
		else if (!is_long)
			return true;
		else if (!skip_long_comment(lx))
			return false;
	}
}

static void add_utf8(struct writ_buf *b, uint32_t c)
{
	if (c < 0x80) {
		writ_buf_add_byte(b, (uint8_t)c);
		return;
	}
	if (c < 0x800) {
		writ_buf_add_byte(b, (uint8_t)(0xc0 | c >> 6));
	} else {
		if (c < 0x10000) {
			writ_buf_add_byte(b, (uint8_t)(0xe0 | c >> 12));
		} else {
			writ_buf_add_byte(b, (uint8_t)(0xf0 | c >> 18));
			writ_buf_add_byte(b, (uint8_t)(0x80 | (c >> 12 & 0x3f)));
		}
		writ_buf_add_byte(b, (uint8_t)(0x80 | (c >> 6 & 0x3f)));
	}
	writ_buf_add_byte(b, (uint8_t)(0x80 | (c & 0x3f)));
}

static int hex_value(int c)
{
	if (is_digit(c))
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool take_hex(struct writ__conf_lex *lx, unsigned digits, uint32_t *ret)
{
	uint32_t v = 0;
	for (unsigned i = 0; i < digits; i++) {
		int h = hex_value(peek(lx, 0));
		if (h < 0)
			return FAIL(lx, lx->at, "this escape needs %u hexadecimal digits", digits);
		v = v << 4 | (uint32_t)h;
		advance(lx);
	}
	*ret = v;
	return true;
}

static bool take_unicode(struct writ__conf_lex *lx, struct writ_conf_pos start, unsigned digits)
{
	uint32_t c = 0, low = 0;
	if (!take_hex(lx, digits, &c))
		return false;
	/* JSON writes what is above U+FFFF as two halves. */
	if (c >= 0xd800 && c < 0xdc00 && peek(lx, 0) == '\\' && peek(lx, 1) == 'u') {
		advance(lx);
		advance(lx);
		if (!take_hex(lx, 4, &low))
			return false;
		if (low >= 0xdc00 && low < 0xe000)
			c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
	}
	if (c == 0 || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return FAIL(lx, start, "this escape is no character that a value can hold");
	add_utf8(&lx->text, c);
	return true;
}

static bool take_escape(struct writ__conf_lex *lx)
{
	static const char from[] = "\"\\/nrtbf", to[] = "\"\\/\n\r\t\b\f";
	struct writ_conf_pos start = lx->at;
	advance(lx);
	int c = peek(lx, 0);
	const char *found = c > 0 ? strchr(from, c) : NULL;
	if (found != NULL) {
		advance(lx);
		writ_buf_add_byte(&lx->text, (uint8_t)to[found - from]);
		return true;
	}
	if (c == 'u' || c == 'U') {
		advance(lx);
		return take_unicode(lx, start, c == 'u' ? 4 : 8);
	}
	return FAIL(lx, start, "unknown escape in a string: write \\\\ for a backslash");
}

/* The NAME of $NAME or ${NAME}, after the dollar sign. */
static bool take_name(struct writ__conf_lex *lx, struct writ_conf_pos start, char *name)
{
	bool in_braces = peek(lx, 0) == '{';
	if (in_braces)
		advance(lx);
	size_t n = 0;
	while (n < NAME_MAX_ && (is_alpha(peek(lx, 0)) || (n > 0 && is_digit(peek(lx, 0))))) {
		name[n++] = *lx->p;
		advance(lx);
	}
	name[n] = '\0';
	if (n == 0 || (in_braces && peek(lx, 0) != '}'))
		return FAIL(lx, start, "a variable is written ${NAME}; write $$ for a dollar sign");
	if (in_braces)
		advance(lx);
	return true;
}

/* At a '$': appends what it stands for. */
static bool take_variable(struct writ__conf_lex *lx)
{
	struct writ_conf_pos start = lx->at;
	char name[NAME_MAX_ + 1];
	advance(lx);
	if (peek(lx, 0) != '{' && !is_alpha(peek(lx, 0))) {
		if (peek(lx, 0) == '$')
			advance(lx);
		writ_buf_add_byte(&lx->text, '$');
		return true;
	}
	if (!take_name(lx, start, name))
		return false;
	const char *value = lx->source->env(lx->source->arg, name);
	if (value == NULL)
		return FAIL(lx, start,
			"the environment variable %s is not set: set it, or write $$ for a dollar "
			"sign",
			name);
	if (!writ_is_utf8(value, strlen(value)))
		return FAIL(lx, start, "the environment variable %s is not UTF-8", name);
	writ_buf_add_cstr(&lx->text, value);
	return true;
}

static bool has_env(const struct writ__conf_lex *lx)
{
	return lx->source != NULL && lx->source->env != NULL;
}

static bool take_string(struct writ__conf_lex *lx)
{
	lx->tok = TOK_STRING;
	advance(lx);
	for (;;) {
		int c = peek(lx, 0);
		if (c == '"')
			break;
		if (c < 0 || c == '\n')
			return FAIL(lx, lx->pos,
				"the string that starts here is not closed on its line: add \"");
		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return FAIL(lx, lx->at,
				"control character 0x%02x in a string: remove it or write \\u%04x",
				(unsigned)c, (unsigned)c);
		if (c == '\\') {
			if (!take_escape(lx))
				return false;
		} else if (c == '$' && has_env(lx)) {
			if (!take_variable(lx))
				return false;
		} else {
			writ_buf_add_byte(&lx->text, (uint8_t)c);
			advance(lx);
		}
		if (lx->text.failed)
			return FAIL(lx, lx->pos, "this string is longer than %d bytes",
				WRIT_CONF_VALUE_MAX);
	}
	advance(lx);
	return true;
}

static size_t count_digits(struct writ_str s, size_t from)
{
	size_t i = from;
	while (i < s.n && is_digit(s.p[i]))
		i++;
	return i - from;
}

static bool is_at(struct writ_str s, size_t i, const char *set)
{
	return i < s.n && s.p[i] != '\0' && strchr(set, s.p[i]) != NULL;
}

/* -?digits[.digits][e[+-]digits]: what HCL and JSON have in common. */
static bool is_number(struct writ_str s)
{
	size_t i = is_at(s, 0, "-") ? 1 : 0;
	size_t whole = count_digits(s, i), part = 1, exponent = 1;
	if (whole > 1 && s.p[i] == '0')
		return false;
	i += whole;
	if (is_at(s, i, ".")) {
		part = count_digits(s, ++i);
		i += part;
	}
	if (is_at(s, i, "eE")) {
		i += is_at(s, i + 1, "+-") ? 2 : 1;
		exponent = count_digits(s, i);
		i += exponent;
	}
	return whole > 0 && part > 0 && exponent > 0 && i == s.n;
}

static bool is_word(int c)
{
	return is_alpha(c) || is_digit(c) || c == '-' || c == '.';
}

static bool take_word(struct writ__conf_lex *lx)
{
	bool may_be_number = !is_alpha(*lx->p);
	while (is_word(peek(lx, 0)) || (may_be_number && peek(lx, 0) == '+')) {
		writ_buf_add_byte(&lx->text, (uint8_t)*lx->p);
		advance(lx);
	}
	lx->tok = may_be_number ? TOK_NUMBER : TOK_IDENT;
	if (lx->text.failed)
		return FAIL(lx, lx->pos, "this word is longer than %d bytes", WRIT_CONF_VALUE_MAX);
	struct writ_str s = writ_buf_str(&lx->text);
	if (may_be_number && !is_number(s))
		return FAIL(lx, lx->pos,
			"%s is not a number: put quotes around a text or a duration",
			writ_conf_quote(s).text);
	return true;
}

static bool take_bare_variable(struct writ__conf_lex *lx)
{
	if (!has_env(lx))
		return FAIL(lx, lx->pos, "unexpected \"$\": variables need the option -expandEnv");
	if (!take_variable(lx))
		return false;
	struct writ_str s = writ_buf_str(&lx->text);
	lx->tok = TOK_NUMBER;
	if (writ_str_eq(s, WRIT_STR("true")) || writ_str_eq(s, WRIT_STR("false")))
		lx->tok = TOK_BOOL;
	else if (!is_number(s))
		return FAIL(lx, lx->pos,
			"the value of this variable is no number and not true or false: put quotes "
			"around it");
	return true;
}

bool writ__conf_lex_next(struct writ__conf_lex *lx)
{
	static const char punctuation[] = "{}[]=:,";
	writ_buf_reset(&lx->text);
	if (!skip_blank(lx))
		return false;
	lx->pos = lx->at;
	int c = peek(lx, 0);
	if (c < 0) {
		lx->tok = TOK_END;
		return true;
	}
	const char *found = c > 0 ? strchr(punctuation, c) : NULL;
	if (found != NULL) {
		lx->tok = (enum writ__conf_tok)(TOK_LBRACE + (found - punctuation));
		advance(lx);
		return true;
	}
	if (c == '"')
		return take_string(lx);
	if (c == '$')
		return take_bare_variable(lx);
	if (is_word(c))
		return take_word(lx);
	if (c == '<' && peek(lx, 1) == '<')
		return FAIL(lx, lx->pos,
			"multi-line texts (<<) are not supported: write a string with \\n in it");
	if (c == '\'')
		return FAIL(lx, lx->pos, "strings are written with \", not with '");
	size_t n = 1;
	while ((peek(lx, n) & 0xc0) == 0x80 && peek(lx, n) >= 0)
		n++;
	return FAIL(lx, lx->pos, "unexpected %s%s", writ_conf_quote(writ_strn(lx->p, n)).text,
		c == '/' || c == '~' ? ": put quotes around a path" : "");
}

struct writ_conf_quoted writ__conf_lex_name(const struct writ__conf_lex *lx)
{
	static const char *const fixed[] = {
		[TOK_END] = "the end of the file",
		[TOK_LBRACE] = "\"{\"",
		[TOK_RBRACE] = "\"}\"",
		[TOK_LBRACKET] = "\"[\"",
		[TOK_RBRACKET] = "\"]\"",
		[TOK_ASSIGN] = "\"=\"",
		[TOK_COLON] = "\":\"",
		[TOK_COMMA] = "\",\"",
	};
	/* Strings are not shown: one may be a secret. */
	if (lx->tok == TOK_STRING)
		return (struct writ_conf_quoted){ "a string" };
	if (lx->tok == TOK_BOOL)
		return (struct writ_conf_quoted){ "a variable" };
	if (lx->tok == TOK_IDENT || lx->tok == TOK_NUMBER)
		return writ_conf_quote(writ_buf_str(&lx->text));
	struct writ_conf_quoted q;
	(void)snprintf(q.text, sizeof(q.text), "%s", fixed[lx->tok]);
	return q;
}
