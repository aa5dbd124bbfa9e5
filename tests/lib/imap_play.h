#ifndef TESTS_LIB_IMAP_PLAY_H
#define TESTS_LIB_IMAP_PLAY_H

#include <stdbool.h>

struct transport;

/*
 * The server's side of an IMAP session in memory: no process, no socket, no clock. The script:
 *
 *	S: * OK hello          sent, with CRLF, as soon as all before it has happened
 *	C: a LOGIN *** ***     the client's next line must be this; `a` now stands for its tag
 *	C= hello               a line without a tag (literal, continuation)
 *	S: a OK done           first word: the tag that `a` stands for; anywhere: <a>; <a+>: the tag after it
 *	PAUSE                  wait for play_resume()
 *	DEFLATE                from here on both directions are compressed
 *	END                    the server closes the connection
 *
 * An empty line is skipped. The client's line `C: a X` may end in `...`: the rest does not matter.
 */
struct imap_play;

struct imap_play *play_new(const char *script);
/* The session's transport; owned by whoever gets it, must be freed before play_finish(). */
struct transport *play_transport(struct imap_play *p);
void play_resume(struct imap_play *p);
/* Release; fails the test when a line differed or was never reached. */
void play_finish(struct imap_play *p);

#endif
