/* SPDX-License-Identifier: Apache-2.0 */
/* What the registry costs: creating durably, loading, memory, pages, authorised sets, changes.
 * Prints one table. bench_registry [folder for the database; default: under /tmp] */
#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "registry/request.h"
#include "registry/view.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ENTRIES 100000
#define BATCH   100
#define FLIGHT  8 /* requests at once, in the second run */
#define NODES   50000
#define GROUPS  600
#define SET     300

static struct writ_loop *loop;
static struct writ_store *store;
static struct writ_registry *reg;
static char dir[256];

static void die(const char *what, const struct writ_err *err)
{
	fprintf(stderr, "%s: %s\n", what, err->msg);
	exit(1);
}

static void row(const char *what, double value, const char *unit)
{
	printf("%-58s %12.1f %s\n", what, value, unit);
}

static void open_all(void)
{
	struct writ_err err = { 0 };
	if (writ_store_open(&writ_store_sqlite, dir, &store, &err) != WRIT_OK)
		die("open", &err);
	if (writ_registry_open(loop, store, WRIT_STR("td"), &reg, &err) != WRIT_OK)
		die("load", &err);
}

static void settle(void)
{
	bool never = false;
	while (writ_registry_busy(reg))
		(void)writ_loop_run_until(loop, &never, writ_mono_ms() + 1);
}

static void close_all(void)
{
	settle();
	writ_store_close(store);
	writ_registry_close(reg);
}

static double pss_mb(void)
{
	FILE *f = fopen("/proc/self/smaps_rollup", "re");
	char line[256];
	long kb = 0;
	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "Pss: %ld", &kb) == 1)
			break;
	}
	if (f)
		fclose(f);
	return (double)kb / 1024;
}

/* --- creating --- */

static struct {
	int sent, batches, ok;
	bool done;
} run;

static void next_batch(void);

static void created(void *arg, const struct writ_outcome *out)
{
	(void)arg;
	for (size_t i = 0; i < out->n; i++)
		run.ok += out->items[i].rc == WRIT_OK;
	if (out->rc || out->items[0].rc)
		fprintf(stderr, "a batch failed: %s %s\n", out->msg, out->items[0].msg);
	if (run.sent < run.batches)
		next_batch();
	run.done = run.ok >= run.batches * BATCH || out->rc || out->items[0].rc;
}

/* Names and selectors as long as real ones are. */
static void next_batch(void)
{
	static char text[BATCH][3][256];
	static int serial;
	struct writ_entry_request q[BATCH];
	for (int i = 0; i < BATCH; i++) {
		int n = serial++;
		memset(&q[i], 0, sizeof(q[i]));
		snprintf(text[i][0], 256, "spiffe://td/ns/team-%d/sa/service-%d", n % 97, n);
		snprintf(text[i][1], 256, "spiffe://td/spire/agent/join_token/%08x-%04x", n / 100,
			n / 100);
		/* Two selectors, and three of them for every second one. */
		snprintf(text[i][2], 256, "14:unix:gid:%05d,14:unix:uid:%05d,%s", n % 60000,
			n % 50000, n % 2 ? "" : "27:unix:user:name-of-a-service,");
		q[i].spec.text[WRIT_ENTRY_SPIFFE_ID] = writ_cstr(text[i][0]);
		q[i].spec.text[WRIT_ENTRY_PARENT_ID] = writ_cstr(text[i][1]);
		q[i].spec.text[WRIT_ENTRY_SELECTORS] = writ_cstr(text[i][2]);
		q[i].spec.meta.x509_ttl_s = 300;
	}
	run.sent++;
	writ_registry_create_entries(reg, q, BATCH, created, NULL);
}

static double create(int batches, int flight)
{
	int64_t before = writ_mono_us();
	run.sent = run.ok = 0;
	run.batches = batches;
	run.done = false;
	for (int i = 0; i < flight; i++)
		next_batch();
	if (!writ_loop_run_until(loop, &run.done, writ_mono_ms() + 120000))
		fprintf(stderr, "too slow\n");
	settle();
	return (double)(batches * BATCH) * 1e6 / (double)(writ_mono_us() - before);
}

