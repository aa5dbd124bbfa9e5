#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/mem.h"
#include "tests/lib/corpus.h"
#include "tests/lib/dovecot.h"
#include "tests/lib/imap_oracle.h"
#include "tests/lib/relay.h"
#include "tests/lib/support.h"
#include "tests/lib/target_rig.h"

/* Messages into an account on Dovecot, as servers of several kinds. */

static void must(struct target_rig *rig, int ret)
{
	if (ret < 0)
		fail_msg("%s", rig->err.text);
}

static struct mailbox *must_open(struct target_rig *rig, const char *name)
{
	struct mailbox *mb = target_rig_mailbox(rig, name);

	if (!mb)
		fail_msg("%s: %s", name, rig->err.text);
	return mb;
}

/* Messages first to last of the corpus, UIDs as their numbers. */
static void append_corpus(struct target_rig *rig, struct mailbox *mb, uint32_t first, uint32_t last)
{
	for (uint32_t i = first; i <= last; i++) {
		struct corpus_message m;

		corpus_message(i, corpus_size(i, 500, 20000), &m);
		must(rig, target_rig_append(rig, mb, &(struct target_message){
			.uid = i, .flags = m.flags, .date = m.date, .body = buf_bytes(&m.body) }));
		corpus_message_release(&m);
	}
}

/* The mailbox holds just the corpus messages first to last, bytes and flags, each once. */
static void holds_corpus(struct oracle *o, const char *mailbox, uint32_t first, uint32_t last)
{
	struct oracle_dump d;

	oracle_dump(o, mailbox, &d);
	assert_int_equal(d.n, last - first + 1);
	for (uint32_t i = first; i <= last; i++) {
		char want[SHA256_HEX_SIZE];
		struct corpus_message m;
		size_t found = 0;

		corpus_message(i, corpus_size(i, 500, 20000), &m);
		sha256_hex(buf_bytes(&m.body), want);
		for (size_t k = 0; k < d.n; k++)
			found += strcmp(d.msg[k].sha256, want) == 0;
		if (found != 1)
			fail_msg("message %u is there %zu times", i, found);
		corpus_message_release(&m);
	}
	oracle_dump_release(&d);
}

/* --- what goes over the wire --- */

/* An account behind a witness. */
struct witnessed {
	struct dovecot *dv;
	struct relay *relay;
	struct oracle *o;
	struct target_rig rig;
	struct buf said; /* the commands, one a line */
};

static void witness_with(struct witnessed *w, const struct dovecot_opts *opts, unsigned connections)
{
	w->dv = dovecot_start(opts);
	w->relay = relay_start(&(struct relay_opts){ .port = w->dv->port });
	w->o = oracle_open(w->dv->port, "up");
	buf_init(&w->said, 1 << 24);
	target_rig_init(&w->rig, relay_port(w->relay), "up");
	w->rig.probe.account.connections = connections;
	target_rig_open(&w->rig);
}

static void witness(struct witnessed *w, const struct dovecot_opts *opts)
{
	witness_with(w, opts, 0);
}

static bool said(struct witnessed *w, const char *command)
{
	buf_clear(&w->said);
	relay_commands(w->relay, &w->said);
	return strstr(buf_str(&w->said), command) != NULL;
}

/* Whatever was done: nothing that could remove what is not ours. */
static void end_witness(struct witnessed *w)
{
	target_rig_close(&w->rig);
	if (said(w, "\nEXPUNGE") || said(w, "\nCLOSE"))
		fail_msg("messages of others could have gone: %s", buf_str(&w->said));
	target_rig_release(&w->rig);
	oracle_close(w->o);
	relay_stop(w->relay);
	buf_release(&w->said);
	dovecot_stop(w->dv);
}

