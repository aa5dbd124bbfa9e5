#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "core/base/buf.h"
#include "core/base/log.h"
#include "core/base/utf8.h"
#include "core/mail/flags.h"
#include "core/mail/maildate.h"

#include "cmd/imap_cli.h"
#include "cmd/report.h"

void imap_say(struct bytes text)
{
	char *safe = escape_text(text, text.n);

	fputs(safe, stdout);
	free(safe);
}

void imap_say_words(struct bytes words)
{
	/* A leading backslash is no escape but part of the word. */
	for (size_t i = 0, end; i < words.n; i = end + 1) {
		bool system = words.p[i] == '\\';

		for (end = i; end < words.n && words.p[end] != ' ';)
			end++;
		if (i)
			putchar(' ');
		if (system)
			putchar('\\');
		imap_say(bytes_from(words.p + i + system, end - i - system));
	}
}

void imap_say_flags(const struct flags *flags, bool any)
{
	struct buf text = BUF_INIT(1 << 22);

	flags_format(flags, &text);
	imap_say_words(buf_bytes(&text));
	if (any)
		printf("%s\\*", text.n ? " " : "");
	buf_release(&text);
}

json_t *imap_json_text(struct bytes text)
{
	json_t *string;
	char *safe;

	if (utf8_is_valid(text) && !(text.n && memchr(text.p, 0, text.n)))
		return json_stringn((const char *)text.p, text.n);
	safe = escape_text(text, text.n);
	string = json_string(safe);
	free(safe);
	return string;
}

json_t *imap_json_nstring(struct bytes text)
{
	return text.p ? imap_json_text(text) : json_null();
}

json_t *imap_json_flags(const struct flags *flags)
{
	static const struct {
		unsigned bit;
		const char *name;
	} system[] = {
		{ FLAG_SEEN, "\\Seen" },       { FLAG_ANSWERED, "\\Answered" },
		{ FLAG_FLAGGED, "\\Flagged" }, { FLAG_DELETED, "\\Deleted" },
		{ FLAG_DRAFT, "\\Draft" },
	};
	json_t *list = json_array();

	for (size_t i = 0; i < sizeof(system) / sizeof(system[0]); i++)
		if (flags->bits & system[i].bit)
			json_array_append_new(list, json_string(system[i].name));
	for (size_t i = 0; i < flags->count; i++)
		json_array_append_new(list, imap_json_text(bytes_of(flags->keywords[i])));
	return list;
}

json_t *imap_json_event(const char *name)
{
	json_t *event = json_object();

	json_object_set_new(event, "event", json_string(name));
	return event;
}

/* --- messages --- */

static void say_date(const char *name, const struct maildate *date, struct bytes text)
{
	struct buf shown = BUF_INIT(64);

	printf(" %s ", name);
	if (maildate_format_rfc3339(date, &shown))
		printf("%s", buf_str(&shown));
	else
		imap_say(text.p ? text : bytes_of("NIL"));
	buf_release(&shown);
}

static void say_message(const struct imap_cli *cli, const struct imap_fetch *m, const char *file,
			uint64_t bytes)
{
	printf("uid %u", m->uid);
	if (m->present & IMAP_FETCH_SIZE)
		printf(" size %llu", (unsigned long long)m->size);
	if (m->present & IMAP_FETCH_MODSEQ)
		printf(" modseq %llu", (unsigned long long)m->modseq);
	if (m->present & IMAP_FETCH_INTERNALDATE)
		say_date("date", m->date, m->date_text);
	if (m->present & IMAP_FETCH_SAVEDATE)
		say_date("savedate", m->save_date, m->save_date_text);
	if (m->present & IMAP_FETCH_EMAILID) {
		printf(" emailid ");
		imap_say(m->email_id);
	}
	if (m->present & IMAP_FETCH_THREADID) {
		printf(" threadid ");
		imap_say(m->thread_id.p ? m->thread_id : bytes_of("NIL"));
	}
	if (m->present & IMAP_FETCH_GM_MSGID)
		printf(" x-gm-msgid %llu", (unsigned long long)m->gm_msgid);
	if (m->present & IMAP_FETCH_GM_THRID)
		printf(" x-gm-thrid %llu", (unsigned long long)m->gm_thrid);
	if (file)
		printf(" file %s bytes %llu", file, (unsigned long long)bytes);
	if (m->present & IMAP_FETCH_FLAGS) {
		printf(" flags ");
		imap_say_flags(m->flags, false);
	}
	putchar('\n');
	imap_say_content(cli, m);
}

static void add_date(json_t *event, const char *name, const struct maildate *date,
		     struct bytes text)
{
	struct buf shown = BUF_INIT(64);

	if (maildate_format_rfc3339(date, &shown))
		json_object_set_new(event, name, json_string(buf_str(&shown)));
	else if (text.p)
		json_object_set_new(event, name, imap_json_text(text));
	buf_release(&shown);
}

/* As a string: readers of JSON hold no 64 bits in a number. */
static void add_id(json_t *event, const char *name, uint64_t id)
{
	json_object_set_new(event, name, json_sprintf("%llu", (unsigned long long)id));
}

void imap_show_message(const struct imap_cli *cli, const char *command, const struct imap_fetch *m,
		       const char *file, uint64_t bytes)
{
	json_t *event;

	if (!cli->app->json) {
		say_message(cli, m, file, bytes);
		return;
	}
	event = imap_json_event(command);
	json_object_set_new(event, "uid", json_integer(m->uid));
	if (m->present & IMAP_FETCH_SIZE)
		json_object_set_new(event, "size", json_integer((json_int_t)m->size));
	if (m->present & IMAP_FETCH_MODSEQ)
		json_object_set_new(event, "modseq", json_integer((json_int_t)m->modseq));
	if (m->present & IMAP_FETCH_INTERNALDATE)
		add_date(event, "date", m->date, m->date_text);
	if (m->present & IMAP_FETCH_SAVEDATE)
		add_date(event, "savedate", m->save_date, m->save_date_text);
	if (m->present & IMAP_FETCH_EMAILID)
		json_object_set_new(event, "emailid", imap_json_text(m->email_id));
	if (m->present & IMAP_FETCH_THREADID)
		json_object_set_new(event, "threadid", imap_json_nstring(m->thread_id));
	if (m->present & IMAP_FETCH_GM_MSGID)
		add_id(event, "x-gm-msgid", m->gm_msgid);
	if (m->present & IMAP_FETCH_GM_THRID)
		add_id(event, "x-gm-thrid", m->gm_thrid);
	imap_json_content(cli, event, m);
	if (m->present & IMAP_FETCH_FLAGS)
		json_object_set_new(event, "flags", imap_json_flags(m->flags));
	if (file) {
		json_object_set_new(event, "file", imap_json_text(bytes_of(file)));
		json_object_set_new(event, "bytes", json_integer((json_int_t)bytes));
	}
	report_event(event);
}

void imap_show_set(const struct imap_cli *cli, const char *command, const char *name,
		   const struct uidset *set)
{
	struct buf text = BUF_INIT(uidset_text_size(set) + 1);
	json_t *event;

	uidset_format(set, &text);
	if (cli->app->json) {
		event = imap_json_event(command);
		json_object_set_new(event, name, json_string(buf_str(&text)));
		report_event(event);
	} else {
		printf("%s %s\n", name, buf_str(&text));
	}
	buf_release(&text);
}