/* --- reading --- */

static void page_all(void)
{
	char token[32] = "", next[32];
	int64_t worst = 0, total = 0, pages = 0;
	struct writ_err err;
	do {
		struct writ_entry_list l = { 0 };
		int64_t before = writ_mono_us();
		if (writ_registry_list_entries(reg, &(struct writ_entry_filter){ 0 }, 1000,
			    writ_cstr(token), &l, next, &err) != WRIT_OK)
			die("list", &err);
		int64_t took = writ_mono_us() - before;
		worst = took > worst ? took : worst;
		total += took;
		pages++;
		writ_entry_list_done(&l);
		memcpy(token, next, sizeof(token));
	} while (token[0]);
	row("page of 1,000 of 100,000, mean", (double)total / (double)pages, "us");
	row("page of 1,000 of 100,000, worst", (double)worst, "us");
}

static void filter_all(void)
{
	struct writ_entry_filter f = { .selectors = { true, WRIT_MATCH_SUPERSET,
					       WRIT_STR("14:unix:uid:00077,") } };
	size_t n;
	struct writ_err err;
	int64_t before = writ_mono_us();
	if (writ_registry_count_entries(reg, &f, &n, &err) != WRIT_OK)
		die("count", &err);
	row("count by selectors (superset) over 100,000", (double)(writ_mono_us() - before), "us");
	f = (struct writ_entry_filter){ .spiffe_id =
						WRIT_STR("spiffe://td/ns/team-0/sa/service-97") };
	before = writ_mono_us();
	if (writ_registry_count_entries(reg, &f, &n, &err) != WRIT_OK || n != 1)
		die("count", &err);
	row("count by SPIFFE ID", (double)(writ_mono_us() - before), "us");
}

/* --- 50,000 agents, 600 groups: an agent is in some of them, 300 entries in all --- */

static void add_nodes(void)
{
	char id[64], serial[16], selectors[128];
	for (int i = 0; i < NODES; i++) {
		snprintf(id, sizeof(id), "spiffe://td/spire/agent/x/%d", i);
		snprintf(serial, sizeof(serial), "%d", i);
		snprintf(selectors, sizeof(selectors), "9:group:%03d,9:group:%03d,8:zone:%03d,",
			i % GROUPS < 300 ? i % GROUPS : i % GROUPS - 300,
			i % GROUPS < 300 ? i % GROUPS + 300 : i % GROUPS, i % 50);
		struct writ_node_edit e = { .act = WRIT_NODE_ATTEST,
			.id = writ_cstr(id),
			.type = WRIT_STR("x"),
			.serial = writ_cstr(serial),
			.selectors = writ_cstr(selectors),
			.not_after = 1 };
		writ_registry_edit_node(reg, &e, NULL, NULL);
		if (i % 4000 == 3999)
			settle();
	}
	settle();
}

static void add_one(const char *parent, const char *name, const char *selectors)
{
	struct writ_entry_request q = { 0 };
	q.spec.text[WRIT_ENTRY_SPIFFE_ID] = writ_cstr(name);
	q.spec.text[WRIT_ENTRY_PARENT_ID] = writ_cstr(parent);
	q.spec.text[WRIT_ENTRY_SELECTORS] = writ_cstr(selectors);
	writ_registry_create_entries(reg, &q, 1, NULL, NULL);
}

static void add_groups(void)
{
	char name[64], child[64], selectors[64];
	for (int g = 0; g < GROUPS; g++) {
		snprintf(name, sizeof(name), "spiffe://td/group/%d", g);
		snprintf(selectors, sizeof(selectors), "9:group:%03d,", g);
		add_one("spiffe://td/spire/server", name, selectors);
		for (int i = 0; i < SET / 2; i++) {
			snprintf(child, sizeof(child), "spiffe://td/group/%d/w%d", g, i);
			add_one(name, child, "5:a:bcd,");
		}
		settle();
	}
}