static const char *const profiles[] = {
	NULL,
	"IMAP4rev1 LITERAL+ UIDPLUS MULTIAPPEND LIST-EXTENDED LIST-STATUS NAMESPACE UNSELECT",
	"IMAP4rev1 LITERAL+ UIDPLUS NAMESPACE",
	"IMAP4rev1 LITERAL+ NAMESPACE",
	"IMAP4rev1 LITERAL+ MULTIAPPEND",
	"IMAP4rev1 LITERAL- UIDPLUS MULTIAPPEND",
	"IMAP4rev1 LITERAL- UIDPLUS",
	"IMAP4rev1 UIDPLUS",
	"IMAP4rev1",
};

/* The largest literal that did not wait. */
static unsigned long largest_unasked(const struct witnessed *w)
{
	struct buf text = BUF_INIT(1 << 26);
	unsigned long largest = 0;

	relay_transcript(w->relay, &text);
	for (const char *p = buf_str(&text); (p = strstr(p, "+}")); p++) {
		const char *digits = p;

		while (digits[-1] >= '0' && digits[-1] <= '9')
			digits--;
		if (strtoul(digits, NULL, 10) > largest)
			largest = strtoul(digits, NULL, 10);
	}
	buf_release(&text);
	return largest;
}

static void test_messages_arrive_as_they_are_whatever_the_server_can(void **state)
{
	(void)state;
	for (size_t p = 0; p < sizeof(profiles) / sizeof(profiles[0]); p++) {
		struct witnessed w;
		struct mailbox *mb;
		unsigned long unasked;

		witness(&w, &(struct dovecot_opts){ .imap_capability = profiles[p] });
		mb = must_open(&w.rig, "Archive/2024");
		append_corpus(&w.rig, mb, 1, 300);
		must(&w.rig, target_rig_commit(&w.rig));
		for (uint32_t i = 1; i <= 300; i++)
			assert_int_equal(target_rig_outcome(&w.rig, i)->what, OUTCOME_DONE);
		assert_int_equal(target_rig_count(&w.rig, mb), 300);
		holds_corpus(w.o, "Archive/2024", 1, 300);
		unasked = largest_unasked(&w);
		if (!profiles[p] || strstr(profiles[p], "LITERAL+"))
			assert_true(unasked > 4096);
		else
			assert_true(strstr(profiles[p], "LITERAL-") ? unasked > 0 && unasked <= 4096 :
								       unasked == 0);
		end_witness(&w);
	}
}

static void append_text(struct witnessed *w, struct mailbox *mb, uint32_t uid, const char *flags,
			const char *text)
{
	must(&w->rig, target_rig_append(&w->rig, mb, &(struct target_message){
		.uid = uid, .flags = flags, .body = bytes_of(text) }));
}

static struct uidset set_of(uint32_t lo, uint32_t hi)
{
	struct uidset s = UIDSET_INIT;

	uidset_add_range(&s, lo, hi);
	return s;
}

static void holds(struct witnessed *w, const char *mailbox, size_t n)
{
	struct oracle_dump d;

	oracle_dump(w->o, mailbox, &d);
	assert_int_equal(d.n, n);
	oracle_dump_release(&d);
}

/* --- copies --- */

static void test_what_another_mailbox_has_is_copied_and_gets_its_own_flags(void **state)
{
	struct witnessed w;
	struct mailbox *one, *two;
	struct oracle_dump d;

	(void)state;
	witness(&w, NULL);
	one = must_open(&w.rig, "One");
	append_corpus(&w.rig, one, 1, 20);
	must(&w.rig, target_rig_commit(&w.rig));
	two = must_open(&w.rig, "Two");
	for (uint32_t i = 1; i <= 20; i++) {
		struct corpus_message m;

		corpus_message(i, corpus_size(i, 500, 20000), &m);
		must(&w.rig, target_rig_append(&w.rig, two, &(struct target_message){
			.uid = 100 + i, .flags = i % 2 ? "\\Answered $Work" : "", .date = m.date,
			.body = buf_bytes(&m.body) }));
		corpus_message_release(&m);
	}
	must(&w.rig, target_rig_commit(&w.rig));
	assert_true(said(&w, "UID COPY 1:20 Two"));
	assert_false(said(&w, "APPEND Two"));
	holds_corpus(w.o, "Two", 1, 20);
	oracle_dump(w.o, "Two", &d);
	for (size_t i = 0; i < d.n; i++) {
		uint32_t uid = target_rig_outcome(&w.rig, 101 + (uint32_t)i)->new_uid;

		for (size_t k = 0; k < d.n; k++)
			if (d.msg[k].uid == uid)
				assert_string_equal(d.msg[k].flags, i % 2 ? "" : "$Work \\Answered");
	}
	oracle_dump_release(&d);
	end_witness(&w);
}

