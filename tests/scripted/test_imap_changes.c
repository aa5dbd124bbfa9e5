/*
 * What changed since the last agreement: what is asked of which server, and what is made of answers
 * that do not add up. The agreement is UIDVALIDITY 7, UIDNEXT 6, HIGHESTMODSEQ 40 (or none), and the
 * UIDs 1 to 5, or to 300.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/base/buf.h"
#include "core/base/mem.h"
#include "tests/lib/store_script.h"

#define SERVER(caps)                                                                       \
	"S: * OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] ready\n"                              \
	"C: AUTHENTICATE PLAIN *\nS: $TAG OK [CAPABILITY IMAP4rev1 LIST-EXTENDED LIST-STATUS" caps "] in\n"
#define LISTS                                                                              \
	"C: LIST \"\" \\* RETURN (*)\nS: * LIST () \"/\" INBOX\n"                                  \
	"S: * STATUS INBOX (MESSAGES 5 UIDNEXT 6 UIDVALIDITY 7)\nS: $TAG OK done\n"
#define BARE SERVER("") LISTS
/* It never tells UIDNEXT. */
#define OLD SERVER("")                                                                     \
	"C: LIST \"\" \\* RETURN (*)\nS: * LIST () \"/\" INBOX\n"                                  \
	"S: * STATUS INBOX (MESSAGES 5 UIDVALIDITY 7)\nS: $TAG OK done\n"
#define OLD_STATE "S: * 0 EXISTS\nS: * OK [UIDVALIDITY 7] v\nS: $open OK [READ-ONLY] done\n"
#define ESEARCH SERVER(" ESEARCH") LISTS
#define CONDSTORE SERVER(" CONDSTORE") LISTS
#define QRESYNC                                                                            \
	SERVER(" ENABLE QRESYNC")                                                          \
	"C: ENABLE QRESYNC\nS: * ENABLED QRESYNC\nS: $TAG OK done\n" LISTS

#define STATE(exists, next, modseq)                                                        \
	"S: * " exists " EXISTS\nS: * OK [UIDVALIDITY 7] v\nS: * OK [UIDNEXT " next "] n\n" modseq \
	"S: $open OK [READ-ONLY] done\n"
#define MODSEQ(n) "S: * OK [HIGHESTMODSEQ " n "] m\n"
/* The mailbox is opened and, in the same flight, asked this. */
#define ASK(exists, next, question)                                                        \
	"C(open): EXAMINE INBOX\nC: " question "\n" STATE(exists, next, "")
#define ASK_MODSEQ(exists, next, modseq, question)                                         \
	"C(open): EXAMINE INBOX (CONDSTORE)\nC: " question "\n" STATE(exists, next, MODSEQ(modseq))
#define SINCE "UID FETCH 1:5 (UID FLAGS) (CHANGEDSINCE 40)"
#define SINCE_VANISHED "UID FETCH 1:5 (UID FLAGS) (CHANGEDSINCE 40 VANISHED)"
#define ALL "UID FETCH 1:5 (UID FLAGS)"
#define FLAGS(n, uid) "S: * " n " FETCH (UID " uid " FLAGS (\\\\Seen))\n"
#define DONE "S: $TAG OK done\n"
#define ALL_FIVE FLAGS("1", "1") FLAGS("2", "2") FLAGS("3", "3") FLAGS("4", "4") FLAGS("5", "5")

struct expected {
	const char *script;
	bool delta, complete;
	const char *told, *vanished; /* sets; "" for empty */
	/* the request */
	uint64_t modseq;
	bool flags_as_then;
	const char *seen; /* of those known: \\Seen, and nothing else; NULL: not to be verified */
};

static void assert_set(const struct uidset *set, const char *want)
{
	struct buf text = BUF_INIT(1000);

	uidset_format(set, &text);
	assert_string_equal(buf_str(&text), want);
	buf_release(&text);
}

