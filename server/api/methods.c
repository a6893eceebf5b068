/* SPDX-License-Identifier: Apache-2.0 */
#include "api/methods.h"

#include "api/api.h"
#include "api/ratelimit.h"
#include "base/mem.h"
#include "google/protobuf/empty.pb-c.h"
#include "grpc/health/v1/health.pb-c.h"
#include "spire/api/server/agent/v1/agent.pb-c.h"
#include "spire/api/server/bundle/v1/bundle.pb-c.h"
#include "spire/api/server/debug/v1/debug.pb-c.h"
#include "spire/api/server/entry/v1/entry.pb-c.h"
#include "spire/api/server/svid/v1/svid.pb-c.h"
#include "spire/api/types/agent.pb-c.h"
#include "spire/api/types/bundle.pb-c.h"
#include "spire/api/types/entry.pb-c.h"
#include "spire/api/types/jointoken.pb-c.h"
#include "writ/push/v1/push.pb-c.h"

#define ANY        WRIT_WHO_ANY
#define LOCAL      WRIT_WHO_LOCAL
#define OPERATOR   (WRIT_WHO_LOCAL | WRIT_WHO_ADMIN)
#define AGENT      WRIT_WHO_AGENT
#define OPER_AGENT (WRIT_WHO_LOCAL | WRIT_WHO_ADMIN | WRIT_WHO_AGENT)
#define DOWNSTREAM WRIT_WHO_DOWNSTREAM
#define QUIET      (WRIT_WHO_LOCAL | WRIT_WHO_QUIET)

/* A method of SPIRE's that is not served: whoever may call it is told so, everybody else is refused
 * as if it were. Its messages are not read. */
static void not_served(struct writ_call *c)
{
	writ_api_fail(c, WRIT_EUNSUP, "%s is not implemented", writ_call_method(c)->path);
}

#define UNARY(path_, who_, rate_, in_, out_, handler)                                              \
	{                                                                                          \
		.path = "/" path_, .kind = WRIT_RPC_UNARY, .who = who_, .rate = WRIT_RATE_##rate_, \
		.in = &in_##__descriptor, .out = &out_##__descriptor, .handle = writ_h_##handler   \
	}
#define STREAM(path_, who_, in_, out_, handler)                                                    \
	{                                                                                          \
		.path = "/" path_, .kind = WRIT_RPC_SERVER_STREAM, .who = who_,                    \
		.in = &in_##__descriptor, .out = &out_##__descriptor, .handle = writ_h_##handler   \
	}
#define BIDI(path_, who_, rate_, in_, out_, handler)                                               \
	{                                                                                          \
		.path = "/" path_, .kind = WRIT_RPC_BIDI, .who = who_, .rate = WRIT_RATE_##rate_,  \
		.in = &in_##__descriptor, .out = &out_##__descriptor, .handle = writ_h_##handler,  \
		.message = writ_h_##handler##_more, .half_closed = writ_h_##handler##_end          \
	}
#define NOT_SERVED(path_, who_, rate_)                                                             \
	{                                                                                          \
		.path = "/" path_, .kind = WRIT_RPC_UNARY, .who = who_, .rate = WRIT_RATE_##rate_, \
		.in = &google__protobuf__empty__descriptor,                                        \
		.out = &google__protobuf__empty__descriptor, .handle = not_served                  \
	}

#define SVID        "spire.api.server.svid.v1.SVID/"
#define BUNDLE      "spire.api.server.bundle.v1.Bundle/"
#define ENTRY       "spire.api.server.entry.v1.Entry/"
#define AGENT_      "spire.api.server.agent.v1.Agent/"
#define LOGGER      "spire.api.server.logger.v1.Logger/"
#define TRUSTDOMAIN "spire.api.server.trustdomain.v1.TrustDomain/"
#define AUTHORITY   "spire.api.server.localauthority.v1.LocalAuthority/"
#define HEALTH      "grpc.health.v1.Health/"
#define PUSH        "writ.push.v1.Push/"

