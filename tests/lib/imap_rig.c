#include "tests/lib/imap_rig.h"

#include <string.h>

#include "core/imap/commands.h"
#include "core/imap/loop.h"
#include "tests/lib/imap_play.h"
#include "tests/lib/support.h"

static void start(struct imap_rig *rig, const char *caps, const char *before, const char *script)
{
	struct buf text = BUF_INIT((size_t)1 << 24);

	*rig = (struct imap_rig){ .account = { .name = "test", .host = "mail.example",
					       .tls = IMAP_TLS_NONE, .user = "alice",
					       .timeout_ms = 2000 } };
	buf_addf(&text, "S: * PREAUTH [CAPABILITY IMAP4rev1 %s] hello\n%s%s", caps, before, script);
	rig->play = play_new(buf_str(&text));
	buf_release(&text);
	buf_init(&rig->log, 1 << 20);
	rig->loop = loop_new(NULL, NULL);
	rig->session = imap_session_new_on(rig->loop, &rig->account, NULL,
					   play_transport(rig->play));
	if (imap_session_open(rig->session, &rig->err) < 0)
		test_die("imap_rig: %s", rig->err.text);
}

void imap_rig_open(struct imap_rig *rig, const char *caps, const char *script)
{
	start(rig, caps, "", script);
}

void imap_rig_open_inbox(struct imap_rig *rig, const char *caps, bool read_only,
			 const char *script)
{
	const char *before = read_only ? "C: s EXAMINE INBOX\nS: * 9 EXISTS\nS: s OK\n" :
					 "C: s SELECT INBOX\nS: * 9 EXISTS\nS: s OK\n";
	const char *extended = read_only ?
		"C: s EXAMINE INBOX (CONDSTORE)\nS: * 9 EXISTS\nS: s OK\n" :
		"C: s SELECT INBOX (CONDSTORE)\nS: * 9 EXISTS\nS: s OK\n";
	bool condstore = strstr(caps, "CONDSTORE") || strstr(caps, "QRESYNC");

	start(rig, caps, condstore ? extended : before, script);
	if (imap_select(rig->session, bytes_of("INBOX"), read_only, NULL, NULL, &rig->err) < 0)
		test_die("imap_rig: %s", rig->err.text);
	imap_rig_drain(rig);
}

void imap_rig_drain(struct imap_rig *rig)
{
	struct err closed;

	/* What the commands came to, the handlers know; a closed session is for the test to see. */
	imap_session_drain(rig->session, &closed);
}

void imap_rig_expect(struct imap_rig *rig, const char *want)
{
	if (strcmp(buf_str(&rig->log), want) != 0)
		test_die("expected \"%s\", got \"%s\"", want, buf_str(&rig->log));
	buf_clear(&rig->log);
}

void imap_rig_note(void *ctx, const struct imap_result *result)
{
	static const char *const words[] = { [IMAP_DONE_OK] = "ok ", [IMAP_DONE_NO] = "no ",
					     [IMAP_DONE_BAD] = "bad ", [IMAP_DONE_LOST] = "lost " };
	struct imap_rig *rig = ctx;

	if (result->damaged && result->outcome != IMAP_DONE_LOST)
		buf_add_str(&rig->log, "damaged ");
	buf_add_str(&rig->log, words[result->outcome]);
}

void imap_rig_close(struct imap_rig *rig)
{
	imap_session_free(rig->session);
	loop_free(rig->loop);
	buf_release(&rig->log);
	play_finish(rig->play);
}
