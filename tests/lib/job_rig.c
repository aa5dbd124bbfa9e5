#include "tests/lib/job_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/base/mem.h"
#include "core/sync/record.h"

int job_rig_setup(void **state)
{
	struct job_rig *rig = calloc(1, sizeof(*rig));

	memory_world_init(&rig->source);
	memory_world_init(&rig->target);
	strcpy(rig->state, "/tmp/mailcask-job-XXXXXX");
	assert_non_null(mkdtemp(rig->state));
	rig->set = (struct job_settings){
		.name = "nightly",
		.again = "mailcask backup nightly",
		.source = &memory_store,
		.target = &memory_store,
		.source_config = { .name = "source", .account = "ann@host", .settings = &rig->source },
		.target_config = { .name = "target", .path = "TARGET", .settings = &rig->target },
		.state_dir = rig->state,
		.max_delete = GUARD_LIMITS_DEFAULT,
		.flag_check = 24 * 3600,
	};
	job_report_init(&rig->report);
	*state = rig;
	return 0;
}

int job_rig_teardown(void **state)
{
	struct job_rig *rig = *state;
	char *run = record_path(rig->state, "nightly");
	char *lock = xasprintf("%s/nightly.lock", rig->state);

	unlink(run);
	unlink(lock);
	assert_int_equal(rmdir(rig->state), 0);
	free(run);
	free(lock);
	job_report_release(&rig->report);
	memory_world_release(&rig->source);
	memory_world_release(&rig->target);
	free(rig);
	return 0;
}

int job_rig_go(struct job_rig *rig)
{
	job_report_release(&rig->report);
	rig->source.fetched = rig->source.compared = 0;
	rig->source.described = rig->source.headers = 0;
	return job_run(&rig->set, &rig->report, &rig->err);
}

void job_rig_fill(struct job_rig *rig, const char *mailbox, int from, int to)
{
	for (int i = from; i <= to; i++) {
		char body[64];

		snprintf(body, sizeof(body), "%s message %d\r\n", mailbox, i);
		memory_deliver(&rig->source, mailbox, body, i % 2 ? "\\Seen" : "$Todo");
	}
}
