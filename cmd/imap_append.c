/* `append`: files become messages. Line ends become CRLF, as messages have them on the wire. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "core/base/mem.h"
#include "core/imap/commands_message.h"
#include "core/mail/flags.h"
#include "core/mail/maildate.h"
#include "core/msgset/uidlist.h"

#include "cmd/imap_cli.h"
#include "cmd/report.h"

struct source {
	const char *path;
	FILE *file;
	uint64_t size; /* as it will be sent */
	bool binary;   /* holds NULs: sent as it is */
	bool after_cr; /* the byte read last */
	bool owes_lf;  /* a CR was put in, its LF is next */
};

/* Standard input may be a pipe, but a literal's size has to be known first. */
static FILE *spool_stdin(struct err *err)
{
	FILE *file = tmpfile();
	char data[65536];
	size_t n;

	while (file && (n = fread(data, 1, sizeof(data), stdin)) > 0)
		if (fwrite(data, 1, n, file) != n)
			break;
	if (file && !ferror(file) && !ferror(stdin) && fflush(file) == 0)
		return file;
	err_sys(err, ERR_FATAL, "append: keep standard input");
	if (file)
		fclose(file);
	return NULL;
}

static int source_open(struct source *s, const char *path, struct err *err)
{
	uint64_t bytes = 0, bare = 0;
	bool cr = false;
	int c;

	*s = (struct source){ .path = path };
	s->file = strcmp(path, "-") == 0 ? spool_stdin(err) : fopen(path, "re");
	if (!s->file)
		return err->kind ? -1 : err_sys(err, ERR_FATAL, "append: %s", path);
	rewind(s->file);
	for (; (c = getc(s->file)) != EOF; cr = c == '\r', bytes++) {
		s->binary |= c == 0;
		bare += c == '\n' && !cr;
	}
	if (ferror(s->file))
		return err_sys(err, ERR_FATAL, "append: %s", path);
	s->size = s->binary ? bytes : bytes + bare;
	if (!s->size)
		return err_set(err, ERR_CONFIG, "append: %s is empty", path);
	rewind(s->file);
	return 0;
}

static int source_read(void *ctx, void *p, size_t max, size_t *n, struct err *err)
{
	struct source *s = ctx;
	uint8_t *out = p;
	int c = 0;

	for (*n = 0; *n < max; (*n)++) {
		if (s->owes_lf) {
			s->owes_lf = false;
			out[*n] = '\n';
			continue;
		}
		c = getc(s->file);
		if (c == EOF)
			break;
		s->owes_lf = c == '\n' && !s->after_cr && !s->binary;
		s->after_cr = c == '\r';
		out[*n] = s->owes_lf ? '\r' : (uint8_t)c;
	}
	if (*n)
		return 0;
	return err_set(err, ERR_FATAL, "append: %s changed while it was read", s->path);
}

/* --- flags and date --- */

static int parse_flags(const struct imap_call *call, struct flags *flags, struct err *err)
{
	if (!call->flags || flags_add_list(flags, bytes_of(call->flags)))
		return 0;
	return err_set(err, ERR_CONFIG, "append: '%s' are not all flags", call->flags);
}

