#ifndef CORE_MAIL_MAILBOX_NAME_H
#define CORE_MAIL_MAILBOX_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/bytes.h"

struct buf;
struct err;

/*
 * A mailbox name: a list of components, never a path. What a component holds is chosen by a
 * stranger: `..`, `../../x`, "", `a/b`, control characters, hundreds of bytes are all names. A
 * store makes file names of them by an encoding of its own.
 *
 * A component is UTF-8 without NUL. It maps to wire bytes one to one: where the wire bytes are
 * not the proper encoding of any text (see mutf7.h), each byte that is a control, `&` or 8-bit
 * stands as `=XX` (upper-case hexadecimal), and the bytes are sent back as they came. So that
 * this stays unambiguous, a `=` before two such digits is itself always `=3D`. Distinct wire
 * names thus have distinct components.
 *
 * The one exception: INBOX, in any case, as the first component is the component `INBOX`.
 *
 * Names are the same when their components are: wire, delimiter and mode belong to one server.
 */
struct mailbox_name {
	char **components; /* at least one, unless only initialised */
	size_t count;
	/*
	 * As the server spells it, unquoted but still encoded; wire.p is NULL for a name no
	 * server has given.
	 */
	struct bytes wire;
	char *wire_copy;   /* owns the bytes of `wire` */
	uint8_t delimiter; /* of that server; 0: flat, one component */
	bool utf8;         /* wire is UTF-8 (UTF8=ACCEPT, IMAP4rev2), not modified UTF-7 */
	bool exact;        /* every component is plain text: no byte stands as =XX but `=3D` */
	bool mapped;       /* `wire` spells another name than the components: mailbox_name_map() */
};

#define MAILBOX_NAME_INIT { 0 }

void mailbox_name_init(struct mailbox_name *m);
void mailbox_name_release(struct mailbox_name *m); /* as initialised afterwards */
/* All functions that make a name replace *out, which is initialised. */
void mailbox_name_copy(struct mailbox_name *out, const struct mailbox_name *src);

/* Never fails: every byte string is a name. The caller limits its length. */
void mailbox_name_from_wire(struct mailbox_name *out, struct bytes wire, uint8_t delimiter,
			    bool utf8);
/*
 * From components as above (a text that could not have been made by from_wire, such as `=41`,
 * is taken as plain text and becomes `=3D41`), without a wire form. Returns 0, or -1 with *err
 * (ERR_CONFIG) when there is none or one is not UTF-8; *out is untouched then.
 */
int mailbox_name_from_components(struct mailbox_name *out, const char *const *components,
				 size_t count, struct err *err);
/*
 * From what mailbox_name_display() gives or a person types: components separated by `/`, `%XX`
 * is a byte, another `%` is itself. Without a wire form. Returns 0, or -1 with *err
 * (ERR_CONFIG) when a component is not UTF-8 or holds a NUL.
 */
int mailbox_name_from_display(struct mailbox_name *out, struct bytes text, struct err *err);

/* As databases hold one: the components, each ended by NUL. */
void mailbox_name_pack(const struct mailbox_name *m, struct buf *out);
/*
 * And back, with what the source spells it like; wire.p NULL: no spelling. -1 with *err (ERR_FATAL) when `packed`
 * holds no name.
 */
int mailbox_name_unpack(struct mailbox_name *out, struct bytes packed, struct bytes wire,
			uint8_t delimiter, bool utf8, struct err *err);

/*
 * What a store calls a mailbox that is `source` elsewhere: the components of `as`, and the wire form of
 * `source`, so that mailbox_name_source() finds it again. A copy of `source` where the two are the same.
 */
void mailbox_name_map(struct mailbox_name *out, const struct mailbox_name *source,
		      const struct mailbox_name *as);
/* The name that was mapped; of any other a copy. */
void mailbox_name_source(struct mailbox_name *out, const struct mailbox_name *m);
bool mailbox_name_same_source(const struct mailbox_name *a, const struct mailbox_name *b);

/*
 * Add the name as a server with this delimiter and mode spells it: the bytes it sent, if it is
 * the one the name came from (same delimiter and mode), unless it is mapped. Returns 0, or -1 with *err
 * (ERR_MAILBOX), adding nothing, when a component holds the delimiter or a flat server cannot
 * have several components.
 */
int mailbox_name_to_wire(const struct mailbox_name *m, uint8_t delimiter, bool utf8,
			 struct buf *out, struct err *err);

/*
 * For people, files and JSON: components joined by `/`; a `/`, `%` or control character inside
 * one is `%XX` for each of its bytes. Valid UTF-8, distinct for distinct names. Escape it
 * (log.h) before a terminal sees it: other deceptive characters pass.
 */
void mailbox_name_display(const struct mailbox_name *m, struct buf *out);
/* The same as a new string, owned by the caller. */
char *mailbox_name_text(const struct mailbox_name *m);

/* By component, bytewise, a name before those below it. */
int mailbox_name_compare(const struct mailbox_name *a, const struct mailbox_name *b);
bool mailbox_name_equal(const struct mailbox_name *a, const struct mailbox_name *b);
uint64_t mailbox_name_hash(const struct mailbox_name *m);
bool mailbox_name_is_inbox(const struct mailbox_name *m);
/* Whether `m` is `top` or lies below it. */
bool mailbox_name_is_below(const struct mailbox_name *m, const struct mailbox_name *top);
/*
 * What `m`, which is `from` or below it (as all are where `from` has no components), is called once `from` is
 * renamed to `to`: that itself, or a
 * name with the wire form that the source gives it if it does the same; without one where the three are
 * not spelled alike. Errors as mailbox_name_from_components().
 */
int mailbox_name_move(struct mailbox_name *out, const struct mailbox_name *m,
		      const struct mailbox_name *from, const struct mailbox_name *to,
		      struct err *err);

/*
 * Does the display form match a LIST pattern (RFC 3501, section 6.3.8: `*` is anything, `%`
 * anything but `/`)? INBOX as first component matches in any case.
 */
bool mailbox_name_matches(const struct mailbox_name *m, struct bytes pattern);

#endif
