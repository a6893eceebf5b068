/* SPDX-License-Identifier: Apache-2.0 */
/* What runtimes say of a container, and what is made of it when they misbehave. Against fakes. */
#include "check.h"
#include "fake_runtime.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "runtime/asks.h"
#include "runtime/docker.h"
#include "runtime/kubelet.h"
#include "runtime/trusted_socket.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define H64  "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define G64  "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"
#define UUID "2c48913c-b29f-11e7-9350-020968147796"
#define PID  4242
#define ALL  ~0u

#define PODMAN_JSON  "tests/golden/podman_inspect.json"
#define KUBELET_JSON "tests/golden/kubelet_pods.json"
#define PODMAN_ID    "ba19cfa243b2852c6d2f56f4b878354961290d151349d06768332329edf68073"
#define PODMAN_PID   14369

#define BODY(id, state)                                                                            \
	"{\"Id\":\"" id "\",\"State\":{" state "},\"Image\":\"sha256:" G64                         \
	"\",\"Config\":{\"Image\":\"web:1\",\"Env\":[\"A=b\"],\"Labels\":{\"app\":\"web\"}}}"
#define RUNS "\"Running\":true,\"Pid\":4242"

static writ_rc pid_is_4242(const struct writ_cgroup_trust *trust, uint64_t pid,
	const struct writ_place *p, struct writ_err *err)
{
	(void)trust;
	(void)p;
	return pid == PID || pid == PODMAN_PID ? WRIT_OK
					       : writ_fail(err, WRIT_EUNAUTH, "is elsewhere");
}

struct world {
	struct writ_loop *loop;
	char dir[64], docker_path[128], podman_path[128];
	struct fake_runtime docker, podman, kubelet;
	struct writ_docker docker_self, podman_self;
	struct writ_kubelet kubelet_self;
	struct writ_asks *asks;
	struct writ_buf golden; /* what a fake says may not go before it does */
};

