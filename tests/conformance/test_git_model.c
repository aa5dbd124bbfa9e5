/*
 * Random histories of a git store against a model in memory: after each step what the store says is what the
 * model has, and opening it again gives what was committed. SEED=7 STEPS=5000 for more of one history.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/mem.h"
#include "core/mail/flags.h"
#include "tests/lib/git_rig.h"
#include "tests/lib/support.h"

enum { BOXES = 3, MESSAGES = 400, BODIES = 25 };

static const char *const names[BOXES] = { "INBOX", "a/b", "c" };

struct message_model {
	uint32_t uid, source_uid;
	unsigned body, flags; /* flags: bits of flag_words */
	bool kept, held;
};

struct box_model {
	struct message_model v[MESSAGES];
	size_t n;
	struct uidset known;
	uint64_t modseq;
	bool top; /* had a message near the end of all numbers: the next may be any */
};

struct model {
	struct bench *b;
	struct box_model now[BOXES], saved[BOXES];
	uint64_t random;
	unsigned step;
};

static const char *const flag_words[] = { "\\Seen", "\\Flagged", "$A", "$long-keyword" };
#define FLAG_WORDS (sizeof(flag_words) / sizeof(flag_words[0]))

static uint32_t pick(struct model *m, uint32_t n)
{
	m->random ^= m->random << 13;
	m->random ^= m->random >> 7;
	m->random ^= m->random << 17;
	return (uint32_t)(m->random >> 11) % n;
}

/* At the edges of leaves and groups, and at the end of all numbers. */
static uint32_t pick_uid(struct model *m)
{
	static const uint32_t from[] = { 1, 95, 9990, 1000000, 4294967284u };

	return from[pick(m, 5)] + pick(m, 12);
}

static void body_text(unsigned body, struct buf *out)
{
	buf_clear(out);
	buf_addf(out, "Subject: body %u\r\n\r\n%*s\r\n", body, (int)(body * 7), "x");
}

static void flag_text(unsigned flags, struct buf *out)
{
	struct flags f = FLAGS_INIT;

	for (size_t i = 0; i < FLAG_WORDS; i++)
		if (flags & (1u << i))
			flags_add(&f, bytes_of(flag_words[i]));
	buf_clear(out);
	flags_format(&f, out);
	flags_release(&f);
}

static void copy_boxes(struct box_model *to, const struct box_model *from)
{
	for (size_t i = 0; i < BOXES; i++) {
		memcpy(to[i].v, from[i].v, sizeof(to[i].v));
		to[i].n = from[i].n;
		to[i].modseq = from[i].modseq;
		uidset_copy(&to[i].known, &from[i].known);
	}
}

static struct message_model *by_source(struct box_model *box, uint32_t source_uid)
{
	for (size_t i = 0; i < box->n; i++)
		if (!box->v[i].kept && box->v[i].source_uid == source_uid)
			return &box->v[i];
	return NULL;
}

static struct message_model *by_uid(struct box_model *box, uint32_t uid)
{
	for (size_t i = 0; i < box->n; i++)
		if (box->v[i].uid == uid)
			return &box->v[i];
	return NULL;
}

/* Bound to no source UID: a message of the source that is equal takes it over. */
static bool has_unbound(const struct box_model *box, unsigned body, bool kept)
{
	for (size_t i = 0; i < box->n; i++)
		if (!box->v[i].source_uid && box->v[i].kept == kept && box->v[i].body == body)
			return true;
	return false;
}

static struct mailbox *mailbox_at(struct model *m, size_t i)
{
	return bench_find(m->b, names[i]);
}

/* --- steps --- */

