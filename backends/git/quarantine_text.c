#include "backends/git/quarantine_text.h"

#include <stdlib.h>

#include "backends/git/text_line.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/mem.h"
#include "core/sync/store.h"

void quarantine_free(struct quarantined *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(v[i].reason);
	free(v);
}

/* Unix time, also before 1970. */
static bool take_time(struct bytes *in, int64_t *out)
{
	bool before = text_take(in, "-");
	uint64_t v;

	if (!text_take_number(in, (uint64_t)INT64_MAX + before, &v) || (before && v == 0))
		return false;
	*out = before ? -(int64_t)(v - 1) - 1 : (int64_t)v;
	return true;
}

static char *read_reason(struct bytes in)
{
	struct buf reason = BUF_INIT(in.n);

	if (text_unescaped_size(in) == SIZE_MAX)
		return NULL;
	text_unescape(in, &reason);
	return buf_take(&reason);
}

static const char *read_line(struct bytes in, struct quarantined *q)
{
	uint64_t uid, attempts;

	if (!text_take_number(&in, UINT32_MAX, &uid) || uid == 0 || !text_take(&in, " "))
		return "does not begin with a UID";
	if (!text_take_number(&in, UINT64_MAX, &q->size) || !text_take(&in, " ") ||
	    !take_time(&in, &q->since) || !text_take(&in, " ") ||
	    !text_take_number(&in, UINT32_MAX, &attempts) || !text_take(&in, " "))
		return "not size, time and attempts after the UID";
	/* Earlier versions did not write it. */
	if (take_time(&in, &q->last) && !text_take(&in, " "))
		return "no blank after the time of the last attempt";
	q->uid = (uint32_t)uid;
	q->attempts = (uint32_t)attempts;
	q->accepted = text_take(&in, "accepted ");
	if (!q->accepted && !text_take(&in, "pending "))
		return "neither `accepted` nor `pending`";
	q->reason = read_reason(in);
	return q->reason ? NULL : "its reason is not escaped as it should be";
}

int quarantine_text_read(struct bytes text, struct quarantined **v, size_t *n, struct err *err)
{
	struct quarantined *all = NULL;
	size_t count = 0, cap = 0, number = 0;
	struct bytes line;
	int rc;

	while ((rc = text_line(&text, &number, &line, err)) > 0) {
		struct quarantined q = { 0 };
		const char *wrong = read_line(line, &q);

		if (!wrong && count > 0 && q.uid <= all[count - 1].uid)
			wrong = "its UID is out of place";
		if (wrong) {
			free(q.reason);
			rc = text_fail(number, wrong, line, err);
			break;
		}
		all = xgrow(all, count, &cap, sizeof(*all));
		all[count++] = q;
	}
	if (rc < 0) {
		quarantine_free(all, count);
		return -1;
	}
	*v = all;
	*n = count;
	return 0;
}

/* With a blank before it. */
static void add_time(int64_t t, struct buf *out)
{
	buf_add_str(out, t < 0 ? " -" : " ");
	text_add_number(t < 0 ? -(uint64_t)t : (uint64_t)t, out);
}

static void write_line(const struct quarantined *q, struct buf *out)
{
	text_add_number(q->uid, out);
	buf_add_byte(out, ' ');
	text_add_number(q->size, out);
	add_time(q->since, out);
	buf_add_byte(out, ' ');
	text_add_number(q->attempts, out);
	add_time(q->last, out);
	buf_add_str(out, q->accepted ? " accepted " : " pending ");
	text_escape(bytes_of(q->reason ? q->reason : ""), 0, out);
	buf_add_byte(out, '\n');
}

void quarantine_text_write(const struct quarantined *v, size_t n, struct buf *out)
{
	for (size_t i = 0; i < n; i++)
		write_line(&v[i], out);
}
