#ifndef CORE_IMAP_ENVELOPE_H
#define CORE_IMAP_ENVELOPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/bytes.h"

struct imap_node;

/*
 * ENVELOPE and BODYSTRUCTURE (RFC 9051, section 7.5.2), read from the text that struct imap_fetch
 * has of them. What a server leaves out at the end counts as NIL; what is there in addition is
 * passed over. Strings are as in the message's header: encoded words are not decoded.
 */

/* p is NULL for NIL. Without a host: the beginning (mailbox is its name) or the end of a group. */
struct imap_address {
	struct bytes name, route, mailbox, host;
};
struct imap_addresses {
	struct imap_address *list;
	size_t n, cap;
};

struct imap_envelope {
	struct bytes date, subject, in_reply_to, message_id; /* p is NULL for NIL */
	struct imap_addresses from, sender, reply_to, to, cc, bcc;
	struct imap_node *tree; /* what the bytes point to */
};

/* False when `text` is no envelope; nothing is in *env then. Release it always. */
bool imap_envelope_read(struct imap_envelope *env, struct bytes text);
void imap_envelope_release(struct imap_envelope *env);

struct imap_part {
	const char *section; /* for BODY[section], such as "1.2"; "" for a multipart on top */
	struct bytes type, subtype; /* never NIL; "multipart" is not in the answer but its form */
	struct bytes encoding, id, description; /* p is NULL for NIL, and for multiparts */
	uint64_t size;                      /* encoded; 0 for multiparts */
	const struct imap_node *params;      /* list of names and values; NULL: none */
	const struct imap_node *disposition; /* list: a string, a list as params or NIL; NULL: none */
};
typedef void imap_part_fn(void *ctx, const struct imap_part *part);
/*
 * Each part of the message, from the outside in, in its order; parts of attached messages, too. All is
 * borrowed for the call. False when `text` is no structure; parts before the fault were given.
 */
bool imap_structure_read(struct bytes text, imap_part_fn *each, void *ctx);

#endif
