#ifndef CORE_IMAP_THROTTLE_H
#define CORE_IMAP_THROTTLE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/bytes.h"

struct imap_status;

/*
 * Servers that want to be left alone for a while. Exchange says "Request is throttled. Suggested
 * Backoff Time: 29951 milliseconds" in NO, BAD and BYE, and closes the connection on those who go
 * on all the same; Gmail says [THROTTLED], as the code or at the end of an OK's text.
 */

/* The time that `text` names, at most a day; 0: none. */
int64_t imap_backoff_ms(struct bytes text);
bool imap_is_throttled(const struct imap_status *st);

#endif
