#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/buf.h"
#include "core/base/clock.h"
#include "core/base/err.h"
#include "core/base/mem.h"
#include "core/imap/account.h"
#include "core/imap/commands.h"
#include "core/imap/loop.h"
#include "core/msgset/uidset.h"
#include "tests/lib/imap_play.h"

struct fixture {
	struct imap_account account;
	struct imap_play *play;
	struct loop *loop;
	struct imap_session *session;
	struct buf log;
	struct err err;
};

static void fixture_open(struct fixture *f, const char *caps, const char *disable,
			 const char *script)
{
	struct buf text = BUF_INIT((size_t)1 << 28);

	*f = (struct fixture){ .account = { .name = "test", .host = "mail.example",
					    .tls = IMAP_TLS_NONE, .user = "alice",
					    .disable_extensions = disable, .timeout_ms = 2000 } };
	buf_addf(&text, "S: * PREAUTH [CAPABILITY IMAP4rev1 %s] hello\n%s", caps, script);
	f->play = play_new(buf_str(&text));
	buf_release(&text);
	buf_init(&f->log, 1 << 20);
	f->loop = loop_new(NULL, NULL);
	f->session = imap_session_new_on(f->loop, &f->account, NULL, play_transport(f->play));
	assert_int_equal(imap_session_open(f->session, &f->err), 0);
}

static void fixture_close(struct fixture *f)
{
	imap_session_free(f->session);
	loop_free(f->loop);
	buf_release(&f->log);
	play_finish(f->play);
}

/* --- LIST --- */

static void describe(const struct imap_mailbox_list *list, struct buf *out)
{
	for (size_t i = 0; i < list->n; i++) {
		const struct imap_mailbox_entry *e = &list->entries[i];

		mailbox_name_display(&e->name, out);
		if (e->attributes & IMAP_MAILBOX_SUBSCRIBED)
			buf_add_str(out, "*");
		if (e->attributes & IMAP_MAILBOX_NOSELECT)
			buf_add_str(out, "-");
		if (e->present & IMAP_ITEM_MESSAGES)
			buf_addf(out, "=%u", e->messages);
		if (e->present & IMAP_ITEM_HIGHESTMODSEQ)
			buf_addf(out, "/%llu", (unsigned long long)e->highest_modseq);
		buf_add_str(out, " ");
	}
	buf_add_str(out, list->complete ? "complete" : "partial");
}

