#ifndef CMD_CHECK_AGAINST_H
#define CMD_CHECK_AGAINST_H

#include <stdint.h>

#include "cmd/exit_status.h"

struct app;

/* `check STORE --against ACCOUNT`: compare with the server; `sample` messages byte by byte. */
enum exit_status check_against(struct app *app, const char *store, const char *account,
			       uint64_t sample);

#endif
