/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/loop_impl.h"

#include "base/mem.h"

#include <assert.h>

static void on_work(uv_work_t *req)
{
	struct writ_job *j = req->data;
	j->work(j);
}

static void on_done(uv_work_t *req, int status)
{
	struct writ_job *j = req->data;
	assert(status == 0); /* nothing here cancels */
	(void)status;
	writ_free(req);
	j->impl = NULL;
	j->loop->jobs--;
	j->done(j); /* may free j */
}

void writ_job_run(struct writ_loop *l, struct writ_job *j)
{
	assert(writ_loop_is_current(l) && !j->impl);
	uv_work_t *req = writ_alloc(sizeof(*req));
	req->data = j;
	j->impl = req;
	j->loop = l;
	l->jobs++;
	int rc = uv_queue_work(&l->uv, req, on_work, on_done);
	assert(rc == 0);
	(void)rc;
}

void writ_job_shutdown(void)
{
	uv_library_shutdown();
}
