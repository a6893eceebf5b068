/* SPDX-License-Identifier: Apache-2.0 */
/* writ entry create | update | delete | show | count */
#include "entry_form.h"
#include "entry_lint.h"
#include "preview.h"
#include "pages.h"
#include "print.h"
#include "session.h"

#include "base/fs.h"
#include "base/mem.h"
#include "rpc/rpc.h"

#include "spire/api/server/entry/v1/entry.pb-c.h"

#include <jansson.h>
#include <string.h>

#define SERVICE     "/spire.api.server.entry.v1.Entry/"
#define PAGE        500
#define EXIT_PARTLY 9
#define LINT_MAX    (1u << 20)

#define COMMON_OPTIONS WRIT_OPT_SERVER_SOCKET, WRIT_OPT_TIMEOUT, WRIT_OPT_OUTPUT, WRIT_OPT_O

static const struct writ_option create_options[] = {
	WRIT_ENTRY_OPTIONS,
	{ "node", NULL, WRIT_OPT_FLAG, NULL,
		"an alias: the selectors are those of agents, the parent is the server" },
	COMMON_OPTIONS,
};
static const struct writ_option update_options[] = { WRIT_ENTRY_OPTIONS, COMMON_OPTIONS };
static const struct writ_option delete_options[] = {
	{ "entryID", "entry-id", WRIT_OPT_LIST, "ID", "the entry to delete" },
	{ "file", NULL, WRIT_OPT_STRING, "FILE", "JSON file {\"ids\": [...]}" },
	COMMON_OPTIONS,
};
static const struct writ_option show_options[] = {
	{ "entryID", "entry-id", WRIT_OPT_STRING, "ID", "only this entry" },
	{ "spiffeID", "spiffe-id", WRIT_OPT_STRING, "ID", "only entries for this identity" },
	{ "parentID", "parent-id", WRIT_OPT_STRING, "ID", "only entries under this parent" },
	{ "selector", NULL, WRIT_OPT_LIST, "TYPE:VALUE", "only entries with these selectors" },
	{ "matchSelectorsOn", "match-selectors-on", WRIT_OPT_STRING, "MODE",
		"how: superset, exact, subset or any (superset)" },
	{ "federatesWith", "federates-with", WRIT_OPT_LIST, "TRUST-DOMAIN",
		"only entries that federate with these" },
	{ "matchFederatesWithOn", "match-federates-with-on", WRIT_OPT_STRING, "MODE",
		"how, as for selectors (superset)" },
	{ "hint", NULL, WRIT_OPT_STRING, "TEXT", "only entries with this hint" },
	{ "downstream", NULL, WRIT_OPT_FLAG, NULL, "only entries of downstream servers" },
	COMMON_OPTIONS,
};

/* The answers of create and update have one shape: results of {status, entry}. */
struct outcome {
	size_t good, bad;
	writ_rc first_bad;
};

static void count_result(struct outcome *o, const Spire__Api__Types__Status *status,
	const Spire__Api__Types__Entry *e, const char *what, bool json)
{
	if (status && status->code == 0) {
		o->good++;
		if (!json && e)
			writ_entry_print(stdout, e);
		return;
	}
	o->bad++;
	if (o->first_bad == WRIT_OK)
		o->first_bad = writ_rc_from_grpc(status ? status->code : 13);
	fprintf(stderr, "writ %s: %s: %s\n", what,
		writ_grpc_status_name(status ? status->code : 13),
		writ_safe(status ? status->message : "no status"));
	if (e && e->id[0])
		writ_entry_print(stderr, e);
}

static writ_rc conclude(struct writ_invocation *in, const struct outcome *o, struct writ_err *err)
{
	if (!o->bad)
		return WRIT_OK;
	if (o->good)
		in->exit_code = EXIT_PARTLY;
	if (o->first_bad == WRIT_EEXIST)
		in->next = "the entry above is the one that is there: `writ entry update -entryID "
			   "ID ...` changes it";
	return writ_fail(err, o->first_bad, "%zu of %zu entries failed", o->bad, o->bad + o->good);
}

