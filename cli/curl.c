/* SPDX-License-Identifier: Apache-2.0 */
/* writ curl: an HTTPS request with this process's SVID, the tool's SPIFFE ID checked in the
 * handshake. */
#include "identity.h"
#include "print.h"
#include "session.h"

#include "base/clock.h"
#include "base/mem.h"
#include "crypto/digest.h"
#include "workload/source.h"

#include <curl/curl.h>
#include <jansson.h>
#include <string.h>

#define BODY_MAX (64u << 20)

static const struct writ_option options[] = {
	{ "id", NULL, WRIT_OPT_LIST, "SPIFFE-ID",
		"whom the tool must be (any ID of the own trust domain)" },
	{ "svid", NULL, WRIT_OPT_STRING, "ID",
		"which own identity to use, where there are several" },
	{ "X", "request", WRIT_OPT_STRING, "METHOD", "the request method (GET, or POST with -d)" },
	{ "H", "header", WRIT_OPT_LIST, "LINE", "a request header" },
	{ "d", "data", WRIT_OPT_STRING, "TEXT", "the request body" },
	{ "i", "include", WRIT_OPT_FLAG, NULL, "print the response headers too" },
	{ "fail", NULL, WRIT_OPT_FLAG, NULL, "a status of 400 or more is a failure" },
	WRIT_OPT_AGENT_SOCKET,
	WRIT_OPT_TIMEOUT,
	WRIT_OPT_OUTPUT,
	WRIT_OPT_O,
};

struct request {
	struct writ_invocation *in;
	struct writ_x509_source *source;
	const char *own_id;
	char *own_prefix;    /* "spiffe://td/" */
	char *peer_id;       /* whom we met; owned */
	struct writ_err err; /* why the TLS context could not be made */
	struct writ_buf body;
	struct writ_buf headers;
};

static int allow(void *arg, const char *spiffe_id)
{
	struct request *r = arg;
	const char *want;
	bool good = !writ_arg_given(&r->in->args, "id") &&
		strncmp(spiffe_id, r->own_prefix, strlen(r->own_prefix)) == 0;
	for (size_t i = 0; !good && (want = writ_arg_at(&r->in->args, "id", i)) != NULL; i++)
		good = strcmp(spiffe_id, want) == 0;
	writ_free(r->peer_id);
	r->peer_id = writ_strdup(spiffe_id);
	return good;
}

static CURLcode on_ssl_ctx(CURL *curl, void *ssl_ctx, void *arg)
{
	struct request *r = arg;
	const struct writ_authorize a = { .allow = allow, .arg = r };
	(void)curl;
	writ_rc rc = writ_source_apply(r->source, &a, false, ssl_ctx, &r->err);
	return rc == WRIT_OK ? CURLE_OK : CURLE_SSL_CONNECT_ERROR;
}

static size_t on_bytes(char *p, size_t size, size_t n, void *buf)
{
	writ_buf_add(buf, p, size * n);
	return ((struct writ_buf *)buf)->failed ? 0 : size * n;
}

/* Everything that decides whom we talk to. A libcurl over another TLS library would take a host's
 * CAs for it. */
static writ_rc set_tls(CURL *c, struct request *r, struct writ_err *err)
{
	/* The name in the certificate is a SPIFFE ID, which allow() judges; host names say nothing
	 * here. */
	const CURLcode codes[] = {
		curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "https"),
		curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 1L),
		curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 0L),
		curl_easy_setopt(c, CURLOPT_CAINFO, NULL),
		curl_easy_setopt(c, CURLOPT_CAPATH, NULL),
		curl_easy_setopt(c, CURLOPT_SSL_SESSIONID_CACHE, 0L),
		curl_easy_setopt(c, CURLOPT_SSL_CTX_FUNCTION, on_ssl_ctx),
		curl_easy_setopt(c, CURLOPT_SSL_CTX_DATA, r),
	};
	for (size_t i = 0; i < WRIT_COUNT(codes); i++) {
		if (codes[i] != CURLE_OK)
			return writ_fail(err, WRIT_EINTERNAL,
				"this libcurl cannot check a SPIFFE ID (it needs OpenSSL): %s",
				curl_easy_strerror(codes[i]));
	}
	return WRIT_OK;
}

