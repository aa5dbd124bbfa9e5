#include "tests/lib/busy_account.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/mem.h"
#include "tests/lib/corpus.h"

uint32_t busy_roll(struct busy_account *b, uint32_t n)
{
	b->seed = b->seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(b->seed >> 33) % n;
}

static void fill(struct busy_account *b, const char *mailbox, uint32_t n)
{
	/* Now and then content that was there before. */
	corpus_fill(b->oracle, mailbox, busy_roll(b, 3) ? b->appended : 0, n, 0, 4000);
	b->appended += n;
}

void busy_begin(struct busy_account *b, struct oracle *oracle, const char *maildir)
{
	static const char *const mailboxes[] = { "Work/&AOQ-", "Trash", "Sent" };
	const char *given = getenv("SEED");

	*b = (struct busy_account){ .oracle = oracle,
				    .maildir = maildir,
				    .seed = given ? strtoull(given, NULL, 10) : 20200229 };
	print_message("SEED=%llu\n", (unsigned long long)b->seed);
	for (size_t i = 0; i < sizeof(mailboxes) / sizeof(mailboxes[0]); i++)
		oracle_create(oracle, mailboxes[i]);
	fill(b, "INBOX", 1);
}

/* Some UID of the mailbox; 0 when it is empty. The first of INBOX stays. */
static uint32_t some_uid(struct busy_account *b, const char *mailbox)
{
	uint32_t first = strcmp(mailbox, "INBOX") == 0, uid = 0;
	struct oracle_dump d;

	oracle_dump(b->oracle, mailbox, &d);
	if (d.n > first)
		uid = d.msg[first + busy_roll(b, (uint32_t)d.n - first)].uid;
	oracle_dump_release(&d);
	return uid;
}

static void change_messages(struct busy_account *b, const char *mailbox, const char *other)
{
	static const char *const flags[] = { "\\Seen", "\\Flagged $A", "$B Later", "\\Answered",
					     "\\Deleted", "$Forwarded" };
	static const char *const how[] = { "FLAGS", "+FLAGS", "-FLAGS" };
	uint32_t n = 1 + busy_roll(b, 6), uid = some_uid(b, mailbox), what = busy_roll(b, 5);
	char set[16];

	snprintf(set, sizeof(set), "%u", uid);
	if (what < 2 || uid == 0) {
		fill(b, mailbox, n);
	} else if (what == 2) {
		oracle_store(b->oracle, mailbox, set, how[busy_roll(b, 3)], flags[busy_roll(b, 6)]);
	} else if (what == 3) {
		oracle_expunge(b->oracle, mailbox, set);
	} else {
		oracle_command(b->oracle, "SELECT \"%s\"", mailbox);
		oracle_command(b->oracle, "UID MOVE %u:* \"%s\"", uid, other);
	}
}

/* --- mailboxes as such --- */

static bool is_below(const char *name, const char *top)
{
	size_t n = strlen(top);

	return strncmp(name, top, n) == 0 && name[n] == '/';
}

static bool has_below(const struct name_list *all, const char *top)
{
	bool any = false;

	for (size_t i = 0; i < all->n; i++)
		any |= is_below(all->name[i], top);
	return any;
}

static bool exists(const struct name_list *all, const char *name)
{
	bool any = false;

	for (size_t i = 0; i < all->n; i++)
		any |= strcmp(all->name[i], name) == 0;
	return any;
}

/* A selected mailbox stands in the way of all that follows. */
static void leave(struct busy_account *b)
{
	oracle_try(b->oracle, "UNSELECT");
}

/* What may be refused, above all for the sake of what lies below. */
static void rename_mailbox(struct busy_account *b, const char *from, const char *to)
{
	oracle_try(b->oracle, "RENAME \"%s\" \"%s\"", from, to);
}

/* One that exists, or not: few, so that names come again. Owned by the caller. */
static char *some_name(struct busy_account *b)
{
	static const char *const parts[] = { "A", "B", "Work", "&AOQ-", "x y" };
	const char *top = parts[busy_roll(b, 5)];

	return busy_roll(b, 2) ? xstrdup(top) : xasprintf("%s/%s", top, parts[busy_roll(b, 5)]);
}

static void create(struct busy_account *b, const struct name_list *all)
{
	char *name = some_name(b);

	if (!exists(all, name)) {
		oracle_create(b->oracle, name);
		if (busy_roll(b, 4))
			fill(b, name, 1 + busy_roll(b, 4));
	}
	free(name);
}

/*
 * Dovecot goes on listing what had others below it: see the README of tests/live. So only what has
 * none is deleted.
 */
static bool delete(struct busy_account *b, const struct name_list *all, const char *name)
{
	if (strcmp(name, "INBOX") == 0 || has_below(all, name))
		return false;
	oracle_command(b->oracle, "DELETE \"%s\"", name);
	return true;
}

static void swap(struct busy_account *b, const char *one, const char *other)
{
	if (is_below(one, other) || is_below(other, one) || strcmp(one, "INBOX") == 0 ||
	    strcmp(other, "INBOX") == 0 || strcmp(one, other) == 0)
		return;
	rename_mailbox(b, one, "swap");
	rename_mailbox(b, other, one);
	rename_mailbox(b, "swap", other);
}

/* The server has to make new ones, and so another UIDVALIDITY. */
static void lose_uids(struct busy_account *b, const char *mailbox)
{
	char *dir = strcmp(mailbox, "INBOX") == 0 ? xstrdup(b->maildir)
						   : xasprintf("%s/.%s", b->maildir, mailbox);
	struct name_list files = { 0 };

	for (char *p = dir + strlen(b->maildir) + 1; dir[strlen(b->maildir)] && *p; p++)
		*p = *p == '/' ? '.' : *p;
	oracle_log_out(b->oracle);
	dir_entries(dir, &files);
	for (size_t i = 0; i < files.n; i++) {
		char *path = path_join(dir, files.name[i]);

		if (strncmp(files.name[i], "dovecot-uidlist", 15) == 0 ||
		    strncmp(files.name[i], "dovecot.index", 13) == 0)
			remove_tree(path);
		free(path);
	}
	name_list_release(&files);
	free(dir);
	oracle_log_in(b->oracle);
	oracle_command(b->oracle, "SELECT \"%s\"", mailbox); /* now it knows */
	leave(b);
}

static void change_mailboxes(struct busy_account *b, const struct name_list *all)
{
	const char *one = all->name[busy_roll(b, (uint32_t)all->n)];
	const char *other = all->name[busy_roll(b, (uint32_t)all->n)];
	uint32_t what = busy_roll(b, 6);
	char *name = some_name(b);

	leave(b);
	if (what == 0 || all->n < 4)
		create(b, all);
	else if (what == 1)
		delete(b, all, one);
	else if (what == 2 && strcmp(one, "INBOX") != 0)
		rename_mailbox(b, one, name);
	else if (what == 3)
		swap(b, one, other);
	else if (what == 4 && strcmp(one, other) != 0 && strcmp(other, "INBOX") != 0 &&
		 !is_below(one, other) && delete(b, all, one))
		rename_mailbox(b, other, one);
	else if (what == 5 && b->maildir)
		lose_uids(b, one);
	free(name);
}

void busy_change(struct busy_account *b)
{
	struct name_list all = { 0 };

	oracle_list(b->oracle, &all);
	if (busy_roll(b, 4) == 0)
		change_mailboxes(b, &all);
	else
		change_messages(b, all.name[busy_roll(b, (uint32_t)all.n)],
				all.name[busy_roll(b, (uint32_t)all.n)]);
	name_list_release(&all);
}
