#ifndef TESTS_LIB_RELAY_H
#define TESTS_LIB_RELAY_H

#include <stddef.h>
#include <stdint.h>

struct buf;

/*
 * A TCP relay on loopback, in a process of its own, between a client under test and a server:
 * a slow line, a torn one, and a witness of what went over it.
 */
struct relay_opts {
	int port;               /* of the server, on 127.0.0.1 */
	int delay_ms;           /* each way, so a round trip is twice this */
	uint64_t rate;          /* bytes a second, each way; 0: as fast as it goes */
	size_t piece;           /* forward in writes of at most this many bytes; 0: as it comes */
	uint64_t cut_to_client; /* end the connection after so many bytes of the server's; 0: never */
	uint64_t cut_to_server; /* the same for the client's stream */
	int cut_times;          /* 0: every connection; n: the first n that get so far */
};

struct relay;

struct relay *relay_start(const struct relay_opts *opts);
int relay_port(const struct relay *r);
void relay_stop(struct relay *r); /* NULL is allowed */

struct relay_stats {
	uint64_t to_client, to_server; /* bytes forwarded */
	unsigned connections, cuts;
	unsigned in_flight;     /* commands now without their tagged answer (clear text only) */
	unsigned max_in_flight; /* the most there ever were, over all connections */
};
struct relay_stats relay_stats(const struct relay *r);
/*
 * For clear text: every line as "<ms since start> <connection> C|S: <line>", literals left out
 * (the line ends in its {n}). A line is written when the relay has passed it on.
 */
void relay_transcript(const struct relay *r, struct buf *out);
/* Only the commands, one per line, tags removed, in the order they came. */
void relay_commands(const struct relay *r, struct buf *out);

#endif
