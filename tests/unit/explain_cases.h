/* SPDX-License-Identifier: Apache-2.0 */
/* explain_cases: prepared refusals, and what the answer to each must name. Tests only. */
#ifndef WRIT_TEST_EXPLAIN_CASES_H
#define WRIT_TEST_EXPLAIN_CASES_H

#include <stddef.h>

/* Prepared refusals: what the process has, what the attestors noted, two entries, and what the
 * answer must name. */
static const struct {
	const char *name, *have, *notes, *one, *two;
	const char *nearest; /* "one" or "two" */
	const char *missing; /* all that is missing of it, with blanks between */
	const char *instead; /* of the first of these */
	const char *why;     /* begins so, of the first */
	const char *fix;
} cases[] = {
	{ "another path", "unix:uid:5 unix:path:/usr/bin/b", NULL,
		"unix:uid:5 unix:path:/usr/bin/a", "unix:uid:6", "one", "unix:path:/usr/bin/a",
		"unix:path:/usr/bin/b", "",
		"writ entry update -entryID one -selector unix:path:/usr/bin/b -selector "
		"unix:uid:5" },
	{ "another uid", "unix:uid:5 unix:path:/a", NULL, "unix:uid:6 unix:path:/a", "unix:uid:7",
		"one", "unix:uid:6", "unix:uid:5", "",
		"writ entry update -entryID one -selector unix:path:/a -selector unix:uid:5" },
	{ "another user", "unix:uid:5 unix:user:bob", NULL, "unix:uid:5 unix:user:alice",
		"unix:uid:7", "one", "unix:user:alice", "unix:user:bob", "", NULL },
	{ "another group", "unix:uid:5 unix:gid:8", NULL, "unix:gid:9 unix:uid:5", "unix:uid:7",
		"one", "unix:gid:9", "unix:gid:8", "", NULL },
	{ "a group that it is not in",
		"unix:uid:5 unix:supplementary_gid:1 unix:supplementary_gid:2", NULL,
		"unix:supplementary_gid:3 unix:uid:5", "unix:uid:7", "one",
		"unix:supplementary_gid:3", "", "",
		"writ entry update -entryID one -selector unix:uid:5" },
	{ "another build", "unix:path:/a unix:sha256:00", NULL, "unix:path:/a unix:sha256:ff",
		"unix:uid:7", "one", "unix:sha256:ff", "unix:sha256:00", "", NULL },
	{ "another unit", "unix:uid:5 systemd:id:b.service", NULL,
		"systemd:id:a.service unix:uid:5", "unix:uid:7", "one", "systemd:id:a.service",
		"systemd:id:b.service", "",
		"writ entry update -entryID one -selector systemd:id:b.service -selector "
		"unix:uid:5" },
	{ "a hash that nobody asked for", "unix:uid:5 unix:path:/a", NULL,
		"unix:path:/a unix:sha256:ff", "unix:uid:7", "one", "unix:sha256:ff", "",
		"it was not looked for then", NULL },
	{ "no unit at all", "unix:uid:5", NULL, "systemd:id:a.service unix:uid:5", "unix:uid:7",
		"one", "systemd:id:a.service", "", "", NULL },
	{ "another container", "unix:uid:5 container:id:b", NULL, "container:id:a unix:uid:5",
		"unix:uid:7", "one", "container:id:a", "container:id:b", "", NULL },
	{ "another cgroup", "unix:uid:5 cgroup:path:/b", NULL, "cgroup:path:/a unix:uid:5",
		"unix:uid:7", "one", "cgroup:path:/a", "cgroup:path:/b", "", NULL },
	{ "a label with another value", "docker:label:app:b docker:label:tier:x unix:uid:5", NULL,
		"docker:label:app:a unix:uid:5", "unix:uid:7", "one", "docker:label:app:a",
		"docker:label:app:b", "", NULL },
	{ "a label that it has not", "docker:label:tier:x unix:uid:5", NULL,
		"docker:label:app:a unix:uid:5", "unix:uid:7", "one", "docker:label:app:a", "",
		"no attestor of this agent gives 'docker:' selectors", NULL },
	{ "a variable with another value", "docker:env:K=s3cr3t-1 unix:uid:5", NULL,
		"docker:env:K=s3cr3t-2 unix:uid:5", "unix:uid:7", "one", "docker:env:K=(redacted)",
		"docker:env:K=(redacted)", "",
		"writ entry update -entryID one -selector 'docker:env:K=(redacted)' -selector "
		"unix:uid:5" },
	{ "a key spelt wrong", "unix:uid:5 unix:user:alice", NULL, "unix:uid:5 unix:usr:alice",
		"unix:uid:7", "one", "unix:usr:alice", "",
		"no attestor gives 'unix:usr': did you mean 'unix:user'?", NULL },
	{ "an attestor that is off", "unix:uid:5", NULL, "k8s:ns:default unix:uid:5", "unix:uid:7",
		"one", "k8s:ns:default", "", "no attestor of this agent gives 'k8s:' selectors",
		NULL },
	{ "a path that was withheld", "unix:uid:5",
		"unix:path and unix:sha256 withheld: the caller is in another mount namespace",
		"unix:path:/a unix:uid:5", "unix:uid:7", "one", "unix:path:/a", "",
		"unix:path and unix:sha256 withheld: the caller is in another mount namespace",
		NULL },
	{ "all that bounds it was withheld", "nnp:0 unix:uid:5",
		"systemd withheld: the cgroup cannot be read",
		"nnp:0 systemd:id:a.service unix:path:/a", "unix:gid:7 unix:path:/b unix:uid:7",
		"one", "systemd:id:a.service unix:path:/a", "",
		"systemd withheld: the cgroup cannot be read",
		"writ entry create -parentID spiffe://td/spire/agent/a -spiffeID spiffe://td/NAME "
		"-selector unix:uid:5" },
	{ "a unit tells more than a group", "systemd:id:a.service unix:gid:0 unix:uid:0", NULL,
		"unix:gid:0 unix:uid:7", "systemd:id:a.service unix:path:/a", "two", "unix:path:/a",
		"", "", "writ entry update -entryID two -selector systemd:id:a.service" },
	{ "an entry that shares no more than a group", "unix:gid:0 unix:uid:5", NULL,
		"unix:gid:0 unix:uid:7", "unix:path:/a unix:uid:8", "one", "unix:uid:7",
		"unix:uid:5", "",
		"writ entry create -parentID spiffe://td/spire/agent/a -spiffeID spiffe://td/NAME "
		"-selector unix:uid:5" },
	{ "a child of the main process", "systemd:id:a.service unix:uid:5",
		"proc:main and proc:depth withheld: process 8 is not the first of its cgroup",
		"proc:main:true systemd:id:a.service", "unix:uid:7", "one", "proc:main:true", "",
		"proc:main and proc:depth withheld: process 8", "" },
	{ "a worker that is further down", "proc:depth:2 systemd:id:a.service", NULL,
		"proc:depth:1 systemd:id:a.service", "unix:uid:7", "one", "proc:depth:1",
		"proc:depth:2", "",
		"writ entry update -entryID one -selector proc:depth:2 -selector "
		"systemd:id:a.service" },
	{ "a child of a launch", "unix:uid:5", NULL, "run:as:/agents/a unix:uid:5", "unix:uid:7",
		"one", "run:as:/agents/a", "", "only what writ run starts has this", "" },
	{ "an attestor that failed", "unix:uid:5", "systemd: cannot read the cgroup",
		"systemd:id:a.service unix:uid:5", "unix:uid:7", "one", "systemd:id:a.service", "",
		"systemd: cannot read the cgroup", NULL },
	{ "two of three before none of one", "unix:gid:2 unix:uid:5", NULL, "unix:uid:7",
		"unix:gid:2 unix:path:/a unix:uid:5", "two", "unix:path:/a", "", "", NULL },
	{ "one missing before two", "unix:gid:2 unix:uid:5", NULL,
		"unix:gid:2 unix:path:/a unix:sha256:00 unix:uid:5", "unix:path:/a unix:uid:5",
		"two", "unix:path:/a", "", "", NULL },
	{ "several missing", "unix:uid:5 unix:gid:1", NULL,
		"systemd:id:a.service unix:gid:2 unix:uid:5", "unix:uid:7 unix:gid:7 unix:path:/a",
		"one", "systemd:id:a.service unix:gid:2", "", "", NULL },
	{ "an alias of nodes is nobody's", "unix:uid:5", NULL,
		"spiffe_id:spiffe://td/spire/agent/a", "unix:uid:6 unix:gid:6", "two",
		"unix:gid:6 unix:uid:6", "", "", NULL },
	{ "an interpreter in a unit",
		"systemd:id:r.service unix:path:/usr/bin/python3.11 unix:uid:5", NULL,
		"unix:path:/opt/agent unix:uid:5", "unix:uid:7", "one", "unix:path:/opt/agent",
		"unix:path:/usr/bin/python3.11", "",
		"writ entry update -entryID one -selector systemd:id:r.service -selector "
		"unix:uid:5" },
	{ "nothing like it", "unix:gid:5 unix:path:/opt/it's unix:uid:5", NULL, "unix:uid:6",
		"unix:uid:7", "one", "unix:uid:6", "unix:uid:5", "",
		"writ entry create -parentID spiffe://td/spire/agent/a -spiffeID spiffe://td/NAME "
		"-selector 'unix:path:/opt/it'\\''s' -selector unix:uid:5" },
};

#endif