static void test_what_is_gone_in_the_other_mailbox_is_sent(void **state)
{
	struct witnessed w;
	struct mailbox *one, *two;

	(void)state;
	witness(&w, NULL);
	one = must_open(&w.rig, "One");
	append_text(&w, one, 1, "", "Subject: one\r\n\r\n1\r\n");
	append_text(&w, one, 2, "", "Subject: two\r\n\r\n2\r\n");
	must(&w.rig, target_rig_commit(&w.rig));
	oracle_expunge(w.o, "One", "1");
	two = must_open(&w.rig, "Two");
	append_text(&w, two, 11, "", "Subject: one\r\n\r\n1\r\n");
	append_text(&w, two, 12, "", "Subject: two\r\n\r\n2\r\n");
	must(&w.rig, target_rig_commit(&w.rig));
	assert_int_equal(target_rig_outcome(&w.rig, 11)->what, OUTCOME_DONE);
	assert_int_equal(target_rig_outcome(&w.rig, 12)->what, OUTCOME_DONE);
	assert_true(said(&w, "UID COPY") && said(&w, "APPEND Two"));
	holds(&w, "Two", 2);
	end_witness(&w);
}

static void test_equal_messages_of_one_mailbox_are_all_stored(void **state)
{
	struct witnessed w;
	struct mailbox *mb;

	(void)state;
	witness(&w, NULL);
	mb = must_open(&w.rig, "INBOX");
	for (uint32_t uid = 1; uid <= 3; uid++)
		append_text(&w, mb, uid, "", "Message-ID: <same@x>\r\n\r\nsame\r\n");
	must(&w.rig, target_rig_commit(&w.rig));
	holds(&w, "INBOX", 3);
	assert_int_equal(target_rig_count(&w.rig, mb), 3);
	end_witness(&w);
}

static void test_a_message_is_made_of_another_with_its_own_flags(void **state)
{
	static const char text[] = "Subject: moves\r\n\r\n1\r\n";
	struct witnessed w;
	struct mailbox *one, *two;
	struct held held;
	struct flags flags = FLAGS_INIT;
	struct maildate date = { 0 };
	struct message as = { .uid = 7, .flags = &flags, .date = &date, .size = sizeof(text) - 1 };
	enum outcome what;
	uint32_t uid;
	struct err why;
	struct oracle_dump d;

	(void)state;
	witness(&w, NULL);
	one = must_open(&w.rig, "One");
	two = must_open(&w.rig, "Two");
	append_text(&w, one, 1, "\\Seen", text);
	must(&w.rig, target_rig_commit(&w.rig));
	flags_add_list(&flags, bytes_of("\\Flagged $Moved"));
	maildate_parse(&date, bytes_of(" 1-Feb-2020 03:04:05 +0000"));
	held = (struct held){ .mailbox = one, .uid = target_rig_outcome(&w.rig, 1)->new_uid };
	must(&w.rig, mailbox_copy_as(&held, two, &as, &what, &uid, &why, &w.rig.err));
	assert_int_equal(what, OUTCOME_DONE);
	must(&w.rig, target_rig_commit(&w.rig));
	oracle_dump(w.o, "Two", &d);
	assert_int_equal(d.n, 1);
	assert_int_equal(d.msg[0].uid, uid);
	assert_string_equal(d.msg[0].flags, "$Moved \\Flagged");
	oracle_dump_release(&d);
	/* With another date it is no copy. */
	maildate_set(&date, 1000000000, 0);
	must(&w.rig, mailbox_copy_as(&held, two, &as, &what, &uid, &why, &w.rig.err));
	assert_int_equal(what, OUTCOME_UID_UNKNOWN);
	as.size = 5;
	must(&w.rig, mailbox_copy_as(&held, two, &as, &what, &uid, &why, &w.rig.err));
	assert_int_equal(what, OUTCOME_REFUSED);
	holds(&w, "Two", 1);
	flags_release(&flags);
	maildate_release(&date);
	end_witness(&w);
}