static writ_rc read_forms(struct writ_invocation *in, bool for_update, struct writ_entry_forms *f,
	struct writ_err *err)
{
	const char *data = writ_arg(&in->args, "data");
	return data ? writ_entry_from_json(data, f, err)
		    : writ_entry_from_flags(&in->args, for_update, f, err);
}

static writ_rc create_portion(struct writ_session *s, Spire__Api__Types__Entry **entries, size_t n,
	struct outcome *o, struct writ_err *err)
{
	Spire__Api__Server__Entry__V1__BatchCreateEntryRequest req =
		SPIRE__API__SERVER__ENTRY__V1__BATCH_CREATE_ENTRY_REQUEST__INIT;
	req.entries = entries;
	req.n_entries = n;
	ProtobufCMessage *m;
	writ_rc rc = writ_session_call(s, SERVICE "BatchCreateEntry", &req.base,
		&spire__api__server__entry__v1__batch_create_entry_response__descriptor, &m, err);
	if (rc != WRIT_OK)
		return rc;
	if (s->json)
		writ_print_json(m);
	const Spire__Api__Server__Entry__V1__BatchCreateEntryResponse *r = (const void *)m;
	for (size_t i = 0; i < r->n_results; i++)
		count_result(
			o, r->results[i]->status, r->results[i]->entry, "entry create", s->json);
	writ_pb_free(m);
	return WRIT_OK;
}

/* What was given of an entry that is not given whole. */
static const struct {
	const char *flag;
	size_t at;
} maskable[] = {
	{ "selector", offsetof(Spire__Api__Types__EntryMask, selectors) },
	{ "x509SVIDTTL", offsetof(Spire__Api__Types__EntryMask, x509_svid_ttl) },
	{ "jwtSVIDTTL", offsetof(Spire__Api__Types__EntryMask, jwt_svid_ttl) },
	{ "federatesWith", offsetof(Spire__Api__Types__EntryMask, federates_with) },
	{ "dns", offsetof(Spire__Api__Types__EntryMask, dns_names) },
	{ "hint", offsetof(Spire__Api__Types__EntryMask, hint) },
	{ "entryExpiry", offsetof(Spire__Api__Types__EntryMask, expires_at) },
	{ "admin", offsetof(Spire__Api__Types__EntryMask, admin) },
	{ "downstream", offsetof(Spire__Api__Types__EntryMask, downstream) },
	{ "storeSVID", offsetof(Spire__Api__Types__EntryMask, store_svid) },
};

static size_t read_mask(const struct writ_args *a, Spire__Api__Types__EntryMask *m)
{
	size_t n = 0;
	spire__api__types__entry_mask__init(m);
	for (size_t i = 0; i < WRIT_COUNT(maskable); i++) {
		if (!writ_arg_given(a, maskable[i].flag))
			continue;
		*(protobuf_c_boolean *)(void *)((char *)m + maskable[i].at) = true;
		n++;
	}
	return n;
}

static writ_rc update_portion(struct writ_session *s, const struct writ_args *a,
	Spire__Api__Types__Entry **entries, size_t n, struct outcome *o, struct writ_err *err)
{
	Spire__Api__Types__EntryMask mask;
	Spire__Api__Server__Entry__V1__BatchUpdateEntryRequest req =
		SPIRE__API__SERVER__ENTRY__V1__BATCH_UPDATE_ENTRY_REQUEST__INIT;
	req.entries = entries;
	req.n_entries = n;
	if (!writ_arg(a, "data") && !entries[0]->spiffe_id) {
		req.input_mask = &mask;
		if (!read_mask(a, &mask))
			return writ_fail(err, WRIT_EINVAL,
				"what is to change? Give at least one flag, like -selector");
	}
	ProtobufCMessage *m;
	writ_rc rc = writ_session_call(s, SERVICE "BatchUpdateEntry", &req.base,
		&spire__api__server__entry__v1__batch_update_entry_response__descriptor, &m, err);
	if (rc != WRIT_OK)
		return rc;
	if (s->json)
		writ_print_json(m);
	const Spire__Api__Server__Entry__V1__BatchUpdateEntryResponse *r = (const void *)m;
	for (size_t i = 0; i < r->n_results; i++)
		count_result(
			o, r->results[i]->status, r->results[i]->entry, "entry update", s->json);
	writ_pb_free(m);
	return WRIT_OK;
}