const struct writ_rpc_method writ_api_methods[] = {
	UNARY(SVID "MintX509SVID", OPERATOR, NONE,
		spire__api__server__svid__v1__mint_x509_svidrequest,
		spire__api__server__svid__v1__mint_x509_svidresponse, svid_mint_x509),
	NOT_SERVED(SVID "MintJWTSVID", OPERATOR, NONE),
	NOT_SERVED(SVID "MintWITSVID", OPERATOR, NONE),
	UNARY(SVID "BatchNewX509SVID", AGENT, SIGN_BATCH,
		spire__api__server__svid__v1__batch_new_x509_svidrequest,
		spire__api__server__svid__v1__batch_new_x509_svidresponse, svid_batch_new_x509),
	NOT_SERVED(SVID "NewJWTSVID", AGENT, JWT),
	NOT_SERVED(SVID "BatchNewWITSVID", AGENT, WIT),
	NOT_SERVED(SVID "NewDownstreamX509CA", DOWNSTREAM, SIGN),
	UNARY(BUNDLE "GetBundle", ANY, NONE, spire__api__server__bundle__v1__get_bundle_request,
		spire__api__types__bundle, bundle_get),
	UNARY(BUNDLE "AppendBundle", OPERATOR, NONE,
		spire__api__server__bundle__v1__append_bundle_request, spire__api__types__bundle,
		bundle_append),
	NOT_SERVED(BUNDLE "PublishJWTAuthority", DOWNSTREAM, PUBLISH_JWT),
	NOT_SERVED(BUNDLE "PublishWITAuthority", DOWNSTREAM, PUBLISH_WIT),
	UNARY(BUNDLE "CountBundles", OPERATOR, NONE,
		spire__api__server__bundle__v1__count_bundles_request,
		spire__api__server__bundle__v1__count_bundles_response, bundle_count),
	NOT_SERVED(BUNDLE "ListFederatedBundles", OPERATOR, NONE),
	NOT_SERVED(BUNDLE "GetFederatedBundle", OPER_AGENT, NONE),
	NOT_SERVED(BUNDLE "BatchCreateFederatedBundle", OPERATOR, NONE),
	NOT_SERVED(BUNDLE "BatchUpdateFederatedBundle", OPERATOR, NONE),
	NOT_SERVED(BUNDLE "BatchSetFederatedBundle", OPERATOR, NONE),
	NOT_SERVED(BUNDLE "BatchDeleteFederatedBundle", OPERATOR, NONE),
	UNARY("spire.api.server.debug.v1.Debug/GetInfo", LOCAL, NONE,
		spire__api__server__debug__v1__get_info_request,
		spire__api__server__debug__v1__get_info_response, debug_info),
	UNARY(ENTRY "CountEntries", OPERATOR, NONE,
		spire__api__server__entry__v1__count_entries_request,
		spire__api__server__entry__v1__count_entries_response, entry_count),
	UNARY(ENTRY "ListEntries", OPERATOR, NONE,
		spire__api__server__entry__v1__list_entries_request,
		spire__api__server__entry__v1__list_entries_response, entry_list),
	UNARY(ENTRY "GetEntry", OPERATOR, NONE, spire__api__server__entry__v1__get_entry_request,
		spire__api__types__entry, entry_get),
	UNARY(ENTRY "BatchCreateEntry", OPERATOR, NONE,
		spire__api__server__entry__v1__batch_create_entry_request,
		spire__api__server__entry__v1__batch_create_entry_response, entry_create),
	UNARY(ENTRY "BatchUpdateEntry", OPERATOR, NONE,
		spire__api__server__entry__v1__batch_update_entry_request,
		spire__api__server__entry__v1__batch_update_entry_response, entry_update),
	UNARY(ENTRY "BatchDeleteEntry", OPERATOR, NONE,
		spire__api__server__entry__v1__batch_delete_entry_request,
		spire__api__server__entry__v1__batch_delete_entry_response, entry_delete),
	UNARY(ENTRY "GetAuthorizedEntries", AGENT, NONE,
		spire__api__server__entry__v1__get_authorized_entries_request,
		spire__api__server__entry__v1__get_authorized_entries_response, entry_authorized),
	BIDI(ENTRY "SyncAuthorizedEntries", AGENT, NONE,
		spire__api__server__entry__v1__sync_authorized_entries_request,
		spire__api__server__entry__v1__sync_authorized_entries_response, entry_sync),
	NOT_SERVED(LOGGER "GetLogger", LOCAL, NONE),
	NOT_SERVED(LOGGER "SetLogLevel", LOCAL, NONE),
	NOT_SERVED(LOGGER "ResetLogLevel", LOCAL, NONE),
	UNARY(AGENT_ "CountAgents", OPERATOR, NONE,
		spire__api__server__agent__v1__count_agents_request,
		spire__api__server__agent__v1__count_agents_response, agent_count),
	UNARY(AGENT_ "ListAgents", OPERATOR, NONE,
		spire__api__server__agent__v1__list_agents_request,
		spire__api__server__agent__v1__list_agents_response, agent_list),
	UNARY(AGENT_ "GetAgent", OPERATOR, NONE, spire__api__server__agent__v1__get_agent_request,
		spire__api__types__agent, agent_get),
	UNARY(AGENT_ "DeleteAgent", OPERATOR, NONE,
		spire__api__server__agent__v1__delete_agent_request, google__protobuf__empty,
		agent_delete),
	UNARY(AGENT_ "BanAgent", OPERATOR, NONE, spire__api__server__agent__v1__ban_agent_request,
		google__protobuf__empty, agent_ban),
	BIDI(AGENT_ "AttestAgent", ANY, ATTEST, spire__api__server__agent__v1__attest_agent_request,
		spire__api__server__agent__v1__attest_agent_response, agent_attest),
	UNARY(AGENT_ "RenewAgent", AGENT, SIGN, spire__api__server__agent__v1__renew_agent_request,
		spire__api__server__agent__v1__renew_agent_response, agent_renew),
	UNARY(AGENT_ "PostStatus", AGENT, STATUS,
		spire__api__server__agent__v1__post_status_request,
		spire__api__server__agent__v1__post_status_response, agent_post_status),
	UNARY(AGENT_ "CreateJoinToken", OPERATOR, NONE,
		spire__api__server__agent__v1__create_join_token_request,
		spire__api__types__join_token, agent_create_token),
	UNARY(HEALTH "Check", QUIET, NONE, grpc__health__v1__health_check_request,
		grpc__health__v1__health_check_response, health_check),
	UNARY(HEALTH "List", QUIET, NONE, grpc__health__v1__health_list_request,
		grpc__health__v1__health_list_response, health_list),
	STREAM(HEALTH "Watch", QUIET, grpc__health__v1__health_check_request,
		grpc__health__v1__health_check_response, health_watch),
	NOT_SERVED(TRUSTDOMAIN "ListFederationRelationships", OPERATOR, NONE),
	NOT_SERVED(TRUSTDOMAIN "GetFederationRelationship", OPERATOR, NONE),
	NOT_SERVED(TRUSTDOMAIN "BatchCreateFederationRelationship", OPERATOR, NONE),
	NOT_SERVED(TRUSTDOMAIN "BatchUpdateFederationRelationship", OPERATOR, NONE),
	NOT_SERVED(TRUSTDOMAIN "BatchDeleteFederationRelationship", OPERATOR, NONE),
	NOT_SERVED(TRUSTDOMAIN "RefreshBundle", OPERATOR, NONE),
	NOT_SERVED(AUTHORITY "GetJWTAuthorityState", OPERATOR, NONE),
	NOT_SERVED(AUTHORITY "PrepareJWTAuthority", OPERATOR, NONE),
	NOT_SERVED(AUTHORITY "ActivateJWTAuthority", OPERATOR, NONE),
	NOT_SERVED(AUTHORITY "TaintJWTAuthority", OPERATOR, NONE),
	NOT_SERVED(AUTHORITY "RevokeJWTAuthority", OPERATOR, NONE),
	NOT_SERVED(AUTHORITY "GetX509AuthorityState", OPERATOR, NONE),
	NOT_SERVED(AUTHORITY "PrepareX509Authority", OPERATOR, NONE),
	NOT_SERVED(AUTHORITY "ActivateX509Authority", OPERATOR, NONE),
	NOT_SERVED(AUTHORITY "TaintX509Authority", OPERATOR, NONE),
	NOT_SERVED(AUTHORITY "RevokeX509Authority", OPERATOR, NONE),
	NOT_SERVED(AUTHORITY "GetWITAuthorityState", OPERATOR, NONE),
	NOT_SERVED(AUTHORITY "PrepareWITAuthority", OPERATOR, NONE),
	NOT_SERVED(AUTHORITY "ActivateWITAuthority", OPERATOR, NONE),
	NOT_SERVED(AUTHORITY "TaintWITAuthority", OPERATOR, NONE),
	NOT_SERVED(AUTHORITY "RevokeWITAuthority", OPERATOR, NONE),
	NOT_SERVED(AUTHORITY "TaintX509UpstreamAuthority", OPERATOR, NONE),
	NOT_SERVED(AUTHORITY "RevokeX509UpstreamAuthority", OPERATOR, NONE),
	STREAM(PUSH "Watch", AGENT, writ__push__v1__watch_request, writ__push__v1__watch_response,
		push_watch),
	UNARY(PUSH "Fetch", AGENT, NONE, writ__push__v1__fetch_request,
		writ__push__v1__fetch_response, push_fetch),
};

const size_t writ_api_n_methods = WRIT_COUNT(writ_api_methods);
