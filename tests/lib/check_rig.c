#include "tests/lib/check_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/clock.h"
#include "tests/lib/support.h"

static void on_found(void *ctx, const struct finding *f)
{
	static const char *const kinds[] = { "damage", "unchecked", "harmless" };
	struct checked *c = ctx;

	buf_addf(&c->text_buf, "%s %s %u %s\n", kinds[f->kind], f->mailbox ? f->mailbox : "-", f->uid,
		 f->what);
	if (f->file)
		buf_addf(&c->files_buf, "%s\n", f->file);
	if (f->advice)
		buf_addf(&c->advice_buf, "%s\n", f->advice);
}

static void on_progress(void *ctx, const struct check *ck)
{
	struct checked *c = ctx;

	if (c->meanwhile && c->calm-- == 0) {
		c->meanwhile(c->b);
		c->meanwhile = NULL;
	}
	if (c->most && ck->read >= c->most)
		c->ck.deadline = 1;
}

static int check_it(struct bench *b, struct checked *out, struct err *err)
{
	struct store_config cfg = { .name = "store", .path = b->path };
	int ret = store_check(b->sut->ops, &cfg, &out->ck, err);

	out->text = buf_str(&out->text_buf);
	out->files = buf_str(&out->files_buf);
	out->advice = buf_str(&out->advice_buf);
	return ret;
}

static void prepare(struct checked *c, bool read_data)
{
	*c = (struct checked){ .text_buf = BUF_INIT(1 << 20), .files_buf = BUF_INIT(1 << 20),
			       .advice_buf = BUF_INIT(1 << 20) };
	c->ck = (struct check){ .read_data = read_data, .found = on_found,
				.progress = on_progress, .ctx = c };
}

int check_try(struct bench *b, struct checked *out, bool read_data)
{
	struct err err = { 0 };

	prepare(out, read_data);
	return check_it(b, out, &err);
}

void check_now(struct bench *b, struct checked *out, bool read_data)
{
	struct err err = { 0 };

	prepare(out, read_data);
	must(check_it(b, out, &err), &err);
}

void check_part(struct bench *b, struct checked *out, uint64_t most)
{
	struct err err = { 0 };

	prepare(out, true);
	out->most = most;
	out->ck.deadline = clock_ms() + 60000;
	must(check_it(b, out, &err), &err);
}

bool check_try_beside(struct bench *b, struct checked *out, unsigned n,
		      void (*meanwhile)(struct bench *b), struct err *err)
{
	prepare(out, true);
	out->b = b;
	out->calm = n;
	out->meanwhile = meanwhile;
	*err = (struct err){ 0 };
	if (check_it(b, out, err) == 0)
		*err = (struct err){ 0 };
	return !out->meanwhile;
}

bool check_beside(struct bench *b, struct checked *out, unsigned n, void (*meanwhile)(struct bench *b))
{
	struct err err = { 0 };

	prepare(out, true);
	out->b = b;
	out->calm = n;
	out->meanwhile = meanwhile;
	must(check_it(b, out, &err), &err);
	return !out->meanwhile;
}

void check_says(const struct checked *c, const char *want)
{
	if (strcmp(c->text, want) != 0)
		test_die("the check says:\n%s\ninstead of:\n%s", c->text, want);
}

void check_advises(const struct checked *c, const char *part)
{
	const char *line = c->advice;

	for (const char *f = c->text; *f; f += strcspn(f, "\n") + 1) {
		size_t n = strcspn(line, "\n");

		if (!memmem(line, n, part, strlen(part)))
			test_die("no '%s' in the advice '%.*s' on %s", part, (int)n, line, f);
		line += n + (line[n] == '\n');
	}
}

void checked_release(struct checked *c)
{
	buf_release(&c->text_buf);
	buf_release(&c->files_buf);
	buf_release(&c->advice_buf);
}