/* Warnings, before anything is sent. */
static writ_rc lint(
	struct writ_invocation *in, const struct writ_entry_forms *f, struct writ_err *err)
{
	size_t n = 0;
	for (size_t i = 0; i < f->n; i++) {
		WRIT_AUTO(writ_buf_done) struct writ_buf text = WRIT_BUF(LINT_MAX);
		n += writ_entry_lint(f->entries[i], &text);
		struct writ_str rest = writ_buf_str(&text), line;
		while (rest.n) {
			(void)writ_str_cut(&rest, '\n', &line);
			fprintf(stderr, "writ %s: warning: ", in->command->words);
			if (f->n > 1)
				fprintf(stderr, "entries[%zu]: ", i);
			fprintf(stderr, WRIT_FMT "\n", WRIT_ARG(line));
		}
	}
	if (!n || !writ_arg_flag(&in->args, "strict"))
		return WRIT_OK;
	return writ_fail(err, WRIT_EINVAL, "-strict: nothing was stored, because of %zu warning%s",
		n, n == 1 ? "" : "s");
}

static writ_rc run_batches(struct writ_invocation *in, bool update, struct writ_err *err)
{
	struct writ_entry_forms f = { 0 };
	struct writ_session s = { 0 };
	struct outcome o = { 0 };
	writ_rc rc = read_forms(in, update, &f, err);
	if (rc == WRIT_OK)
		rc = lint(in, &f, err);
	if (rc == WRIT_OK)
		rc = writ_session_open(in, &s, err);
	for (size_t at = 0; rc == WRIT_OK && at < f.n; at += WRIT_ENTRY_FORMS_MAX) {
		size_t n = f.n - at < WRIT_ENTRY_FORMS_MAX ? f.n - at : WRIT_ENTRY_FORMS_MAX;
		rc = update ? update_portion(&s, &in->args, f.entries + at, n, &o, err)
			    : create_portion(&s, f.entries + at, n, &o, err);
	}
	writ_session_close(&s);
	writ_entry_forms_done(&f);
	return rc == WRIT_OK ? conclude(in, &o, err) : rc;
}

static writ_rc run_create(struct writ_invocation *in, struct writ_err *err)
{
	return run_batches(in, false, err);
}

static writ_rc run_update(struct writ_invocation *in, struct writ_err *err)
{
	return run_batches(in, true, err);
}

static writ_rc ids_from_file(const char *path, char ***ids, size_t *n, struct writ_err *err)
{
	WRIT_AUTO(writ_buf_done) struct writ_buf text = WRIT_BUF(16u << 20);
	json_error_t je;
	writ_rc rc = writ_fs_read(path, &text, err);
	if (rc != WRIT_OK)
		return rc;
	json_t *root = json_loadb((const char *)text.p, text.n, 0, &je), *id;
	if (!root)
		return writ_fail(
			err, WRIT_EINVAL, "%s:%d:%d: %s", path, je.line, je.column, je.text);
	size_t i;
	json_array_foreach(json_object_get(root, "ids"), i, id)
	{
		if (!json_is_string(id))
			continue;
		*ids = writ_realloc(*ids, (*n + 1) * sizeof(**ids));
		(*ids)[(*n)++] = writ_strdup(json_string_value(id));
	}
	json_decref(root);
	return *n ? WRIT_OK : writ_fail(err, WRIT_EINVAL, "%s: no {\"ids\": [...]} in it", path);
}

static writ_rc delete_ids(
	struct writ_session *s, char **ids, size_t n, struct outcome *o, struct writ_err *err)
{
	Spire__Api__Server__Entry__V1__BatchDeleteEntryRequest req =
		SPIRE__API__SERVER__ENTRY__V1__BATCH_DELETE_ENTRY_REQUEST__INIT;
	req.ids = ids;
	req.n_ids = n;
	ProtobufCMessage *m;
	writ_rc rc = writ_session_call(s, SERVICE "BatchDeleteEntry", &req.base,
		&spire__api__server__entry__v1__batch_delete_entry_response__descriptor, &m, err);
	if (rc != WRIT_OK)
		return rc;
	if (s->json)
		writ_print_json(m);
	const Spire__Api__Server__Entry__V1__BatchDeleteEntryResponse *r = (const void *)m;
	for (size_t i = 0; i < r->n_results; i++) {
		count_result(o, r->results[i]->status, NULL, "entry delete", s->json);
		if (!s->json && r->results[i]->status && r->results[i]->status->code == 0)
			printf("Deleted entry with ID: %s\n", writ_safe(r->results[i]->id));
	}
	writ_pb_free(m);
	return WRIT_OK;
}

