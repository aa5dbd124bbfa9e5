#ifndef CORE_BASE_CLOCK_H
#define CORE_BASE_CLOCK_H

#include <stdint.h>

/* Milliseconds that never go back, for deadlines and rates. */
int64_t clock_ms(void);
/* The same in microseconds, for measuring short waits. */
int64_t clock_us(void);
/* Seconds since 1970-01-01 UTC, for records a person reads. */
int64_t clock_unix(void);

#endif
