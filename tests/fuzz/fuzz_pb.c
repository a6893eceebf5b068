/* SPDX-License-Identifier: Apache-2.0 */
/* What passes the check is unpacked within the memory that was counted, and packs to the same bytes
 * for ever after. */
#include "rpc/rpc.h"

#include "google/protobuf/struct.pb-c.h"
#include "spire/api/server/agent/v1/agent.pb-c.h"
#include "spire/api/server/entry/v1/entry.pb-c.h"
#include "spire/api/server/svid/v1/svid.pb-c.h"
#include "workloadapi.pb-c.h"
#include "writ/push/v1/push.pb-c.h"

#include <assert.h>
#include <string.h>

static const ProtobufCMessageDescriptor *const kinds[] = { &x509_svidresponse__descriptor,
	&jwtsvidrequest__descriptor, &google__protobuf__struct__descriptor,
	&spire__api__server__entry__v1__list_entries_request__descriptor,
	&spire__api__server__entry__v1__batch_create_entry_request__descriptor,
	&spire__api__server__agent__v1__attest_agent_request__descriptor,
	&spire__api__server__svid__v1__batch_new_x509_svidrequest__descriptor,
	&writ__push__v1__fetch_response__descriptor };

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	const ProtobufCMessageDescriptor *d = kinds[n > 0 ? p[0] % WRIT_COUNT(kinds) : 0];
	WRIT_AUTO(writ_buf_done) struct writ_buf a = WRIT_BUF(1 << 24), b = WRIT_BUF(1 << 24);
	ProtobufCMessage *m = NULL;
	struct writ_err err = { 0 };
	writ_rc rc = writ_pb_unpack(d, p + (n > 0), n - (n > 0), &m, &err);
	assert((rc == WRIT_OK) == (m != NULL) && !strstr(err.msg, "cannot be unpacked"));
	if (m && writ_pb_pack(m, &a, NULL) == WRIT_OK) {
		writ_pb_free(m);
		rc = writ_pb_unpack(d, a.p, a.n, &m, &err);
		/* fewer bytes than before allow less memory: nothing else may be wrong with them */
		assert(rc == WRIT_OK || rc == WRIT_ELIMIT);
		assert(rc != WRIT_OK || writ_pb_pack(m, &b, NULL) == WRIT_OK);
		assert(rc != WRIT_OK || (a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0)));
		if (rc != WRIT_OK)
			m = NULL;
	}
	writ_pb_free(m);
	return 0;
}
