#ifndef CORE_IMAP_TRACE_H
#define CORE_IMAP_TRACE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/bytes.h"

/*
 * What went over the wire, a line at a time, fit to be shown: escaped, lines capped at 1 KiB
 * (S19), contents of literals as their size only, secrets never there in the first place (S18:
 * whoever sends says what is secret, and it is replaced before it gets here).
 */
enum imap_trace_level {
	IMAP_TRACE_OFF,
	IMAP_TRACE_COMMANDS, /* our lines, and the server's status lines */
	IMAP_TRACE_ALL,
};

/* `direction` is 'C' (client) or 'S' (server), or '*' for what the session remarks itself. */
typedef void imap_trace_fn(void *ctx, char direction, const char *line);

/* Without a function of its own a trace goes to log_write(LOG_TRACE). Zero-initialise. */
struct imap_trace {
	enum imap_trace_level level;
	imap_trace_fn *fn;
	void *ctx;
	const char *name; /* account, for the log */
	/* The rest is private: the server's line so far. */
	uint8_t line[1024];
	uint32_t held;      /* of them in `line` */
	uint8_t tail[24];   /* the last bytes of the line, where a literal is announced */
	uint32_t tail_held;
	uint64_t skip;      /* bytes of a literal still to come */
};

/* One line without its line end. Returns at once when nobody listens. */
void imap_trace_line(struct imap_trace *t, char direction, struct bytes line);
/* What was read, cut anywhere. */
void imap_trace_received(struct imap_trace *t, struct bytes data);
/* TLS begins: what was half read is forgotten. */
void imap_trace_reset(struct imap_trace *t);
bool imap_trace_wants(const struct imap_trace *t);

#endif
