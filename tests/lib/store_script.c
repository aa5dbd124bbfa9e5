#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/lib/store_script.h"

void script_start(struct script *t, const char *text)
{
	*t = (struct script){ .server = scripted_start(text) };
	probe_init(&t->probe, scripted_port(t->server), "me");
	t->probe.account.connections = 1;
	probe_open(&t->probe);
	probe_sink_init(&t->sink);
}

struct mailbox *script_inbox(struct script *t)
{
	struct mailbox_info info = { .token = { .known = true, .uidvalidity = 7, .uidnext = 4,
						.messages = 3 } };
	struct mailbox *mb;
	struct err err;

	mailbox_name_init(&info.name);
	mailbox_name_from_wire(&info.name, bytes_of("INBOX"), '/', false);
	assert_int_equal(mailbox_open(t->probe.store, &info, STORE_READ, &mb, &err), 0);
	mailbox_name_release(&info.name);
	return mb;
}

int script_try_fetch(struct script *t, bool exact, struct err *err)
{
	uidset_add_range(&t->set, 1, 3);
	t->want = (struct want){ .mailbox = script_inbox(t), .set = &t->set, .exact = exact,
				 .header = t->header, .expect = 3, .tag = t };
	return store_fetch(t->probe.store, &t->want, 1, &t->sink.sink, probe_report, &t->sink, err);
}

void script_fetch(struct script *t, bool exact)
{
	struct err err;

	if (script_try_fetch(t, exact, &err) < 0)
		fail_msg("fetch: %s", err.text);
	assert_int_equal(t->sink.open, 0);
}

void script_end(struct script *t)
{
	probe_close(&t->probe);
	scripted_finish(t->server);
	probe_sink_release(&t->sink);
	uidset_release(&t->set);
}