static void test_mailboxes_are_found_on_every_rung_of_the_ladder(void **state)
{
	static const struct {
		const char *caps, *disable, *script, *want;
	} cases[] = {
		{ "LIST-EXTENDED LIST-STATUS SPECIAL-USE CONDSTORE", NULL, /* A1 */
		  "C: a LIST \"\" * RETURN (SUBSCRIBED CHILDREN SPECIAL-USE STATUS "
		  "(MESSAGES UIDNEXT HIGHESTMODSEQ))\n"
		  "S: * LIST (\\Subscribed) \"/\" INBOX\n"
		  "S: * STATUS INBOX (MESSAGES 3 UIDNEXT 4 HIGHESTMODSEQ 9)\n"
		  "S: * LIST (\\Noselect) \"/\" z\n"
		  "S: * LIST () \"/\" z/b\n"
		  "S: * STATUS z/b (MESSAGES 1 UIDNEXT 2 HIGHESTMODSEQ 8)\n"
		  "S: a OK done\n",
		  "INBOX*=3/9 z- z/b=1/8 complete" },
		{ "LIST-EXTENDED LIST-STATUS SPECIAL-USE", NULL, /* a STATUS line is missing */
		  "C: a LIST \"\" * RETURN (SUBSCRIBED CHILDREN SPECIAL-USE STATUS (MESSAGES UIDNEXT))\n"
		  "S: * LIST () \"/\" INBOX\nS: * LIST () \"/\" b\nS: * LIST () \"/\" c\n"
		  "S: * STATUS c (MESSAGES 1)\nS: a OK done\n"
		  "C: b STATUS INBOX (MESSAGES UIDNEXT)\nC: c STATUS b (MESSAGES UIDNEXT)\n"
		  "S: * STATUS inbox (MESSAGES 5)\nS: b OK done\nS: c NO no access\n",
		  "INBOX=5 b c=1 complete" },
		{ "LIST-EXTENDED LIST-STATUS SPECIAL-USE", NULL, /* SPECIAL-USE is refused */
		  "C: a LIST \"\" * RETURN (SUBSCRIBED CHILDREN SPECIAL-USE STATUS (MESSAGES UIDNEXT))\n"
		  "S: * LIST () \"/\" half\nS: a BAD no\n"
		  "C: b LIST \"\" * RETURN (SUBSCRIBED CHILDREN STATUS (MESSAGES UIDNEXT))\n"
		  "S: * LIST () \"/\" b\nS: * STATUS b (MESSAGES 1)\nS: b OK done\n",
		  "b=1 complete" },
		{ "LIST-EXTENDED", NULL, /* A2 */
		  "C: a LIST \"\" * RETURN (SUBSCRIBED CHILDREN)\n"
		  "S: * LIST (\\Subscribed) \"/\" b\nS: a OK done\n"
		  "C: b STATUS b (MESSAGES UIDNEXT)\nS: * STATUS b (MESSAGES 1)\nS: b OK done\n",
		  "b*=1 complete" },
		/* A3, by the user's wish */
		{ "LIST-EXTENDED LIST-STATUS", "LIST-EXTENDED, LIST-STATUS",
		  "C: a LIST \"\" *\nC: b LSUB \"\" *\n"
		  "S: * LIST () \".\" b\nS: * LIST () \".\" INBOX\nS: a OK done\n"
		  "S: * LSUB () \".\" inbox\nS: * LSUB () \".\" gone\nS: b OK done\n"
		  "C: c STATUS INBOX (MESSAGES UIDNEXT)\nC: d STATUS b (MESSAGES UIDNEXT)\n"
		  "S: * STATUS INBOX (MESSAGES 2)\nS: c OK done\nS: d OK done\n",
		  "INBOX*=2 b complete" },
		{ "", NULL, /* A4 */
		  "C: a LIST \"\" *\nC: b LSUB \"\" *\nS: a NO too many\nS: b OK done\n"
		  "C: c LIST \"\" %\nC: d LIST \"\" INBOX\n"
		  "S: * LIST (\\Noselect) \"/\" a*\nS: * LIST (\\HasNoChildren) \"/\" b\nS: c OK done\n"
		  "S: * LIST () NIL INBOX\nS: d OK done\n"
		  "C: e LIST \"\" a%/%\nS: * LIST (\\Noinferiors) \"/\" \"a*/x\"\nS: e OK done\n"
		  "C: f STATUS INBOX (MESSAGES UIDNEXT)\nC: g STATUS \"a*/x\" (MESSAGES UIDNEXT)\n"
		  "C: h STATUS b (MESSAGES UIDNEXT)\n"
		  "S: f OK done\nS: g OK done\nS: h OK done\n",
		  "INBOX a*- a*/x b complete" },
		/* OK and nothing: asked again, and not believed */
		{ "LIST-EXTENDED LIST-STATUS", NULL,
		  "C: a LIST \"\" * RETURN (SUBSCRIBED CHILDREN STATUS (MESSAGES UIDNEXT))\n"
		  "S: a OK done\nC: b LIST \"\" *\nC: c LSUB \"\" *\nS: b OK done\nS: c OK done\n",
		  "partial" },
		/* a line that cannot be read may have been a mailbox */
		{ "LIST-EXTENDED LIST-STATUS", NULL,
		  "C: a LIST \"\" * RETURN (SUBSCRIBED CHILDREN STATUS (MESSAGES UIDNEXT))\n"
		  "S: * LIST () \"/\" b\nS: * STATUS b (MESSAGES 1)\nS: * LIST (((\nS: a OK done\n",
		  "b=1 partial" },
	};
	const struct imap_list_options options = {
		.status = IMAP_ITEM_MESSAGES | IMAP_ITEM_UIDNEXT | IMAP_ITEM_HIGHESTMODSEQ |
			  IMAP_ITEM_MAILBOXID,
		.subscribed = true,
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct imap_mailbox_list list;
		struct fixture f;

		fixture_open(&f, cases[i].caps, cases[i].disable, cases[i].script);
		if (imap_list_wait(f.session, &options, &list, &f.err) < 0)
			buf_add_str(&f.log, f.err.text);
		else
			describe(&list, &f.log);
		imap_mailbox_list_release(&list);
		if (strcmp(buf_str(&f.log), cases[i].want) != 0) {
			print_error("case %zu: %s\n", i, buf_str(&f.log));
			fixture_close(&f);
			fail();
		}
		fixture_close(&f);
	}
}

