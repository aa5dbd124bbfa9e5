#ifndef TESTS_LIB_CORPUS_H
#define TESTS_LIB_CORPUS_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/buf.h"

/*
 * Sample mail, the same bytes for the same number on every machine: CRLF line ends and no NUL, as
 * a server like Dovecot keeps them. The shapes turn with the number: plain text, 8-bit, MIME
 * with base64 parts, encoded and raw UTF-8 headers, empty body, no body at all, no final newline,
 * a line of 70 KB.
 */
struct corpus_message {
	struct buf body;
	const char *flags; /* as oracle_new takes them */
	char date[32];     /* INTERNALDATE, zones from -1200 to +1400 */
};

/* Message `number`, about `size` bytes (the shape may need more; the empty shapes ignore it). */
void corpus_message(uint32_t number, size_t size, struct corpus_message *out);
void corpus_message_release(struct corpus_message *m);
/* Size of message `number` in a mixed mailbox: most to 16 KB, some to 1 MB, one in 500 `largest`. */
size_t corpus_mixed_size(uint32_t number, size_t largest);
/* A size between `least` and `most`, evenly spread. */
size_t corpus_size(uint32_t number, size_t least, size_t most);

/* Mailboxes for a server whose delimiter is '/': nested, non-ASCII, one that stays empty. */
struct corpus_mailbox {
	const char *utf8;
	const char *wire; /* modified UTF-7 */
	unsigned messages;
};
extern const struct corpus_mailbox corpus_mailboxes[];
extern const size_t corpus_mailboxes_n;

struct oracle;
/* Append messages first .. first+n-1 of sizes least..most to an existing mailbox. */
void corpus_fill(struct oracle *o, const char *mailbox, uint32_t first, uint32_t n, size_t least,
		 size_t most);
/* Append messages first .. first+n-1 of mixed sizes; `largest` as in corpus_mixed_size(). */
void corpus_fill_mixed(struct oracle *o, const char *mailbox, uint32_t first, uint32_t n,
		       size_t largest);
/* Create all of corpus_mailboxes and fill each; one 20 MB attachment in the first. */
void corpus_fill_demo(struct oracle *o);
/*
 * An account to back up and restore: INBOX of mixed sizes, to 3 MiB, with flags and keywords of many kinds; nested mailboxes, one of them
 * not ASCII and with two messages twice; an empty one; Sent, which is \Sent.
 */
void corpus_fill_account(struct oracle *o);
enum { CORPUS_ACCOUNT = 40 + 12 + 5 }; /* messages */

#endif
