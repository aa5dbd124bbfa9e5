#ifndef TESTS_LIB_IMAP_DEEDS_H
#define TESTS_LIB_IMAP_DEEDS_H

struct buf;
struct imap_session;

/* What a `do:` line asks for. Counts how often a command was submitted and how often it ended. */
struct deeds {
	struct imap_session *session;
	struct buf *log;
	unsigned submitted, ended;
};

/* "EXAMINE INBOX; FETCH 1:9": submitted in one flight and waited for together. */
void deeds_do(struct deeds *d, const char *line);

#endif