static void test_a_list_that_never_ends_is_cut_off(void **state)
{
	const struct imap_list_options options = { .max_mailboxes = 2 };
	struct imap_mailbox_list list;
	struct fixture f;

	(void)state;
	fixture_open(&f, "", NULL, "C: a LIST \"\" *\nS: * LIST () \"/\" a\nS: * LIST () \"/\" b\n"
				  "S: * LIST () \"/\" c\n");
	assert_int_equal(imap_list_wait(f.session, &options, &list, &f.err), -1);
	assert_int_equal(f.err.kind, ERR_FATAL);
	fixture_close(&f);
}

/* Lines may be long and many: what is kept of them has a limit of its own. */
static void test_a_list_of_endless_text_is_cut_off(void **state)
{
	struct buf script = BUF_INIT((size_t)1 << 28);
	struct imap_list_options options = { 0 };
	struct imap_mailbox_list list;
	struct fixture f;
	char *long_one = xmalloc(200001);

	(void)state;
	memset(long_one, 'x', 200000);
	long_one[200000] = 0;
	buf_add_str(&script, "C: a LIST \"\" *\n");
	for (int i = 0; i < 180; i++)
		buf_addf(&script, "S: * LIST (\\%s) \"/\" a%d\n", long_one, i);
	fixture_open(&f, "", NULL, buf_str(&script));
	assert_int_equal(imap_list_wait(f.session, &options, &list, &f.err), -1);
	assert_int_equal(f.err.kind, ERR_FATAL);
	free(long_one);
	buf_release(&script);
	fixture_close(&f);
}

/* --- STATUS --- */

static void on_status(void *ctx, const struct imap_mailbox_status *st, const struct imap_result *r)
{
	struct fixture *f = ctx;

	if (st)
		buf_addf(&f->log, "%.*s=%u\n", (int)st->name.n, (const char *)st->name.p,
			 st->messages);
	else
		buf_addf(&f->log, "none, kind %d\n", r->err->kind);
}

static void test_status_answers_are_told_apart_by_name(void **state)
{
	struct fixture f;

	(void)state;
	fixture_open(&f, "", NULL,
		     "C: a STATUS a (MESSAGES)\nC: b STATUS INBOX (MESSAGES)\nC: c STATUS c (MESSAGES)\n"
		     "S: * STATUS inbox (MESSAGES 2)\nS: * STATUS a (MESSAGES 1)\nS: * STATUS x (MESSAGES 9)\n"
		     "S: a OK done\nS: b OK done\nS: c NO [NONEXISTENT] no such\n");
	imap_status(f.session, bytes_of("a"), IMAP_ITEM_MESSAGES, on_status, &f, &f.err);
	imap_status(f.session, bytes_of("INBOX"), IMAP_ITEM_MESSAGES, on_status, &f, &f.err);
	imap_status(f.session, bytes_of("c"), IMAP_ITEM_MESSAGES, on_status, &f, &f.err);
	assert_int_equal(imap_session_drain(f.session, &f.err), 0);
	buf_addf(&f.log, "%d", ERR_MISSING);
	assert_string_equal(buf_str(&f.log), "a=1\nINBOX=2\nnone, kind 8\n8");
	fixture_close(&f);
}

/* --- SEARCH --- */

static void on_search(void *ctx, const struct uidset *found, const struct imap_result *r)
{
	struct fixture *f = ctx;

	if (found)
		uidset_format(found, &f->log);
	else
		buf_add_str(&f->log, "failed");
	buf_add_str(&f->log, r->damaged ? " damaged" : "");
}