static struct curl_slist *set_request(CURL *c, struct request *r, int64_t timeout_ms)
{
	const struct writ_args *a = &r->in->args;
	const char *text;
	struct curl_slist *lines = NULL;
	curl_easy_setopt(c, CURLOPT_URL, a->rest[0]);
	curl_easy_setopt(c, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_bytes);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, &r->body);
	curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_bytes);
	curl_easy_setopt(c, CURLOPT_HEADERDATA, &r->headers);
	for (size_t i = 0; (text = writ_arg_at(a, "H", i)) != NULL; i++)
		lines = curl_slist_append(lines, text);
	curl_easy_setopt(c, CURLOPT_HTTPHEADER, lines);
	if ((text = writ_arg(a, "d")) != NULL)
		curl_easy_setopt(c, CURLOPT_COPYPOSTFIELDS, text);
	if ((text = writ_arg(a, "X")) != NULL)
		curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, text);
	return lines;
}

static writ_rc why_failed(
	const struct request *r, CURLcode code, const char *text, struct writ_err *err)
{
	const char *url = r->in->args.rest[0];
	if (r->err.rc != WRIT_OK) {
		*err = r->err;
		return err->rc;
	}
	switch (code) {
	case CURLE_COULDNT_CONNECT:
	case CURLE_COULDNT_RESOLVE_HOST:
		return writ_fail(err, WRIT_EUNAVAIL, "%s: nobody answers there: %s", url, text);
	case CURLE_OPERATION_TIMEDOUT:
		return writ_fail(err, WRIT_ETIMEOUT, "%s: no answer in time: %s", url, text);
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_URL_MALFORMAT:
		return writ_fail(err, WRIT_EINVAL, "%s: write it as https://host:port/path", url);
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CONNECT_ERROR:
		if (r->peer_id)
			return writ_fail(err, WRIT_ECRYPTO,
				"%s: the tool is %s, and that is not who it should be", url,
				r->peer_id);
		return writ_fail(err, WRIT_ECRYPTO, "%s: the tool's certificate does not hold: %s",
			url, text);
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
	case CURLE_GOT_NOTHING:
	case CURLE_SSL_SHUTDOWN_FAILED:
		/* TLS 1.3: a server that refuses our certificate says so after the handshake. */
		return writ_fail(err, WRIT_EDENIED, "%s: %s does not let %s in: %s", url,
			r->peer_id ? r->peer_id : "the tool", r->own_id, text);
	default: return writ_fail(err, WRIT_EUNAVAIL, "%s: %s", url, text);
	}
}

/* A body that is not text comes as "body_base64". */
static void print_json(const struct request *r, long status, int64_t us)
{
	WRIT_AUTO(writ_buf_done) struct writ_buf base64 = WRIT_BUF(2 * BODY_MAX);
	bool text = writ_is_utf8(r->body.p, r->body.n);
	if (!text)
		writ_base64_add(&base64, r->body.p, r->body.n);
	json_t *o = json_pack("{s:i,s:s,s:s,s:f}", "status", (int)status, "peer_id", r->peer_id,
		"own_id", r->own_id, "ms", (double)us / 1000.0);
	json_object_set_new(o, text ? "body" : "body_base64",
		text ? json_stringn(writ_buf_cstr(&r->body), r->body.n)
		     : json_string(writ_buf_cstr(&base64)));
	writ_print_json_value(o);
}

static writ_rc conclude(CURL *c, const struct request *r, CURLcode code, const char *text,
	long *status, struct writ_err *err)
{
	if (code != CURLE_OK)
		return why_failed(r, code, text[0] ? text : curl_easy_strerror(code), err);
	curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, status);
	/* Belt and braces: no answer counts without our own verdict on who gave it. */
	return r->peer_id ? WRIT_OK
			  : writ_fail(err, WRIT_ECRYPTO, "%s: the tool's identity was not checked",
				    r->in->args.rest[0]);
}

static writ_rc perform(struct request *r, int64_t timeout_ms, bool json, struct writ_err *err)
{
	char text[CURL_ERROR_SIZE] = "";
	long status = 0;
	CURL *c = curl_easy_init();
	if (!c)
		return writ_fail(err, WRIT_EINTERNAL, "libcurl does not start");
	struct curl_slist *lines = set_request(c, r, timeout_ms);
	curl_easy_setopt(c, CURLOPT_ERRORBUFFER, text);
	writ_rc rc = set_tls(c, r, err);
	int64_t began = writ_mono_us();
	if (rc == WRIT_OK)
		rc = conclude(c, r, curl_easy_perform(c), text, &status, err);
	int64_t took = writ_mono_us() - began;
	if (rc == WRIT_OK && json) {
		print_json(r, status, took);
	} else if (rc == WRIT_OK) {
		if (writ_arg_flag(&r->in->args, "i"))
			fwrite(r->headers.p, 1, r->headers.n, stdout);
		fwrite(r->body.p, 1, r->body.n, stdout);
	}
	if (rc == WRIT_OK && status >= 400 && writ_arg_flag(&r->in->args, "fail"))
		rc = writ_fail(err, WRIT_EUNAVAIL, "%s: status %ld", r->in->args.rest[0], status);
	curl_slist_free_all(lines);
	curl_easy_cleanup(c);
	return rc;
}