static int open_world(void **state)
{
	struct world *w = writ_alloc(sizeof(*w));
	struct writ_err err;
	assert_ok(writ_loop_new(&w->loop, &err), err);
	(void)snprintf(w->dir, sizeof(w->dir), "/tmp/writ-runtime-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	(void)snprintf(w->docker_path, sizeof(w->docker_path), "%s/docker.sock", w->dir);
	(void)snprintf(w->podman_path, sizeof(w->podman_path), "%s/podman.sock", w->dir);
	fake_runtime_start(&w->docker, w->docker_path);
	fake_runtime_start(&w->podman, w->podman_path);
	fake_runtime_start(&w->kubelet, NULL);
	w->docker.body = w->podman.body = BODY(H64, RUNS);
	w->docker_self = (struct writ_docker){
		.socket = w->docker_path, .owner = geteuid(), .pid_check = pid_is_4242
	};
	w->podman_self = w->docker_self;
	w->podman_self.socket = w->podman_path;
	w->kubelet_self =
		(struct writ_kubelet){ .port = w->kubelet.port, .plain = true, .owner = geteuid() };
	w->golden = WRIT_BUF(65536);
	*state = w;
	return 0;
}

static int close_world(void **state)
{
	struct world *w = *state;
	writ_asks_free(w->asks);
	writ_loop_free(w->loop);
	fake_runtime_stop(&w->docker);
	fake_runtime_stop(&w->podman);
	fake_runtime_stop(&w->kubelet);
	assert_int_equal(writ_fs_remove_tree(w->dir, NULL), WRIT_OK);
	writ_buf_done(&w->golden);
	writ_free(w);
	return 0;
}

static void open_asks(struct world *w, int64_t deadline_ms)
{
	const struct writ_asks_row rows[] = {
		{ .vt = &writ_runtime_docker, .self = &w->docker_self, .wanted = 1 },
		{ .vt = &writ_runtime_podman, .self = &w->podman_self, .wanted = 1 },
		{ .vt = &writ_runtime_kubelet,
			.self = &w->kubelet_self,
			.wanted = 2,
			.retry_ms = 1,
			.retries = 1000 },
	};
	const struct writ_asks_config cfg = { .loop = w->loop,
		.rows = rows,
		.n_rows = WRIT_COUNT(rows),
		.deadline_ms = deadline_ms };
	w->asks = writ_asks_new(&cfg);
}

struct question {
	struct writ_ask *ask;
	struct writ_answer answer;
	bool done, was_at_once;
};

static void on_done(void *arg)
{
	struct question *q = arg;
	assert_false(q->done);
	writ_ask_take(q->ask, &q->answer);
	q->done = true;
}

static void start(
	struct world *w, const char *runtime, const char *id, const char *pod, struct question *q)
{
	struct writ_place p = { .pid = 1 };
	(void)snprintf(p.container, sizeof(p.container), "%s", id);
	(void)snprintf(p.runtime, sizeof(p.runtime), "%s", runtime);
	(void)snprintf(p.pod, sizeof(p.pod), "%s", pod);
	*q = (struct question){ .done = false };
	writ_answer_init(&q->answer);
	writ_rc rc = writ_asks_start(w->asks, &p, ALL, &q->answer, on_done, q, &q->ask);
	q->done = q->was_at_once = rc == WRIT_OK;
}

static void finish(struct world *w, struct question *q)
{
	assert_true(writ_loop_run_until(w->loop, &q->done, writ_mono_ms() + 20000));
	writ_selectors_seal(&q->answer.selectors);
}

static void ask(
	struct world *w, const char *runtime, const char *id, const char *pod, struct question *q)
{
	start(w, runtime, id, pod, q);
	finish(w, q);
}

static void expect(struct question *q, const char *selectors, const char *note)
{
	WRIT_AUTO(writ_buf_done) struct writ_buf b = WRIT_BUF(64 * 1024);
	for (size_t i = 0; i < q->answer.selectors.n; i++)
		writ_buf_addf(&b, WRIT_FMT "\n",
			WRIT_ARG(writ_selectors_at(&q->answer.selectors, i).text));
	assert_string_equal(writ_buf_cstr(&b), selectors);
	if (!strstr(writ_buf_cstr(&q->answer.notes), note))
		fail_msg("no '%s' in '%s'", note, writ_buf_cstr(&q->answer.notes));
	writ_answer_done(&q->answer);
}

static void heard(struct fake_runtime *f, const char *target)
{
	char got[256];
	fake_runtime_target(f, got);
	assert_string_equal(got, target);
}

#define DOCKER_SAYS                                                                                \
	"docker:env:A=b\ndocker:image_config_digest:sha256:" G64                                   \
	"\ndocker:image_id:web:1\ndocker:label:app:web\n"

static void docker_gives_labels_env_and_image(void **state)
{
	struct world *w = *state;
	struct question q;
	open_asks(w, 0);
	ask(w, "docker", H64, "", &q);
	expect(&q, DOCKER_SAYS, "");
	heard(&w->docker, "/containers/" H64 "/json");
	assert_int_equal(w->podman.requests, 0);
}

static void podmans_recorded_answer_is_read(void **state)
{
	struct world *w = *state;
	struct question q;
	assert_int_equal(writ_fs_read(PODMAN_JSON, &w->golden, NULL), WRIT_OK);
	w->podman.body = writ_buf_cstr(&w->golden);
	w->podman.mood = FAKE_ANSWERS_CHUNKED;
	w->podman_self.version = "1.41";
	open_asks(w, 0);
	ask(w, "podman", PODMAN_ID, "", &q);
	expect(&q,
		"docker:env:HOSTNAME=ba19cfa243b2\ndocker:env:PATH=/bin\n"
		"docker:env:SECRET=planted\ndocker:env:TERM=xterm\n"
		"docker:env:container=podman\n"
		"docker:image_config_digest:sha256:"
		"1f7b3999fd596d5f424eceb4e82a3ee377739da81c2cf52b588b155aadee5186\n"
		"docker:image_id:localhost/tiny:1\ndocker:label:app:web\ndocker:label:team:a:b\n",
		"");
	heard(&w->podman, "/v1.41/containers/" PODMAN_ID "/json");
}

static void who_is_in_no_container_waits_for_nothing(void **state)
{
	struct world *w = *state;
	struct question q;
	w->docker.mood = w->podman.mood = w->kubelet.mood = FAKE_HANGS;
	open_asks(w, 0);
	ask(w, "", "", "", &q);
	assert_true(q.was_at_once);
	expect(&q, "", "");
	ask(w, "containerd", H64, "", &q); /* and in one that none of them runs */
	assert_true(q.was_at_once);
	expect(&q, "", "");
}

static void what_misbehaves_is_not_known(void **state)
{
	static const struct {
		int mood;
		const char *body, *note;
	} rows[] = {
		{ FAKE_ANSWERS, BODY(G64, RUNS), "answers about another one" },
		{ FAKE_ANSWERS, BODY(H64, "\"Running\":true,\"Pid\":1"), "is elsewhere" },
		{ FAKE_ANSWERS, BODY(H64, "\"Running\":true,\"Pid\":\"4242\""), "does not run" },
		{ FAKE_ANSWERS, BODY(H64, "\"Running\":false,\"Pid\":4242"), "does not run" },
		{ FAKE_ANSWERS, BODY(H64, "\"Running\":\"true\",\"Pid\":4242"), "does not run" },
		{ FAKE_ANSWERS, "{\"Id\":\"" H64 "\"}", "does not run" },
		{ FAKE_ANSWERS, "{\"Id\":\"" H64 "\",\"Id\":\"" H64 "\"}", "no JSON object" },
		{ FAKE_ANSWERS, "[]", "no JSON object" },
		{ FAKE_ANSWERS, "", "no JSON object" },
		{ FAKE_ANSWERS_CHUNKED, BODY(G64, RUNS), "answers about another one" },
		{ FAKE_TRUNCATES, BODY(H64, RUNS), "not known" },
		{ FAKE_CLOSES, "", "not known" },
		{ FAKE_GARBAGE, "", "not known" },
		{ FAKE_ENDLESS, "", "not known" },
		{ FAKE_MISSING, "", "there is no container 0123456789ab" },
		{ FAKE_BROKEN, "", "status 500" },
		{ FAKE_HANGS, "", "no answer" },
		{ FAKE_STALLS, BODY(H64, RUNS), "no answer" },
	};
	struct world *w = *state;
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		struct question q;
		w->docker.mood = rows[i].mood;
		w->docker.body = rows[i].body;
		open_asks(w, 300);
		ask(w, "docker", H64, "", &q);
		expect(&q, "", rows[i].note);
		writ_asks_free(writ_steal(w->asks));
	}
}

