/*
 * What a parser of message sets takes must read back the same: parse -> format -> parse gives
 * equal sets, strict or tolerant, canonical each time; and the pieces of a split give the set
 * again. An ordered list keeps its numbers and their count.
 */
#include <stdint.h>
#include <stdlib.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/msgset/uidlist.h"
#include "core/msgset/uidset.h"

static void demand(bool holds)
{
	if (!holds)
		abort();
}

static void check_canonical(const struct uidset *s)
{
	uint64_t before = 0;

	for (size_t i = 0; i < uidset_range_count(s); i++) {
		struct uidrange r = uidset_range(s, i);

		demand(r.lo >= 1 && r.lo <= r.hi);
		demand(i == 0 || r.lo > (uint64_t)uidset_range(s, i - 1).hi + 1);
		demand(s->items[i].before == before);
		demand(uidset_contains(s, r.hi) == UIDSET_YES);
		before += (uint64_t)r.hi - r.lo + 1;
		demand(s->star == 0 || s->star == UIDSET_STAR || (uint64_t)r.hi + 1 < s->star);
	}
}

static void check_split(const struct uidset *s)
{
	struct uidset_split sp = { .set = s, .budget = 40 };
	struct uidset piece = UIDSET_INIT, all = UIDSET_INIT;

	while (uidset_split_next(&sp, &piece)) {
		demand(uidset_text_size(&piece) <= sp.budget);
		uidset_union(&all, &all, &piece);
	}
	demand(uidset_equal(&all, s));
	uidset_release(&piece);
	uidset_release(&all);
}

static void check_closed(const struct uidset *s, const struct uidset *in_use)
{
	struct uidset_read_cost cost = { .budget = 40, .command_bytes = 20, .reply_bytes = 3,
					 .in_use = in_use };
	struct uidset out = UIDSET_INIT;

	uidset_cover(&out, s, &cost);
	check_canonical(&out);
	demand(uidset_is_subset(s, &out));
	uidset_complement(&out, s, UINT32_MAX);
	check_canonical(&out);
	uidset_complement(&out, &out, UINT32_MAX);
	demand(uidset_equal(&out, s));
	uidset_xor(&out, s, s);
	demand(uidset_is_empty(&out));
	uidset_release(&out);
}

static void check_set(struct bytes text, unsigned syntax)
{
	struct uidset s = UIDSET_INIT, again = UIDSET_INIT;
	struct buf b = BUF_INIT(1 << 22);
	struct err err = { 0 };

	if (uidset_parse(&s, text, syntax, NULL, &err) < 0) {
		demand(err.kind == (syntax & UIDSET_TOLERANT ? ERR_MAILBOX : ERR_CONFIG));
		demand(uidset_is_empty(&s));
		goto out;
	}
	check_canonical(&s);
	demand(syntax & UIDSET_TOLERANT || !uidset_is_empty(&s));
	demand(syntax & UIDSET_ALLOW_STAR || !uidset_is_open(&s));
	demand(uidset_format(&s, &b) && b.n == uidset_text_size(&s));
	if (b.n) {
		demand(uidset_parse(&again, buf_bytes(&b), syntax & UIDSET_ALLOW_STAR, NULL,
				    &err) == 0);
		demand(uidset_equal(&s, &again));
	}
	check_split(&s);
	if (uidset_is_open(&s))
		demand(uidset_set_last(&s, 1000, &err) == 0);
	check_canonical(&s);
	check_closed(&s, &s);
	check_closed(&s, NULL);
out:
	uidset_release(&s);
	uidset_release(&again);
	buf_release(&b);
}

static void check_list(struct bytes text, unsigned syntax)
{
	struct uidlist l = UIDLIST_INIT, again = UIDLIST_INIT;
	struct uidlist_pairs pairs;
	struct uidlist_run run;
	struct buf b = BUF_INIT(1 << 22);
	struct err err = { 0 };
	uint64_t n = 0;

	if (uidlist_parse(&l, text, syntax, NULL, &err) < 0)
		goto out;
	demand(uidlist_format(&l, &b));
	if (b.n)
		demand(uidlist_parse(&again, buf_bytes(&b), UIDSET_STRICT, NULL, &err) == 0);
	demand(uidlist_count(&l) == uidlist_count(&again));
	demand(uidlist_range_count(&l) == uidlist_range_count(&again));
	if (uidlist_pairs_init(&pairs, &l, &again, NULL, &err) < 0) {
		demand(!uidlist_is_distinct(&l));
		goto out;
	}
	for (; uidlist_pairs_next(&pairs, &run); n += run.n)
		demand(run.source == run.target);
	demand(n == uidlist_count(&l));
out:
	uidlist_release(&l);
	uidlist_release(&again);
	buf_release(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes text = bytes_from(data, size);

	for (unsigned syntax = 0; syntax < 4; syntax++)
		check_set(text, syntax);
	check_list(text, UIDSET_STRICT);
	check_list(text, UIDSET_TOLERANT);
	return 0;
}
