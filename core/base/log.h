#ifndef CORE_BASE_LOG_H
#define CORE_BASE_LOG_H

#include <stdbool.h>

#include "core/base/bytes.h"

struct buf;

/*
 * Where messages for a person go. core/ and backends/ never print: they call log_*(), and
 * cmd/ decides with log_set() what becomes of it. Without a sink nothing is written.
 */
enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG, LOG_TRACE };

typedef void log_fn(void *ctx, enum log_level level, const char *text);

void log_set(enum log_level most, log_fn *fn, void *ctx);
bool log_wants(enum log_level level);
void log_write(enum log_level level, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#define log_warn(...) log_write(LOG_WARN, __VA_ARGS__)
#define log_info(...) log_write(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_DEBUG, __VA_ARGS__)

/*
 * Make text from a stranger fit for a terminal or a log: C0 and C1 controls, DEL, bidi
 * and invisible formatting characters and bytes that are not UTF-8 become \xNN or
 * \u{N}; a backslash becomes \\. At most `max` bytes of input are used; "..." marks a cut.
 */
void escape_add(struct buf *out, struct bytes text, size_t max);
/*
 * The same for a text of many lines, given in pieces of whole characters: line ends, as LF, and tabs
 * stay, and so do backslashes, since a mail is full of them. *cr, false at first, keeps a CR
 * from one piece to the next; the last one ends with escape_add_lines_end().
 */
void escape_add_lines(struct buf *out, struct bytes piece, bool *cr);
void escape_add_lines_end(struct buf *out, bool *cr);
/* As escape_add(), as a new string, owned by the caller. */
char *escape_text(struct bytes text, size_t max);
/* As one word for the shell, for a command that a person may copy: 'it'\''s'. Owned by the caller. */
char *shell_word(const char *text);

#endif