/* --- flags, removing --- */

static void test_flags_change_by_what_differs_and_only_our_messages_are_removed(void **state)
{
	struct flag_delta delta = { FLAGS_INIT, FLAGS_INIT };
	struct witnessed w;
	struct mailbox *mb;
	struct uidset some = set_of(1, 2), first = set_of(1, 1);
	struct oracle_dump d;

	(void)state;
	witness(&w, NULL);
	mb = must_open(&w.rig, "INBOX");
	for (uint32_t uid = 1; uid <= 3; uid++) {
		char *text = xasprintf("Subject: %u\r\n\r\n%u\r\n", uid, uid);

		append_text(&w, mb, uid, "\\Seen", text);
		free(text);
	}
	must(&w.rig, target_rig_commit(&w.rig));
	oracle_store(w.o, "INBOX", "3", "+FLAGS", "\\Deleted");
	oracle_store(w.o, "INBOX", "2", "+FLAGS", "$Mine");
	flags_add_list(&delta.add, bytes_of("\\Flagged $New"));
	flags_add_list(&delta.remove, bytes_of("\\Seen"));
	must(&w.rig, mailbox_change_flags(mb, &some, &delta, &w.rig.err));
	must(&w.rig, mailbox_expunge(mb, &first, &w.rig.err));
	must(&w.rig, target_rig_commit(&w.rig));
	assert_true(said(&w, "UID STORE 1:2 +FLAGS.SILENT (\\\\Flagged $New)"));
	assert_true(said(&w, "UID STORE 1:2 -FLAGS.SILENT (\\\\Seen)"));
	assert_true(said(&w, "UID EXPUNGE 1"));
	oracle_dump(w.o, "INBOX", &d);
	assert_int_equal(d.n, 2);
	assert_string_equal(d.msg[0].flags, "$Mine $New \\Flagged");
	assert_string_equal(d.msg[1].flags, "\\Deleted \\Seen");
	oracle_dump_release(&d);
	assert_int_equal(target_rig_count(&w.rig, mb), 2);
	/* Once more, of what is gone: no error. */
	must(&w.rig, mailbox_change_flags(mb, &first, &delta, &w.rig.err));
	must(&w.rig, mailbox_expunge(mb, &first, &w.rig.err));
	must(&w.rig, target_rig_commit(&w.rig));
	flags_release(&delta.add);
	flags_release(&delta.remove);
	uidset_release(&some);
	uidset_release(&first);
	end_witness(&w);
}

static void test_without_uidplus_messages_go_to_the_trash_or_are_only_marked(void **state)
{
	static const char *const lists[] = { "IMAP4rev1 LITERAL+ MOVE SPECIAL-USE LIST-EXTENDED",
					     "IMAP4rev1 LITERAL+ SPECIAL-USE LIST-EXTENDED" };
	struct uidset first = set_of(1, 1);

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct witnessed w;
		struct mailbox *mb;

		witness(&w, &(struct dovecot_opts){
			.imap_capability = lists[i],
			.extra = "namespace inbox {\n  inbox = yes\n  mailbox Bin {\n    auto = create\n"
				 "    special_use = \\Trash\n  }\n}\n" });
		mb = must_open(&w.rig, "INBOX");
		append_text(&w, mb, 1, "", "Subject: one\r\n\r\n1\r\n");
		append_text(&w, mb, 2, "", "Subject: two\r\n\r\n2\r\n");
		must(&w.rig, target_rig_commit(&w.rig));
		must(&w.rig, mailbox_expunge(mb, &first, &w.rig.err));
		must(&w.rig, target_rig_commit(&w.rig));
		assert_int_equal(target_rig_count(&w.rig, mb), 1);
		holds(&w, "INBOX", i ? 2 : 1);
		holds(&w, "Bin", i ? 0 : 1);
		assert_int_equal(strstr(buf_str(&w.rig.notes), "only marked") != NULL, i);
		end_witness(&w);
	}
	uidset_release(&first);
}

