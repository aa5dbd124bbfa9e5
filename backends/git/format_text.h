#ifndef BACKENDS_GIT_FORMAT_TEXT_H
#define BACKENDS_GIT_FORMAT_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/bytes.h"

struct buf;
struct err;

/* The file `FORMAT`, which makes a repository an archive of ours (README.md, Formats). */
#define FORMAT_VERSION 1
#define FORMAT_TEXT_MAX ((size_t)1 << 20) /* as LEAF_TEXT_MAX */

struct format_text {
	uint32_t version;
	char uuid[37];
	char *account; /* owned; NULL: not known */
	char *extra;   /* lines we do not know, written back; owned, NULL for none */
};

enum format_result {
	FORMAT_OURS,
	FORMAT_NEWER,   /* ours, of a later version: only `version` is set */
	FORMAT_FOREIGN, /* does not begin as ours does */
	FORMAT_DAMAGED, /* *err: ERR_FATAL, `line 3: ...` */
};

void format_text_init(struct format_text *f);
void format_text_release(struct format_text *f); /* as initialised afterwards */
/* Replace *out (initialised). */
enum format_result format_text_read(struct bytes text, struct format_text *out, struct err *err);
/* Add the file, as FORMAT_VERSION. */
void format_text_write(const struct format_text *f, struct buf *out);

#endif
