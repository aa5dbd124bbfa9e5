/*
 * How long message sets take at the sizes of large mailboxes. Prints a line for each
 * operation; judges nothing, for clocks on busy machines make poor tests.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/msgset/uidset.h"

enum { SINGLES = 200000 };

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static double report(const char *what, double since)
{
	printf("%9.3f ms  %s\n", now_ms() - since, what);
	return now_ms();
}

/* 200,000 odd numbers, ascending or shuffled. */
static void write_singles(struct buf *out, bool shuffle)
{
	static uint32_t uids[SINGLES];

	for (uint32_t i = 0; i < SINGLES; i++)
		uids[i] = 2 * i + 1;
	for (uint32_t i = SINGLES - 1; shuffle && i > 0; i--) {
		uint32_t j = (uint32_t)(i * 2654435761u) % (i + 1), t = uids[i];

		uids[i] = uids[j];
		uids[j] = t;
	}
	buf_clear(out);
	for (size_t i = 0; i < SINGLES; i++)
		buf_addf(out, "%s%u", i ? "," : "", uids[i]);
}

static void must_parse(struct uidset *s, struct bytes text)
{
	struct err err;

	if (uidset_parse(s, text, UIDSET_STRICT, NULL, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		exit(EXIT_FAILURE);
	}
}

static void bench_text(struct uidset *s)
{
	struct buf text = BUF_INIT(1 << 24), canonical = BUF_INIT(1 << 24);
	double t;

	write_singles(&text, true);
	t = now_ms();
	must_parse(s, buf_bytes(&text));
	t = report("parse 200,000 singletons, shuffled", t);
	uidset_format(s, &canonical);
	report("format them", t);
	write_singles(&text, false);
	t = now_ms();
	must_parse(s, buf_bytes(&text));
	report("parse 200,000 singletons, ascending", t);
	buf_release(&text);
	buf_release(&canonical);
}

static void bench_algebra(const struct uidset *singles)
{
	struct uidset all = UIDSET_INIT, out = UIDSET_INIT;
	struct uidset_read_cost cost = { .budget = 8000, .command_bytes = 40, .reply_bytes = 60,
					 .in_use = singles };
	struct uidset_split sp = { .set = singles, .budget = 8000 };
	uint64_t sum = 0;
	double t = now_ms();

	must_parse(&all, bytes_of("1:4294967295"));
	t = report("parse 1:4294967295", t);
	uidset_union(&out, &all, singles);
	t = report("union of both", t);
	uidset_subtract(&out, &all, singles);
	t = report("1:4294967295 less the singletons", t);
	for (uint32_t k = 1; k <= SINGLES; k++)
		sum += uidset_rank(singles, uidset_select(singles, k));
	t = report(sum ? "select and rank of each" : "", t);
	while (uidset_split_next(&sp, &out))
		;
	t = report("split into commands of 8,000 bytes", t);
	uidset_cover(&out, singles, &cost);
	t = report("cover for a read", t);
	for (uint32_t uid = 1; uid < 2000000; uid += 2)
		uidset_add(&out, uid + 2 * SINGLES);
	report("append 1,000,000 ascending singletons", t);
	uidset_release(&all);
	uidset_release(&out);
}

int main(void)
{
	struct uidset s = UIDSET_INIT;

	bench_text(&s);
	bench_algebra(&s);
	uidset_release(&s);
	return EXIT_SUCCESS;
}