/* --- what is refused --- */

static void test_a_hostile_message_is_a_message_whatever_its_flags(void **state)
{
	static const char *const lists[] = { NULL, "IMAP4rev1 LITERAL+ MULTIAPPEND UIDPLUS", "IMAP4rev1 LITERAL+" };
	static const char hostile[] = "Subject: a\r\nx DELETE INBOX\r\n\r\nx DELETE INBOX\r\ny DELETE Precious\r\n"
				      "z1 CREATE Owned\r\n. LOGOUT\r\n";

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct witnessed w;
		struct mailbox *mb;
		struct name_list names = { 0 };

		witness(&w, &(struct dovecot_opts){ .imap_capability = lists[i] });
		oracle_create(w.o, "Precious");
		mb = must_open(&w.rig, "INBOX");
		append_text(&w, mb, 1, "", "Subject: before\r\n\r\n1\r\n");
		append_text(&w, mb, 2, "\\Foo", hostile);
		append_text(&w, mb, 3, "\\Recent \\Seen", hostile);
		append_text(&w, mb, 4, "bad]word \"a b\"", hostile);
		append_text(&w, mb, 5, "\\Seen", hostile);
		must(&w.rig, target_rig_commit(&w.rig));
		for (uint32_t uid = 1; uid <= 5; uid++)
			assert_int_equal(target_rig_outcome(&w.rig, uid)->what, OUTCOME_DONE);
		holds(&w, "INBOX", 5);
		oracle_list(w.o, &names);
		assert_true(name_list_has(&names, "Precious"));
		assert_false(name_list_has(&names, "Owned"));
		assert_non_null(strstr(buf_str(&w.rig.notes), "INBOX: the account does not keep the flag \\\\Foo"));
		assert_false(said(&w, "DELETE"));
		name_list_release(&names);
		end_witness(&w);
	}
}

static const char quota_of_60k[] = "plugin {\n  quota = count:User quota\n  quota_rule = *:storage=60K\n"
				   "  quota_vsizes = yes\n}\n";

static void test_a_full_account_takes_what_fits_and_says_so(void **state)
{
	static const char *const lists[] = { NULL, "IMAP4rev1 LITERAL+ UIDPLUS" };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct witnessed w;
		struct mailbox *mb, *other;
		size_t done = 0, refused = 0, unanswered = 0;
		char *body = xcalloc(10001, 1);

		witness(&w, &(struct dovecot_opts){ .imap_capability = lists[i], .extra = quota_of_60k,
						    .extra_imap = "  mail_plugins = quota imap_quota" });
		mb = must_open(&w.rig, "INBOX");
		other = must_open(&w.rig, "Other");
		memset(body, 'a', 10000);
		memcpy(body, "Subject: x\r\n\r\n", 14);
		for (uint32_t uid = 1; uid <= 40; uid++)
			append_text(&w, mb, uid, "\\Seen", body);
		must(&w.rig, target_rig_commit(&w.rig));
		for (uint32_t uid = 1; uid <= 40; uid++)
			switch (target_rig_outcome(&w.rig, uid)->what) {
			case OUTCOME_DONE:
				done++;
				break;
			case OUTCOME_REFUSED:
				refused++;
				assert_non_null(strstr(target_rig_outcome(&w.rig, uid)->why, "Quota exceeded"));
				break;
			default:
				unanswered++;
			}
		assert_int_equal(done, 6);
		assert_int_equal(refused, 2);
		assert_int_equal(unanswered, 32);
		holds(&w, "INBOX", 6);
		/* Nothing else is begun, anywhere. */
		assert_int_equal(target_rig_append(&w.rig, other, &(struct target_message){
			.uid = 99, .body = bytes_of("Subject: y\r\n\r\n") }), -1);
		assert_int_equal(w.rig.err.kind, ERR_MAILBOX);
		assert_non_null(strstr(w.rig.err.text, "the account is full: make room there"));
		free(body);
		end_witness(&w);
	}
}

