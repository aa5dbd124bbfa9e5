#ifndef CORE_SYNC_LEAVING_H
#define CORE_SYNC_LEAVING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/msgset/uidlist.h"

/*
 * Messages that prune-server is about to remove from an account, and that the store keeps: written down before the first
 * of them goes (JOB.run), and until all have gone. A run that finds them at the account still does not take them for new
 * mail; the next prune-server knows that their \Deleted is its own.
 */
struct leaving {
	char *mailbox; /* display text of the name that the store has for it */
	uint32_t uidvalidity;
	struct uidlist source, stored; /* pairs: the UID at the account, and the one here */
};

struct leaving_list {
	struct leaving *v;
	size_t n, cap;
};

void leaving_list_release(struct leaving_list *l); /* may be used again afterwards */
/* A new, empty entry; borrowed until the next one is added. */
struct leaving *leaving_add(struct leaving_list *l, const char *mailbox, uint32_t uidvalidity);
/* One message more. */
void leaving_add_pair(struct leaving *l, uint32_t source, uint32_t stored);
/* The entry of this mailbox, if it is of this UIDVALIDITY; else NULL. */
const struct leaving *leaving_find(const struct leaving_list *l, const char *mailbox, uint32_t uidvalidity);
void leaving_remove(struct leaving_list *l, size_t at);
uint64_t leaving_count(const struct leaving_list *l);

struct json_t;
/* Owned by the caller. */
struct json_t *leaving_to_json(const struct leaving_list *l);
/* NULL: nothing. False: it is no such list, and what *out (initialised) has is for release only. */
bool leaving_from_json(struct leaving_list *out, const struct json_t *json);

#endif