static void put(struct model *m, size_t i)
{
	struct box_model *box = &m->now[i];
	struct buf body = BUF_INIT(4096), flags = BUF_INIT(4096);
	struct message_model new = { .source_uid = pick(m, 8) ? pick_uid(m) : 0,
				     .body = pick(m, BODIES), .flags = pick(m, 16) };
	struct message_model *there;
	enum outcome what;

	if (box->n == MESSAGES)
		return;
	body_text(new.body, &body);
	flag_text(new.flags, &flags);
	struct put p = { .body = buf_bytes(&body), .flags = buf_str(&flags) };

	what = bench_put(mailbox_at(m, i), new.source_uid, &p, &new.uid);
	there = new.source_uid ? by_source(box, new.source_uid) : NULL;
	if (there) {
		assert_int_equal(what, OUTCOME_DONE);
		assert_int_equal(new.uid, there->uid);
	} else if (what == OUTCOME_ADOPTED) {
		there = by_uid(box, new.uid);
		assert_non_null(there);
		assert_true(new.source_uid && !there->source_uid && there->body == new.body);
		assert_int_equal(there->kept, !has_unbound(box, new.body, false));
		*there = new;
	} else {
		assert_false(new.source_uid && (has_unbound(box, new.body, false) ||
						has_unbound(box, new.body, true)));
		if (new.source_uid && !by_uid(box, new.source_uid))
			assert_int_equal(new.uid, new.source_uid);
		assert_true(new.uid > 0);
		assert_null(by_uid(box, new.uid));
		box->top |= new.uid > UINT32_MAX - 10000;
		box->v[box->n++] = new;
	}
	buf_release(&body);
	buf_release(&flags);
}

/* Some of the UIDs that are there, and some that are not. */
static void pick_set(struct model *m, const struct box_model *box, struct uidset *out)
{
	for (size_t i = 0; i < box->n; i++)
		if (pick(m, 6) == 0)
			uidset_add(out, box->v[i].uid);
	uidset_add(out, pick_uid(m));
}

static void change(struct model *m, size_t i)
{
	struct box_model *box = &m->now[i];
	struct flag_delta delta = { FLAGS_INIT, FLAGS_INIT };
	unsigned add = pick(m, 16), remove = pick(m, 16) & ~add;
	struct buf text = BUF_INIT(4096);
	struct uidset set = UIDSET_INIT;
	struct err err = { 0 };

	pick_set(m, box, &set);
	flag_text(add, &text);
	flags_add_list(&delta.add, buf_bytes(&text));
	flag_text(remove, &text);
	flags_add_list(&delta.remove, buf_bytes(&text));
	must(mailbox_change_flags(mailbox_at(m, i), &set, &delta, &err), &err);
	for (size_t k = 0; k < box->n; k++)
		if (!box->v[k].kept && uidset_has(&set, box->v[k].uid))
			box->v[k].flags = (box->v[k].flags & ~remove) | add;
	flags_release(&delta.add);
	flags_release(&delta.remove);
	uidset_release(&set);
	buf_release(&text);
}

static void expunge(struct model *m, size_t i)
{
	struct box_model *box = &m->now[i];
	struct uidset set = UIDSET_INIT;
	struct err err = { 0 };
	size_t to = 0;

	pick_set(m, box, &set);
	must(mailbox_expunge(mailbox_at(m, i), &set, &err), &err);
	for (size_t k = 0; k < box->n; k++)
		if (!uidset_has(&set, box->v[k].uid))
			box->v[to++] = box->v[k];
	box->n = to;
	uidset_release(&set);
}

static void keep(struct model *m, size_t i)
{
	struct box_model *box = &m->now[i];
	bool held = pick(m, 2);
	struct uidset set = UIDSET_INIT;
	struct err err = { 0 };

	pick_set(m, box, &set);
	must(mailbox_keep(mailbox_at(m, i), &set, held, &err), &err);
	for (size_t k = 0; k < box->n; k++)
		if (!box->v[k].kept && uidset_has(&set, box->v[k].uid)) {
			box->v[k].kept = true;
			box->v[k].held = held;
			box->v[k].source_uid = 0;
		}
	uidset_release(&set);
}