static writ_rc run_delete(struct writ_invocation *in, struct writ_err *err)
{
	char **ids = NULL;
	size_t n = 0;
	struct outcome o = { 0 };
	struct writ_session s = { 0 };
	const char *file = writ_arg(&in->args, "file"), *id;
	writ_rc rc = file ? ids_from_file(file, &ids, &n, err) : WRIT_OK;
	for (size_t i = 0; (id = writ_arg_at(&in->args, "entryID", i)) != NULL; i++) {
		ids = writ_realloc(ids, (n + 1) * sizeof(*ids));
		ids[n++] = writ_strdup(id);
	}
	if (rc == WRIT_OK && !n)
		rc = writ_fail(err, WRIT_EINVAL,
			"which entry? -entryID ID (`writ entry show` lists them)");
	if (rc == WRIT_OK)
		rc = writ_session_open(in, &s, err);
	for (size_t at = 0; rc == WRIT_OK && at < n; at += PAGE)
		rc = delete_ids(&s, ids + at, n - at < PAGE ? n - at : PAGE, &o, err);
	writ_session_close(&s);
	for (size_t i = 0; i < n; i++)
		writ_free(ids[i]);
	writ_free(ids);
	return rc == WRIT_OK ? conclude(in, &o, err) : rc;
}

struct filter {
	Spire__Api__Server__Entry__V1__ListEntriesRequest__Filter list;
	Spire__Api__Types__SPIFFEID spiffe_id, parent_id;
	Spire__Api__Types__SelectorMatch selectors;
	Spire__Api__Types__FederatesWithMatch federates;
	Google__Protobuf__StringValue hint;
	Google__Protobuf__BoolValue downstream;
	Spire__Api__Types__Selector selector_items[64], *selector_list[64];
	char *federates_list[64];
};

static writ_rc match_mode(
	const struct writ_args *a, const char *flag, int *ret, struct writ_err *err)
{
	/* In the order of MatchBehavior. */
	static const char *const modes[] = { "exact", "subset", "superset", "any" };
	const char *text = writ_arg(a, flag);
	*ret = 2;
	for (size_t i = 0; text && i < WRIT_COUNT(modes); i++) {
		if (strcmp(text, modes[i]) == 0) {
			*ret = (int)i;
			return WRIT_OK;
		}
	}
	return text ? writ_fail(err, WRIT_EINVAL,
			      "-%s takes superset, exact, subset or any, not '%s'", flag, text)
		    : WRIT_OK;
}

static writ_rc read_match_filters(const struct writ_args *a, struct filter *f, struct writ_err *err)
{
	const char *text;
	int mode;
	writ_rc rc = match_mode(a, "matchSelectorsOn", &mode, err);
	spire__api__types__selector_match__init(&f->selectors);
	f->selectors.match = (Spire__Api__Types__SelectorMatch__MatchBehavior)mode;
	f->selectors.selectors = f->selector_list;
	while (rc == WRIT_OK && f->selectors.n_selectors < WRIT_COUNT(f->selector_list) &&
		(text = writ_arg_at(a, "selector", f->selectors.n_selectors)) != NULL) {
		size_t i = f->selectors.n_selectors;
		rc = writ_api_selector(text, &f->selector_items[i], err);
		if (rc == WRIT_OK) {
			f->selector_list[i] = &f->selector_items[i];
			f->selectors.n_selectors++;
		}
	}
	if (f->selectors.n_selectors)
		f->list.by_selectors = &f->selectors;
	if (rc == WRIT_OK)
		rc = match_mode(a, "matchFederatesWithOn", &mode, err);
	spire__api__types__federates_with_match__init(&f->federates);
	f->federates.match = (Spire__Api__Types__FederatesWithMatch__MatchBehavior)mode;
	f->federates.trust_domains = f->federates_list;
	while (f->federates.n_trust_domains < WRIT_COUNT(f->federates_list) &&
		(text = writ_arg_at(a, "federatesWith", f->federates.n_trust_domains)) != NULL)
		f->federates_list[f->federates.n_trust_domains++] = (char *)(uintptr_t)text;
	if (f->federates.n_trust_domains)
		f->list.by_federates_with = &f->federates;
	return rc;
}

