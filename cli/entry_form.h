/* SPDX-License-Identifier: Apache-2.0 */
/* entry_form: an API entry made from flags or from a JSON file in SPIRE's shape, and printed for
 * people. */
#ifndef WRIT_CLI_ENTRY_FORM_H
#define WRIT_CLI_ENTRY_FORM_H

#include "convert.h"

#include "base/options.h"

#include <stdio.h>

/* The flags of `entry create` and `entry update`. */
#define WRIT_ENTRY_OPTIONS                                                                         \
	{ "entryID", "entry-id", WRIT_OPT_STRING, "ID",                                            \
		"the entry's own ID (the server makes one)" },                                     \
		{ "spiffeID", "spiffe-id", WRIT_OPT_STRING, "ID",                                  \
			"the SPIFFE ID that a matching process gets" },                            \
		{ "parentID", "parent-id", WRIT_OPT_STRING, "ID",                                  \
			"the agent, or alias, whose node may give it out" },                       \
		{ "selector", NULL, WRIT_OPT_LIST, "TYPE:VALUE",                                   \
			"what the process must have; all of them, as unix:uid:1000" },             \
		{ "x509SVIDTTL", "x509-svid-ttl", WRIT_OPT_STRING, "SECONDS",                      \
			"lifetime of the X509-SVID, in seconds or as 5m (the server's default)" }, \
		{ "jwtSVIDTTL", "jwt-svid-ttl", WRIT_OPT_STRING, "SECONDS",                        \
			"lifetime of JWT-SVIDs, in seconds or as 5m (the server's default)" },     \
		{ "federatesWith", "federates-with", WRIT_OPT_LIST, "TRUST-DOMAIN",                \
			"also hand out that domain's bundle" },                                    \
		{ "dns", NULL, WRIT_OPT_LIST, "NAME",                                              \
			"a DNS name in the certificate; the first is its common name" },           \
		{ "hint", NULL, WRIT_OPT_STRING, "TEXT",                                           \
			"tells the workload what this identity is for" },                          \
		{ "entryExpiry", "entry-expiry", WRIT_OPT_STRING, "UNIX-TIME",                     \
			"when the entry lapses" },                                                 \
		{ "admin", NULL, WRIT_OPT_FLAG, NULL,                                              \
			"who has this identity may administer the server" },                       \
		{ "downstream", NULL, WRIT_OPT_FLAG, NULL,                                         \
			"who has this identity may run a downstream server" },                     \
		{ "storeSVID", "store-svid", WRIT_OPT_FLAG, NULL,                                  \
			"for a store, not for the Workload API" },                                 \
		{ "strict", NULL, WRIT_OPT_FLAG, NULL, "store nothing when there is a warning" },  \
	{                                                                                          \
		"data", NULL, WRIT_OPT_STRING, "FILE",                                             \
			"entries from a JSON file instead of flags; - is standard input"           \
	}

/* Entries owned by the struct. */
struct writ_entry_forms {
	Spire__Api__Types__Entry **entries;
	size_t n;
};
#define WRIT_ENTRY_FORMS_MAX 500 /* in one request; larger files are sent in portions */

/* One entry from the flags. An update with neither -spiffeID nor -parentID has only the ID and what
 * is given: send it under a mask. With node the parent is the server itself (an alias).
 * trust_domain is that of the SPIFFE ID. */
WRIT_MUST writ_rc writ_entry_from_flags(const struct writ_args *a, bool for_update,
	struct writ_entry_forms *ret, struct writ_err *err);
/* All entries of {"entries": [...]}: the field names of SPIRE's RegistrationEntry. Names the
 * entry's position when one is wrong. */
WRIT_MUST writ_rc writ_entry_from_json(
	const char *path, struct writ_entry_forms *ret, struct writ_err *err);
void writ_entry_forms_done(struct writ_entry_forms *f);

void writ_entry_print(FILE *f, const Spire__Api__Types__Entry *e);

#endif