static void copy(struct model *m, size_t i)
{
	struct box_model *box = &m->now[i], *target = &m->now[pick(m, BOXES)];
	struct uidset set = UIDSET_INIT;
	struct changes c;
	struct err err = { 0 };

	if (target->n + box->n > MESSAGES || target->top)
		return;
	pick_set(m, box, &set);
	must(mailbox_copy(mailbox_at(m, i), &set, mailbox_at(m, (size_t)(target - m->now)), &err),
	     &err);
	/* The new ones are those the model does not know, in the order of the old ones. */
	bench_changes(mailbox_at(m, (size_t)(target - m->now)), &c);
	for (size_t k = 0, at = 0; k < c.n; k++) {
		uint32_t from;

		if (by_uid(target, c.v[k].uid))
			continue;
		do
			from = uidset_next(&set, (uint32_t)at);
		while (at = from, from && (!by_uid(box, from) || by_uid(box, from)->kept));
		assert_true(from > 0);
		target->v[target->n] = *by_uid(box, from);
		target->v[target->n].uid = c.v[k].uid;
		target->v[target->n++].source_uid = 0;
	}
	changes_release(&c);
	uidset_release(&set);
}

static void renumber(struct model *m, size_t i)
{
	struct box_model *box = &m->now[i];
	uint32_t from[MESSAGES], to[MESSAGES];
	struct err err = { 0 };
	size_t n = 0;

	for (size_t k = 0; k < box->n; k++) {
		if (box->v[k].kept || !box->v[k].source_uid)
			continue;
		if (pick(m, 4)) {
			from[n] = box->v[k].source_uid;
			to[n] = 2000000 + (uint32_t)n * 3;
			box->v[k].source_uid = to[n++];
		} else {
			box->v[k].source_uid = 0;
		}
	}
	must(mailbox_renumber(mailbox_at(m, i), from, to, n, &err), &err);
}

static void set_base(struct model *m, size_t i)
{
	struct box_model *box = &m->now[i];
	struct quarantined q[2] = { { .uid = 50, .reason = (char[]){ "too odd" }, .attempts = 1 },
				    { .uid = 10007, .reason = (char[]){ "" }, .accepted = true } };
	struct base base;
	struct err err = { 0 };

	base_init(&base);
	base.n_quarantine = pick(m, 3);
	base.quarantine = q;
	uidset_clear(&box->known);
	for (size_t k = 0; k < box->n; k++)
		if (box->v[k].source_uid && pick(m, 10))
			uidset_add(&box->known, box->v[k].source_uid);
	for (size_t k = 0; k < base.n_quarantine; k++)
		if (pick(m, 10))
			uidset_add(&box->known, q[k].uid);
	uidset_add(&box->known, pick_uid(m));
	uidset_copy(&base.known, &box->known);
	base.token = (struct token){ .known = true, .uidvalidity = 3, .uidnext = pick(m, 100),
				     .messages = 4, .highestmodseq = box->modseq = pick(m, 1000) };
	must(mailbox_set_base(mailbox_at(m, i), &base, &err), &err);
	uidset_release(&base.known);
}

/* --- comparison --- */

static void check_info(struct model *m, size_t i)
{
	const struct box_model *box = &m->now[i];
	const struct mailbox_info *info;
	struct mailbox_list list;
	size_t stored = 0, held = 0;

	for (size_t k = 0; k < box->n; k++) {
		stored += !box->v[k].kept && box->v[k].source_uid;
		held += box->v[k].held;
	}
	info = bench_info(m->b, names[i], &list);
	assert_non_null(info);
	assert_int_equal(info->stored, stored);
	assert_int_equal(info->held, held);
	assert_int_equal(info->known, uidset_count(&box->known));
	assert_true(info->token.highestmodseq == box->modseq);
	mailbox_list_release(&list);
}

static void check_base(struct model *m, size_t i)
{
	const struct box_model *box = &m->now[i];
	struct uidset held = UIDSET_INIT;
	struct base base;
	struct err err = { 0 };

	base_init(&base);
	must(mailbox_base(mailbox_at(m, i), &base, &err), &err);
	for (size_t k = 0; k < box->n; k++)
		if (box->v[k].held)
			uidset_add(&held, box->v[k].uid);
	assert_true(uidset_equal(&base.held, &held));
	if (!uidset_equal(&base.known, &box->known))
		fail_msg("step %u: known sets differ", m->step);
	base_release(&base);
	uidset_release(&held);
}

