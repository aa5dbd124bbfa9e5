#include <assert.h>
#include <stdlib.h>

#include "core/base/mem.h"
#include "core/imap/session_private.h"
#include "core/msgset/uidset.h"

/*
 * Which mailbox is untagged data about, when several SELECTs are in flight?
 *
 *   1. [CLOSED] ends the old mailbox: from there on data belongs to the oldest SELECT in flight.
 *   2. A server without [CLOSED]: a SELECT has the data to itself once every earlier command that
 *      touches a mailbox is answered. If [CLOSED] does come after that, what was counted in between
 *      belonged to the old one and is forgotten.
 *   3. The tagged OK of a SELECT makes its mailbox the selected one; NO or BAD leaves none.
 */

struct mailbox_ref *mailbox_ref_new(struct bytes name)
{
	struct mailbox_ref *m = xcalloc(1, sizeof(*m));

	m->refs = 1;
	m->state.name = bytes_dup(name);
	flags_init(&m->state.flags);
	flags_init(&m->state.permanent_flags);
	return m;
}

struct mailbox_ref *mailbox_ref_take(struct mailbox_ref *m)
{
	if (m)
		m->refs++;
	return m;
}

void mailbox_ref_drop(struct mailbox_ref *m)
{
	if (!m || --m->refs)
		return;
	free(m->state.name);
	free(m->state.mailbox_id);
	flags_release(&m->state.flags);
	flags_release(&m->state.permanent_flags);
	free(m);
}

static void mailbox_forget_data(struct imap_mailbox *m)
{
	const struct imap_mailbox fresh = { .name = m->name, .examined = m->examined };

	free(m->mailbox_id);
	flags_release(&m->flags);
	flags_release(&m->permanent_flags);
	*m = fresh;
}

struct mailbox_ref *session_data_mailbox(const struct imap_session *s)
{
	return s->opening ? s->opening : s->mailbox;
}

/* The first SELECT in flight, if no earlier command there touches a mailbox. */
static struct command *oldest_open(const struct imap_session *s, bool alone)
{
	for (struct command *c = s->in_flight.first; c; c = c->next) {
		if (c->request.flags & IMAP_REQUEST_OPENS)
			return c;
		if (alone && (c->request.flags & (IMAP_REQUEST_IN_MAILBOX | IMAP_REQUEST_LEAVES)))
			return NULL;
	}
	return NULL;
}

void session_update_opening(struct imap_session *s)
{
	struct command *c = s->opening ? NULL : oldest_open(s, true);

	if (c)
		s->opening = mailbox_ref_take(c->mailbox);
}

static void leave(struct imap_session *s)
{
	if (s->mailbox)
		s->mailbox->state.open = false;
	mailbox_ref_drop(s->mailbox);
	s->mailbox = NULL;
}

void session_mailbox_forget(struct imap_session *s)
{
	leave(s);
	mailbox_ref_drop(s->submitted);
	s->submitted = NULL;
}

void session_closed_code(struct imap_session *s)
{
	struct command *c = oldest_open(s, false);

	leave(s);
	if (s->opening)
		mailbox_forget_data(&s->opening->state);
	else if (c)
		s->opening = mailbox_ref_take(c->mailbox);
}

/* One that does not fit counts as not told. */
static void set_number(uint32_t *field, uint64_t n)
{
	if (n <= UINT32_MAX)
		*field = (uint32_t)n;
}

void session_mailbox_code(struct imap_session *s, const struct imap_status *st)
{
	struct mailbox_ref *ref = session_data_mailbox(s);
	struct imap_mailbox *m = ref ? &ref->state : NULL;

	if (!m)
		return;
	switch (st->code) {
	case IMAP_CODE_UIDVALIDITY:
		set_number(&m->uid_validity, st->number);
		break;
	case IMAP_CODE_UIDNEXT:
		set_number(&m->uid_next, st->number);
		break;
	case IMAP_CODE_HIGHESTMODSEQ:
		m->highest_modseq = st->number;
		break;
	case IMAP_CODE_NOMODSEQ:
		m->no_modseq = true;
		m->highest_modseq = 0;
		break;
	case IMAP_CODE_UIDNOTSTICKY:
		m->uid_not_sticky = true;
		break;
	case IMAP_CODE_PERMANENTFLAGS:
		flags_copy(&m->permanent_flags, st->flags);
		m->permanent_known = true;
		m->new_keywords = st->any_keyword;
		break;
	case IMAP_CODE_READ_ONLY:
		m->read_only = true;
		break;
	case IMAP_CODE_READ_WRITE:
		m->read_only = false;
		break;
	case IMAP_CODE_MAILBOXID:
		free(m->mailbox_id);
		m->mailbox_id = bytes_dup(st->args);
		break;
	default:
		break;
	}
}

static void count_removed(struct imap_mailbox *m, uint64_t n)
{
	m->removed += n;
	m->exists -= n < m->exists ? (uint32_t)n : m->exists;
}

void session_mailbox_data(struct imap_session *s, const struct imap_response *r)
{
	struct mailbox_ref *ref = session_data_mailbox(s);
	struct imap_mailbox *m = ref ? &ref->state : NULL;

	if (!m)
		return;
	switch (r->type) {
	case IMAP_RESPONSE_EXISTS:
		m->exists = r->u.number;
		m->exists_known = true;
		break;
	case IMAP_RESPONSE_EXPUNGE:
		count_removed(m, 1);
		break;
	case IMAP_RESPONSE_VANISHED:
		/*
		 * EARLIER tells of the time before this session: EXISTS counts those off already.
		 */
		if (!r->u.vanished.earlier && !uidset_is_open(r->u.vanished.uids))
			count_removed(m, uidset_count(r->u.vanished.uids));
		break;
	case IMAP_RESPONSE_FLAGS:
		flags_copy(&m->flags, r->u.flags);
		break;
	default:
		break;
	}
}

void session_mailbox_done(struct imap_session *s, struct command *c, const struct imap_status *st)
{
	bool ok = st->condition == IMAP_OK;

	if (c->request.flags & IMAP_REQUEST_LEAVES) {
		if (ok)
			leave(s);
		else if (!s->submitted) /* we are still in it */
			s->submitted = mailbox_ref_take(s->mailbox);
	} else {
		/* Out of turn or not, what was selected before is selected no more. */
		leave(s);
		mailbox_ref_drop(s->opening);
		s->opening = NULL;
		c->mailbox->failed = !ok;
		c->mailbox->state.open = ok;
		if (ok)
			s->mailbox = mailbox_ref_take(c->mailbox);
	}
	if (s->state == IMAP_STATE_AUTHENTICATED || s->state == IMAP_STATE_SELECTED)
		s->state = s->mailbox ? IMAP_STATE_SELECTED : IMAP_STATE_AUTHENTICATED;
}
