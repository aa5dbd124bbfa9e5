#include <assert.h>
#include <stdlib.h>

#include "core/base/mem.h"
#include "core/imap/commands_private.h"
#include "core/msgset/uidset.h"

static void release(struct split_command *split)
{
	free(split->encoders);
	split->encoders = NULL;
	split->n = split->cap = 0;
}

static int add(struct split_command *split, const struct imap_session *s,
	       const struct uidset *piece, struct err *err)
{
	split->encoders = xgrow(split->encoders, split->n, &split->cap, sizeof(*split->encoders));
	if (split->encode(split->ctx, s, &split->encoders[split->n++], piece, err) == 0)
		return 0;
	for (size_t i = 0; i < split->n; i++)
		imap_encoder_release(&split->encoders[i]);
	release(split);
	return -1;
}

int split_command_encode(struct split_command *split, const struct imap_session *s,
			 const struct uidset *set, struct err *err)
{
	struct uidset_split pieces = { .set = set, .budget = imap_session_set_budget(s) };
	struct uidset piece = UIDSET_INIT;
	int ret = 0;

	if (!set)
		return add(split, s, NULL, err);
	assert(!uidset_is_empty(set) && !uidset_is_open(set));
	if (imap_session_caps(s)->message_limit)
		pieces.max_members = imap_session_caps(s)->message_limit;
	while (ret == 0 && uidset_split_next(&pieces, &piece))
		ret = add(split, s, &piece, err);
	uidset_release(&piece);
	return ret;
}

void split_command_submit(struct split_command *split, struct imap_session *s,
			  const struct imap_request *request)
{
	for (size_t i = 0; i < split->n; i++) {
		struct imap_request q = *request;

		q.command = &split->encoders[i];
		imap_session_submit(s, &q);
	}
	release(split);
}

void command_encode_set(const struct imap_session *s, struct imap_encoder *e, const char *word,
			enum imap_numbering numbering, const struct uidset *piece)
{
	imap_session_encoder(s, e);
	if (numbering != IMAP_NUMBERS)
		imap_encode_word(e, "UID");
	imap_encode_word(e, word);
	if (numbering == IMAP_SAVED)
		imap_encode_word(e, "$");
	else
		imap_encode_uidset(e, piece);
}

unsigned command_set_flags(enum imap_numbering numbering)
{
	return IMAP_REQUEST_IN_MAILBOX | (numbering == IMAP_NUMBERS ? IMAP_REQUEST_ALONE : 0);
}

int command_check_set(const struct imap_session *s, const char *word,
		      enum imap_numbering numbering, const struct uidset *set, struct err *err)
{
	if (command_needs_mailbox(s, word, err) < 0)
		return -1;
	if (numbering == IMAP_SAVED)
		return command_needs(s, IMAP_CAP_SEARCHRES, word, err);
	if (!set || uidset_is_empty(set) || uidset_is_open(set))
		return err_set(err, ERR_CONFIG, "%s: no messages are named", word);
	return 0;
}

bool tally_note(struct tally *t, const struct imap_result *r, struct imap_result *out)
{
	t->damaged |= r->damaged;
	if (r->outcome != IMAP_DONE_OK && t->outcome == IMAP_DONE_OK) {
		t->outcome = r->outcome;
		t->err = *r->err;
	}
	*out = *r;
	out->damaged = t->damaged;
	out->outcome = t->outcome;
	if (t->outcome != r->outcome)
		out->status = NULL; /* it is another's */
	if (t->outcome != IMAP_DONE_OK)
		out->err = &t->err;
	return --t->left == 0;
}
