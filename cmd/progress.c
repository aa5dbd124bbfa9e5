#include "cmd/progress.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/utf8.h"

#include "cmd/cmd.h"
#include "cmd/report.h"

/* There is one terminal, so there is one line on it. */
static bool line_is_shown;

static const char *phase_word(enum job_phase phase)
{
	switch (phase) {
	case JOB_CONNECT:
		return "connecting";
	case JOB_LIST:
		return "listing mailboxes";
	case JOB_COMPARE:
		return "comparing";
	case JOB_TRANSFER:
		return "fetching";
	case JOB_RESTORE:
		return "restoring";
	case JOB_FINISH:
		return "finishing";
	case JOB_VERIFY:
		return "reading what is stored:";
	case JOB_PRUNE:
		return "removing at the account";
	}
	return "";
}

void progress_begin(struct progress *p, const struct app *app, const char *job)
{
	const char *term = getenv("TERM");

	*p = (struct progress){ .app = app, .job = job, .member = "job",
				 .started = clock_ms() };
	p->on_terminal = !app->quiet && !app->json && isatty(STDERR_FILENO) && term &&
			 strcmp(term, "dumb") != 0;
}

void progress_add_rate(struct buf *out, uint64_t bytes, int64_t ms)
{
	if (ms <= 500)
		return;
	buf_add_str(out, ", ");
	report_bytes(out, bytes * 1000 / (uint64_t)ms);
	buf_add_str(out, "/s");
}

void progress_add_time_left(struct buf *out, uint64_t done, uint64_t total, int64_t ms)
{
	uint64_t left;

	if (done == 0 || total <= done || ms < 2000)
		return;
	left = (uint64_t)((double)(total - done) * (double)ms / (double)done / 1000);
	if (left >= 3600)
		buf_addf(out, ", %llu h %02llu min left", (unsigned long long)(left / 3600),
			 (unsigned long long)(left / 60 % 60));
	else if (left >= 60)
		buf_addf(out, ", %llu min left", (unsigned long long)((left + 30) / 60));
	else
		buf_addf(out, ", %llu s left", (unsigned long long)left);
}

void progress_text(struct buf *out, const char *job, const struct job_progress *now, int64_t ms)
{
	buf_addf(out, "%s: %s", job, phase_word(now->phase));
	if (now->phase != JOB_TRANSFER && now->phase != JOB_RESTORE && now->phase != JOB_VERIFY)
		return;
	buf_addf(out, " %llu", (unsigned long long)now->messages);
	if (now->messages_total)
		buf_addf(out, "/%llu", (unsigned long long)now->messages_total);
	buf_add_str(out, " messages, ");
	report_bytes(out, now->bytes);
	progress_add_rate(out, now->bytes, ms);
	/* By messages: how many bytes are still to come nobody has said. */
	progress_add_time_left(out, now->messages, now->messages_total, ms);
	if (now->mailbox) {
		buf_add_str(out, ", ");
		escape_add(out, bytes_of(now->mailbox), 200);
	}
}

static size_t terminal_width(void)
{
	struct winsize ws;

	return ioctl(STDERR_FILENO, TIOCGWINSZ, &ws) == 0 && ws.ws_col > 1 ? ws.ws_col : 80;
}

/* The first `columns` characters; what is escaped is one column a character, near enough. */
static size_t cut_to(const struct buf *text, size_t columns)
{
	struct bytes left = buf_bytes(text);

	while (left.n > 0 && columns-- > 0) {
		uint32_t c;
		size_t n = utf8_decode(left, &c);

		left = bytes_skip(left, n ? n : 1);
	}
	return text->n - left.n;
}

void progress_draw(const struct buf *text)
{
	fprintf(stderr, "\r\033[K%.*s", (int)cut_to(text, terminal_width() - 1), buf_str(text));
	fflush(stderr);
	line_is_shown = true;
}

static void draw(const struct progress *p, const struct job_progress *now, int64_t ms)
{
	struct buf text = BUF_INIT(4096);

	progress_text(&text, p->job, now, ms);
	progress_draw(&text);
	buf_release(&text);
}

static void tell(const struct progress *p, const struct job_progress *now)
{
	json_t *event = json_pack("{s:s, s:s, s:s, s:I, s:I, s:I}", "event", "progress", p->member,
				  p->job, "phase", phase_word(now->phase), "messages",
				  (json_int_t)now->messages, "messages_total",
				  (json_int_t)now->messages_total, "bytes",
				  (json_int_t)now->bytes);

	if (now->mailbox)
		json_object_set_new(event, "mailbox", json_string(now->mailbox));
	report_event(event);
}

bool progress_is_due(struct progress *p)
{
	int64_t ms = clock_ms();

	if (!p->on_terminal && !p->app->json)
		return false;
	if (p->drawn != 0 && ms - p->drawn < (p->on_terminal ? 100 : 1000))
		return false;
	p->drawn = ms;
	return true;
}

void progress_show(void *ctx, const struct job_progress *now)
{
	struct progress *p = ctx;

	if (!progress_is_due(p))
		return;
	if (!p->on_terminal)
		tell(p, now);
	else if (now->phase != JOB_CONNECT) /* the password may be asked for on this very line */
		draw(p, now, p->drawn - p->started);
}

void progress_clear(void)
{
	if (!line_is_shown)
		return;
	fputs("\r\033[K", stderr);
	fflush(stderr);
	line_is_shown = false;
}

void progress_end(struct progress *p)
{
	if (p->on_terminal)
		progress_clear();
}
