#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/buf.h"
#include "core/base/mem.h"
#include "core/sync/naming.h"

/*
 * A list as text: mailboxes separated by commas, each a name and letters for what it is: S, T, D, J, A, F and *
 * are special uses, n a name only, ! is left out by `mailboxes`, k is known from an earlier run, with =SOURCE where
 * the source calls it otherwise. "INBOX,Sent Items:S,Sent:kS=Old".
 */
static void read_list(struct mailbox_list *list, bool *selected, const char *text)
{
	static const char letters[] = "STDJAF*n";
	static const unsigned attributes[] = { MAILBOX_SENT, MAILBOX_TRASH,   MAILBOX_DRAFTS, MAILBOX_JUNK,
					       MAILBOX_ARCHIVE, MAILBOX_FLAGGED, MAILBOX_ALL, MAILBOX_NOSELECT };
	char *copy = xstrdup(text), *save = NULL;
	struct err err;

	for (char *w = strtok_r(copy, ",", &save); w; w = strtok_r(NULL, ",", &save)) {
		struct mailbox_info *info = mailbox_list_add(list);
		char *is = strchr(w, ':'), *source = strchr(w, '=');
		struct mailbox_name from = MAILBOX_NAME_INIT;

		if (is)
			*is++ = '\0';
		if (source)
			*source++ = '\0';
		assert_int_equal(mailbox_name_from_display(&info->name, bytes_of(w), &err), 0);
		if (source) {
			assert_int_equal(mailbox_name_from_display(&from, bytes_of(source), &err), 0);
			mailbox_name_map(&info->name, &from, &info->name);
			mailbox_name_release(&from);
		}
		for (; is && *is; is++) {
			const char *letter = strchr(letters, *is);

			info->token.known |= *is == 'k';
			info->kept += *is == 'K';
			info->attributes |= letter ? attributes[letter - letters] : 0;
		}
	}
	mailbox_list_sort(list);
	for (size_t i = 0; selected && i < list->n; i++) {
		char *name = mailbox_name_text(&list->v[i].name), *at = strstr(text, name);

		selected[i] = at[strlen(name)] != ':' || at[strlen(name) + 1] != '!';
		free(name);
	}
	free(copy);
}

struct row {
	const char *from, *prefix, *to, *rule;
	const char *want; /* "Sent Items>Sent": all that have another name, or a remembered one */
};

static void check(const struct row *row)
{
	struct mailbox_list from = { 0 }, to = { 0 };
	struct name_map map = { 0 };
	struct naming names = { 0 };
	struct buf got = BUF_INIT(4096);
	bool selected[32];
	struct err err;

	read_list(&from, selected, row->from);
	read_list(&to, NULL, row->to);
	if (row->prefix)
		assert_int_equal(mailbox_name_from_display(&from.prefix, bytes_of(row->prefix), &err), 0);
	if (row->rule)
		assert_int_equal(name_map_parse(&map, &row->rule, 1, &err), 0);
	naming_choose(&names, &map, &from, selected, &to);
	for (size_t i = 0; i < names.n; i++) {
		char *source = mailbox_name_text(&names.v[i].source), *as = mailbox_name_text(&names.v[i].as);

		buf_addf(&got, "%s%s>%s", i ? "," : "", source, as);
		assert_ptr_equal(naming_find(&names, &names.v[i].source), &names.v[i].as);
		free(source);
		free(as);
	}
	if (strcmp(buf_str(&got), row->want) != 0)
		fail_msg("%s to %s: %s, not %s", row->from, row->to, buf_str(&got), row->want);
	buf_release(&got);
	naming_release(&names);
	name_map_release(&map);
	mailbox_list_release(&from);
	mailbox_list_release(&to);
}

