#include "core/sync/guard.h"

static bool exceeds(uint64_t lost, uint64_t before, const struct guard_limits *limits)
{
	/* lost/before > percent/100, without rounding; counts are far below 2^57 */
	return lost > limits->count && lost * 100 > before * limits->percent;
}

void guard_judge(struct guard_mailbox *v, size_t n, const struct guard_limits *limits,
		 bool source_lists_none, struct guard_verdict *out)
{
	bool any_full = false, all_end_empty = true;

	*out = (struct guard_verdict){ 0 };
	for (size_t i = 0; i < n; i++) {
		v[i].held = false;
		if (v[i].exempt)
			continue;
		out->lost += v[i].lost;
		out->before += v[i].before;
		any_full |= v[i].before > 0;
		all_end_empty &= v[i].removed >= v[i].before;
		v[i].held = exceeds(v[i].lost, v[i].before, limits);
		out->tripped |= v[i].held;
	}
	/*
	 * Moving everything into an exempt or new mailbox loses nothing, so it may empty the
	 * rest.
	 */
	if ((any_full && all_end_empty && out->lost > 0) || source_lists_none ||
	    exceeds(out->lost, out->before, limits))
		out->tripped = out->whole_job = true;
	for (size_t i = 0; i < n; i++) {
		v[i].held |= out->whole_job;
		if (v[i].held)
			out->held += v[i].removed;
	}
}