static writ_rc read_filter(const struct writ_args *a, struct filter *f, struct writ_err *err)
{
	const char *text;
	writ_rc rc = WRIT_OK;
	spire__api__server__entry__v1__list_entries_request__filter__init(&f->list);
	spire__api__types__spiffeid__init(&f->spiffe_id);
	spire__api__types__spiffeid__init(&f->parent_id);
	if ((text = writ_arg(a, "spiffeID")) != NULL) {
		rc = writ_api_id(text, "spiffeID", &f->spiffe_id, err);
		f->list.by_spiffe_id = &f->spiffe_id;
	}
	if (rc == WRIT_OK && (text = writ_arg(a, "parentID")) != NULL) {
		rc = writ_api_id(text, "parentID", &f->parent_id, err);
		f->list.by_parent_id = &f->parent_id;
	}
	if ((text = writ_arg(a, "hint")) != NULL) {
		google__protobuf__string_value__init(&f->hint);
		f->hint.value = (char *)(uintptr_t)text;
		f->list.by_hint = &f->hint;
	}
	if (writ_arg_given(a, "downstream")) {
		google__protobuf__bool_value__init(&f->downstream);
		f->downstream.value = writ_arg_flag(a, "downstream");
		f->list.by_downstream = &f->downstream;
	}
	return rc == WRIT_OK ? read_match_filters(a, f, err) : rc;
}

static void filter_done(struct filter *f)
{
	writ_api_id_done(&f->spiffe_id);
	writ_api_id_done(&f->parent_id);
	for (size_t i = 0; i < f->selectors.n_selectors; i++)
		writ_api_selector_done(&f->selector_items[i]);
}

static writ_rc show_one(struct writ_session *s, const char *id, struct writ_err *err)
{
	Spire__Api__Server__Entry__V1__GetEntryRequest req =
		SPIRE__API__SERVER__ENTRY__V1__GET_ENTRY_REQUEST__INIT;
	ProtobufCMessage *m;
	req.id = (char *)(uintptr_t)id;
	writ_rc rc = writ_session_call(
		s, SERVICE "GetEntry", &req.base, &spire__api__types__entry__descriptor, &m, err);
	if (rc != WRIT_OK)
		return rc;
	if (s->json)
		writ_print_json_value(json_pack("{s:[o]}", "entries", writ_pb_to_json(m)));
	else
		writ_entry_print(stdout, (const Spire__Api__Types__Entry *)(const void *)m);
	writ_pb_free(m);
	return WRIT_OK;
}

typedef Spire__Api__Server__Entry__V1__ListEntriesResponse entries_page;

static ProtobufCMessage *const *items(const ProtobufCMessage *m, size_t *n)
{
	const entries_page *r = (const void *)m;
	*n = r->n_entries;
	return (ProtobufCMessage *const *)(void *)r->entries;
}

static const char *next_page(const ProtobufCMessage *m)
{
	return ((const entries_page *)(const void *)m)->next_page_token;
}

static void print_item(const ProtobufCMessage *m)
{
	writ_entry_print(stdout, (const void *)m);
}

static writ_rc show_pages(struct writ_session *s, struct filter *f, struct writ_err *err)
{
	Spire__Api__Server__Entry__V1__ListEntriesRequest req =
		SPIRE__API__SERVER__ENTRY__V1__LIST_ENTRIES_REQUEST__INIT;
	const struct writ_pages pages = { .method = SERVICE "ListEntries",
		.request = &req.base,
		.page_token = &req.page_token,
		.response = &spire__api__server__entry__v1__list_entries_response__descriptor,
		.name = "entries",
		.items = items,
		.next = next_page,
		.print = print_item };
	size_t total;
	req.filter = &f->list;
	req.page_size = PAGE;
	writ_rc rc = writ_pages_print(s, &pages, &total, err);
	if (rc == WRIT_OK && !s->json)
		printf("Found %zu %s\n", total, total == 1 ? "entry" : "entries");
	return rc;
}