/* As IMAP writes it, or as `fetch` shows it. */
static int parse_date(const struct imap_call *call, struct maildate *date, struct err *err)
{
	static const char *const months[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
					      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
	unsigned year, month, day, hours, minutes;
	char clock[9], sign, text[64];

	if (!call->date || maildate_parse(date, bytes_of(call->date)))
		return 0;
	if (sscanf(call->date, "%4u-%2u-%2uT%8[0-9:]%c%2u:%2u", &year, &month, &day, clock, &sign,
		   &hours, &minutes) == 7 && month >= 1 && month <= 12) {
		snprintf(text, sizeof(text), "%02u-%s-%04u %s %c%02u%02u", day, months[month - 1],
			 year, clock, sign, hours, minutes);
		if (maildate_parse(date, bytes_of(text)))
			return 0;
	}
	return err_set(err, ERR_CONFIG, "append: --date is such as 2024-02-29T12:00:00+01:00, not "
					"'%s'", call->date);
}

static int append_check(const struct imap_call *call, struct err *err)
{
	struct flags flags = FLAGS_INIT;
	struct maildate date = { 0 };
	int ret = parse_flags(call, &flags, err) < 0 || parse_date(call, &date, err) < 0 ? -1 : 0;

	flags_release(&flags);
	maildate_release(&date);
	return ret;
}

/* --- running --- */

struct append {
	struct imap_answer answer; /* first */
	const struct imap_cli *cli;
};

static void on_appended(void *ctx, const struct imap_append_answer *a,
			const struct imap_result *result)
{
	struct append *append = ctx;
	struct buf uids = BUF_INIT(1 << 20);
	json_t *event;

	imap_answer_take(&append->answer, result);
	if (result->outcome != IMAP_DONE_OK || !a->known)
		return;
	uidlist_format(a->uids, &uids);
	if (append->cli->app->json) {
		event = imap_json_event("append");
		json_object_set_new(event, "uidvalidity", json_integer(a->uid_validity));
		json_object_set_new(event, "uids", json_string(buf_str(&uids)));
		report_event(event);
	} else {
		printf("uidvalidity %u\nuids %s\n", a->uid_validity, buf_str(&uids));
	}
	buf_release(&uids);
}

static int append_all(struct imap_cli *cli, const struct imap_call *call, struct source *sources,
		      struct imap_append_message *messages, struct err *err)
{
	struct append append = { .cli = cli };
	struct buf wire = BUF_INIT(1 << 16);
	int ret = -1;

	for (size_t i = 0; i < call->n_args; i++) {
		if (source_open(&sources[i], call->args[i], err) < 0)
			goto out;
		messages[i].size = sources[i].size;
		messages[i].binary = sources[i].binary;
		messages[i].read = source_read;
		messages[i].ctx = &sources[i];
	}
	if (imap_cli_wire_name(cli, call->mailbox, &wire, err) < 0)
		goto out;
	if (imap_append(cli->session, &(struct imap_append_request){
		.mailbox = buf_bytes(&wire), .messages = messages, .n = call->n_args },
		on_appended, &append, err) == 0)
		ret = imap_answer_wait(cli, &append.answer, err);
out:
	buf_release(&wire);
	return ret;
}

static int append_run(struct imap_cli *cli, const struct imap_call *call, struct err *err)
{
	struct source *sources = xcalloc(call->n_args, sizeof(*sources));
	struct imap_append_message *messages = xcalloc(call->n_args, sizeof(*messages));
	struct flags flags = FLAGS_INIT;
	struct maildate date = { 0 };
	int ret = -1;

	if (parse_flags(call, &flags, err) < 0 || parse_date(call, &date, err) < 0)
		goto out;
	for (size_t i = 0; i < call->n_args; i++) {
		messages[i].flags = &flags;
		messages[i].date = &date;
	}
	ret = append_all(cli, call, sources, messages, err);
out:
	for (size_t i = 0; i < call->n_args; i++)
		if (sources[i].file)
			fclose(sources[i].file);
	free(sources);
	free(messages);
	flags_release(&flags);
	maildate_release(&date);
	return ret;
}

const struct imap_sub sub_append = {
	.name = "append",
	.args = "MAILBOX FILE...",
	.summary = "Add files (- is standard input) as messages, all of them or none, and show "
		   "their UIDs, if the server tells. Line ends become CRLF.",
	.example = "append --flags='\\Seen' --date=2024-02-29T12:00:00+01:00 Archive message.eml",
	.needs = SUB_MAILBOX,
	.options = SUB_OPT_FLAGS | SUB_OPT_DATE,
	.min_args = 1,
	.max_args = SUB_MANY,
	.check = append_check,
	.run = append_run,
};
