#ifndef CORE_BASE_DATABASE_H
#define CORE_BASE_DATABASE_H

#include <stdbool.h>

/* What stores need to know of a SQLite file before they open it. */

/* Whether WAL's shared memory would not work there: other machines may see the same file. */
bool database_is_remote(const char *path);
/*
 * To open it for reading, with SQLITE_OPEN_URI. Without a write-ahead log there is nothing but the file, which
 * is then read as it is, touching nothing. Owned by the caller.
 */
char *database_read_only_uri(const char *path);

#endif
