#ifndef CORE_BASE_UUID_H
#define CORE_BASE_UUID_H

#define UUID_SIZE 37 /* 36 characters and a NUL */

/* A new random UUID (RFC 4122, version 4), in lower case. */
void uuid_make(char out[UUID_SIZE]);

#endif
