#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/imap/commands.h"
#include "core/imap/commands_manage.h"
#include "core/imap/commands_message.h"
#include "core/mail/flags.h"
#include "core/mail/maildate.h"
#include "core/msgset/uidlist.h"
#include "core/msgset/uidset.h"
#include "tests/lib/imap_rig.h"

/* Commands on messages, against a script. */

static struct bytes b(const char *s)
{
	return bytes_of(s);
}

static void set_of(struct uidset *set, const char *text)
{
	struct err err;

	uidset_init(set);
	assert_int_equal(uidset_parse(set, b(text), UIDSET_STRICT, NULL, &err), 0);
}

static void flags_of(struct flags *flags, const char *text)
{
	flags_init(flags);
	flags_add_list(flags, b(text));
}

static void add_set(struct buf *out, const char *name, const struct uidset *set)
{
	buf_addf(out, "%s=", name);
	uidset_format(set, out);
	buf_add_str(out, " ");
}

static void add_list(struct buf *out, const char *name, const struct uidlist *list)
{
	buf_addf(out, "%s=", name);
	uidlist_format(list, out);
	buf_add_str(out, " ");
}

/* --- STORE --- */

static void on_stored(void *ctx, const struct imap_fetch *f)
{
	buf_addf(&((struct imap_rig *)ctx)->log, "%u/%u:%llu ", f->number, f->uid,
		 (unsigned long long)f->modseq);
}

static void on_store_done(void *ctx, const struct uidset *modified,
			  const struct imap_result *result)
{
	if (!uidset_is_empty(modified))
		add_set(&((struct imap_rig *)ctx)->log, "modified", modified);
	imap_rig_note(ctx, result);
}

static void on_expunge_done(void *ctx, const struct imap_expunge_answer *answer,
			    const struct imap_result *result);
static void on_copy_done(void *ctx, const struct imap_copy_answer *answer,
			 const struct imap_result *result);

static int store(struct imap_rig *rig, struct imap_store_request q, const char *set,
		 const char *flags)
{
	const struct imap_store_sink sink = { .message = on_stored, .done = on_store_done,
					      .ctx = rig };
	struct uidset uids;
	struct flags list;
	int ret;

	set_of(&uids, set);
	flags_of(&list, flags);
	q.set = &uids;
	q.flags = &list;
	ret = imap_store_flags(rig->session, &q, &sink, &rig->err);
	uidset_release(&uids);
	flags_release(&list);
	if (ret == 0)
		imap_rig_drain(rig);
	return ret;
}

static void test_store_tells_what_was_changed_and_what_had_changed_before(void **state)
{
	static const struct {
		const char *caps;
		struct imap_store_request request;
		const char *set, *flags, *script, *want;
	} cases[] = {
		{ "", { .how = IMAP_STORE_ADD }, "3:5", "\\Seen $x",
		  "C: a UID STORE 3:5 +FLAGS (\\Seen $x)\n"
		  "S: * 1 FETCH (UID 3 FLAGS (\\Seen $x))\nS: * 8 FETCH (UID 9 FLAGS ())\n"
		  "S: * 2 FETCH (FLAGS ())\nS: a OK\n", "1/3:0 ok " },
		{ "CONDSTORE", { .how = IMAP_STORE_REMOVE, .silent = true, .conditional = true,
				 .unchanged_since = 12 }, "1:9", "\\Deleted",
		  "C: a UID STORE 1:9 (UNCHANGEDSINCE 12) -FLAGS.SILENT (\\Deleted)\n"
		  "S: * 1 FETCH (UID 3 MODSEQ (20))\nS: a OK [MODIFIED 5,7:8] some\n",
		  "1/3:20 modified=5,7:8 ok " },
		{ "CONDSTORE", { .how = IMAP_STORE_ADD, .conditional = true }, "1:9", "\\Seen",
		  "C: a UID STORE 1:9 (UNCHANGEDSINCE 0) +FLAGS (\\Seen)\n"
		  "S: a NO [MODIFIED 1:9] all\n", "modified=1:9 no " },
		{ "", { .how = IMAP_STORE_REPLACE }, "1", "",
		  "C: a UID STORE 1 FLAGS ()\nS: a BAD no\n", "bad " },
		{ "", { .how = IMAP_STORE_ADD, .numbering = IMAP_NUMBERS }, "2:3", "\\Seen",
		  "C: a STORE 2:3 +FLAGS (\\Seen)\nS: * 2 FETCH (FLAGS (\\Seen))\n"
		  "S: * 4 FETCH (FLAGS (\\Seen))\nS: a OK\n", "2/0:0 ok " },
		{ "ESEARCH SEARCHRES", { .how = IMAP_STORE_ADD, .numbering = IMAP_SAVED }, "1",
		  "\\Seen", "C: a UID STORE $ +FLAGS (\\Seen)\n"
		  "S: * 2 FETCH (UID 77 FLAGS (\\Seen))\nS: a OK\n", "2/77:0 ok " },
		{ "", { .how = IMAP_STORE_ADD }, "1", "\\Seen",
		  "C: a UID STORE 1 +FLAGS (\\Seen)\nS: * 1 FETCH (UID 1 FLAGS (\nS: a OK\n",
		  "damaged ok " },
		/* somebody's body is not an answer to STORE */
		{ "", { .how = IMAP_STORE_ADD }, "1", "\\Seen",
		  "C: a UID STORE 1 +FLAGS (\\Seen)\nS: * 1 FETCH (UID 1 BODY[] \"x\")\nS: a OK\n",
		  "ok " },
		{ "", { .how = IMAP_STORE_ADD }, "1", "\\Seen",
		  "C: a UID STORE 1 +FLAGS (\\Seen)\nEND\n", "lost " },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct imap_rig rig;

		imap_rig_open_inbox(&rig, cases[i].caps, false, cases[i].script);
		assert_int_equal(store(&rig, cases[i].request, cases[i].set, cases[i].flags), 0);
		imap_rig_expect(&rig, cases[i].want);
		imap_rig_close(&rig);
	}
}