static void test_a_message_that_is_too_large_or_empty_is_refused_and_the_rest_goes_on(void **state)
{
	struct witnessed w;
	struct mailbox *mb;
	char *large = xcalloc(60001, 1);

	(void)state;
	witness(&w, &(struct dovecot_opts){
		.imap_capability = "IMAP4rev1 LITERAL+ MULTIAPPEND UIDPLUS APPENDLIMIT=50000" });
	mb = must_open(&w.rig, "INBOX");
	memset(large, 'x', 60000);
	append_text(&w, mb, 1, "", "Subject: 1\r\n\r\n");
	append_text(&w, mb, 2, "", large);
	append_text(&w, mb, 3, "", "");
	must(&w.rig, target_rig_append(&w.rig, mb, &(struct target_message){
		.uid = 4, .body = bytes_from("a\0b\r\n", 5) }));
	append_text(&w, mb, 5, "", "Subject: 5\r\n\r\n");
	must(&w.rig, target_rig_commit(&w.rig));
	assert_non_null(strstr(target_rig_outcome(&w.rig, 2)->why, "the server takes 50000 at most"));
	assert_non_null(strstr(target_rig_outcome(&w.rig, 3)->why, "it is empty"));
	assert_non_null(strstr(target_rig_outcome(&w.rig, 4)->why, "NUL"));
	for (uint32_t uid = 2; uid <= 4; uid++)
		assert_int_equal(target_rig_outcome(&w.rig, uid)->what, OUTCOME_REFUSED);
	holds(&w, "INBOX", 2);
	free(large);
	end_witness(&w);
}

static void test_a_name_that_the_account_cannot_have_is_refused_with_what_to_do(void **state)
{
	struct witnessed w;

	(void)state;
	witness(&w, &(struct dovecot_opts){ .extra = "namespace inbox {\n  inbox = yes\n  separator = .\n}\n" });
	assert_null(target_rig_mailbox(&w.rig, "a.b"));
	assert_int_equal(w.rig.err.kind, ERR_MAILBOX);
	assert_non_null(strstr(w.rig.err.text, "`map` can give it another name"));
	assert_non_null(target_rig_mailbox(&w.rig, "a/b"));
	end_witness(&w);
}

static void test_a_mailbox_that_vanishes_meanwhile_is_made_again(void **state)
{
	struct witnessed w;
	struct mailbox *mb;
	struct oracle_dump d;

	(void)state;
	witness(&w, NULL);
	mb = must_open(&w.rig, "Box");
	oracle_command(w.o, "DELETE Box");
	append_text(&w, mb, 1, "", "Subject: 1\r\n\r\n");
	must(&w.rig, target_rig_commit(&w.rig));
	assert_int_equal(target_rig_outcome(&w.rig, 1)->what, OUTCOME_DONE);
	oracle_dump(w.o, "Box", &d);
	assert_int_equal(d.n, 1);
	oracle_dump_release(&d);
	end_witness(&w);
}

static void test_a_mailbox_with_mail_of_others_is_not_removed(void **state)
{
	struct mailbox_name name = MAILBOX_NAME_INIT;
	struct witnessed w;
	struct name_list names = { 0 };

	(void)state;
	witness(&w, NULL);
	must_open(&w.rig, "Empty");
	must_open(&w.rig, "Theirs");
	oracle_append(w.o, "Theirs", &(struct oracle_new){ .flags = "", .body = bytes_of("A: b\r\n\r\n") }, 1);
	mailbox_name_from_display(&name, bytes_of("Empty"), &w.rig.err);
	must(&w.rig, store_remove(w.rig.probe.store, &name, &w.rig.err));
	mailbox_name_from_display(&name, bytes_of("Theirs"), &w.rig.err);
	must(&w.rig, store_remove(w.rig.probe.store, &name, &w.rig.err));
	oracle_list(w.o, &names);
	assert_false(name_list_has(&names, "Empty"));
	assert_true(name_list_has(&names, "Theirs"));
	assert_non_null(strstr(buf_str(&w.rig.notes), "Theirs: the account has other messages there"));
	name_list_release(&names);
	mailbox_name_release(&name);
	end_witness(&w);
}