static void one_that_hangs_holds_up_nobody_else(void **state)
{
	struct world *w = *state;
	struct question hung[8], q;
	w->docker.mood = FAKE_HANGS;
	open_asks(w, 60000);
	for (size_t i = 0; i < WRIT_COUNT(hung); i++) {
		char id[65] = H64;
		id[0] = (char)('0' + i);
		start(w, "docker", id, "", &hung[i]);
	}
	ask(w, "podman", H64, "", &q);
	expect(&q, DOCKER_SAYS, "");
	for (size_t i = 0; i < WRIT_COUNT(hung); i++) {
		assert_false(hung[i].done);
		writ_ask_cancel(hung[i].ask);
		writ_answer_done(&hung[i].answer);
	}
}

static void one_that_failed_is_left_alone_for_a_while(void **state)
{
	struct world *w = *state;
	struct question q;
	w->docker.mood = FAKE_BROKEN;
	open_asks(w, 0);
	ask(w, "docker", H64, "", &q);
	expect(&q, "", "status 500");
	ask(w, "docker", G64, "", &q);
	assert_true(q.was_at_once);
	expect(&q, "", "failed a moment ago");
	assert_int_equal(w->docker.requests, 1);
	ask(w, "podman", H64, "", &q);
	expect(&q, DOCKER_SAYS, "");
}