static void test_a_store_that_cannot_be_said_is_not_sent(void **state)
{
	struct imap_rig rig;

	(void)state;
	imap_rig_open_inbox(&rig, "UIDPLUS", false, "");
	assert_int_equal(store(&rig, (struct imap_store_request){ .conditional = true }, "1",
			       "\\Seen"), -1);
	assert_non_null(strstr(rig.err.text, "CONDSTORE"));
	assert_int_equal(store(&rig, (struct imap_store_request){ 0 }, "1", ""), -1);
	assert_int_equal(store(&rig, (struct imap_store_request){ 0 }, "1", "\"a b\""), -1);
	assert_int_equal(rig.err.kind, ERR_MESSAGE);
	assert_int_equal(store(&rig, (struct imap_store_request){ .numbering = IMAP_SAVED }, "1",
			       "\\Seen"), -1);
	assert_non_null(strstr(rig.err.text, "SEARCHRES"));
	/* Of no messages at all, and up to nobody knows which. */
	for (int open = 0; open < 2; open++) {
		struct uidset set = UIDSET_INIT;

		if (open)
			uidset_add_star(&set, 1);
		assert_int_equal(imap_copy(rig.session, &(struct imap_copy_request){
			.set = &set, .mailbox = b("x") }, on_copy_done, &rig, &rig.err), -1);
		assert_int_equal(imap_expunge(rig.session, &set, on_expunge_done, &rig, &rig.err),
				 -1);
		uidset_release(&set);
	}
	imap_rig_close(&rig);
	imap_rig_open(&rig, "", "");
	assert_int_equal(store(&rig, (struct imap_store_request){ 0 }, "1", "\\Seen"), -1);
	assert_non_null(strstr(rig.err.text, "no mailbox"));
	imap_rig_close(&rig);
}

/* --- EXPUNGE --- */

static void on_expunge_done(void *ctx, const struct imap_expunge_answer *answer,
			    const struct imap_result *result)
{
	struct imap_rig *rig = ctx;

	buf_addf(&rig->log, "%llu ", (unsigned long long)answer->removed);
	add_set(&rig->log, "uids", answer->uids);
	imap_rig_note(ctx, result);
}

static void test_expunge_counts_what_went_and_never_more_than_was_named(void **state)
{
	struct uidset uids;
	struct imap_rig rig;

	(void)state;
	set_of(&uids, "3,8");
	imap_rig_open_inbox(&rig, "UIDPLUS QRESYNC", false,
			    "C: a UID EXPUNGE 3,8\nS: * 2 EXPUNGE\nS: * 5 EXPUNGE\nS: a OK\n"
			    "C: b UID EXPUNGE 3,8\nS: * VANISHED (EARLIER) 1\nS: * VANISHED 3,8\n"
			    "S: b OK [HIGHESTMODSEQ 9]\n"
			    "C: c EXPUNGE\nS: * 1 EXPUNGE\nS: c NO read-only\n");
	assert_int_equal(imap_expunge(rig.session, &uids, on_expunge_done, &rig, &rig.err), 0);
	imap_rig_drain(&rig);
	imap_rig_expect(&rig, "2 uids= ok ");
	assert_int_equal(imap_expunge(rig.session, &uids, on_expunge_done, &rig, &rig.err), 0);
	imap_rig_drain(&rig);
	imap_rig_expect(&rig, "2 uids=3,8 ok ");
	assert_int_equal(imap_expunge(rig.session, NULL, on_expunge_done, &rig, &rig.err), 0);
	imap_rig_drain(&rig);
	imap_rig_expect(&rig, "1 uids= no ");
	assert_int_equal(imap_session_mailbox(rig.session)->exists, 4);
	imap_rig_close(&rig);
	imap_rig_open_inbox(&rig, "", false, "");
	/* Without UIDPLUS there is no exact way: never a plain EXPUNGE instead. */
	assert_int_equal(imap_expunge(rig.session, &uids, on_expunge_done, &rig, &rig.err), -1);
	assert_non_null(strstr(rig.err.text, "UIDPLUS"));
	imap_rig_close(&rig);
	uidset_release(&uids);
}

/* --- COPY, MOVE --- */

static void on_copy_done(void *ctx, const struct imap_copy_answer *answer,
			 const struct imap_result *result)
{
	struct imap_rig *rig = ctx;

	if (answer->known) {
		buf_addf(&rig->log, "%u ", answer->uid_validity);
		add_list(&rig->log, "from", answer->source);
		add_list(&rig->log, "to", answer->target);
	}
	imap_rig_note(ctx, result);
}

static int copy(struct imap_rig *rig, enum imap_numbering numbering, bool move, const char *set)
{
	struct uidset uids;
	int ret;

	set_of(&uids, set);
	ret = imap_copy(rig->session, &(struct imap_copy_request){
		.set = &uids, .numbering = numbering, .move = move, .mailbox = b("Old mail") },
		on_copy_done, rig, &rig->err);
	uidset_release(&uids);
	if (ret == 0)
		imap_rig_drain(rig);
	return ret;
}

