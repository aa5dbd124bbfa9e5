/* From words to a call: options, operands, sets. */
#include <string.h>

#include "core/base/bytes.h"

#include "cmd/imap_cli.h"

const struct cmd_option imap_call_options[] = {
	{ "seq", 0, NULL, "SET is message numbers, not UIDs.", SUB_OPT_SEQ },
	{ "output", 0, "DIR", "fetch: write each message to a file of its own in DIR.",
	  SUB_OPT_OUTPUT },
	{ "changed-since", 0, "MODSEQ", "fetch: only what changed after that.",
	  SUB_OPT_CHANGED_SINCE },
	{ "vanished", 0, NULL, "fetch: with --changed-since, tell what is gone, too.",
	  SUB_OPT_VANISHED },
	{ "unchanged-since", 0, "MODSEQ", "store: not where something changed after that.",
	  SUB_OPT_UNCHANGED_SINCE },
	{ "return", 0, "LIST", "search: some of all, count, min, max, save.", SUB_OPT_RETURN },
	{ "partial", 0, "FIRST:LAST", "search: only that part; negative from the end.",
	  SUB_OPT_PARTIAL },
	{ "flags", 0, "FLAGS", "append, replace, catenate: flags of the new messages.",
	  SUB_OPT_FLAGS },
	{ "date", 0, "DATE", "append, replace, catenate: their date, as fetch shows it.",
	  SUB_OPT_DATE },
	{ "utf8", 0, NULL, "append, replace, catenate: their header fields hold UTF-8.",
	  SUB_OPT_UTF8 },
	{ "use", 0, "USE", "create: what the mailbox is for, such as \\Archive.", SUB_OPT_USE },
	{ "seconds", 0, "N", "idle, notify: how long to listen; else 60.", SUB_OPT_SECONDS },
	{ NULL, 0, NULL, NULL, 0 },
};

static int take_number(const char *name, const char *arg, uint64_t least, uint64_t *out,
		       struct err *err)
{
	if (bytes_to_u64(bytes_of(arg), out) && *out >= least && *out <= INT64_MAX / 1000)
		return 0;
	return err_set(err, ERR_CONFIG, "--%s needs a number%s, not '%s'", name,
		       least ? " above 0" : "", arg);
}

int imap_call_option(struct imap_call *call, int option, const char *arg, struct err *err)
{
	call->given |= (unsigned)option;
	switch (option) {
	case SUB_OPT_OUTPUT:
		call->output = arg;
		return 0;
	case SUB_OPT_CHANGED_SINCE:
		return take_number("changed-since", arg, 1, &call->changed_since, err);
	case SUB_OPT_UNCHANGED_SINCE:
		return take_number("unchanged-since", arg, 0, &call->unchanged_since, err);
	case SUB_OPT_RETURN:
		call->returns = arg;
		return 0;
	case SUB_OPT_PARTIAL:
		call->partial = arg;
		return 0;
	case SUB_OPT_FLAGS:
		call->flags = arg;
		return 0;
	case SUB_OPT_DATE:
		call->date = arg;
		return 0;
	case SUB_OPT_USE:
		call->use = arg;
		return 0;
	case SUB_OPT_SECONDS:
		return take_number("seconds", arg, 1, &call->seconds, err);
	default:
		return 0;
	}
}

static int check_options(const struct imap_call *call, struct err *err)
{
	unsigned takes = call->sub->options;

	if (call->sub->needs & SUB_SET)
		takes |= SUB_OPT_SEQ;
	for (const struct cmd_option *opt = imap_call_options; opt->name; opt++)
		if (call->given & (unsigned)opt->id & ~takes)
			return err_set(err, ERR_CONFIG, "%s takes no --%s", call->sub->name,
				       opt->name);
	return 0;
}

static int take_set(struct imap_call *call, const char *text, struct err *err)
{
	call->has_set = true;
	call->saved = strcmp(text, "$") == 0;
	if (call->saved)
		return 0;
	if (uidset_parse(&call->set, bytes_of(text), UIDSET_ALLOW_STAR, NULL, err) < 0)
		return err_prefix(err, "%s", call->sub->name);
	return 0;
}

int imap_call_make(struct imap_call *call, char **words, size_t n, struct err *err)
{
	const struct imap_sub *sub = imap_sub_find(words[0]);
	const char *near = imap_sub_nearest(words[0]);
	size_t first = 1;

	if (!sub)
		return err_set(err, ERR_CONFIG, "there is no IMAP command '%s'%s%s%s", words[0],
			       near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
	call->sub = sub;
	first += sub->needs & SUB_MAILBOX ? 1 : 0;
	first += (sub->needs & SUB_SET) || ((sub->needs & SUB_SET_IF) && n > first) ? 1 : 0;
	if (n < first + sub->min_args)
		return err_set(err, ERR_CONFIG, "too little: %s %s", sub->name, sub->args);
	call->args = words + first;
	call->n_args = n - first;
	if (call->n_args > sub->max_args)
		return err_set(err, ERR_CONFIG, "%s: '%s' is too much: %s %s", sub->name,
			       call->args[sub->max_args], sub->name, sub->args);
	if (sub->needs & SUB_MAILBOX)
		call->mailbox = words[1];
	if (first > 2 && take_set(call, words[2], err) < 0)
		return -1;
	if (check_options(call, err) < 0)
		return -1;
	return sub->check ? sub->check(call, err) : 0;
}