static void changed(void *arg)
{
	++*(int *)arg;
}

static void authorised(void)
{
	char id[64];
	size_t entries = 0;
	int64_t before = writ_mono_us();
	for (int i = 0; i < NODES; i++) {
		snprintf(id, sizeof(id), "spiffe://td/spire/agent/x/%d", i);
		(void)writ_registry_agent_revision(reg, writ_cstr(id));
	}
	row("first look at an agent's set (of 50,000 agents)",
		(double)(writ_mono_us() - before) / NODES, "us");
	row("Pss with the views of 50,000 agents", pss_mb(), "MB");
	before = writ_mono_us();
	for (int i = 0; i < NODES; i += 50) {
		struct writ_entry_list l = { 0 };
		snprintf(id, sizeof(id), "spiffe://td/spire/agent/x/%d", i);
		writ_registry_authorized(reg, writ_cstr(id), &l);
		entries += l.n;
		writ_entry_list_done(&l);
	}
	row("entries in an authorised set", (double)entries / (NODES / 50), "");
	row("authorised set of an agent", (double)(writ_mono_us() - before) / (NODES / 50), "us");
}

static void concerned(void)
{
	static struct writ_watch *watches[NODES];
	static int calls;
	char id[64];
	for (int i = 0; i < NODES; i++) {
		snprintf(id, sizeof(id), "spiffe://td/spire/agent/x/%d", i);
		watches[i] = writ_registry_watch(reg, writ_cstr(id), changed, &calls);
	}
	uint64_t since = writ_registry_revision(reg);
	int64_t before = writ_mono_us();
	add_one("spiffe://td/group/7", "spiffe://td/new/one", "5:a:bcd,");
	settle();
	row("one entry created: to the last agent concerned", (double)(writ_mono_us() - before),
		"us");
	row("agents called (of 50,000 watching)", calls, "");
	struct writ_changes c;
	before = writ_mono_us();
	writ_registry_changes(reg, WRIT_STR("spiffe://td/spire/agent/x/7"), since, &c);
	row("its difference fetched", (double)(writ_mono_us() - before), "us");
	if (c.full || c.entries.n != 1)
		fprintf(stderr, "the difference is wrong\n");
	writ_changes_done(&c);
	for (int i = 0; i < NODES; i++)
		writ_registry_unwatch(watches[i]);
}

int main(int argc, char **argv)
{
	struct writ_err err = { 0 };
	snprintf(dir, sizeof(dir), "%s/writ-bench-XXXXXX", argc > 1 ? argv[1] : "/tmp");
	if (!mkdtemp(dir) || writ_loop_new(&loop, &err) != WRIT_OK)
		die("start", &err);
	double bare = pss_mb();
	open_all();
	row("BatchCreate of 100, one after the other, durable", create(100, 1), "entries/s");
	row("BatchCreate of 100, 8 at once, durable", create(ENTRIES / BATCH - 100, FLIGHT),
		"entries/s");
	row("the same at 100,000 entries, one after the other", create(20, 1), "entries/s");
	close_all();
	int64_t before = writ_mono_us();
	open_all();
	row("open, check, load and index 102,000 entries", (double)(writ_mono_us() - before) / 1000,
		"ms");
	row("Pss after loading", pss_mb(), "MB");
	row("bytes an entry", (pss_mb() - bare) * 1024 * 1024 / (ENTRIES + 2000), "B");
	page_all();
	filter_all();
	close_all();
	if (writ_fs_remove_tree(dir, &err) != WRIT_OK)
		die("clean up", &err);
	open_all();
	add_nodes();
	add_groups();
	authorised();
	concerned();
	close_all();
	writ_loop_free(loop);
	return writ_fs_remove_tree(dir, &err) != WRIT_OK;
}