static void one_that_came_back_is_asked_again(void **state)
{
	struct world *w = *state;
	struct question q;
	const struct writ_asks_row row = {
		.vt = &writ_runtime_docker, .self = &w->docker_self, .wanted = 1
	};
	const struct writ_asks_config cfg = {
		.loop = w->loop, .rows = &row, .n_rows = 1, .rest_ms = 1
	};
	w->asks = writ_asks_new(&cfg);
	fake_runtime_stop(&w->docker);
	w->docker.stop = false;
	ask(w, "docker", H64, "", &q);
	expect(&q, "", "No such file");
	fake_runtime_start(&w->docker, w->docker_path);
	ask(w, "docker", H64, "", &q);
	while (strstr(writ_buf_cstr(&q.answer.notes), "a moment ago")) {
		writ_answer_done(&q.answer);
		ask(w, "docker", H64, "", &q);
	}
	expect(&q, DOCKER_SAYS, "");
}

static void equal_questions_are_asked_once(void **state)
{
	struct world *w = *state;
	struct question q[10], later;
	open_asks(w, 0);
	for (size_t i = 0; i < WRIT_COUNT(q); i++)
		start(w, "docker", H64, "", &q[i]);
	for (size_t i = 0; i < WRIT_COUNT(q); i++) {
		finish(w, &q[i]);
		expect(&q[i], DOCKER_SAYS, "");
	}
	ask(w, "docker", H64, "", &later);
	assert_true(later.was_at_once);
	expect(&later, DOCKER_SAYS, "");
	assert_int_equal(w->docker.requests, 1);
}

static void asks_can_be_given_up(void **state)
{
	struct world *w = *state;
	struct question q[3];
	w->docker.mood = FAKE_STALLS;
	open_asks(w, 0);
	for (size_t i = 0; i < WRIT_COUNT(q); i++) {
		start(w, "docker", H64, "", &q[i]);
		writ_ask_cancel(q[i].ask);
		writ_answer_done(&q[i].answer);
		assert_false(q[i].done);
	}
}

static void what_is_under_way_ends_with_the_agent(void **state)
{
	struct world *w = *state;
	struct question q[2];
	w->docker.mood = w->kubelet.mood = FAKE_HANGS;
	open_asks(w, 60000);
	start(w, "docker", H64, "", &q[0]);
	start(w, "docker", H64, UUID, &q[1]);
	writ_asks_stop(w->asks);
	for (size_t i = 0; i < WRIT_COUNT(q); i++) {
		assert_true(q[i].done);
		writ_selectors_seal(&q[i].answer.selectors);
		expect(&q[i], "", "the agent ends");
	}
	start(w, "podman", H64, "", &q[0]);
	assert_true(q[0].was_at_once);
	writ_answer_done(&q[0].answer);
}

