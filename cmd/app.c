#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"

#include "cmd/cmd.h"
#include "cmd/config.h"
#include "cmd/report.h"

static void on_log(void *ctx, enum log_level level, const char *text)
{
	struct app *app = ctx;

	if (level == LOG_TRACE) {
		if (app->trace)
			fprintf(app->trace, "%lld.%03lld %s\n", (long long)(clock_ms() / 1000),
				(long long)(clock_ms() % 1000), text);
		return;
	}
	if (level <= LOG_WARN || (level == LOG_INFO && app->verbose >= 1) || app->verbose >= 2)
		report_line(app, app->worker, "%s", text);
}

static int open_trace(struct app *app, const char *path)
{
	/* What is said about mail concerns nobody else: mode 0600. */
	app->trace = report_private_file(path);
	if (app->trace) {
		/* By lines, so that it can be watched and a run that hangs has left all of it. */
		setvbuf(app->trace, NULL, _IOLBF, BUFSIZ);
		return 0;
	}
	report_line(app, app->worker, "%s: %s", path, strerror(errno));
	return -1;
}

static void begin_log(struct app *app)
{
	log_set(app->trace ? LOG_TRACE : app->verbose >= 2 ? LOG_DEBUG : LOG_INFO, on_log, app);
}

int app_start(struct app *app)
{
	if (app->trace_path && !app->trace && open_trace(app, app->trace_path) < 0)
		return -1;
	begin_log(app);
	return 0;
}

int app_become_worker(struct app *app, const char *job)
{
	char *path = app->trace ? xasprintf("%s.%s", app->trace_path, job) : NULL;
	int ret = 0;

	app->worker = job;
	app->json = true;
	if (path) {
		fclose(app->trace); /* the first process goes on having it */
		ret = open_trace(app, path);
	}
	begin_log(app);
	free(path);
	return ret;
}

static void load_config(struct app *app)
{
	char *path;

	if (app->config)
		return;
	path = config_find(app->config_path);
	app->config = config_load(path, app->accounts_path);
	app->config_is_missing = access(path, F_OK) < 0 && errno == ENOENT;
	free(path);
}

const struct config *app_config_if_sound(struct app *app)
{
	load_config(app);
	return app->config->n_problems == 0 ? app->config : NULL;
}

const struct config *app_config(struct app *app)
{
	if (app_start(app) < 0)
		return NULL;
	load_config(app);
	for (size_t i = 0; i < app->config->n_problems; i++)
		report_line(app, NULL, "%s", app->config->problems[i]);
	if (app->config_is_missing)
		report_line(app, NULL,
			    "config.example.ini shows what goes into it; --config names another "
			    "file");
	return app->config->n_problems == 0 ? app->config : NULL;
}
