#include "tests/lib/restore_rig.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "tests/lib/support.h"

struct restore_rig *restore_rig_new(const char *account)
{
	struct restore_rig *rig = xcalloc(1, sizeof(*rig));

	memory_world_init(&rig->source);
	memory_world_init(&rig->target);
	rig->source.presence = STORE_OURS;
	rig->source.account = xstrdup(account);
	rig->set = (struct restore_settings){
		.source = &memory_store,
		.target = &memory_store,
		.source_config = { .name = "archive", .settings = &rig->source },
		.target_config = { .name = "target", .path = "TARGET", .settings = &rig->target },
	};
	return rig;
}

void restore_rig_free(struct restore_rig *rig)
{
	restore_report_release(&rig->report);
	memory_world_release(&rig->source);
	memory_world_release(&rig->target);
	free(rig);
}

int restore_rig_run(struct restore_rig *rig)
{
	restore_report_release(&rig->report);
	rig->err = (struct err){ 0 };
	rig->source.fetched = rig->target.looked_into = 0;
	return restore_run(&rig->set, &rig->report, &rig->err);
}

void restore_rig_succeed(struct restore_rig *rig)
{
	if (restore_rig_run(rig) < 0)
		test_die("%s", rig->err.text);
}

const struct restore_mailbox *restore_rig_line(const struct restore_rig *rig, const char *name)
{
	for (size_t i = 0; i < rig->report.n; i++)
		if (strcmp(rig->report.v[i].name, name) == 0)
			return &rig->report.v[i];
	test_die("no line for %s", name);
}