static void test_search_finds_the_same_however_the_server_answers(void **state)
{
	static const struct {
		const char *caps, *script, *want;
	} cases[] = {
		{ "ESEARCH", "C: b UID SEARCH RETURN (ALL) ALL\n"
			     "S: * ESEARCH (TAG \"zzz\") UID ALL 99\n"
			     "S: * ESEARCH (TAG \"<b>\") UID ALL 1:3,7\nS: b OK done\n", "1:3,7" },
		{ "ESEARCH", "C: b UID SEARCH RETURN (ALL) ALL\nS: * SEARCH 7 1 2 3\nS: b OK done\n",
		  "1:3,7" },
		{ "", "C: b UID SEARCH ALL\nS: * SEARCH 7 1\nS: * SEARCH 3 2\nS: b OK done\n", "1:3,7" },
		{ "", "C: b UID SEARCH ALL\nS: b NO not now\n", "failed" },
		/* EXISTS is 4: nothing found cannot be. */
		{ "ESEARCH", "C: b UID SEARCH RETURN (ALL) ALL\nS: * ESEARCH (TAG \"<b>\") UID\nS: b OK done\n",
		  " damaged" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf script = BUF_INIT(1 << 20);
		struct fixture f;

		buf_addf(&script, "C: a EXAMINE one\nS: * 4 EXISTS\nS: a OK in\n%s", cases[i].script);
		fixture_open(&f, cases[i].caps, NULL, buf_str(&script));
		imap_select(f.session, bytes_of("one"), true, NULL, NULL, &f.err);
		imap_session_drain(f.session, &f.err);
		imap_search(f.session, "ALL", NULL, on_search, &f, &f.err);
		imap_session_drain(f.session, &f.err);
		assert_string_equal(buf_str(&f.log), cases[i].want);
		buf_release(&script);
		fixture_close(&f);
	}
}

/* Where ranges are answered, a gap costs less than what it takes to leave it out. */
static void test_search_asks_about_small_gaps_and_tells_nothing_of_them(void **state)
{
	static const struct {
		const char *caps, *script;
	} cases[] = {
		{ "ESEARCH", "C: b UID SEARCH RETURN (ALL) UID 1:9,2000:2005 ALL\n"
			     "S: * ESEARCH (TAG \"<b>\") UID ALL 2:4,6:9,2000\nS: b OK done\n" },
		{ "", "C: b UID SEARCH UID 1:3,5:9,2000:2001,2003:2005 ALL\n"
		      "S: * SEARCH 2 3 6 7 8 9 2000\nS: b OK done\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf script = BUF_INIT(1 << 20);
		struct uidset within = UIDSET_INIT;
		struct fixture f;

		uidset_parse(&within, bytes_of("1:3,5:9,2000:2001,2003:2005"), UIDSET_STRICT, NULL, NULL);
		buf_addf(&script, "C: a EXAMINE one\nS: * 12 EXISTS\nS: a OK in\n%s", cases[i].script);
		fixture_open(&f, cases[i].caps, NULL, buf_str(&script));
		imap_select(f.session, bytes_of("one"), true, NULL, NULL, &f.err);
		imap_session_drain(f.session, &f.err);
		imap_search(f.session, "ALL", &within, on_search, &f, &f.err);
		imap_session_drain(f.session, &f.err);
		assert_string_equal(buf_str(&f.log), "2:3,6:9,2000");
		uidset_release(&within);
		buf_release(&script);
		fixture_close(&f);
	}
}

/* --- FETCH --- */

static void on_fetch_done(void *ctx, const struct imap_result *r)
{
	buf_addf(&((struct fixture *)ctx)->log, "done %d\n", r->outcome);
}

static void on_message(void *ctx, const struct imap_fetch *m)
{
	buf_addf(&((struct fixture *)ctx)->log, "%u ", m->uid);
}

static void on_many(void *ctx, const struct uidset *found, const struct imap_result *r)
{
	assert_false(r->damaged);
	*(uint64_t *)ctx = uidset_count(found);
}

/* Descending and with gaps, the worst there is for a set that is kept in order. */
static void test_a_search_answered_message_by_message_takes_no_longer(void **state)
{
	struct buf script = BUF_INIT((size_t)1 << 28);
	const uint32_t many = 200000;
	uint64_t found = 0;
	int64_t started;
	struct fixture f;

	(void)state;
	buf_add_str(&script, "C: a EXAMINE one\nC: b UID SEARCH SEEN\nS: a OK in\n");
	for (uint32_t i = many; i > 0; i--)
		buf_addf(&script, "S: * SEARCH %u\n", i * 2);
	buf_add_str(&script, "S: b OK done\n");
	fixture_open(&f, "", NULL, buf_str(&script));
	imap_select(f.session, bytes_of("one"), true, NULL, NULL, &f.err);
	assert_int_equal(imap_search(f.session, "SEEN", NULL, on_many, &found, &f.err), 0);
	started = clock_ms();
	assert_int_equal(imap_session_drain(f.session, &f.err), 0);
	assert_int_equal(found, many);
	assert_true(clock_ms() - started < 10000);
	buf_release(&script);
	fixture_close(&f);
}

static void test_fetch_asks_only_for_what_the_server_knows(void **state)
{
	static const struct {
		const char *caps, *line;
		unsigned offered; /* of those that need an extension, and ENVELOPE */
	} cases[] = {
		{ "", "UID FETCH 5 (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE "
		      "BODY.PEEK[HEADER]<100.50>)", 0 },
		{ "CONDSTORE OBJECTID", "UID FETCH 5 (UID FLAGS INTERNALDATE RFC822.SIZE MODSEQ EMAILID "
					"THREADID ENVELOPE BODYSTRUCTURE BODY.PEEK[HEADER]<100.50>) "
					"(CHANGEDSINCE 77)", 0 },
		{ "SAVEDATE PREVIEW", "UID FETCH 5 (UID FLAGS INTERNALDATE RFC822.SIZE SAVEDATE PREVIEW "
				      "ENVELOPE BODYSTRUCTURE BODY.PEEK[HEADER]<100.50>)",
		  IMAP_FETCH_SAVEDATE | IMAP_FETCH_PREVIEW },
		{ "X-GM-EXT-1", "UID FETCH 5 (UID FLAGS INTERNALDATE RFC822.SIZE X-GM-MSGID X-GM-THRID "
				"X-GM-LABELS ENVELOPE BODYSTRUCTURE BODY.PEEK[HEADER]<100.50>)",
		  IMAP_FETCH_GM_MSGID | IMAP_FETCH_GM_THRID | IMAP_FETCH_GM_LABELS },
	};
	const unsigned gated = IMAP_FETCH_ENVELOPE | IMAP_FETCH_SAVEDATE | IMAP_FETCH_PREVIEW |
			       IMAP_FETCH_GM_MSGID | IMAP_FETCH_GM_THRID | IMAP_FETCH_GM_LABELS;
	const struct imap_fetch_sink sink = { .done = on_fetch_done };
	struct uidset set = UIDSET_INIT;

	(void)state;
	uidset_add(&set, 5);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct imap_fetch_request q = {
			.uids = &set, .items = ~0u, .section = "HEADER", .offset = 100, .length = 50,
			.changed_since = 77 };
		struct imap_fetch_sink mine = sink;
		struct buf script = BUF_INIT(1 << 20);
		struct fixture f;

		buf_addf(&script, "C: a EXAMINE one%s\nC: b %s\nS: a OK in\nS: b OK done\n",
			 i == 1 ? " (CONDSTORE)" : "", cases[i].line);
		fixture_open(&f, cases[i].caps, NULL, buf_str(&script));
		mine.ctx = &f;
		imap_select(f.session, bytes_of("one"), true, NULL, NULL, &f.err);
		assert_int_equal(imap_fetch(f.session, &q, &mine, &f.err), 0);
		assert_int_equal(imap_session_drain(f.session, &f.err), 0);
		assert_string_equal(buf_str(&f.log), "done 0\n");
		assert_int_equal(imap_fetch_offered(f.session, gated),
				 cases[i].offered | IMAP_FETCH_ENVELOPE);
		buf_release(&script);
		fixture_close(&f);
	}
	uidset_release(&set);
}

static void test_a_long_set_takes_several_commands_and_ends_once(void **state)
{
	struct imap_fetch_sink sink = { .message = on_message, .done = on_fetch_done };
	struct uidset set = UIDSET_INIT;
	struct fixture f;

	(void)state;
	for (uint32_t uid = 4000000001; uid < 4000000001 + 2 * 100; uid += 2)
		uidset_add(&set, uid);
	fixture_open(&f, "", NULL,
		     "C: a EXAMINE one\nC: b UID FETCH 4000000001,...\nC: c UID FETCH 40000001...\n"
		     "S: a OK in\nS: * 9 FETCH (UID 4000000199)\nS: * 1 FETCH (UID 4000000001)\n"
		     "S: b NO some of it\nS: c OK done\n");
	sink.ctx = &f;
	imap_select(f.session, bytes_of("one"), true, NULL, NULL, &f.err);
	assert_int_equal(imap_fetch(f.session, &(struct imap_fetch_request){ .uids = &set }, &sink,
				    &f.err), 0);
	assert_int_equal(imap_session_drain(f.session, &f.err), 0);
	assert_string_equal(buf_str(&f.log), "4000000199 4000000001 done 1\n");
	uidset_release(&set);
	fixture_close(&f);
}

/* --- the small ones --- */

static void on_done(void *ctx, const struct imap_result *r)
{
	buf_addf(&((struct fixture *)ctx)->log, "left %d\n", r->outcome);
}

static void test_a_mailbox_is_left_without_expunging(void **state)
{
	static const struct {
		const char *caps;
		bool read_only;
		const char *script;
	} cases[] = {
		{ "UNSELECT", false, "C: a SELECT one\nC: b UNSELECT\nS: a OK in\nS: b OK out\n" },
		{ "", true, "C: a EXAMINE one\nC: b CLOSE\nS: a OK in\nS: b OK out\n" },
		{ "", false, "C: a SELECT one\nS: a OK in\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fixture f;

		fixture_open(&f, cases[i].caps, NULL, cases[i].script);
		imap_select(f.session, bytes_of("one"), cases[i].read_only, NULL, NULL, &f.err);
		imap_unselect(f.session, on_done, &f);
		assert_int_equal(imap_session_drain(f.session, &f.err), 0);
		assert_string_equal(buf_str(&f.log), "left 0\n");
		assert_int_equal(imap_session_mailbox(f.session) != NULL, i == 2);
		fixture_close(&f);
	}
}

static void test_id_and_namespace_are_read(void **state)
{
	struct imap_namespaces ns;
	struct imap_id id;
	struct fixture f;

	(void)state;
	fixture_open(&f, "ID NAMESPACE", NULL,
		     "C: i ID (\"name\" ...\nS: i OK done\n"
		     "C: a ID NIL\nS: * ID (\"name\" \"Cy \\\"rus\" \"os\" NIL)\nS: a OK done\n"
		     "C: b NAMESPACE\nS: * NAMESPACE ((\"INBOX.\" \".\")) NIL ((\"Shared/\" \"/\"))\n"
		     "S: b OK done\n");
	assert_int_equal(imap_id_wait(f.session, &id, &f.err), 0);
	assert_int_equal(id.n, 2);
	assert_string_equal(id.values[0], "Cy \"rus");
	assert_null(id.values[1]);
	assert_int_equal(imap_namespace_wait(f.session, &ns, &f.err), 0);
	assert_int_equal(ns.n, 2);
	assert_true(bytes_is(ns.list[0].prefix, "INBOX.") && ns.list[0].delimiter == '.');
	assert_int_equal(ns.list[1].kind, IMAP_NAMESPACE_SHARED);
	imap_id_release(&id);
	imap_namespaces_release(&ns);
	fixture_close(&f);

	fixture_open(&f, "", NULL, "C: a LIST \"\" \"\"\nS: * LIST (\\Noselect) \".\" \"\"\nS: a OK done\n");
	assert_int_equal(imap_namespace_wait(f.session, &ns, &f.err), 0);
	assert_true(ns.n == 1 && ns.list[0].delimiter == '.' && ns.list[0].prefix.n == 0);
	imap_namespaces_release(&ns);
	fixture_close(&f);
}

static void test_subscriptions_are_listed(void **state)
{
	static const struct {
		const char *caps, *script;
	} cases[] = {
		{ "", "C: a LSUB \"\" *\nS: * LSUB () \"/\" b\nS: * LSUB () \"/\" a\nS: a OK done\n" },
		{ "LIST-EXTENDED", "C: a LIST (SUBSCRIBED) \"\" *\nS: * LIST (\\Subscribed) \"/\" b\n"
				   "S: * LIST (\\Subscribed) \"/\" a\nS: a OK done\n" },
	};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct imap_mailbox_list list;
		struct fixture f;

		fixture_open(&f, cases[i].caps, NULL, cases[i].script);
		assert_int_equal(imap_lsub_wait(f.session, &list, &f.err), 0);
		describe(&list, &f.log);
		assert_string_equal(buf_str(&f.log), "a* b* complete");
		imap_mailbox_list_release(&list);
		fixture_close(&f);
	}
}

static void test_logout_ends_without_error(void **state)
{
	static const char *const scripts[] = {
		"C: a LOGOUT\nS: * BYE bye\nS: a OK done\n",
		"C: a LOGOUT\nS: * BYE bye\nEND\n", /* in a hurry */
	};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct fixture f;

		fixture_open(&f, "", NULL, scripts[i]);
		assert_int_equal(imap_logout_wait(f.session, &f.err), 0);
		assert_int_equal(imap_session_state(f.session), IMAP_STATE_CLOSED);
		assert_int_equal(imap_session_error(f.session)->kind, ERR_NONE);
		fixture_close(&f);
	}
}

