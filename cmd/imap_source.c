/* Files as messages, and what the commands that add messages have in common. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "core/base/log.h"
#include "core/msgset/uidlist.h"

#include "cmd/imap_source.h"
#include "cmd/report.h"

/* Standard input may be a pipe, but a literal's size has to be known first. */
static FILE *spool_stdin(const char *command, struct err *err)
{
	FILE *file = tmpfile();
	char data[65536];
	size_t n;

	while (file && (n = fread(data, 1, sizeof(data), stdin)) > 0)
		if (fwrite(data, 1, n, file) != n)
			break;
	if (file && !ferror(file) && !ferror(stdin) && fflush(file) == 0)
		return file;
	err_sys(err, ERR_FATAL, "%s: keep standard input", command);
	if (file)
		fclose(file);
	return NULL;
}

int source_open(struct source *s, const char *command, const char *path, struct err *err)
{
	uint64_t bytes = 0, bare = 0;
	bool cr = false;
	int c;

	*s = (struct source){ .command = command, .path = path };
	s->file = strcmp(path, "-") == 0 ? spool_stdin(command, err) : fopen(path, "re");
	if (!s->file)
		return err->kind ? -1 : err_sys(err, ERR_FATAL, "%s: %s", command, path);
	rewind(s->file);
	for (; (c = getc(s->file)) != EOF; cr = c == '\r', bytes++) {
		s->binary |= c == 0;
		bare += c == '\n' && !cr;
	}
	if (ferror(s->file))
		return err_sys(err, ERR_FATAL, "%s: %s", command, path);
	s->size = s->binary ? bytes : bytes + bare;
	if (!s->size)
		return err_set(err, ERR_CONFIG, "%s: %s is empty", command, path);
	rewind(s->file);
	return 0;
}

void source_close(struct source *s)
{
	if (s->file)
		fclose(s->file);
	s->file = NULL;
}

int source_read(void *ctx, void *p, size_t max, size_t *n, struct err *err)
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
	return err_set(err, ERR_FATAL, "%s: %s changed while it was read", s->command,
		       s->path);
}

/* --- flags and date --- */

static int parse_flags(const struct imap_call *call, struct flags *flags, struct err *err)
{
	if (!call->flags || flags_add_list(flags, bytes_of(call->flags)))
		return 0;
	return err_set(err, ERR_CONFIG, "%s: '%s' are not all flags", call->sub->name,
		       call->flags);
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
	return err_set(err, ERR_CONFIG, "%s: --date is such as 2024-02-29T12:00:00+01:00, not '%s'",
		       call->sub->name, call->date);
}

int new_message_init(struct new_message *m, const struct imap_call *call, struct err *err)
{
	*m = (struct new_message){ .flags = FLAGS_INIT };
	return parse_flags(call, &m->flags, err) < 0 || parse_date(call, &m->date, err) < 0 ? -1 :
											      0;
}

void new_message_release(struct new_message *m)
{
	flags_release(&m->flags);
	maildate_release(&m->date);
}

int new_message_check(const struct imap_call *call, struct err *err)
{
	struct new_message m;
	int ret = new_message_init(&m, call, err);

	new_message_release(&m);
	return ret;
}

/* --- the answer --- */

static void show_bad_url(const struct added *added, struct bytes url)
{
	char *shown = escape_text(url, 1000);

	report_line(added->cli->app, NULL, "%s: the server has nothing under the URL %s",
		    added->command, shown);
	free(shown);
}

void imap_added(void *ctx, const struct imap_append_answer *a,
		const struct imap_result *result)
{
	struct added *added = ctx;
	struct buf uids = BUF_INIT(1 << 20);
	json_t *event;

	imap_answer_take(&added->answer, result);
	if (a->bad_url.p)
		show_bad_url(added, a->bad_url);
	if (!a->known)
		return;
	uidlist_format(a->uids, &uids);
	if (added->cli->app->json) {
		event = imap_json_event(added->command);
		json_object_set_new(event, "uidvalidity", json_integer(a->uid_validity));
		json_object_set_new(event, "uids", json_string(buf_str(&uids)));
		report_event(event);
	} else {
		printf("uidvalidity %u\nuids %s\n", a->uid_validity, buf_str(&uids));
	}
	buf_release(&uids);
}