/* Eight mailboxes, all at once. */
static void fill_many(struct witnessed *w)
{
	struct mailbox *mb[8];

	for (uint32_t i = 0; i < 8; i++) {
		char *name = xasprintf("Box%u", i);

		mb[i] = must_open(&w->rig, name);
		free(name);
	}
	for (uint32_t i = 0; i < 8; i++)
		append_corpus(&w->rig, mb[i], 1 + 10 * i, 10 + 10 * i);
	must(&w->rig, target_rig_commit(&w->rig));
	for (uint32_t i = 0; i < 8; i++) {
		char *name = xasprintf("Box%u", i);

		holds_corpus(w->o, name, 1 + 10 * i, 10 + 10 * i);
		free(name);
	}
}

static void test_many_mailboxes_go_over_as_many_connections_as_are_allowed(void **state)
{
	static const struct {
		unsigned connections;
		int server_allows; /* the oracle is one of them */
		unsigned least, most;
	} cases[] = { { 0, 0, 3, 4 }, { 1, 0, 1, 1 }, { 2, 0, 2, 2 }, { 0, 3, 2, 3 } };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct witnessed w;
		unsigned used;

		witness_with(&w, &(struct dovecot_opts){ .max_user_connections = cases[i].server_allows },
			     cases[i].connections);
		fill_many(&w);
		used = relay_stats(w.relay).connections;
		if (used < cases[i].least || used > cases[i].most)
			fail_msg("case %zu: %u connections", i, used);
		end_witness(&w);
	}
}

static void test_room_is_what_the_quota_leaves(void **state)
{
	struct witnessed w;
	uint64_t room;

	(void)state;
	witness(&w, &(struct dovecot_opts){ .extra = quota_of_60k,
					    .extra_imap = "  mail_plugins = quota imap_quota" });
	must(&w.rig, store_room(w.rig.probe.store, &room, &w.rig.err));
	assert_int_equal(room, 60 * 1024);
	end_witness(&w);
	witness(&w, NULL);
	must(&w.rig, store_room(w.rig.probe.store, &room, &w.rig.err));
	assert_true(room == UINT64_MAX);
	end_witness(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_messages_arrive_as_they_are_whatever_the_server_can),
		cmocka_unit_test(test_what_another_mailbox_has_is_copied_and_gets_its_own_flags),
		cmocka_unit_test(test_what_is_gone_in_the_other_mailbox_is_sent),
		cmocka_unit_test(test_equal_messages_of_one_mailbox_are_all_stored),
		cmocka_unit_test(test_a_message_is_made_of_another_with_its_own_flags),
		cmocka_unit_test(test_flags_change_by_what_differs_and_only_our_messages_are_removed),
		cmocka_unit_test(test_without_uidplus_messages_go_to_the_trash_or_are_only_marked),
		cmocka_unit_test(test_a_hostile_message_is_a_message_whatever_its_flags),
		cmocka_unit_test(test_a_full_account_takes_what_fits_and_says_so),
		cmocka_unit_test(test_a_message_that_is_too_large_or_empty_is_refused_and_the_rest_goes_on),
		cmocka_unit_test(test_a_name_that_the_account_cannot_have_is_refused_with_what_to_do),
		cmocka_unit_test(test_a_mailbox_that_vanishes_meanwhile_is_made_again),
		cmocka_unit_test(test_a_mailbox_with_mail_of_others_is_not_removed),
		cmocka_unit_test(test_many_mailboxes_go_over_as_many_connections_as_are_allowed),
		cmocka_unit_test(test_room_is_what_the_quota_leaves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
