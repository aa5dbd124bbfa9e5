#ifndef CORE_SYNC_NAME_MAP_H
#define CORE_SYNC_NAME_MAP_H

#include <stdbool.h>
#include <stddef.h>

#include "core/mail/mailbox_name.h"

struct err;

/*
 * What the target calls the source's mailboxes: the rules of a job's `map`, such as `Old -> New/Name`, in
 * the display form of names (`%2C` is a comma). With a `*` as the last component of both sides a rule
 * means all mailboxes below Old, but not Old itself; a `*` alone, all there are. The first rule that
 * fits a mailbox decides; one that none fits keeps its name.
 */
struct name_rule {
	struct mailbox_name from, to;
	bool below;   /* the mailboxes below the two; without components: all there are */
	char *text;   /* as it was given */
};

struct name_map {
	struct name_rule *v;
	size_t n;
};

void name_map_release(struct name_map *map); /* as { 0 } afterwards */
/*
 * Replace *out (initialised with { 0 }). ERR_CONFIG when a rule means nothing, never applies, or leads
 * where another does; *out is then empty. Whether two mailboxes meet under one name otherwise is known only
 * when they are.
 */
int name_map_parse(struct name_map *out, const char *const *rules, size_t n, struct err *err);

/* Whether a rule says what the source's mailbox `source` is called. */
bool name_map_fits(const struct name_map *map, const struct mailbox_name *source);
/*
 * What the source's mailbox `source` is called at the target; see mailbox_name_map(). *out may not be
 * `source`.
 */
void name_map_apply(const struct name_map *map, const struct mailbox_name *source,
		    struct mailbox_name *out);

#endif
