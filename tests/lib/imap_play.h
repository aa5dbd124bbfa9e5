#ifndef TESTS_LIB_IMAP_PLAY_H
#define TESTS_LIB_IMAP_PLAY_H

#include <stdbool.h>

struct buf;
struct transport;

/*
 * The server's side of an IMAP session in memory: no process, no socket, no clock. The script:
 *
 *	S: * OK hello          sent, with CRLF, as soon as all before it has happened
 *	C: a LOGIN *** ***     the client's next line must be this; `a` now stands for its tag
 *	C= hello               a line without a tag (literal, continuation)
 *	S: a OK done           first word: the tag that `a` stands for; anywhere: <a>; <a+>: the tag after it
 *	PAUSE                  wait for play_resume()
 *	S+: \x00* OK\r\n       sent as it is, with escapes \r \n \t \e \xNN \\
 *	DEFLATE                from here on both directions are compressed
 *	TLS                    from here on both directions are encrypted (play_new_tls())
 *	END                    the server closes the connection
 *
 * An empty line is skipped. The client's line `C: a X` may end in `...`: the rest does not matter.
 */
struct imap_play;

struct imap_play *play_new(const char *script);
/* With a server behind it that can do TLS; `dir` is for its certificate. */
struct tls_peer;
struct tls_peer_cert;
struct imap_play *play_new_tls(const char *script, const struct tls_peer_cert *cert,
			       const char *dir);
struct tls_peer *play_tls_peer(struct imap_play *p);
/*
 * From here on any line of the client will do, and each of the server's goes through `mangle`
 * (which may change it) before it is sent. play_finish() complains of nothing.
 */
void play_hostile(struct imap_play *p, void (*mangle)(void *ctx, struct buf *line), void *ctx);
/* The session's transport; owned by whoever gets it, must be freed before play_finish(). */
struct transport *play_transport(struct imap_play *p);
void play_resume(struct imap_play *p);
/* Release; fails the test when a line differed or was never reached. */
void play_finish(struct imap_play *p);

#endif