static bool stop_soon(void *ctx)
{
	return --*(int *)ctx < 0;
}

/* Whoever waited is gone then, so nothing may be left that would call back. */
static void test_a_wait_that_is_interrupted_ends_the_session(void **state)
{
	struct imap_account a = { .name = "test", .host = "mail.example", .tls = IMAP_TLS_NONE,
				  .user = "alice", .timeout_ms = 2000 };
	struct imap_play *p = play_new("S: * PREAUTH [CAPABILITY IMAP4rev1] x\nC: a NOOP\nPAUSE\n");
	int polls = 3;
	struct loop *loop = loop_new(stop_soon, &polls);
	struct imap_session *s = imap_session_new_on(loop, &a, NULL, play_transport(p));
	struct err err = { 0 };

	(void)state;
	assert_int_equal(imap_session_open(s, &err), 0);
	assert_int_equal(imap_noop_wait(s, &err), -1);
	assert_int_equal(err.kind, ERR_STOPPED);
	assert_int_equal(imap_session_state(s), IMAP_STATE_CLOSED);
	assert_int_equal(imap_session_pending(s), 0);
	imap_session_free(s);
	loop_free(loop);
	play_finish(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mailboxes_are_found_on_every_rung_of_the_ladder),
		cmocka_unit_test(test_a_list_that_never_ends_is_cut_off),
		cmocka_unit_test(test_a_list_of_endless_text_is_cut_off),
		cmocka_unit_test(test_a_search_answered_message_by_message_takes_no_longer),
		cmocka_unit_test(test_status_answers_are_told_apart_by_name),
		cmocka_unit_test(test_search_asks_about_small_gaps_and_tells_nothing_of_them),
		cmocka_unit_test(test_search_finds_the_same_however_the_server_answers),
		cmocka_unit_test(test_fetch_asks_only_for_what_the_server_knows),
		cmocka_unit_test(test_a_long_set_takes_several_commands_and_ends_once),
		cmocka_unit_test(test_a_mailbox_is_left_without_expunging),
		cmocka_unit_test(test_id_and_namespace_are_read),
		cmocka_unit_test(test_subscriptions_are_listed),
		cmocka_unit_test(test_a_wait_that_is_interrupted_ends_the_session),
		cmocka_unit_test(test_logout_ends_without_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