static void test_special_uses_lead_to_each_other_where_each_side_has_one(void **state)
{
	static const struct row rows[] = {
		{ "INBOX,Sent Items:S,Work", NULL, "INBOX,Sent:S", NULL, "Sent Items>Sent" },
		{ "INBOX,Sent:S", NULL, "INBOX,Sent:S", NULL, "Sent>Sent" },
		{ "INBOX,Sent Items:S", NULL, "INBOX,Sent", NULL, "" },
		{ "INBOX,Sent Items:S", NULL, "INBOX,A:S,B:S", NULL, "" },
		{ "INBOX,A:S,B:S", NULL, "INBOX,Sent:S", NULL, "" },
		{ "INBOX,A:S,C:!S", NULL, "INBOX,Sent:S", NULL, "A>Sent" },
		{ "INBOX,A:S,B:nS", NULL, "INBOX,Sent:S", NULL, "A>Sent" },
		{ "INBOX,Stars:F", NULL, "INBOX,Flagged:F", NULL, "" },
		{ "INBOX,Bin:T,Drafts:D,Spam:J,Old:A,Everything:*", NULL, "Trash:T,Entwurf:D,Junk:J,Archive:A,All:*",
		  NULL, "Bin>Trash,Drafts>Entwurf,Everything>All,Old>Archive,Spam>Junk" },
		{ "A:ST", NULL, "Sent:S,Trash:T", NULL, "A>Sent" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		check(&rows[i]);
}

static void test_a_special_use_gives_way_where_two_would_meet(void **state)
{
	static const struct row rows[] = {
		{ "Sent,Sent Items:S", NULL, "Sent:S", NULL, "" },
		{ "INBOX,A:T", NULL, "INBOX:T", NULL, "" },
		/* And what it gives way to may be in another's way. */
		{ "A:S,B:T,C", NULL, "B:S,C:T", NULL, "" },
		{ "A:S,B:T", NULL, "B:S,A:T", NULL, "A>B,B>A" },
		{ "INBOX,INBOX/Sent,INBOX/Sent Items:S", "INBOX", "INBOX,Sent:S", NULL,
		  "INBOX/Sent>Sent,INBOX/Sent Items>Sent Items" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		check(&rows[i]);
}

static void test_what_all_lies_below_is_left_out(void **state)
{
	static const struct row rows[] = {
		{ "INBOX,INBOX/Work,INBOX/Work/2024,shared/x", "INBOX", "INBOX", NULL,
		  "INBOX/Work>Work,INBOX/Work/2024>Work/2024" },
		{ "INBOX,INBOX/INBOX", "INBOX", "INBOX", NULL, "" },
		{ "INBOX,INBOX/Work,Work", "INBOX", "INBOX", NULL, "" },
		{ "mail,mail/A,mail/A:n", "mail", "INBOX", NULL, "mail/A>A" },
		{ "INBOX,INBOX/Work", NULL, "INBOX", NULL, "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		check(&rows[i]);
}

static void test_rules_come_first(void **state)
{
	static const struct row rows[] = {
		{ "INBOX,Sent Items:S", NULL, "Sent:S", "Sent Items -> Old/Sent", "" },
		{ "INBOX,INBOX/A,INBOX/B", "INBOX", "INBOX", "INBOX/A -> Other", "INBOX/B>B" },
		/* What a rule leads to is taken. */
		{ "INBOX,Sent Items:S,Work", NULL, "Sent:S", "Work -> Sent", "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		check(&rows[i]);
}

static void test_what_was_copied_under_a_name_stays_under_it(void **state)
{
	static const struct row rows[] = {
		{ "Sent Items:S", NULL, "Sent Items:k,Sent:S", NULL, "Sent Items>Sent Items" },
		{ "Sent Items", NULL, "Sent:k=Sent Items", NULL, "Sent Items>Sent" },
		/* Also of a mailbox that the source has no more. */
		{ "INBOX", NULL, "Old:K=INBOX/Old", NULL, "INBOX/Old>Old" },
		{ "INBOX,INBOX/Old", "INBOX", "Old:K=INBOX/Old,Alt:k=INBOX/Old", NULL, "INBOX/Old>Alt" },
		{ "INBOX,INBOX/Old", "INBOX", "Old:k=INBOX/Old,Alt:k=INBOX/Old", NULL, "INBOX/Old>Alt" },
		{ "Sent,Sent Items:S", NULL, "Sent:kS=Sent Items", NULL, "Sent Items>Sent" },
		{ "Sent Items", NULL, "Sent:k=Sent Items", "Sent Items -> Other", "" },
		/* Nothing else goes into it by itself. */
		{ "Sent2:S", NULL, "Sent:kS=Sent Items", NULL, "Sent Items>Sent" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		check(&rows[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_special_uses_lead_to_each_other_where_each_side_has_one),
		cmocka_unit_test(test_a_special_use_gives_way_where_two_would_meet),
		cmocka_unit_test(test_what_all_lies_below_is_left_out),
		cmocka_unit_test(test_rules_come_first),
		cmocka_unit_test(test_what_was_copied_under_a_name_stays_under_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
