#ifndef CORE_SYNC_HASHING_H
#define CORE_SYNC_HASHING_H

#include "core/sync/store.h"

/*
 * For a sink that keeps nothing of a message but what it is by its bytes: its begin() and write(). Its
 * end() calls hashing_end() once, complete or not.
 */
int hashing_begin(void *ctx, void *tag, const struct message *msg, void **handle, struct err *err);
int hashing_write(void *ctx, void *handle, struct bytes piece, struct err *err);
/* How many bytes were written, and their SHA-256. */
uint64_t hashing_end(void *handle, uint8_t sha256[CONTENT_HASH_SIZE]);

#endif
