#ifndef CMD_MIRROR_H
#define CMD_MIRROR_H

#include <stdbool.h>

#include "cmd/exit_status.h"

struct app;
struct config_job;
struct err;

/*
 * Whether the job's store has a mirror that is to be pushed to now. Not when the run failed of something else than the
 * server: the store may not be the expected one. Where the server does not answer, what an earlier run could not
 * push still can be.
 */
bool mirror_may_push(const struct config_job *job, int failed, const struct err *err);
/* Do it, and say what came of it. */
enum exit_status mirror_push(struct app *app, const struct config_job *job);

#endif
