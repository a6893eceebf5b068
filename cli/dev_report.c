/* SPDX-License-Identifier: Apache-2.0 */
#include "dev.h"

#include "print.h"

#include "base/mem.h"

#include <jansson.h>
#include <unistd.h>

static const char *text(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));
	return s ? writ_safe(s) : "";
}

void writ_dev_report(const struct writ_dev *d)
{
	int status = (int)json_integer_value(json_object_get(d->call, "status"));
	printf("writ dev: throw-away trust domain \"%s\". Not for production.\n", WRIT_DEV_TD);
	if (getuid() == 0)
		puts("  you are root: so are the server, the agent and the tool");
	printf("  ok  server   pid %-7d CA in memory, 24h      folder %s\n", (int)d->server.pid,
		d->dir);
	printf("  ok  agent    pid %-7d attested with a one-time join token (used, gone)\n",
		(int)d->agent.pid);
	printf("  ok  you      uid %u (%s)  ->  %s   selector unix:uid:%u\n", (unsigned)getuid(),
		d->user_name, d->user_id, (unsigned)getuid());
	printf("  ok  tool     %s   gate 127.0.0.1:%u -> 127.0.0.1:%u\n\n", WRIT_DEV_TOOL,
		d->gate_port, d->echo_port);
	printf("  SVID  %s\n        serial %s\n        from %s until %s\n\n",
		text(d->svid, "spiffe_id"), text(d->svid, "serial"), text(d->svid, "not_before"),
		text(d->svid, "not_after"));
	printf("  CALL  GET https://127.0.0.1:%u/hello\n        client %s   ->   server %s\n       "
	       " TLSv1.3  %d %s  %.1f ms   \"%s\"\n\n",
		d->gate_port, text(d->call, "own_id"), text(d->call, "peer_id"), status,
		status == 200 ? "OK" : "", json_real_value(json_object_get(d->call, "ms")),
		text(d->call, "body"));
	printf("Ready in %.2f s.\n", (double)(d->ready_ms - d->began_ms) / 1000.0);
	if (!d->once) {
		const char *name = d->name ? " --name " : "", *value = d->name ? d->name : "";
		printf("In another terminal:\n"
		       "  eval \"$(writ dev env%s%s)\"                     # "
		       "SPIFFE_ENDPOINT_SOCKET and the admin sockets\n"
		       "  writ curl https://127.0.0.1:%u/hello      # your identity, the tool's "
		       "identity checked\n"
		       "  writ svid watch    writ entry show    writ explain    writ doctor\n"
		       "Ctrl-C stops everything%s.\n",
			name, value, d->gate_port,
			d->keep ? "; the folder stays" : " and removes the folder");
	}
	fflush(stdout);
}

void writ_dev_report_json(const struct writ_dev *d)
{
	json_t *call = json_pack("{s:s%,s:O,s:O,s:O,s:O}", "url", "", (size_t)0, "status",
		json_object_get(d->call, "status"), "peer_id", json_object_get(d->call, "peer_id"),
		"own_id", json_object_get(d->call, "own_id"), "ms", json_object_get(d->call, "ms"));
	WRIT_AUTO(writ_freep) char *url = writ_asprintf("https://127.0.0.1:%u/hello", d->gate_port);
	json_object_set_new(call, "url", json_string(url));
	writ_print_json_value(json_pack("{s:s,s:s,s:s,s:s,s:O,s:o,s:f}", "trust_domain",
		WRIT_DEV_TD, "folder", d->dir, "endpoint_socket", d->agent_socket, "server_socket",
		d->server_socket, "svid", d->svid, "call", call, "ready_s",
		(double)(d->ready_ms - d->began_ms) / 1000.0));
	fflush(stdout);
}