static void test_copy_and_move_pair_uids_or_admit_that_they_cannot(void **state)
{
	static const struct {
		enum imap_numbering numbering;
		bool move;
		const char *set, *script, *want;
	} cases[] = {
		{ IMAP_UIDS, false, "1:3", "C: a UID COPY 1:3 \"Old mail\"\n"
		  "S: a OK [COPYUID 7 3,1:2 11:13] done\n", "7 from=3,1:2 to=11:13 ok " },
		/* nothing was there to copy */
		{ IMAP_UIDS, false, "1", "C: a UID COPY 1 \"Old mail\"\nS: a OK done\n", "ok " },
		{ IMAP_UIDS, false, "1:2", "C: a UID COPY 1:2 \"Old mail\"\n"
		  "S: a OK [COPYUID 7 1:2 11] lengths differ\n", "ok " },
		{ IMAP_UIDS, false, "1:2", "C: a UID COPY 1:2 \"Old mail\"\n"
		  "S: a OK [COPYUID 7 1,5 11:12] not asked for\n", "ok " },
		{ IMAP_UIDS, false, "1:2", "C: a UID COPY 1:2 \"Old mail\"\n"
		  "S: a OK [COPYUID 0 1:2 11:12] no validity\n", "ok " },
		{ IMAP_UIDS, false, "1:2", "C: a UID COPY 1:2 \"Old mail\"\n"
		  "S: a OK [APPENDUID 7 11] of another command\n", "ok " },
		/* a code that is not this command's, in an untagged line (S11) */
		{ IMAP_UIDS, false, "1", "C: a UID COPY 1 \"Old mail\"\n"
		  "S: * OK [COPYUID 7 1 99] forged\nS: a OK done\n", "ok " },
		{ IMAP_UIDS, false, "1", "C: a UID COPY 1 \"Old mail\"\n"
		  "S: a NO [TRYCREATE] no such mailbox\n", "no " },
		{ IMAP_NUMBERS, false, "1:2", "C: a COPY 1:2 \"Old mail\"\n"
		  "S: a OK [COPYUID 7 41,45 1:2] done\n", "7 from=41,45 to=1:2 ok " },
		{ IMAP_UIDS, true, "1:2", "C: a UID MOVE 1:2 \"Old mail\"\n"
		  "S: * OK [COPYUID 7 1:2 11:12] moved\nS: * 1 EXPUNGE\nS: * 1 EXPUNGE\n"
		  "S: a OK done\n", "7 from=1:2 to=11:12 ok " },
		{ IMAP_UIDS, true, "1:2", "C: a UID MOVE 1:2 \"Old mail\"\n"
		  "S: * OK [COPYUID 7 1 11] moved\nS: * 1 EXPUNGE\nS: a NO quota\n",
		  "7 from=1 to=11 no " },
		{ IMAP_UIDS, true, "1", "C: a UID MOVE 1 \"Old mail\"\nEND\n", "lost " },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct imap_rig rig;

		imap_rig_open_inbox(&rig, "UIDPLUS MOVE", false, cases[i].script);
		assert_int_equal(copy(&rig, cases[i].numbering, cases[i].move, cases[i].set), 0);
		imap_rig_expect(&rig, cases[i].want);
		imap_rig_close(&rig);
	}
}

static void test_the_pairs_of_a_copy_in_several_commands_are_put_together(void **state)
{
	static const struct {
		const char *second, *want;
	} cases[] = {
		{ "7 1280 2", "7 from=1000,1280 to=1,2 ok " },
		{ "8 1280 2", "ok " }, /* of another mailbox */
	};
	struct buf set = BUF_INIT(1 << 16);

	(void)state;
	for (unsigned uid = 1000; uid < 1400; uid += 2)
		buf_addf(&set, "%s%u", uid == 1000 ? "" : ",", uid);
	/* 700 bytes of a set go into one command: 140 UIDs of five bytes each */
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf script = BUF_INIT(4096);
		struct imap_rig rig;

		buf_addf(&script, "C: a UID COPY 1000,...\nC: b UID COPY 1280,...\n"
			 "S: a OK [COPYUID 7 1000 1]\nS: b OK [COPYUID %s]\n", cases[i].second);
		imap_rig_open_inbox(&rig, "UIDPLUS", false, buf_str(&script));
		assert_int_equal(copy(&rig, IMAP_UIDS, false, buf_str(&set)), 0);
		imap_rig_expect(&rig, cases[i].want);
		imap_rig_close(&rig);
		buf_release(&script);
	}
	buf_release(&set);
}

static void test_move_is_refused_where_it_is_not_offered(void **state)
{
	struct imap_rig rig;

	(void)state;
	imap_rig_open_inbox(&rig, "UIDPLUS", false, "");
	assert_int_equal(copy(&rig, IMAP_UIDS, true, "1"), -1);
	assert_non_null(strstr(rig.err.text, "MOVE"));
	imap_rig_close(&rig);
}

/* --- SEARCH --- */

static void on_found(void *ctx, const struct imap_search_answer *a,
		     const struct imap_result *result)
{
	struct imap_rig *rig = ctx;

	if (a) {
		add_set(&rig->log, "found", a->found);
		if (a->present & IMAP_SEARCH_COUNT)
			buf_addf(&rig->log, "count=%llu ", (unsigned long long)a->count);
		if (a->present & IMAP_SEARCH_MIN)
			buf_addf(&rig->log, "min=%u ", a->min);
		if (a->present & IMAP_SEARCH_MAX)
			buf_addf(&rig->log, "max=%u ", a->max);
		if (a->modseq)
			buf_addf(&rig->log, "modseq=%llu ", (unsigned long long)a->modseq);
	}
	imap_rig_note(ctx, result);
}

/* `words` are separated by '|'. */
static int search_for(struct imap_rig *rig, struct imap_search_request q, const char *words)
{
	struct bytes list[64];
	char *text = xstrdup(words), *rest = text, *word;
	int ret;

	q.n = 0;
	while ((word = strsep(&rest, "|")) && q.n < 64)
		list[q.n++] = b(word);
	q.words = list;
	ret = imap_search_for(rig->session, &q, on_found, rig, &rig->err);
	free(text);
	if (ret == 0)
		imap_rig_drain(rig);
	return ret;
}

