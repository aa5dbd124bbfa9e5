#include "backends/imap/vanished.h"

/* With a blank or a comma. */
static uint64_t bytes_of_number(uint32_t n)
{
	uint64_t bytes = 2;

	for (; n >= 10; n /= 10)
		bytes++;
	return bytes;
}

/* Of the numbers asked about; a session has 16 KiB of commands under way. */
#define SAMPLE_BYTES 20000

/*
 * With v gone of s, k samples cost k, and listing what is left around those gone s / k each: the sum
 * is least at the root of v * s.
 */
static uint64_t samples(const struct uidset *known, uint32_t left)
{
	uint64_t product = (uidset_count(known) - left) * left, root = 0;
	uint64_t most = SAMPLE_BYTES / bytes_of_number(left);

	for (uint64_t bit = (uint64_t)1 << 31; bit; bit >>= 1)
		if ((root + bit) * (root + bit) <= product)
			root += bit;
	return root < most ? root + 1 : most;
}

enum vanished_way vanished_choose(const struct uidset *known, uint32_t left, bool ranges)
{
	uint64_t uid = bytes_of_number(uidset_max(known)), gone = uidset_count(known) - left;
	uint64_t all = uid * left, in_ranges = 2 * uid * (uidset_range_count(known) + gone);
	uint64_t list = ranges && in_ranges < all ? in_ranges : all;
	uint64_t k = samples(known, left);

	/* Numbers are sent and answered; and it takes a round trip more. */
	return uid * (2 * k + gone * left / k) + 1000 < list ? VANISHED_SAMPLE : VANISHED_LIST;
}

void vanished_sample(const struct uidset *known, uint32_t left, struct uidset *numbers)
{
	uint64_t n = samples(known, left);

	if (n > left)
		n = left;
	uidset_clear(numbers);
	for (uint64_t i = 1; i <= n; i++)
		uidset_add(numbers, (uint32_t)(i * left / n));
}

/* A message by its place among those left, and its place among those known. */
struct place {
	uint64_t number, rank;
};

/* What lies between two places: nothing gone, all gone, or to be looked at. */
static bool narrow_between(const struct uidset *known, struct place a, struct place b,
			   struct uidset *gone, struct uidset *unclear)
{
	uint64_t were, left;

	if (b.rank <= a.rank)
		return false;
	were = b.rank - a.rank - 1;
	left = b.number - a.number - 1;
	if (left < were)
		uidset_add_range(left ? unclear : gone,
				 uidset_select(known, (uint32_t)(a.rank + 1)),
				 uidset_select(known, (uint32_t)(b.rank - 1)));
	return left <= were;
}

bool vanished_narrow(const struct uidset *known, uint32_t left, const struct uidset *numbers,
		     const struct uidset *found, struct uidset *gone, struct uidset *unclear)
{
	struct place before = { 0, 0 };
	uint32_t number = 0, uid = 0;

	uidset_clear(gone);
	uidset_clear(unclear);
	if (uidset_count(found) != uidset_count(numbers) || !uidset_is_subset(found, known))
		return false;
	while ((number = uidset_next(numbers, number)) != 0) {
		struct place at = { .number = number };

		uid = uidset_next(found, uid);
		at.rank = uidset_rank(known, uid);
		if (!narrow_between(known, before, at, gone, unclear))
			return false;
		before = at;
	}
	if (!narrow_between(known, before,
			    (struct place){ .number = (uint64_t)left + 1,
					    .rank = uidset_count(known) + 1 },
			    gone, unclear))
		return false;
	uidset_intersect(gone, gone, known);
	return true;
}