static void check_messages(struct model *m, size_t i)
{
	struct box_model *box = &m->now[i];
	struct buf text = BUF_INIT(4096), want = BUF_INIT(4096);
	size_t live = 0;
	struct changes c;
	struct gots got;

	for (size_t k = 0; k < box->n; k++)
		live += !box->v[k].kept;
	bench_changes(mailbox_at(m, i), &c);
	bench_fetch_all(mailbox_at(m, i), &got);
	assert_int_equal(c.n, live);
	assert_int_equal(got.n, live);
	for (size_t k = 0; k < c.n; k++) {
		const struct message_model *one = by_uid(box, c.v[k].uid);

		assert_true(one && !one->kept);
		assert_int_equal(c.v[k].source_uid, one->source_uid);
		flag_text(one->flags, &want);
		assert_string_equal(bench_flags(&c, c.v[k].flags, &text), buf_str(&want));
		assert_int_equal(got.v[k].uid, one->uid);
		body_text(one->body, &want);
		assert_string_equal(buf_str(&got.v[k].body), buf_str(&want));
	}
	changes_release(&c);
	gots_release(&got);
	buf_release(&text);
	buf_release(&want);
}

static void check(struct model *m)
{
	for (size_t i = 0; i < BOXES; i++) {
		check_info(m, i);
		if (pick(m, 2))
			check_base(m, i);
		check_messages(m, i);
	}
}

static void step(struct model *m)
{
	size_t i = pick(m, BOXES);

	switch (pick(m, 16)) {
	case 0:
		change(m, i);
		break;
	case 1:
		expunge(m, i);
		break;
	case 2:
		keep(m, i);
		break;
	case 3:
		copy(m, i);
		break;
	case 4:
		if (pick(m, 4) == 0)
			renumber(m, i);
		break;
	case 5:
		set_base(m, i);
		break;
	case 6:
		bench_commit(m->b);
		copy_boxes(m->saved, m->now);
		break;
	case 7:
		bench_snapshot(m->b);
		copy_boxes(m->saved, m->now);
		break;
	case 8:
		bench_reopen(m->b);
		copy_boxes(m->now, m->saved);
		check(m);
		break;
	default:
		put(m, i);
		break;
	}
}

static void history(struct bench *b, uint64_t seed, unsigned steps)
{
	struct model *m = xcalloc(1, sizeof(*m));

	m->b = b;
	m->random = seed * 0x9e3779b97f4a7c15u + 1;
	for (size_t i = 0; i < BOXES; i++)
		bench_mailbox(b, names[i]);
	bench_commit(b);
	for (m->step = 0; m->step < steps; m->step++) {
		step(m);
		if (pick(m, 20) == 0)
			check(m);
	}
	bench_snapshot(b);
	bench_reopen(b);
	check(m);
	bench_close(b);
	git_check_all(b->path);
	for (size_t i = 0; i < BOXES; i++) {
		uidset_release(&m->now[i].known);
		uidset_release(&m->saved[i].known);
	}
	free(m);
}

static void test_random_histories_agree_with_a_model(void **state)
{
	struct bench *b = git_bench(state);
	const char *seed = getenv("SEED"), *steps = getenv("STEPS");
	uint64_t first = seed ? strtoull(seed, NULL, 10) : 1;

	for (uint64_t s = first; s < (seed ? first + 1 : 9); s++) {
		print_message("seed %llu\n", (unsigned long long)s);
		if (!b->st)
			bench_open(b);
		history(b, s, steps ? (unsigned)strtoul(steps, NULL, 10) : 250);
		remove_tree(b->path);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { WITH_GIT(test_random_histories_agree_with_a_model) };

	return cmocka_run_group_tests_name("git model", tests, NULL, NULL);
}