static void test_search_answers_the_same_with_and_without_esearch(void **state)
{
	static const struct {
		const char *caps;
		struct imap_search_request request;
		const char *words, *script, *want;
	} cases[] = {
		{ "", { 0 }, "UNSEEN|FROM|Anna B",
		  "C: a UID SEARCH UNSEEN FROM \"Anna B\"\nS: * SEARCH 9 2 3\nS: a OK\n",
		  "found=2:3,9 count=3 min=2 max=9 ok " },
		{ "ESEARCH", { .items = IMAP_SEARCH_COUNT | IMAP_SEARCH_MIN }, "ALL",
		  "C: a UID SEARCH RETURN (MIN COUNT) ALL\n"
		  "S: * ESEARCH (TAG \"<a>\") UID MIN 2 COUNT 3\nS: a OK\n",
		  "found= count=3 min=2 ok " },
		{ "ESEARCH", { 0 }, "ALL",
		  "C: a UID SEARCH RETURN (ALL) ALL\n"
		  "S: * ESEARCH (TAG \"<a>\") UID ALL 2:3,9 MODSEQ 44\nS: a OK\n",
		  "found=2:3,9 count=3 min=2 max=9 modseq=44 ok " },
		{ "ESEARCH", { .items = IMAP_SEARCH_COUNT | IMAP_SEARCH_MAX }, "ALL",
		  "C: a UID SEARCH RETURN (MAX COUNT) ALL\n"
		  "S: * ESEARCH (TAG \"<a>\") UID COUNT 0\nS: a OK\n", "found= count=0 ok " },
		{ "ESEARCH PARTIAL", { .items = IMAP_SEARCH_PARTIAL, .first = -1, .last = -100 },
		  "ALL", "C: a UID SEARCH RETURN (PARTIAL -1:-100) ALL\n"
		  "S: * ESEARCH (TAG \"<a>\") UID PARTIAL (-1:-100 5:7)\nS: a OK\n",
		  "found=5:7 ok " },
		{ "ESEARCH SEARCHRES", { .items = IMAP_SEARCH_SAVE }, "DELETED",
		  "C: a UID SEARCH RETURN (SAVE) DELETED\nS: a OK\n", "found= ok " },
		{ "ESEARCH SEARCHRES", { .items = IMAP_SEARCH_SAVE }, "DELETED",
		  "C: a UID SEARCH RETURN (SAVE) DELETED\nS: a NO [NOTSAVED] no\n", "no " },
		{ "", { .numbering = IMAP_NUMBERS }, "1:5|NOT|SEEN",
		  "C: a SEARCH 1:5 NOT SEEN\nS: * SEARCH 1\nS: a OK\n",
		  "found=1 count=1 min=1 max=1 ok " },
		{ "LITERAL+", { 0 }, "SUBJECT|gr\xc3\xbc\xc3\x9f",
		  "C: a UID SEARCH CHARSET UTF-8 SUBJECT {6+}\nC= gr\xc3\xbc\xc3\x9f\n"
		  "S: a NO [BADCHARSET (US-ASCII)] no\n", "no " },
		{ "", { .charset = "ISO-8859-1" }, "SEEN",
		  "C: a UID SEARCH CHARSET ISO-8859-1 SEEN\nS: a BAD what\n", "bad " },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct imap_rig rig;

		imap_rig_open_inbox(&rig, cases[i].caps, true, cases[i].script);
		assert_int_equal(search_for(&rig, cases[i].request, cases[i].words), 0);
		imap_rig_expect(&rig, cases[i].want);
		imap_rig_close(&rig);
	}
}

#define DEEP_8 "NOT|NOT|NOT|NOT|NOT|NOT|NOT|NOT|"
#define DEEP DEEP_8 DEEP_8 DEEP_8 DEEP_8 DEEP_8

static void test_no_charset_is_named_where_everything_is_utf8(void **state)
{
	const enum imap_cap utf8 = IMAP_CAP_UTF8_ACCEPT;
	struct imap_rig rig;

	(void)state;
	imap_rig_open(&rig, "ENABLE UTF8=ACCEPT LITERAL+",
		      "C: e ENABLE UTF8=ACCEPT\nS: * ENABLED UTF8=ACCEPT\nS: e OK\n"
		      "C: s SELECT x\nS: s OK\n"
		      "C: a UID SEARCH SUBJECT {2+}\nC= \xc3\xbc\nS: a OK\n");
	assert_int_equal(imap_enable_wait(rig.session, &utf8, 1, &rig.err), 0);
	assert_int_equal(imap_select(rig.session, b("x"), false, NULL, NULL, &rig.err), 0);
	assert_int_equal(search_for(&rig, (struct imap_search_request){ 0 },
				    "SUBJECT|\xc3\xbc"), 0);
	imap_rig_expect(&rig, "found= count=0 ok ");
	imap_rig_close(&rig);
}

static void test_criteria_are_encoded_by_what_they_are(void **state)
{
	static const struct {
		const char *words, *line;
	} cases[] = {
		{ "(|OR|SEEN|(|FROM|x|TO|y|)|)|NOT|DELETED",
		  "(OR SEEN (FROM x TO y)) NOT DELETED" },
		{ "since|2024-02-29|before|1-mar-2024", "SINCE 29-Feb-2024 BEFORE 1-Mar-2024" },
		{ "LARGER|1000|KEYWORD|$Junk|UID|1:*", "LARGER 1000 KEYWORD $Junk UID 1:*" },
		{ "HEADER|X-Y|\"a\\b", "HEADER X-Y \"\\\"a\\\\b\"" },
		{ "SUBJECT|SEEN", "SUBJECT SEEN" }, /* a text, not a key */
		{ "TEXT||*", "TEXT \"\" *" },
		{ "MODSEQ|620|OLDER|86400", "MODSEQ 620 OLDER 86400" },
	};
	static const char *const refused[] = {
		"NOSUCH", "SINCE|yesterday", "SINCE|2024-13-01", "LARGER|1k", "KEYWORD|a b",
		"OR|SEEN", "FROM", "UID|1;2", "(|SEEN", "(|)", ")", "KEYWORD|x\r\ny", "1:5)",
		"HEADER|x", "SINCE|1-Feb-2024 SEEN", "", DEEP "SEEN",
	};
	struct imap_rig rig;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf script = BUF_INIT(4096);

		buf_addf(&script, "C: a UID SEARCH %s\nS: a OK\n", cases[i].line);
		imap_rig_open_inbox(&rig, "", true, buf_str(&script));
		assert_int_equal(search_for(&rig, (struct imap_search_request){ 0 },
					    cases[i].words), 0);
		imap_rig_close(&rig);
		buf_release(&script);
	}
	imap_rig_open_inbox(&rig, "", true, "");
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		if (search_for(&rig, (struct imap_search_request){ 0 }, refused[i]) != -1)
			fail_msg("taken: %s", refused[i]);
		assert_int_equal(rig.err.kind, ERR_CONFIG);
	}
	imap_rig_close(&rig);
}