/* `known`: the UIDs 1 to this; `todo`: those that had $Todo, NULL: the flag was not in use. */
static void play_known(const struct expected *x, uint32_t n, const char *todo)
{
	char *text = xasprintf("%s%s", x->script, LOGOUT);
	struct token since = { .known = true, .uidvalidity = 7, .uidnext = n + 1, .messages = n,
			       .highestmodseq = x->modseq };
	struct flag_column column[FLAG_BITS + 1] = { [FLAG_BITS].flag = "$Todo" };
	struct flagged flagged = { .v = column, .n = todo ? FLAG_BITS + 1 : FLAG_BITS };
	struct uidset known = UIDSET_INIT, told = UIDSET_INIT;
	struct changes c;
	struct changes_request req = { .since = &since, .known = &known, .out = &c,
				       .flags_as_then = x->flags_as_then };
	struct script t;
	struct err err;

	uidset_add_range(&known, 1, n);
	if (todo)
		uidset_parse(&column[FLAG_BITS].set, bytes_of(todo), UIDSET_STRICT, NULL, NULL);
	if (x->seen) {
		uidset_parse(&column[0].set, bytes_of(x->seen), UIDSET_STRICT, NULL, NULL);
		req.flagged = &flagged;
	}
	changes_init(&c);
	script_start(&t, text);
	probe_list(&t.probe, NULL);
	req.mailbox = probe_mailbox(&t.probe, "INBOX");
	if (store_changes(t.probe.store, &req, 1, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(c.err.kind, ERR_NONE);
	assert_int_equal(c.delta, x->delta);
	assert_int_equal(c.complete, x->complete);
	for (size_t i = 0; i < c.n; i++)
		uidset_add(&told, c.v[i].uid);
	assert_set(&told, x->told);
	assert_set(&c.vanished, x->vanished);
	changes_release(&c);
	uidset_release(&known);
	uidset_release(&column[0].set);
	uidset_release(&column[FLAG_BITS].set);
	uidset_release(&told);
	script_end(&t);
	free(text);
}

static void play(const struct expected *x)
{
	play_known(x, 5, NULL);
}

static void test_each_server_is_asked_in_its_own_way(void **state)
{
	static const struct expected cases[] = {
		/* QRESYNC says itself what is gone */
		{ QRESYNC ASK_MODSEQ("4", "6", "50", SINCE_VANISHED)
		  "S: * VANISHED (EARLIER) 2,9\n" FLAGS("2", "3") DONE,
		  true, true, "3", "2", 40, false, NULL },
		/* CONDSTORE: fewer than there were, so which? */
		{ CONDSTORE ASK_MODSEQ("4", "6", "50", SINCE) FLAGS("2", "3") DONE
		  ASK_MODSEQ("4", "6", "50", "UID SEARCH UID 1:5 ALL") "S: * SEARCH 1 3 4 5\n" DONE,
		  true, true, "3", "2", 40, false, NULL },
		{ CONDSTORE ASK_MODSEQ("5", "6", "50", SINCE) DONE, true, true, "", "", 40, false, NULL },
		/* neither, and flags are not wanted: only what is above the old UIDNEXT */
		{ BARE "C(open): EXAMINE INBOX\n" STATE("5", "7", "")
		  ASK("5", "7", "UID FETCH 6 (UID FLAGS)") FLAGS("5", "6") DONE
		  ASK("5", "7", "UID SEARCH UID 1:5 ALL") "S: * SEARCH 5 4 3 2\n" DONE,
		  true, true, "6", "1", 0, true, NULL },
		{ ESEARCH "C(open): EXAMINE INBOX\n" STATE("3", "6", "")
		  ASK("3", "6", "UID SEARCH RETURN (ALL) UID 1:5 ALL")
		  "S: * ESEARCH (TAG \"$TAG\") UID ALL 2:4\n" DONE,
		  true, true, "", "1,5", 0, true, NULL },
		/* wanted: all of them */
		{ BARE ASK("5", "6", ALL) ALL_FIVE DONE, false, true, "1:5", "", 0, false, NULL },
		{ ESEARCH ASK("5", "6", ALL) ALL_FIVE DONE, false, true, "1:5", "", 0, false, "1:2" },
		/* nothing is left, and it says so itself */
		{ QRESYNC ASK_MODSEQ("0", "6", "50", SINCE_VANISHED) "S: * VANISHED (EARLIER) 1:5\n" DONE,
		  true, true, "", "1:5", 40, false, NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		print_message("           %zu\n", i);
		play(&cases[i]);
	}
}

static void test_what_does_not_add_up_is_asked_in_full(void **state)
{
	static const struct expected cases[] = {
		/* VANISHED names one that is there */
		{ QRESYNC ASK_MODSEQ("5", "6", "50", SINCE_VANISHED) "S: * VANISHED (EARLIER) 2\n" DONE
		  ASK_MODSEQ("5", "6", "50", ALL) ALL_FIVE DONE, false, true, "1:5", "", 40, false, NULL },
		/* and even tells its flags */
		{ QRESYNC ASK_MODSEQ("4", "6", "50", SINCE_VANISHED) "S: * VANISHED (EARLIER) 2\n"
		  FLAGS("2", "2") DONE ASK_MODSEQ("5", "6", "50", ALL) ALL_FIVE DONE,
		  false, true, "1:5", "", 40, false, NULL },
		/* VANISHED leaves one out: the server is asked what is left */
		{ QRESYNC ASK_MODSEQ("3", "6", "50", SINCE_VANISHED) "S: * VANISHED (EARLIER) 2\n" DONE
		  ASK_MODSEQ("3", "6", "50", "UID SEARCH UID 1:5 ALL") "S: * SEARCH 1 3 4\n" DONE,
		  true, true, "", "2,5", 40, false, NULL },
		/* more than were known, and none of them told */
		{ CONDSTORE ASK_MODSEQ("6", "6", "50", SINCE) DONE
		  ASK_MODSEQ("5", "6", "50", ALL) ALL_FIVE DONE, false, true, "1:5", "", 40, false, NULL },
		/* mod-sequences went back: they mean nothing */
		{ CONDSTORE ASK_MODSEQ("5", "6", "39", SINCE) DONE
		  ASK_MODSEQ("5", "6", "39", ALL) ALL_FIVE DONE, false, true, "1:5", "", 40, false, NULL },
		/* the search finds another number than are left */
		{ CONDSTORE ASK_MODSEQ("4", "6", "50", SINCE) DONE
		  ASK_MODSEQ("4", "6", "50", "UID SEARCH UID 1:5 ALL") "S: * SEARCH 1 3 4\n" DONE
		  ASK_MODSEQ("4", "6", "50", ALL)
		  FLAGS("1", "1") FLAGS("2", "3") FLAGS("3", "4") FLAGS("4", "5") DONE,
		  false, true, "1,3:5", "", 40, false, NULL },
		/* nothing is left, on the word of EXISTS alone */
		{ CONDSTORE ASK_MODSEQ("0", "6", "50", SINCE) DONE ASK_MODSEQ("0", "6", "50", ALL) DONE,
		  false, true, "", "", 40, false, NULL },
		{ CONDSTORE ASK_MODSEQ("0", "6", "50", SINCE) DONE
		  ASK_MODSEQ("5", "6", "50", ALL) ALL_FIVE DONE, false, true, "1:5", "", 40, false, NULL },
		{ BARE "C(open): EXAMINE INBOX\n" STATE("0", "6", "")
		  ASK("0", "6", ALL) DONE, false, true, "", "", 0, true, NULL },
		{ OLD "C(open): EXAMINE INBOX\n" OLD_STATE
		  "C(open): EXAMINE INBOX\nC: UID FETCH 1:4294967294 (UID FLAGS)\n" OLD_STATE DONE,
		  false, true, "", "", 0, false, NULL },
		/* an empty search in a mailbox that is not empty */
		{ CONDSTORE ASK_MODSEQ("4", "6", "50", SINCE) DONE
		  ASK_MODSEQ("4", "6", "50", "UID SEARCH UID 1:5 ALL") "S: * SEARCH\n" DONE
		  ASK_MODSEQ("4", "6", "50", ALL)
		  FLAGS("1", "1") FLAGS("2", "2") FLAGS("3", "4") FLAGS("4", "5") DONE,
		  false, true, "1:2,4:5", "", 40, false, NULL },
		/* a search that is refused */
		{ CONDSTORE ASK_MODSEQ("4", "6", "50", SINCE) DONE
		  ASK_MODSEQ("4", "6", "50", "UID SEARCH UID 1:5 ALL") "S: $TAG NO not today\n"
		  ASK_MODSEQ("4", "6", "50", ALL)
		  FLAGS("1", "1") FLAGS("2", "2") FLAGS("3", "4") FLAGS("4", "5") DONE,
		  false, true, "1:2,4:5", "", 40, false, NULL },
		/* the full answer does not add up either, twice: it proves nothing */
		{ CONDSTORE ASK_MODSEQ("6", "6", "50", SINCE) DONE
		  ASK_MODSEQ("6", "6", "50", ALL) ALL_FIVE DONE
		  ASK_MODSEQ("6", "6", "50", ALL) ALL_FIVE DONE, false, false, "1:5", "", 40, false, NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		print_message("           %zu\n", i);
		play(&cases[i]);
	}
}

/* What stirs while it is asked: the same is asked once more. */
static void test_what_stirs_meanwhile_is_asked_again(void **state)
{
	static const struct expected cases[] = {
		/* a message goes while the changes are told */
		{ CONDSTORE ASK_MODSEQ("5", "6", "50", SINCE) "S: * 5 EXPUNGE\n" DONE
		  ASK_MODSEQ("4", "6", "51", SINCE) DONE
		  ASK_MODSEQ("4", "6", "51", "UID SEARCH UID 1:5 ALL") "S: * SEARCH 1 2 3 4\n" DONE,
		  true, true, "", "5", 40, false, NULL },
		/* between the changes and the search another one went */
		{ CONDSTORE ASK_MODSEQ("4", "6", "50", SINCE) DONE
		  ASK_MODSEQ("3", "6", "51", "UID SEARCH UID 1:5 ALL") "S: * SEARCH 1 2 3\n" DONE
		  ASK_MODSEQ("3", "6", "51", SINCE) FLAGS("1", "1") DONE
		  ASK_MODSEQ("3", "6", "51", "UID SEARCH UID 1:5 ALL") "S: * SEARCH 1 2 3\n" DONE,
		  true, true, "1", "4:5", 40, false, NULL },
		/* one came: the range above is asked, too */
		{ CONDSTORE ASK_MODSEQ("6", "7", "50", SINCE) FLAGS("1", "1") DONE
		  ASK_MODSEQ("6", "7", "50", "UID FETCH 6 (UID FLAGS) (CHANGEDSINCE 40)")
		  FLAGS("6", "6") DONE,
		  true, true, "1,6", "", 40, false, NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		print_message("           %zu\n", i);
		play(&cases[i]);
	}
}

#define COUNTED(n) "C: UID SEARCH RETURN (COUNT) *\nS: * ESEARCH (TAG \"$TAG\") UID COUNT " n "\n" DONE
/* The mailbox is opened again, and five flags are counted. */
#define COUNTS(seen, flagged)                                                              \
	"C(open): EXAMINE INBOX (CONDSTORE)\n" STATE("5", "6", MODSEQ("50"))                  \
	COUNTED(seen) COUNTED("0") COUNTED(flagged) COUNTED("0") COUNTED("0")
#define CONDSTORE_ESEARCH SERVER(" CONDSTORE ESEARCH") LISTS

static void test_flags_that_do_not_count_up_are_asked_in_full(void **state)
{
	static const struct expected cases[] = {
		/* two were \Seen and one became so: three */
		{ CONDSTORE_ESEARCH ASK_MODSEQ("5", "6", "50", SINCE) FLAGS("4", "4") DONE
		  COUNTS("3", "0"), true, true, "4", "", 40, false, "1:2" },
		/* one that had it already counts once */
		{ CONDSTORE_ESEARCH ASK_MODSEQ("5", "6", "50", SINCE) FLAGS("2", "2") DONE
		  COUNTS("2", "0"), true, true, "2", "", 40, false, "1:2" },
		/* a flag was set, and the mod-sequences kept silent about it */
		{ CONDSTORE_ESEARCH ASK_MODSEQ("5", "6", "50", SINCE) DONE COUNTS("2", "1")
		  ASK_MODSEQ("5", "6", "50", ALL) ALL_FIVE DONE, false, true, "1:5", "", 40, false, "1:2" },
		/* a server that cannot count is believed */
		{ CONDSTORE ASK_MODSEQ("5", "6", "50", SINCE) DONE, true, true, "", "", 40, false, "1:2" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		print_message("           %zu\n", i);
		play(&cases[i]);
	}
}

#define LISTS_300                                                                          \
	"C: LIST \"\" \\* RETURN (*)\nS: * LIST () \"/\" INBOX\n"                                  \
	"S: * STATUS INBOX (MESSAGES 300 UIDNEXT 301 UIDVALIDITY 7)\nS: $TAG OK done\n"
#define IN_USE "S: * FLAGS (\\\\Answered \\\\Flagged \\\\Deleted \\\\Seen \\\\Draft $Todo)\n"
#define OPEN_300 "C(open): EXAMINE INBOX\n" IN_USE STATE("300", "301", "")
#define COLUMN(key, answer)                                                                \
	"C: UID SEARCH RETURN (ALL) " key "\nS: * ESEARCH (TAG \"$TAG\") UID" answer "\n" DONE
/* The mailbox is opened again, and it is asked who has each flag. */
#define COLUMNS(flags, seen, todo)                                                         \
	"C(open): EXAMINE INBOX\n" flags STATE("300", "301", "") COLUMN("SEEN", seen)          \
	COLUMN("ANSWERED", "") COLUMN("FLAGGED", "") COLUMN("DELETED", "") COLUMN("DRAFT", "") \
	COLUMN("KEYWORD $Todo", todo)
#define ALL_OF_300 "C(open): EXAMINE INBOX\nC: UID FETCH 1:300 (UID FLAGS)\n"                \
	STATE("300", "301", "") FLAGS("1", "1") DONE                                           \
	"C(open): EXAMINE INBOX\nC: UID FETCH 1:300 (UID FLAGS)\n"                             \
	STATE("300", "301", "") FLAGS("1", "1") DONE
#define ESEARCH_300 SERVER(" ESEARCH") LISTS_300

struct columns {
	const char *script;
	bool delta;
	const char *told, *todo;
};

static void play_columns(const struct columns *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct expected x = { .script = v[i].script, .delta = v[i].delta,
					    .complete = v[i].delta, .told = v[i].told, .vanished = "",
					    .seen = "10:200" };

		print_message("           %zu\n", i);
		play_known(&x, 300, v[i].todo);
	}
}

/* Without mod-sequences, and where answers about flags are shorter than flags. */
static void test_flags_are_asked_one_by_one_where_that_is_shorter(void **state)
{
	static const struct columns cases[] = {
		{ ESEARCH_300 OPEN_300 COLUMNS(IN_USE, " ALL 10:200", " ALL 4"), true, "", "4" },
		/* one that nobody had before is asked for when the server says that it is in use */
		{ ESEARCH_300 OPEN_300 COLUMNS(IN_USE, " ALL 10:200", ""), true, "", NULL },
		/* 15 lost \Seen and 300 got it, 7 got $Todo: of these all flags are asked */
		{ ESEARCH_300 OPEN_300 COLUMNS(IN_USE, " ALL 10:14,16:200,300", " ALL 4,7")
		  "C(open): EXAMINE INBOX\nC: UID FETCH 7,15,300 (UID FLAGS)\n" STATE("300", "301", "")
		  FLAGS("7", "7") FLAGS("15", "15") FLAGS("300", "300") DONE, true, "7,15,300", "4" },
		/* new mail may have flags, too, which is no difference */
		{ ESEARCH_300 "C(open): EXAMINE INBOX\n" IN_USE STATE("301", "302", "")
		  "C(open): EXAMINE INBOX\nC: UID FETCH 301 (UID FLAGS)\n" IN_USE STATE("301", "302", "")
		  FLAGS("301", "301") DONE
		  "C(open): EXAMINE INBOX\n" IN_USE STATE("301", "302", "") COLUMN("SEEN", " ALL 10:200,301")
		  COLUMN("ANSWERED", "") COLUMN("FLAGGED", "") COLUMN("DELETED", "") COLUMN("DRAFT", "")
		  COLUMN("KEYWORD $Todo", ""), true, "301", NULL },
	};

	(void)state;
	play_columns(cases, sizeof(cases) / sizeof(cases[0]));
}

static void test_flags_that_cannot_be_asked_one_by_one_are_asked_in_full(void **state)
{
	static const struct columns cases[] = {
		/* no ranges in answers */
		{ SERVER("") LISTS_300 ALL_OF_300, false, "1", NULL },
		/* FLAGS does not list what is in use, so it may not list other flags, either */
		{ ESEARCH_300 "C(open): EXAMINE INBOX\n" STATE("300", "301", "")
		  COLUMNS("", " ALL 10:200", " ALL 4") ALL_OF_300, false, "1", "4" },
		/* there is no way to ask for this one */
		{ ESEARCH_300 "C(open): EXAMINE INBOX\nS: * FLAGS (\\\\Seen \\\\Pinned)\n" STATE("300", "301", "")
		  ALL_OF_300, false, "1", NULL },
		/* a refusal */
		{ ESEARCH_300 OPEN_300 "C(open): EXAMINE INBOX\n" IN_USE STATE("300", "301", "")
		  COLUMN("SEEN", " ALL 10:200") "C: UID SEARCH RETURN (ALL) ANSWERED\nS: $TAG NO no\n"
		  COLUMN("FLAGGED", "") COLUMN("DELETED", "") COLUMN("DRAFT", "")
		  COLUMN("KEYWORD $Todo", "") ALL_OF_300, false, "1", NULL },
	};

	(void)state;
	play_columns(cases, sizeof(cases) / sizeof(cases[0]));
}

static void test_another_uidvalidity_ends_it_without_a_list(void **state)
{
	static const char script[] = CONDSTORE
		"C(open): EXAMINE INBOX (CONDSTORE)\nC: " SINCE "\nS: * 5 EXISTS\n"
		"S: * OK [UIDVALIDITY 8] v\nS: * OK [UIDNEXT 6] n\n" MODSEQ("50")
		"S: $open OK done\n" DONE;

	(void)state;
	play(&(struct expected){ script, false, false, "", "", 40, false, NULL });
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_server_is_asked_in_its_own_way),
		cmocka_unit_test(test_what_does_not_add_up_is_asked_in_full),
		cmocka_unit_test(test_what_stirs_meanwhile_is_asked_again),
		cmocka_unit_test(test_flags_that_do_not_count_up_are_asked_in_full),
		cmocka_unit_test(test_flags_are_asked_one_by_one_where_that_is_shorter),
		cmocka_unit_test(test_flags_that_cannot_be_asked_one_by_one_are_asked_in_full),
		cmocka_unit_test(test_another_uidvalidity_ends_it_without_a_list),
	};

	return cmocka_run_group_tests_name("imap store, what changed since", tests, NULL, NULL);
}
