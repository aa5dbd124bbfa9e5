#ifndef CMD_RENDER_H
#define CMD_RENDER_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "core/base/bytes.h"
#include "core/base/err.h"

struct flags;
struct json_t;
struct maildate;
struct mime;

/* A message as a person or a program reads it. All borrowed. */
struct shown_message {
	const char *mailbox;
	uint32_t uid;
	uint64_t size;
	const struct flags *flags;
	const struct maildate *date; /* INTERNALDATE */
	struct bytes bytes;
	const struct mime *parts;
};

/* More text than that is not put into one line of JSON; --part has it all. */
#define RENDER_TEXT_MAX ((size_t)1 << 20)

/*
 * Header and text, decoded, and what else is in it; with `headers` all of the header alone. What
 * could do harm to a terminal is escaped (log.h). -1 when the file cannot be written.
 */
int render_text(const struct shown_message *m, bool headers, FILE *file, struct err *err);
/* The same as one event; owned by the caller. */
struct json_t *render_event(const struct shown_message *m, bool headers);

#endif
