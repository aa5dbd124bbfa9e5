/* Fill an account on a server of 127.0.0.1 with sample mail. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "tests/lib/corpus.h"
#include "tests/lib/imap_oracle.h"

static const char usage[] =
	"usage: seed PORT USER demo\n"
	"       seed PORT USER messages MAILBOX N LEAST MOST\n"
	"       seed PORT USER mixed MAILBOX N LARGEST\n"
	"       seed PORT USER mailboxes N MESSAGES LEAST MOST\n"
	"       seed PORT USER change MAILBOX NEW FLAGS EXPUNGED\n"
	"Sizes in bytes. 'change' appends, sets \\Flagged where it is not, and expunges, all over the\n"
	"mailbox. MAILBOX is created unless it is there; the password is \"pw\".\n";

static unsigned long number(const char *text)
{
	char *end;
	unsigned long v = strtoul(text, &end, 10);

	if (*end || end == text) {
		fprintf(stderr, "seed: not a number: %s\n%s", text, usage);
		exit(2);
	}
	return v;
}

/* Create the mailbox if need be; the number its next message should have. */
static uint32_t ready(struct oracle *o, const char *mailbox)
{
	const char *uidnext;

	if (strncmp(oracle_try(o, "STATUS \"%s\" (UIDNEXT)", mailbox), "OK", 2) != 0)
		oracle_create(o, mailbox);
	uidnext = strstr((const char *)oracle_command(o, "STATUS \"%s\" (UIDNEXT)", mailbox).p,
			 "UIDNEXT ");
	return uidnext ? (uint32_t)strtoul(uidnext + 8, NULL, 10) : 1;
}

static void fill_mailboxes(struct oracle *o, char **arg)
{
	uint32_t n = (uint32_t)number(arg[0]), each = (uint32_t)number(arg[1]);

	for (uint32_t i = 0; i < n; i++) {
		char *name = xasprintf("box-%04u", i);

		ready(o, name);
		corpus_fill(o, name, i * each, each, number(arg[2]), number(arg[3]));
		free(name);
	}
}

/* The UIDs of what is not \Flagged. Returns how many. */
static size_t search_unflagged(struct oracle *o, const char *mailbox, uint32_t **out)
{
	size_t n = 0, cap = 0;
	const char *at;
	char *end;

	*out = NULL;
	oracle_command(o, "SELECT \"%s\"", mailbox);
	at = strstr((const char *)oracle_command(o, "UID SEARCH UNFLAGGED").p, "* SEARCH");
	for (at = at ? at + strlen("* SEARCH") : ""; *at == ' '; at = end) {
		*out = xgrow(*out, n, &cap, sizeof(**out));
		(*out)[n++] = (uint32_t)strtoul(at, &end, 10);
	}
	return n;
}

static void change(struct oracle *o, char **arg)
{
	unsigned long new = number(arg[1]), flags = number(arg[2]), expunged = number(arg[3]);
	struct buf flag = BUF_INIT(1 << 24), gone = BUF_INIT(1 << 24);
	uint32_t *uid;
	size_t n = search_unflagged(o, arg[0], &uid), each = flags + expunged;

	if (n < each) {
		fprintf(stderr, "seed: only %zu messages are not flagged\n", n);
		exit(1);
	}
	for (size_t i = 0; i < each; i++) { /* spread evenly, both kinds */
		bool goes = (i + 1) * expunged / each > i * expunged / each;

		buf_addf(goes ? &gone : &flag, "%s%u", (goes ? gone.n : flag.n) ? "," : "",
			 uid[i * (n / each)]);
	}
	if (flag.n)
		oracle_store(o, arg[0], buf_str(&flag), "+FLAGS", "\\Flagged");
	if (gone.n)
		oracle_expunge(o, arg[0], buf_str(&gone));
	corpus_fill(o, arg[0], ready(o, arg[0]), (uint32_t)new, 2000, 4000);
	free(uid);
	buf_release(&flag);
	buf_release(&gone);
}

int main(int argc, char **argv)
{
	const char *what = argc > 3 ? argv[3] : "";
	struct oracle *o;

	if (!(argc == 4 && strcmp(what, "demo") == 0) &&
	    !(argc == 8 && (strcmp(what, "messages") == 0 || strcmp(what, "mailboxes") == 0 ||
			    strcmp(what, "change") == 0)) &&
	    !(argc == 7 && strcmp(what, "mixed") == 0)) {
		fputs(usage, stderr);
		return 2;
	}
	o = oracle_open((int)number(argv[1]), argv[2]);
	if (strcmp(what, "demo") == 0)
		corpus_fill_demo(o);
	else if (strcmp(what, "messages") == 0)
		corpus_fill(o, argv[4], ready(o, argv[4]), (uint32_t)number(argv[5]),
			    number(argv[6]), number(argv[7]));
	else if (strcmp(what, "mixed") == 0)
		corpus_fill_mixed(o, argv[4], ready(o, argv[4]), (uint32_t)number(argv[5]),
				  number(argv[6]));
	else if (strcmp(what, "change") == 0)
		change(o, argv + 4);
	else
		fill_mailboxes(o, argv + 4);
	oracle_close(o);
	return 0;
}