#define POD_SAYS                                                                                   \
	"k8s:container-image:registry.example/web:1.2\n"                                           \
	"k8s:container-image:registry.example/web@sha256:"                                         \
	"3333333333333333333333333333333333333333333333333333333333333333\n"                       \
	"k8s:container-name:web\n"                                                                 \
	"k8s:node-name:node-7\n"                                                                   \
	"k8s:ns:shop\n"                                                                            \
	"k8s:pod-image-count:2\n"                                                                  \
	"k8s:pod-image:docker.io/envoyproxy/envoy:v1.29.1\n"                                       \
	"k8s:pod-image:docker.io/envoyproxy/envoy@sha256:"                                         \
	"2222222222222222222222222222222222222222222222222222222222222222\n"                       \
	"k8s:pod-image:registry.example/web:1.2\n"                                                 \
	"k8s:pod-image:registry.example/web@sha256:"                                               \
	"3333333333333333333333333333333333333333333333333333333333333333\n"                       \
	"k8s:pod-init-image-count:1\n"                                                             \
	"k8s:pod-init-image:docker.io/library/busybox:1.36\n"                                      \
	"k8s:pod-init-image:docker.io/library/busybox@sha256:"                                     \
	"1111111111111111111111111111111111111111111111111111111111111111\n"                       \
	"k8s:pod-label:app:web\n"                                                                  \
	"k8s:pod-label:pod-template-hash:5d4f8c7b6d\n"                                             \
	"k8s:pod-name:web-5d4f8c7b6d-x2x9k\n"                                                      \
	"k8s:pod-owner-uid:ReplicaSet:11111111-2222-3333-4444-555555555555\n"                      \
	"k8s:pod-owner:ReplicaSet:web-5d4f8c7b6d\n"                                                \
	"k8s:pod-uid:" UUID "\n"                                                                   \
	"k8s:sa:web\n"
#define STATIC_SAYS                                                                                \
	"k8s:container-image:registry.k8s.io/etcd:3.5.10-0\n"                                      \
	"k8s:container-image:registry.k8s.io/etcd@sha256:"                                         \
	"4444444444444444444444444444444444444444444444444444444444444444\n"                       \
	"k8s:container-name:etcd\nk8s:node-name:node-7\nk8s:ns:kube-system\n"                      \
	"k8s:pod-image-count:1\nk8s:pod-image:registry.k8s.io/etcd:3.5.10-0\n"                     \
	"k8s:pod-image:registry.k8s.io/etcd@sha256:"                                               \
	"4444444444444444444444444444444444444444444444444444444444444444\n"                       \
	"k8s:pod-init-image-count:0\nk8s:pod-label:component:etcd\n"                               \
	"k8s:pod-label:tier:control-plane\nk8s:pod-name:etcd-node-7\n"                             \
	"k8s:pod-uid:8daa50c3a64c9ff60bb9eab7b44b56fd\n"
#define CD32 "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd"

static void the_kubelet_gives_pod_and_container(void **state)
{
	static const struct {
		const char *id, *pod, *selectors, *note;
		int status;
	} rows[] = {
		{ H64, UUID, POD_SAYS, "", 200 },
		{ CD32 CD32, "8daa50c3a64c9ff60bb9eab7b44b56fd", STATIC_SAYS, "", 200 },
		/* A container of another pod than the cgroup says. */
		{ CD32 CD32, UUID, "", "does not list container", 200 },
		{ H64, "8daa50c3a64c9ff60bb9eab7b44b56fd", "", "does not list container", 200 },
		{ H64, "99999999-b29f-11e7-9350-020968147796", "", "does not list container", 200 },
		{ H64, "00000000-b29f-11e7-9350-020968147796", "", "does not list pod", 200 },
		{ H64, UUID, "", "nodes/proxy", 403 },
		{ H64, UUID, "", "status 503", 503 },
	};
	WRIT_AUTO(writ_buf_done) struct writ_buf body = WRIT_BUF(65536);
	const struct writ_kubelet self = { .plain = true };
	(void)state;
	assert_int_equal(writ_fs_read(KUBELET_JSON, &body, NULL), WRIT_OK);
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		struct writ_place p = { .pid = 1 };
		struct question q;
		struct writ_err err = { .msg = "" };
		writ_answer_init(&q.answer);
		(void)snprintf(p.container, sizeof(p.container), "%s", rows[i].id);
		(void)snprintf(p.pod, sizeof(p.pod), "%s", rows[i].pod);
		writ_rc rc = writ_runtime_kubelet.judge(
			&self, &p, rows[i].status, writ_buf_str(&body), &q.answer, &err);
		assert_int_equal(rc == WRIT_OK, rows[i].note[0] == '\0');
		writ_answer_note(&q.answer, "%s", err.msg);
		writ_selectors_seal(&q.answer.selectors);
		expect(&q, rows[i].selectors, rows[i].note);
	}
}

