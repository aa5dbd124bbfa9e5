#ifndef BACKENDS_IMAP_VANISHED_H
#define BACKENDS_IMAP_VANISHED_H

#include <stdbool.h>
#include <stdint.h>

#include "core/msgset/uidset.h"

/*
 * Which of the messages that were known are gone, on a server that does not tell (no QRESYNC), but
 * says how many there are. Pure: numbers in, sets out; changes.c does the asking.
 *
 * The cheap way goes by message numbers. Messages are numbered in the order of their UIDs, so if
 * 100 are known and number 50 is the 53rd of them, three of the first 52 are gone. Asking for the UIDs
 * of some numbers, evenly spread, tells between which two of them something is missing, and only
 * there the server is asked what is left.
 */
enum vanished_way {
	VANISHED_LIST,   /* ask which of the known UIDs are left */
	VANISHED_SAMPLE, /* by numbers, as above */
};

/*
 * The way that takes fewer bytes. `left`: how many of the known there are still. `ranges`: the
 * server answers with ranges (ESEARCH), not with every number.
 */
enum vanished_way vanished_choose(const struct uidset *known, uint32_t left, bool ranges);

/*
 * The message numbers to ask about, of 1 to `left`; 0 < left < the number of known ones. As many as
 * fit in two flights of commands at most.
 */
void vanished_sample(const struct uidset *known, uint32_t left, struct uidset *numbers);

/*
 * `found`: the UIDs of these numbers. Fills *gone with those known that are surely gone, and *unclear
 * with the ranges of UIDs in which others are: what is known in there and not left is gone, too.
 * False when the answer cannot be true.
 */
bool vanished_narrow(const struct uidset *known, uint32_t left, const struct uidset *numbers,
		     const struct uidset *found, struct uidset *gone, struct uidset *unclear);

#endif
