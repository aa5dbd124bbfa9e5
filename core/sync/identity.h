#ifndef CORE_SYNC_IDENTITY_H
#define CORE_SYNC_IDENTITY_H

#include <stdbool.h>

#include "core/base/bytes.h"

/*
 * What a source says of a message that makes it the same in every mailbox of one account: two of
 * one identity have the same bytes. It is written with its kind, so that two kinds never meet:
 *
 *	emailid=M6d99ac3275bb4e     RFC 8474, section 5.1
 *	gmmsgid=1278455344230334865 X-GM-MSGID of Gmail
 *
 * It means nothing outside its account, and it is a server's word: whoever makes a message of another's
 * bytes on it looks at sizes, and at the bytes' hash.
 */
#define IDENTITY_EMAIL "emailid="
#define IDENTITY_GMAIL "gmmsgid="
#define IDENTITY_VALUE_MAX 255 /* RFC 8474, section 7: objectid */
#define IDENTITY_MAX (sizeof(IDENTITY_EMAIL) - 1 + IDENTITY_VALUE_MAX)

/* One of these kinds, with a value of letters, digits, `-` and `_`. */
bool identity_is_valid(struct bytes identity);

#endif