static void test_searches_that_are_not_offered_are_refused(void **state)
{
	static const struct imap_search_request requests[] = {
		{ .items = IMAP_SEARCH_SAVE },
		{ .items = IMAP_SEARCH_PARTIAL, .first = 1, .last = 5 },
	};
	struct imap_rig rig;

	(void)state;
	imap_rig_open_inbox(&rig, "ESEARCH", true, "");
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(search_for(&rig, requests[i], "ALL"), -1);
		assert_non_null(strstr(rig.err.text, "does not offer"));
	}
	imap_rig_close(&rig);
	imap_rig_open_inbox(&rig, "ESEARCH CONTEXT=SEARCH", true, "");
	assert_int_equal(search_for(&rig, (struct imap_search_request){
		.items = IMAP_SEARCH_PARTIAL, .first = -1, .last = -5 }, "ALL"), -1);
	assert_int_equal(search_for(&rig, (struct imap_search_request){
		.items = IMAP_SEARCH_PARTIAL, .first = 1, .last = -5 }, "ALL"), -1);
	imap_rig_close(&rig);
}

/* --- APPEND --- */

struct source {
	const char *text;
	size_t at;
	size_t fail_at; /* 0: never */
};

static int read_source(void *ctx, void *p, size_t max, size_t *n, struct err *err)
{
	struct source *source = ctx;
	size_t left = strlen(source->text) - source->at;

	if (source->fail_at && source->at >= source->fail_at)
		return err_set(err, ERR_MESSAGE, "disk on fire");
	*n = left < max ? left : max;
	if (*n > 7)
		*n = 7; /* in pieces */
	memcpy(p, source->text + source->at, *n);
	source->at += *n;
	return 0;
}

static void on_append_done(void *ctx, const struct imap_append_answer *answer,
			   const struct imap_result *result)
{
	struct imap_rig *rig = ctx;

	if (answer->known) {
		buf_addf(&rig->log, "%u ", answer->uid_validity);
		add_list(&rig->log, "uids", answer->uids);
	}
	imap_rig_note(ctx, result);
}

/* One message "Subject: x" with these flags. */
static int append(struct imap_rig *rig, const char *flags)
{
	struct source source = { .text = "Subject: x\r\n\r\n" };
	struct imap_append_message m = { .size = strlen(source.text), .read = read_source,
					 .ctx = &source };
	struct flags list;
	int ret;

	flags_of(&list, flags);
	m.flags = &list;
	ret = imap_append(rig->session, &(struct imap_append_request){
		.mailbox = b("INBOX"), .messages = &m, .n = 1 }, on_append_done, rig, &rig->err);
	flags_release(&list);
	if (ret == 0)
		imap_rig_drain(rig);
	return ret;
}

static void test_the_first_append_with_these_flags_waits_for_its_literal(void **state)
{
	struct imap_rig rig;

	(void)state;
	imap_rig_open(&rig, "LITERAL+ UIDPLUS",
		      "C: a APPEND INBOX (\\Seen) {14}\nS: + go\nC= Subject: x\nC= \nC= \n"
		      "S: a OK [APPENDUID 7 41]\n"
		      "C: b APPEND INBOX (\\Seen) {14+}\nC= Subject: x\nC= \nC= \n"
		      "S: b OK [APPENDUID 7 42]\n"
		      "C: c APPEND INBOX (\\Flagged) {14}\nS: + go\nC= Subject: x\nC= \nC= \n"
		      "S: c NO [OVERQUOTA] full\n"
		      "C: d APPEND INBOX (\\Flagged) {14}\nS: d NO [TRYCREATE] gone\n");
	assert_int_equal(append(&rig, "\\Seen \\Recent"), 0);
	imap_rig_expect(&rig, "7 uids=41 ok ");
	assert_int_equal(append(&rig, "\\Seen"), 0);
	imap_rig_expect(&rig, "7 uids=42 ok ");
	assert_int_equal(append(&rig, "\\Flagged"), 0);
	imap_rig_expect(&rig, "no ");
	assert_int_equal(append(&rig, "\\Flagged"), 0); /* a refusal earns no trust */
	imap_rig_expect(&rig, "no ");
	imap_rig_close(&rig);
}

static void test_bad_to_a_literal_under_way_ends_the_connection(void **state)
{
	struct imap_rig rig;

	(void)state;
	imap_rig_open(&rig, "LITERAL+",
		      "C: a APPEND INBOX {14}\nS: + go\nC= Subject: x\nC= \nC= \nS: a OK\n"
		      "C: b APPEND INBOX {14+}\nC= Subject: x\nC= \nC= \nS: b BAD no\n");
	assert_int_equal(append(&rig, ""), 0);
	imap_rig_expect(&rig, "ok ");
	assert_int_equal(append(&rig, ""), 0);
	imap_rig_expect(&rig, "bad ");
	assert_int_equal(imap_session_state(rig.session), IMAP_STATE_CLOSED);
	imap_rig_close(&rig);
}

