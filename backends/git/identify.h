#ifndef BACKENDS_GIT_IDENTIFY_H
#define BACKENDS_GIT_IDENTIFY_H

#include "backends/git/format_text.h"
#include "backends/git/repo.h"
#include "core/sync/store.h"

int gitstore_identify(const struct store_config *cfg, struct store_identity *out,
		      struct err *err);
/*
 * The FORMAT of an archive's tree: 1, 0 when the tree is not an archive's, -1 (also for one of a later
 * version).
 */
int identify_format(const struct repo *r, const struct object_id *root,
		    struct format_text *out, struct err *err);

#endif
