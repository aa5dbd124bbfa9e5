#include "core/sync/compact.h"

#include "core/base/err.h"
#include "core/sync/store.h"

int store_compact(const struct store_ops *ops, const struct store_config *cfg,
		  struct compaction *c, struct err *err)
{
	if (!ops->compact)
		return err_set(err, ERR_CONFIG, "%s: a store of type %s has nothing to compact",
			       cfg->name, ops->type);
	return ops->compact(cfg, c, err);
}