static void test_literal_minus_waits_above_4096_bytes(void **state)
{
	static const struct {
		size_t size;
		const char *literal;
	} cases[] = { { 4096, "{4096+}" }, { 4097, "{4097}\nS: + go" } };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct buf script = BUF_INIT(1 << 16), body = BUF_INIT(1 << 16);
		struct source source;
		struct imap_append_message m = { .size = cases[i].size, .read = read_source,
						 .ctx = &source };
		struct imap_rig rig;

		while (body.n < cases[i].size)
			buf_add_byte(&body, 'x');
		buf_addf(&script, "C: a APPEND INBOX {14}\nS: + go\nC= Subject: x\nC= \nC= \n"
			 "S: a OK\nC: b APPEND INBOX %s\nC= %s\nS: b OK\n", cases[i].literal,
			 buf_str(&body));
		imap_rig_open(&rig, "LITERAL-", buf_str(&script));
		assert_int_equal(append(&rig, ""), 0);
		source = (struct source){ .text = buf_str(&body) };
		assert_int_equal(imap_append(rig.session, &(struct imap_append_request){
			.mailbox = b("INBOX"), .messages = &m, .n = 1 }, on_append_done, &rig,
			&rig.err), 0);
		imap_rig_drain(&rig);
		imap_rig_expect(&rig, "ok ok ");
		imap_rig_close(&rig);
		buf_release(&script);
		buf_release(&body);
	}
}

static void test_nothing_that_a_server_may_choke_on_is_sent(void **state)
{
	struct source source = { .text = "x" };
	struct maildate date = { .unix_time = 0 };
	struct imap_append_message m = { .size = 1, .read = read_source, .ctx = &source,
					 .date = &date };
	struct imap_append_message two[2] = { m, m };
	struct imap_append_request q = { .mailbox = b("INBOX"), .messages = &m, .n = 1 };
	struct imap_rig rig;

	(void)state;
	imap_rig_open(&rig, "LITERAL+ APPENDLIMIT=1000", "");
	assert_int_equal(append(&rig, "\\Foo"), -1);
	assert_int_equal(rig.err.kind, ERR_MESSAGE);
	assert_int_equal(append(&rig, "\"a b\""), -1);
	m.size = 0;
	assert_int_equal(imap_append(rig.session, &q, on_append_done, &rig, &rig.err), -1);
	m.size = 1001;
	assert_int_equal(imap_append(rig.session, &q, on_append_done, &rig, &rig.err), -1);
	assert_int_equal(rig.err.kind, ERR_MESSAGE);
	assert_non_null(strstr(rig.err.text, "takes 1000"));
	m.size = 501;
	q.limit = 500;
	assert_int_equal(imap_append(rig.session, &q, on_append_done, &rig, &rig.err), -1);
	m.size = 1;
	m.binary = true;
	assert_int_equal(imap_append(rig.session, &q, on_append_done, &rig, &rig.err), -1);
	assert_non_null(strstr(rig.err.text, "BINARY"));
	q.messages = two;
	q.n = 2;
	assert_int_equal(imap_append(rig.session, &q, on_append_done, &rig, &rig.err), -1);
	assert_non_null(strstr(rig.err.text, "MULTIAPPEND"));
	imap_rig_close(&rig);
}

static int append_two(struct imap_rig *rig)
{
	struct source sources[2] = { { .text = "A: 1\r\n" }, { .text = "B: 2\r\n" } };
	struct maildate date;
	struct imap_append_message two[2] = {
		{ .size = 6, .read = read_source, .ctx = &sources[0], .date = &date },
		{ .size = 6, .read = read_source, .ctx = &sources[1], .binary = true },
	};
	int ret;

	maildate_init(&date);
	maildate_set(&date, 760686745, -480);
	ret = imap_append(rig->session, &(struct imap_append_request){
		.mailbox = b("INBOX"), .messages = two, .n = 2 }, on_append_done, rig, &rig->err);
	if (ret == 0)
		imap_rig_drain(rig);
	maildate_release(&date);
	return ret;
}

static void test_several_messages_get_one_uid_each_or_none(void **state)
{
	static const struct {
		const char *answer, *want;
	} cases[] = {
		{ "S: a OK [APPENDUID 7 41:42]\n", "7 uids=41:42 ok " },
		{ "S: a OK [APPENDUID 7 42,41]\n", "7 uids=42,41 ok " },
		{ "S: a OK [APPENDUID 7 41]\n", "ok " },
		{ "S: a OK [APPENDUID 7 41:43]\n", "ok " },
		{ "S: a OK [APPENDUID 7 41,41]\n", "ok " },
		{ "S: a OK [APPENDUID 0 41:42]\n", "ok " },
		{ "S: a OK [COPYUID 7 41:42 41:42]\n", "ok " },
		{ "S: a NO [OVERQUOTA] full\n", "no " },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf script = BUF_INIT(4096);
		struct imap_rig rig;

		buf_addf(&script, "C: a APPEND INBOX \" 7-Feb-1994 21:52:25 -0800\" {6}\nS: + go\n"
			 "C= A: 1\nC=  ~{6}\nS: + go\nC= B: 2\nC= \n%s", cases[i].answer);
		imap_rig_open(&rig, "MULTIAPPEND BINARY UIDPLUS", buf_str(&script));
		assert_int_equal(append_two(&rig), 0);
		imap_rig_expect(&rig, cases[i].want);
		imap_rig_close(&rig);
		buf_release(&script);
	}
}

/* Three messages in one command: two with the same flags, one with others. */
static int append_three(struct imap_rig *rig, bool wait)
{
	struct source sources[3] = { { .text = "A: 1\r\n" }, { .text = "B: 2\r\n" },
				     { .text = "C: 3\r\n" } };
	struct imap_append_message three[3];
	struct flags seen, none;
	int ret;

	flags_of(&seen, "\\Seen");
	flags_of(&none, "");
	for (size_t i = 0; i < 3; i++)
		three[i] = (struct imap_append_message){ .size = 6, .read = read_source,
							 .ctx = &sources[i],
							 .flags = i < 2 ? &seen : &none };
	ret = imap_append(rig->session, &(struct imap_append_request){
		.mailbox = b("INBOX"), .messages = three, .n = 3, .wait = wait }, on_append_done,
		rig, &rig->err);
	if (ret == 0)
		imap_rig_drain(rig);
	flags_release(&seen);
	flags_release(&none);
	return ret;
}

