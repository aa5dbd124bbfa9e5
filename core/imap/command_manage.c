#include "core/imap/commands_manage.h"

#include <stdlib.h>

#include "core/imap/commands_private.h"

/* A command whose arguments are mailbox names; p is NULL: none. */
static int do_names(struct imap_session *s, const char *word, unsigned flags, struct bytes name,
		    struct bytes second, struct err *err)
{
	struct waiter w = { .session = s };
	char *what = command_describe(word, name);
	struct imap_encoder e;
	int ret;

	imap_session_encoder(s, &e);
	imap_encode_word(&e, word);
	imap_encode_mailbox(&e, name);
	if (second.p)
		imap_encode_mailbox(&e, second);
	ret = waiter_do(&w, &e, &(struct imap_request){ .what = what, .flags = flags }, err);
	free(what);
	return ret;
}

/* --- CREATE --- */

struct create_wait {
	struct waiter waiter; /* first */
	struct imap_created *out;
};

static void on_create_result(struct waiter *w, const struct imap_result *result)
{
	struct imap_created *out = ((struct create_wait *)w)->out;
	const struct imap_status *st = result->status;

	if (!out || !st)
		return;
	if (result->outcome == IMAP_DONE_OK && st->code == IMAP_CODE_MAILBOXID)
		out->mailbox_id = bytes_dup(st->args);
	out->existed = result->outcome == IMAP_DONE_NO && st->code == IMAP_CODE_ALREADYEXISTS;
}

static void encode_use(struct imap_encoder *e, unsigned use)
{
	static const struct {
		unsigned bit;
		const char *name;
	} table[] = {
		{ IMAP_MAILBOX_ALL, "\\All" },		 { IMAP_MAILBOX_ARCHIVE, "\\Archive" },
		{ IMAP_MAILBOX_DRAFTS, "\\Drafts" },	 { IMAP_MAILBOX_FLAGGED, "\\Flagged" },
		{ IMAP_MAILBOX_IMPORTANT, "\\Important" }, { IMAP_MAILBOX_JUNK, "\\Junk" },
		{ IMAP_MAILBOX_SENT, "\\Sent" },	 { IMAP_MAILBOX_TRASH, "\\Trash" },
	};

	imap_encode_open(e);
	imap_encode_word(e, "USE");
	imap_encode_open(e);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (use & table[i].bit)
			imap_encode_word(e, table[i].name);
	imap_encode_close(e);
	imap_encode_close(e);
}

int imap_create_wait(struct imap_session *s, struct bytes wire_name, unsigned use,
		     struct imap_created *out, struct err *err)
{
	struct create_wait w = { .waiter = { .session = s, .on_result = on_create_result },
				 .out = out };
	struct imap_encoder e;
	char *what;
	int ret;

	if (out)
		*out = (struct imap_created){ 0 };
	if (use && command_needs(s, IMAP_CAP_CREATE_SPECIAL_USE, "CREATE with a special use",
				 err) < 0)
		return -1;
	what = command_describe("CREATE", wire_name);
	imap_session_encoder(s, &e);
	imap_encode_word(&e, "CREATE");
	imap_encode_mailbox(&e, wire_name);
	if (use)
		encode_use(&e, use);
	ret = waiter_do(&w.waiter, &e, &(struct imap_request){
		.what = what, .flags = IMAP_REQUEST_ALONE }, err);
	free(what);
	return out && out->existed ? 0 : ret;
}

/* --- the others --- */

static const struct bytes none;

int imap_delete_wait(struct imap_session *s, struct bytes wire_name, struct err *err)
{
	return do_names(s, "DELETE", IMAP_REQUEST_ALONE, wire_name, none, err);
}

int imap_rename_wait(struct imap_session *s, struct bytes from, struct bytes to, struct err *err)
{
	return do_names(s, "RENAME", IMAP_REQUEST_ALONE, from, to, err);
}

int imap_subscribe_wait(struct imap_session *s, struct bytes wire_name, struct err *err)
{
	return do_names(s, "SUBSCRIBE", 0, wire_name, none, err);
}

int imap_unsubscribe_wait(struct imap_session *s, struct bytes wire_name, struct err *err)
{
	return do_names(s, "UNSUBSCRIBE", 0, wire_name, none, err);
}

static int do_in_mailbox(struct imap_session *s, const char *word, unsigned flags,
			 struct err *err)
{
	struct waiter w = { .session = s };
	struct imap_encoder e;

	if (command_needs_mailbox(s, word, err) < 0)
		return -1;
	imap_session_encoder(s, &e);
	imap_encode_word(&e, word);
	return waiter_do(&w, &e, &(struct imap_request){
		.flags = flags | IMAP_REQUEST_IN_MAILBOX }, err);
}

int imap_check_wait(struct imap_session *s, struct err *err)
{
	bool gone = imap_session_protocol(s) == IMAP_PROTOCOL_REV2;

	return do_in_mailbox(s, gone ? "NOOP" : "CHECK", 0, err);
}

int imap_close_wait(struct imap_session *s, struct err *err)
{
	return do_in_mailbox(s, "CLOSE", IMAP_REQUEST_LEAVES, err);
}

int imap_enable_wait(struct imap_session *s, const enum imap_cap *caps, size_t n, struct err *err)
{
	struct waiter w = { .session = s };
	struct imap_encoder e;
	size_t added = 0;

	if (command_needs(s, IMAP_CAP_ENABLE, "ENABLE", err) < 0)
		return -1;
	if (imap_session_submitted(s))
		return err_set(err, ERR_CONFIG, "ENABLE: not while a mailbox is selected");
	imap_session_encoder(s, &e);
	imap_encode_word(&e, "ENABLE");
	for (size_t i = 0; i < n; i++) {
		if (!imap_session_has(s, caps[i]))
			continue;
		imap_encode_word(&e, imap_cap_name(caps[i]));
		added++;
	}
	if (!added) {
		imap_encoder_release(&e);
		return 0;
	}
	return waiter_do(&w, &e, &(struct imap_request){ .flags = IMAP_REQUEST_ALONE }, err);
}

void imap_enable(struct imap_session *s, enum imap_cap cap)
{
	struct imap_encoder e;
	struct err never;

	if (!imap_session_has(s, IMAP_CAP_ENABLE) || !imap_session_has(s, cap) ||
	    imap_session_enabled(s, cap) || imap_session_submitted(s))
		return;
	imap_session_encoder(s, &e);
	imap_encode_word(&e, "ENABLE");
	imap_encode_word(&e, imap_cap_name(cap));
	if (imap_encoder_finish(&e, &never) == 0)
		imap_session_submit(s, &(struct imap_request){ .command = &e });
}

int imap_unauthenticate_wait(struct imap_session *s, struct err *err)
{
	struct waiter w = { .session = s };
	struct imap_encoder e;

	if (command_needs(s, IMAP_CAP_UNAUTHENTICATE, "UNAUTHENTICATE", err) < 0)
		return -1;
	if (imap_session_pending(s) || imap_session_is_compressed(s))
		return err_set(err, ERR_CONFIG, "UNAUTHENTICATE: not while %s",
			       imap_session_pending(s) ? "commands are under way" :
							 "compression is on");
	imap_session_encoder(s, &e);
	imap_encode_word(&e, "UNAUTHENTICATE");
	if (waiter_do(&w, &e, &(struct imap_request){
		.flags = IMAP_REQUEST_ALONE | IMAP_REQUEST_UNAUTHENTICATES }, err) < 0)
		return -1;
	return imap_session_open(s, err);
}