static void a_container_that_is_not_listed_yet_is_asked_for_again(void **state)
{
	struct world *w = *state;
	struct question q;
	assert_int_equal(writ_fs_read(KUBELET_JSON, &w->golden, NULL), WRIT_OK);
	w->kubelet.body = "{\"items\":[]}";
	open_asks(w, 20000);
	start(w, "containerd", H64, UUID, &q);
	bool never = false;
	while (w->kubelet.requests < 3)
		(void)writ_loop_run_until(w->loop, &never, writ_mono_ms() + 1);
	assert_false(q.done);
	w->kubelet.body = writ_buf_cstr(&w->golden);
	finish(w, &q);
	expect(&q, POD_SAYS, "");
	heard(&w->kubelet, "/pods");
}

static void a_port_of_somebody_else_is_not_the_kubelet(void **state)
{
	struct world *w = *state;
	struct question q;
	w->kubelet.body = "{\"items\":[]}";
	w->kubelet_self.owner = geteuid() + 1;
	open_asks(w, 0);
	ask(w, "containerd", H64, UUID, &q);
	expect(&q, "", "not the kubelet");
	assert_int_equal(w->kubelet.requests, 0);
}

static void only_the_owners_own_socket_is_used(void **state)
{
	struct world *w = *state;
	struct writ_err err;
	char link[160], sub[160], path[200];
	int fd = -1;
	uid_t me = geteuid();
	assert_ok(writ_trusted_connect(w->docker_path, me, &fd, &err), err);
	close(fd);
	assert_fails(writ_trusted_connect(w->docker_path, me + 1, &fd, &err), WRIT_EDENIED, err,
		"somebody else's");
	assert_fails(
		writ_trusted_connect("docker.sock", me, &fd, &err), WRIT_EINVAL, err, "absolute");
	assert_int_equal(chmod(w->docker_path, 0666), 0);
	assert_fails(writ_trusted_connect(w->docker_path, me, &fd, &err), WRIT_EDENIED, err,
		"open to all");
	assert_ok(writ_trusted_connect_public(w->docker_path, me, &fd, &err), err);
	close(fd);
	assert_fails(writ_trusted_connect_public(w->docker_path, me + 1, &fd, &err), WRIT_EDENIED,
		err, "somebody else's");
	assert_int_equal(chmod(w->docker_path, 0660), 0);
	assert_int_equal(chmod(w->dir, 0777), 0);
	assert_fails(writ_trusted_connect(w->docker_path, me, &fd, &err), WRIT_EDENIED, err,
		"may write");
	assert_int_equal(chmod(w->dir, 0700), 0);
	assert_fails(writ_trusted_connect(w->dir, me, &fd, &err), WRIT_EDENIED, err, "no socket");
	(void)snprintf(path, sizeof(path), "%s/absent", w->dir);
	assert_fails(writ_trusted_connect(path, me, &fd, &err), WRIT_ENOENT, err, "absent");
	(void)snprintf(sub, sizeof(sub), "%s/sub", w->dir);
	(void)snprintf(link, sizeof(link), "%s/link", w->dir);
	assert_int_equal(symlink(w->dir, link), 0);
	(void)snprintf(path, sizeof(path), "%s/docker.sock", link);
	if (me == 0) { /* root may link, others may not */
		assert_ok(writ_trusted_connect(path, me, &fd, &err), err);
		close(fd);
		assert_int_equal(chown(w->dir, 65534, 65534), 0);
		assert_int_equal(chown(w->docker_path, 65534, 65534), 0);
		assert_fails(writ_trusted_connect(w->docker_path, 0, &fd, &err), WRIT_EDENIED, err,
			"somebody else's");
		assert_fails(writ_trusted_connect(path, 65534, &fd, &err), WRIT_EDENIED, err,
			"on the way");
		/* His socket, but root listens. */
		assert_fails(writ_trusted_connect(w->docker_path, 65534, &fd, &err), WRIT_EDENIED,
			err, "somebody else listens");
		assert_int_equal(chown(w->dir, 0, 0), 0);
	}
}