static void test_of_several_messages_with_the_same_flags_only_the_first_waits(void **state)
{
	struct imap_rig rig;

	(void)state;
	imap_rig_open(&rig, "MULTIAPPEND UIDPLUS LITERAL+",
		      "C: a APPEND INBOX (\\Seen) {6}\nS: + go\nC= A: 1\nC=  (\\Seen) {6+}\nC= B: 2\n"
		      "C=  {6}\nS: + go\nC= C: 3\nC= \nS: a OK [APPENDUID 7 1:3]\n"
		      "C: b APPEND INBOX (\\Seen) {6}\nS: + go\nC= A: 1\nC=  (\\Seen) {6}\nS: + go\n"
		      "C= B: 2\nC=  {6}\nS: + go\nC= C: 3\nC= \nS: b OK [APPENDUID 7 4:6]\n");
	assert_int_equal(append_three(&rig, false), 0);
	imap_rig_expect(&rig, "7 uids=1:3 ok ");
	assert_int_equal(append_three(&rig, true), 0); /* all do, where they are asked to */
	imap_rig_expect(&rig, "7 uids=4:6 ok ");
	imap_rig_close(&rig);
}

static void test_a_refusal_of_the_first_literal_does_not_end_the_session(void **state)
{
	struct imap_rig rig;

	(void)state;
	imap_rig_open(&rig, "MULTIAPPEND UIDPLUS LITERAL+",
		      "C: a APPEND INBOX (\\Seen) {6}\nS: a BAD no such flag\n"
		      "C: b APPEND INBOX (\\Seen) {6}\nS: b NO [OVERQUOTA] full\n");
	assert_int_equal(append_three(&rig, false), 0);
	imap_rig_expect(&rig, "bad ");
	assert_int_equal(append_three(&rig, false), 0);
	imap_rig_expect(&rig, "no ");
	assert_true(imap_session_is_ready(rig.session));
	imap_rig_close(&rig);
}

static void test_a_refusal_in_the_middle_is_told_and_ends_the_session(void **state)
{
	struct imap_rig rig;

	(void)state;
	imap_rig_open(&rig, "MULTIAPPEND UIDPLUS LITERAL+",
		      "C: a APPEND INBOX (\\Seen) {6}\nS: + go\nC= A: 1\nC=  (\\Seen) {6+}\nC= B: 2\n"
		      "C=  {6}\nS: a NO [OVERQUOTA] full\n");
	assert_int_equal(append_three(&rig, false), 0);
	imap_rig_expect(&rig, "no ");
	assert_int_equal(imap_session_state(rig.session), IMAP_STATE_CLOSED);
	assert_int_equal(imap_session_error(rig.session)->kind, ERR_RETRY);
	imap_rig_close(&rig);
}

static void test_a_source_that_fails_ends_the_session(void **state)
{
	static const struct {
		struct source source;
		const char *text;
	} cases[] = {
		{ { .text = "0123456789", .fail_at = 7 }, "disk on fire" },
		{ { .text = "0123" }, "shorter than announced" },
	};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct source source = cases[i].source;
		struct imap_append_message m = { .size = 10, .read = read_source,
						 .ctx = &source };
		struct imap_rig rig;

		imap_rig_open(&rig, "", "C: a APPEND INBOX {10}\nS: + go\n");
		assert_int_equal(imap_append(rig.session, &(struct imap_append_request){
			.mailbox = b("INBOX"), .messages = &m, .n = 1 }, on_append_done, &rig,
			&rig.err), 0);
		imap_rig_drain(&rig);
		imap_rig_expect(&rig, "lost ");
		assert_non_null(strstr(imap_session_error(rig.session)->text, cases[i].text));
		imap_rig_close(&rig);
	}
}

/* --- FETCH and SELECT with what QRESYNC adds --- */

static void on_vanished(void *ctx, const struct uidset *uids)
{
	add_set(&((struct imap_rig *)ctx)->log, "gone", uids);
}

static void test_fetch_by_number_by_saved_result_and_with_what_vanished(void **state)
{
	static const struct {
		struct imap_fetch_request request;
		const char *script, *want;
	} cases[] = {
		{ { .numbering = IMAP_NUMBERS, .items = IMAP_FETCH_FLAGS },
		  "C: a FETCH 2:3 (UID FLAGS)\nS: * 2 FETCH (UID 20 FLAGS ())\n"
		  "S: * 9 FETCH (UID 2 FLAGS ())\nS: a OK\n", "2/20:0 ok " },
		{ { .numbering = IMAP_SAVED, .items = IMAP_FETCH_FLAGS },
		  "C: a UID FETCH $ (UID FLAGS)\nS: * 2 FETCH (UID 20 FLAGS ())\nS: a OK\n",
		  "2/20:0 ok " },
		{ { .changed_since = 5, .vanished = true, .items = IMAP_FETCH_FLAGS },
		  "C: a UID FETCH 2:3 (UID FLAGS) (CHANGEDSINCE 5 VANISHED)\n"
		  "S: * VANISHED (EARLIER) 3\nS: * VANISHED 9\n"
		  "S: * 1 FETCH (UID 2 FLAGS () MODSEQ (7))\nS: a OK\n", "gone=3 1/2:7 ok " },
		{ { .changed_since = 5, .vanished = true },
		  "C: a UID FETCH 2:3 (UID) (CHANGEDSINCE 5 VANISHED)\nS: a NO no\n", "no " },
	};
	const enum imap_cap qresync = IMAP_CAP_QRESYNC;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct imap_fetch_request q = cases[i].request;
		struct buf script = BUF_INIT(4096);
		struct uidset set;
		struct imap_rig rig;

		buf_addf(&script, "C: e ENABLE QRESYNC\nS: * ENABLED QRESYNC\nS: e OK\n"
			 "C: s SELECT x (CONDSTORE)\nS: * 9 EXISTS\nS: s OK\n%s",
			 cases[i].script);
		imap_rig_open(&rig, "ENABLE QRESYNC SEARCHRES", buf_str(&script));
		assert_int_equal(imap_enable_wait(rig.session, &qresync, 1, &rig.err), 0);
		assert_int_equal(imap_select(rig.session, b("x"), false, NULL, NULL, &rig.err), 0);
		set_of(&set, "2:3");
		q.uids = &set;
		assert_int_equal(imap_fetch(rig.session, &q, &(struct imap_fetch_sink){
			.message = on_stored, .vanished = on_vanished, .done = imap_rig_note,
			.ctx = &rig }, &rig.err), 0);
		imap_rig_drain(&rig);
		imap_rig_expect(&rig, cases[i].want);
		uidset_release(&set);
		imap_rig_close(&rig);
		buf_release(&script);
	}
}

