#include "core/base/uuid.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

void uuid_make(char out[UUID_SIZE])
{
	uint8_t r[16];

	if (getrandom(r, sizeof(r), 0) != sizeof(r))
		abort(); /* no random numbers: nothing that follows could be trusted */
	r[6] = (uint8_t)((r[6] & 0x0f) | 0x40);
	r[8] = (uint8_t)((r[8] & 0x3f) | 0x80);
	for (size_t i = 0, at = 0; i < 16; i++) {
		at += (size_t)snprintf(out + at, UUID_SIZE - at, "%02x", r[i]);
		if (i == 3 || i == 5 || i == 7 || i == 9)
			out[at++] = '-';
	}
}
