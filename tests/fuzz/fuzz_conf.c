/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration parser takes a text or says in which line it is wrong; never both, never
 * neither. */
#include "conf/common.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* What was read can be filled into structs, and every problem has a place. */
static void fill(const struct writ_conf_node *root, struct writ_conf_diags *d)
{
	struct writ_conf_plugin plugins[2];
	struct writ_conf_telemetry telemetry = { 0 };
	size_t n = writ_conf_plugins(writ_conf_get(root, "plugins"), plugins, 2, d);
	assert(n <= 2);
	writ_conf_fill(&writ_conf_telemetry_table, root, &telemetry, d);
	writ_conf_done(&writ_conf_telemetry_table, &telemetry);
	for (size_t i = 0; i < d->n; i++)
		assert(d->items[i].pos.line > 0 &&
			writ_is_utf8(d->items[i].text, strlen(d->items[i].text)));
}

static const char *env(void *arg, const char *name)
{
	(void)arg;
	return name[0] == 'A' ? "x\"}" : NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct writ_conf_diags d = WRIT_CONF_DIAGS("fuzz");
	struct writ_conf_source source = { .env = n % 2 == 0 ? env : NULL };
	struct writ_conf_node *root = NULL;
	writ_rc rc = writ_conf_parse(writ_strn(p, n), &source, &d, &root, NULL);
	assert((rc == WRIT_OK) == (root != NULL) && (rc == WRIT_OK) == (d.errors == 0));
	assert(d.errors <= 1 &&
		(d.n == 0 || (d.items[0].pos.line > 0 && d.items[0].pos.column > 0)));
	assert(root == NULL || writ_conf_kind(root) == WRIT_NODE_OBJECT);
	if (root != NULL)
		fill(root, &d);
	writ_conf_free(root);
	writ_conf_diags_done(&d);
	return 0;
}
