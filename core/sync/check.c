#include "core/sync/check.h"

#include <stddef.h>

#include "core/base/clock.h"
#include "core/base/err.h"
#include "core/sync/store.h"

int store_check(const struct store_ops *ops, const struct store_config *cfg, struct check *ck,
		struct err *err)
{
	if (!ops->check)
		return err_set(err, ERR_CONFIG, "%s: a store of type %s cannot be checked",
			       cfg->name, ops->type);
	ck->things = "messages";
	return ops->check(cfg, ck, err);
}

void check_found(struct check *ck, const struct finding *f)
{
	ck->findings[f->kind]++;
	ck->found(ck->ctx, f);
}

void check_progress(struct check *ck)
{
	if (ck->progress)
		ck->progress(ck->ctx, ck);
}

bool check_time_is_up(struct check *ck)
{
	if (ck->deadline && clock_ms() >= ck->deadline)
		ck->cut_short = true;
	return ck->cut_short;
}