static void test_select_with_qresync_delivers_what_changed(void **state)
{
	const enum imap_cap qresync = IMAP_CAP_QRESYNC;
	struct imap_resync_sink sink = { .vanished = on_vanished, .message = on_stored,
					 .done = imap_rig_note };
	struct imap_resync since = { .uid_validity = 7, .modseq = 90 };
	struct uidset known, numbers, uids;
	struct imap_rig rig;

	(void)state;
	imap_rig_open(&rig, "ENABLE QRESYNC",
		      "C: e ENABLE QRESYNC\nS: * ENABLED QRESYNC\nS: e OK\n"
		      "C: a SELECT x (QRESYNC (7 90 1:50 (3,7 4,9)))\n"
		      "S: * OK [CLOSED] old\nS: * 8 EXISTS\nS: * OK [UIDVALIDITY 7] ok\n"
		      "S: * VANISHED (EARLIER) 5,40:41\nS: * 3 FETCH (UID 9 FLAGS () MODSEQ (95))\n"
		      "S: a OK\n"
		      "C: b EXAMINE y (QRESYNC (7 90))\nS: * 1 FETCH (UID 1 FLAGS ())\n"
		      "S: * OK [CLOSED] x\nS: * 2 FETCH (UID 2 FLAGS () MODSEQ (91))\n"
		      "S: b OK\n"
		      "C: c EXAMINE z (QRESYNC (7 90))\nS: * 1 FETCH (UID 1 FLAGS ())\n"
		      "S: c OK the code is missing\n"
		      "C: d EXAMINE z (QRESYNC (7 90))\nS: * OK [CLOSED] z\nS: d NO no\n");
	sink.ctx = &rig;
	assert_int_equal(imap_select_resync(rig.session, b("x"), false, &since, &sink, &rig.err),
			 -1);
	assert_non_null(strstr(rig.err.text, "not enabled"));
	assert_int_equal(imap_enable_wait(rig.session, &qresync, 1, &rig.err), 0);
	set_of(&known, "1:50");
	set_of(&numbers, "3,7");
	set_of(&uids, "4,9");
	since.known = &known;
	since.sample_numbers = &numbers;
	since.sample_uids = &uids;
	assert_int_equal(imap_select_resync(rig.session, b("x"), false, &since, &sink, &rig.err),
			 0);
	imap_rig_drain(&rig);
	imap_rig_expect(&rig, "gone=5,40:41 3/9:95 ok ");
	assert_int_equal(imap_session_mailbox(rig.session)->exists, 8);
	since = (struct imap_resync){ .uid_validity = 7, .modseq = 90 };
	/* What comes before [CLOSED] is about the old mailbox. */
	assert_int_equal(imap_select_resync(rig.session, b("y"), true, &since, &sink, &rig.err),
			 0);
	imap_rig_drain(&rig);
	imap_rig_expect(&rig, "2/2:91 ok ");
	/* Or nobody knows what it is about. */
	for (int i = 0; i < 2; i++) {
		assert_int_equal(imap_select_resync(rig.session, b("z"), true, &since, &sink,
						    &rig.err), 0);
		imap_rig_drain(&rig);
		imap_rig_expect(&rig, i ? "no " : "damaged ok ");
	}
	assert_null(imap_session_mailbox(rig.session));
	uidset_release(&known);
	uidset_release(&numbers);
	uidset_release(&uids);
	imap_rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_store_tells_what_was_changed_and_what_had_changed_before),
		cmocka_unit_test(test_a_store_that_cannot_be_said_is_not_sent),
		cmocka_unit_test(test_expunge_counts_what_went_and_never_more_than_was_named),
		cmocka_unit_test(test_copy_and_move_pair_uids_or_admit_that_they_cannot),
		cmocka_unit_test(test_the_pairs_of_a_copy_in_several_commands_are_put_together),
		cmocka_unit_test(test_move_is_refused_where_it_is_not_offered),
		cmocka_unit_test(test_search_answers_the_same_with_and_without_esearch),
		cmocka_unit_test(test_no_charset_is_named_where_everything_is_utf8),
		cmocka_unit_test(test_criteria_are_encoded_by_what_they_are),
		cmocka_unit_test(test_searches_that_are_not_offered_are_refused),
		cmocka_unit_test(test_the_first_append_with_these_flags_waits_for_its_literal),
		cmocka_unit_test(test_bad_to_a_literal_under_way_ends_the_connection),
		cmocka_unit_test(test_literal_minus_waits_above_4096_bytes),
		cmocka_unit_test(test_nothing_that_a_server_may_choke_on_is_sent),
		cmocka_unit_test(test_several_messages_get_one_uid_each_or_none),
		cmocka_unit_test(test_of_several_messages_with_the_same_flags_only_the_first_waits),
		cmocka_unit_test(test_a_refusal_of_the_first_literal_does_not_end_the_session),
		cmocka_unit_test(test_a_refusal_in_the_middle_is_told_and_ends_the_session),
		cmocka_unit_test(test_a_source_that_fails_ends_the_session),
		cmocka_unit_test(test_fetch_by_number_by_saved_result_and_with_what_vanished),
		cmocka_unit_test(test_select_with_qresync_delivers_what_changed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