static void a_user_speaks_for_himself_only(void **state)
{
	struct world *w = *state;
	struct writ_selectors found;
	struct writ_place p;
	struct question q;
	char id[128];
	writ_selectors_init(&found);
	(void)snprintf(id, sizeof(id), "podman-rootless:uid:%u:id:" H64, geteuid());
	assert_int_equal(writ_selectors_add_text(&found, writ_cstr(id), NULL), WRIT_OK);
	writ_selectors_seal(&found);
	writ_place_of(&found, WRIT_STR(""), 7, &p);
	writ_selectors_done(&found);
	assert_true(p.rootless && p.owner == geteuid() && p.pid == 7);
	char path[160], template[128];
	(void)snprintf(path, sizeof(path), "%s/user-%u.sock", w->dir, geteuid());
	(void)snprintf(template, sizeof(template), "%s/user-%%d.sock", w->dir);
	assert_int_equal(rename(w->podman_path, path), 0);
	const struct writ_docker self = { .socket = template, .pid_check = pid_is_4242 };
	const struct writ_asks_row row = {
		.vt = &writ_runtime_rootless, .self = &self, .wanted = 1
	};
	const struct writ_asks_config cfg = { .loop = w->loop, .rows = &row, .n_rows = 1 };
	w->asks = writ_asks_new(&cfg);
	writ_answer_init(&q.answer);
	q.done = false;
	assert_int_equal(
		writ_asks_start(w->asks, &p, ALL, &q.answer, on_done, &q, &q.ask), WRIT_EBUSY);
	finish(w, &q);
	for (size_t i = 0; i < q.answer.selectors.n; i++) {
		struct writ_selector s = writ_selectors_at(&q.answer.selectors, i);
		(void)snprintf(id, sizeof(id), "uid:%u:", geteuid());
		assert_true(writ_str_eq(s.type, WRIT_STR("podman-rootless")));
		assert_true(writ_str_starts(s.value, writ_cstr(id)));
	}
	assert_int_equal(q.answer.selectors.n, 4);
	writ_answer_done(&q.answer);
	(void)unlink(path);
}

static void a_pid_counts_only_by_its_own_cgroup(void **state)
{
	struct writ_place p = { .container = H64 };
	struct writ_err err;
	(void)state;
	assert_fails(writ_runtime_pid_check(NULL, (uint64_t)getpid(), &p, &err), WRIT_EUNAUTH, err,
		"0123456789ab");
	assert_fails(writ_runtime_pid_check(NULL, UINT64_MAX, &p, &err), WRIT_EUNAUTH, err,
		"0123456789ab");
}

#define W(test) cmocka_unit_test_setup_teardown(test, open_world, close_world)

int main(void)
{
	const struct CMUnitTest tests[] = {
		W(docker_gives_labels_env_and_image),
		W(podmans_recorded_answer_is_read),
		W(who_is_in_no_container_waits_for_nothing),
		W(what_misbehaves_is_not_known),
		W(one_that_hangs_holds_up_nobody_else),
		W(one_that_failed_is_left_alone_for_a_while),
		W(one_that_came_back_is_asked_again),
		W(equal_questions_are_asked_once),
		W(asks_can_be_given_up),
		W(what_is_under_way_ends_with_the_agent),
		W(a_container_that_is_not_listed_yet_is_asked_for_again),
		W(a_port_of_somebody_else_is_not_the_kubelet),
		W(only_the_owners_own_socket_is_used),
		W(a_user_speaks_for_himself_only),
		cmocka_unit_test(the_kubelet_gives_pod_and_container),
		cmocka_unit_test(a_pid_counts_only_by_its_own_cgroup),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
