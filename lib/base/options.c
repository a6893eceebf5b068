/* SPDX-License-Identifier: Apache-2.0 */
#include "base/options.h"

#include <string.h>

static const struct writ_option *find(const struct writ_args *a, struct writ_str name)
{
	for (size_t i = 0; i < a->n_options; i++) {
		const struct writ_option *o = &a->options[i];
		if (writ_str_eq(name, writ_cstr(o->name)) ||
			(o->dashed && writ_str_eq(name, writ_cstr(o->dashed))))
			return o;
	}
	return NULL;
}

static writ_rc unknown(const struct writ_args *a, struct writ_str name, struct writ_err *err)
{
	const char *names[2 * WRIT_ARGS_MAX];
	size_t n = 0;
	for (size_t i = 0; i < a->n_options && n + 2 <= 2 * WRIT_ARGS_MAX; i++) {
		names[n++] = a->options[i].name;
		if (a->options[i].dashed)
			names[n++] = a->options[i].dashed;
	}
	const char *near = writ_nearest(name, names, n);
	if (near)
		return writ_fail(err, WRIT_EINVAL, "unknown flag -" WRIT_FMT ": did you mean -%s?",
			WRIT_ARG(name), near);
	return writ_fail(err, WRIT_EINVAL, "unknown flag -" WRIT_FMT ": see -help", WRIT_ARG(name));
}

static writ_rc give(
	struct writ_args *a, const struct writ_option *o, const char *value, struct writ_err *err)
{
	if (a->n_given == WRIT_ARGS_MAX)
		return writ_fail(err, WRIT_ELIMIT, "more than %d flags", WRIT_ARGS_MAX);
	a->given[a->n_given].option = o;
	a->given[a->n_given++].value = value;
	return WRIT_OK;
}

static writ_rc parse_flag(struct writ_args *a, const char *text, const char *next, bool *took_next,
	struct writ_err *err)
{
	struct writ_str name, value = writ_cstr(text + (text[1] == '-' ? 2 : 1));
	bool has_value = writ_str_cut(&value, '=', &name);
	if (!has_value &&
		(writ_str_eq(name, WRIT_STR("h")) || writ_str_eq(name, WRIT_STR("help")))) {
		a->help = true;
		return WRIT_OK;
	}
	const struct writ_option *o = find(a, name);
	if (!o)
		return unknown(a, name, err);
	if (o->kind == WRIT_OPT_FLAG) {
		if (has_value && !writ_str_eq(value, WRIT_STR("true")) &&
			!writ_str_eq(value, WRIT_STR("false")))
			return writ_fail(err, WRIT_EINVAL,
				"-%s is a switch: '" WRIT_FMT "' is neither true nor false",
				o->name, WRIT_ARG(value));
		return give(a, o, has_value ? value.p : "true", err);
	}
	if (has_value)
		return give(a, o, value.p, err);
	if (!next)
		return writ_fail(err, WRIT_EINVAL, "-%s needs a value: -%s %s", o->name, o->name,
			o->arg ? o->arg : "VALUE");
	*took_next = true;
	return give(a, o, next, err);
}

writ_rc writ_args_parse(struct writ_args *a, const struct writ_option *options, size_t n, int argc,
	char *const *argv, bool stop_at_rest, struct writ_err *err)
{
	*a = (struct writ_args){ .options = options, .n_options = n };
	bool flags = true;
	for (int i = 0; i < argc; i++) {
		const char *text = argv[i];
		if (flags && strcmp(text, "--") == 0) {
			flags = false;
			continue;
		}
		if (flags && text[0] == '-' && text[1] != '\0') {
			bool took_next = false;
			writ_rc rc = parse_flag(
				a, text, i + 1 < argc ? argv[i + 1] : NULL, &took_next, err);
			if (rc != WRIT_OK)
				return rc;
			i += took_next;
			continue;
		}
		if (a->n_rest == WRIT_ARGS_MAX)
			return writ_fail(err, WRIT_ELIMIT, "more than %d arguments", WRIT_ARGS_MAX);
		a->rest[a->n_rest++] = text;
		if (stop_at_rest) {
			a->tail = argv + i;
			break;
		}
	}
	return WRIT_OK;
}

writ_rc writ_args_no_rest(const struct writ_args *a, struct writ_err *err)
{
	return a->n_rest ? writ_fail(err, WRIT_EINVAL, "'%s' is one argument too many", a->rest[0])
			 : WRIT_OK;
}

writ_rc writ_args_parse_flags(struct writ_args *a, const struct writ_option *options, size_t n,
	int argc, char *const *argv, struct writ_err *err)
{
	writ_rc rc = writ_args_parse(a, options, n, argc, argv, false, err);
	return rc == WRIT_OK && !a->help ? writ_args_no_rest(a, err) : rc;
}

const char *writ_arg(const struct writ_args *a, const char *name)
{
	const char *value = NULL;
	for (size_t i = 0; i < a->n_given; i++) {
		if (strcmp(a->given[i].option->name, name) == 0)
			value = a->given[i].value;
	}
	return value;
}

bool writ_arg_given(const struct writ_args *a, const char *name)
{
	return writ_arg(a, name) != NULL;
}

bool writ_arg_flag(const struct writ_args *a, const char *name)
{
	const char *value = writ_arg(a, name);
	return value && strcmp(value, "true") == 0;
}

const char *writ_arg_at(const struct writ_args *a, const char *name, size_t i)
{
	for (size_t k = 0; k < a->n_given; k++) {
		if (strcmp(a->given[k].option->name, name) == 0 && i-- == 0)
			return a->given[k].value;
	}
	return NULL;
}