static writ_rc from_public(const struct writ_error *e, struct writ_err *err)
{
	static const writ_rc kinds[] = { [WRIT_ERROR_INVALID] = WRIT_EINVAL,
		[WRIT_ERROR_UNAVAILABLE] = WRIT_EUNAVAIL,
		[WRIT_ERROR_DENIED] = WRIT_EDENIED,
		[WRIT_ERROR_TIMEOUT] = WRIT_ETIMEOUT,
		[WRIT_ERROR_AMBIGUOUS] = WRIT_EPRECOND,
		[WRIT_ERROR_VERIFY] = WRIT_ECRYPTO,
		[WRIT_ERROR_NOT_FOUND] = WRIT_ENOENT };
	writ_rc rc = (size_t)e->code < WRIT_COUNT(kinds) && kinds[e->code] ? kinds[e->code]
									   : WRIT_EINTERNAL;
	return writ_fail(err, rc, "%s", e->message);
}

static writ_rc with_source(struct request *r, int64_t timeout_ms, bool json, struct writ_err *err)
{
	struct writ_error e;
	struct writ_x509_svid *own;
	if (writ_x509_source_svid(r->source, &own, &e))
		return from_public(&e, err);
	struct writ_id id;
	writ_rc rc = writ_id_parse(writ_cstr(own->spiffe_id), &id, err);
	if (rc == WRIT_OK) {
		r->own_id = own->spiffe_id;
		r->own_prefix = writ_asprintf("spiffe://" WRIT_FMT "/", WRIT_ARG(id.td));
		rc = perform(r, timeout_ms, json, err);
	}
	writ_x509_svid_free(own);
	return rc;
}

static writ_rc run(struct writ_invocation *in, struct writ_err *err)
{
	struct request r = { .in = in, .body = WRIT_BUF(BODY_MAX), .headers = WRIT_BUF(1u << 20) };
	WRIT_AUTO(writ_freep) char *path = NULL;
	const char *from, *timeout = writ_arg(&in->args, "timeout");
	struct writ_error e;
	int64_t ms = 30000;
	bool json;
	if (in->args.n_rest != 1)
		return writ_fail(
			err, WRIT_EINVAL, "which address? writ curl https://host:port/path");
	writ_rc rc = writ_output_is_json(&in->args, &json, err);
	if (rc == WRIT_OK && timeout)
		rc = writ_parse_duration_ms(writ_cstr(timeout), &ms, err);
	if (rc == WRIT_OK)
		rc = writ_workload_socket(&in->args, &path, &from, err);
	if (rc != WRIT_OK)
		return rc;
	curl_global_init(CURL_GLOBAL_DEFAULT);
	const struct writ_x509_source_options o = { .size = sizeof(o),
		.endpoint = path,
		.spiffe_id = writ_arg(&in->args, "svid"),
		.timeout_ms = (unsigned)(ms > 5000 ? 5000 : ms) };
	rc = writ_x509_source_new(&o, &r.source, &e) ? from_public(&e, err)
						     : with_source(&r, ms, json, err);
	if (rc == WRIT_EPRECOND)
		in->next = "name one with -svid ID";
	writ_x509_source_free(r.source);
	curl_global_cleanup();
	writ_buf_done(&r.body);
	writ_buf_done(&r.headers);
	writ_free(r.own_prefix);
	writ_free(r.peer_id);
	return rc;
}

static const struct writ_command commands[] = { {
	.words = "curl",
	.summary = "An HTTPS request with your identity, the tool's identity checked",
	.operands = "URL",
	.options = options,
	.n_options = WRIT_COUNT(options),
	.run = run,
	.detail = "The connection is mutual TLS 1.3. Host names in certificates are not looked at: "
		  "the tool must have the SPIFFE ID given by -id, "
		  "or any ID of your own trust domain.",
} };
const struct writ_command_group writ_commands_curl = { "Calls", commands, WRIT_COUNT(commands) };