static writ_rc run_show(struct writ_invocation *in, struct writ_err *err)
{
	struct filter f = { 0 };
	struct writ_session s = { 0 };
	const char *id = writ_arg(&in->args, "entryID");
	writ_rc rc = read_filter(&in->args, &f, err);
	if (rc == WRIT_OK)
		rc = writ_session_open(in, &s, err);
	if (rc == WRIT_OK)
		rc = id ? show_one(&s, id, err) : show_pages(&s, &f, err);
	writ_session_close(&s);
	filter_done(&f);
	return rc;
}

static writ_rc run_count(struct writ_invocation *in, struct writ_err *err)
{
	struct filter f = { 0 };
	struct writ_session s = { 0 };
	Spire__Api__Server__Entry__V1__CountEntriesRequest req =
		SPIRE__API__SERVER__ENTRY__V1__COUNT_ENTRIES_REQUEST__INIT;
	Spire__Api__Server__Entry__V1__CountEntriesRequest__Filter count =
		SPIRE__API__SERVER__ENTRY__V1__COUNT_ENTRIES_REQUEST__FILTER__INIT;
	ProtobufCMessage *m = NULL;
	writ_rc rc = read_filter(&in->args, &f, err);
	count.by_spiffe_id = f.list.by_spiffe_id;
	count.by_parent_id = f.list.by_parent_id;
	count.by_selectors = f.list.by_selectors;
	count.by_federates_with = f.list.by_federates_with;
	count.by_hint = f.list.by_hint;
	count.by_downstream = f.list.by_downstream;
	req.filter = &count;
	if (rc == WRIT_OK)
		rc = writ_session_open(in, &s, err);
	if (rc == WRIT_OK)
		rc = writ_session_call(&s, SERVICE "CountEntries", &req.base,
			&spire__api__server__entry__v1__count_entries_response__descriptor, &m,
			err);
	if (rc == WRIT_OK && s.json)
		writ_print_json(m);
	else if (rc == WRIT_OK)
		printf("%d registration entries\n",
			((const Spire__Api__Server__Entry__V1__CountEntriesResponse *)(const void *)
					m)
				->count);
	if (m)
		writ_pb_free(m);
	writ_session_close(&s);
	filter_done(&f);
	return rc;
}

static const struct writ_option preview_options[] = { WRIT_PREVIEW_OPTIONS };

static const struct writ_command commands[] = {
	{ .words = "entry create",
		.summary = "Register which processes get which identity",
		.options = create_options,
		.n_options = WRIT_COUNT(create_options),
		.run = run_create,
		.detail = "A process gets the identity when it has all selectors of the entry and "
			  "runs on a node of the parent. docs/selectors.md says which "
			  "selectors there are and who can forge which." },
	{ .words = "entry update",
		.summary = "Replace an entry, or change a part of it",
		.options = update_options,
		.n_options = WRIT_COUNT(update_options),
		.run = run_update,
		.detail = "With -spiffeID and -parentID the entry becomes what the flags say. "
			  "Without both only what is given changes; -selector gives all selectors "
			  "anew." },
	{ .words = "entry delete",
		.summary = "Delete entries: their processes lose the identity at once",
		.options = delete_options,
		.n_options = WRIT_COUNT(delete_options),
		.run = run_delete },
	{ .words = "entry show",
		.summary = "Entries, all or filtered",
		.options = show_options,
		.n_options = WRIT_COUNT(show_options),
		.run = run_show },
	{ .words = "entry count",
		.summary = "How many entries there are",
		.options = show_options,
		.n_options = WRIT_COUNT(show_options),
		.run = run_count },
	{ .words = "entry preview",
		.summary = "Which running processes an entry with these selectors would be for",
		.options = preview_options,
		.n_options = WRIT_COUNT(preview_options),
		.run = writ_preview_run,
		.detail = "Nothing is created. The agent of this machine looks at all processes as "
			  "if they had called, so this is for its operators: root and the group "
			  "writ-admin." },
};
const struct writ_command_group writ_commands_entry = { "Registration", commands,
	WRIT_COUNT(commands) };
