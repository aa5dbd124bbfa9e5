#include "cmd/mirror.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "backends/git/mirror.h"
#include "core/base/err.h"
#include "core/base/log.h"

#include "cmd/cmd.h"
#include "cmd/config.h"
#include "cmd/report.h"

static void tell_how_to_replace(const struct app *app, const char *job, const char *path, const char *url)
{
	char *dir = shell_word(path), *place = shell_word(url);

	report_line(app, job,
		    "To give up what the mirror has and make it what is here: git --git-dir=%s push --force %s main",
		    dir, place);
	free(dir);
	free(place);
}

static void tell_mirror(const struct app *app, const char *job, const struct mirroring *m, int failed,
			const struct err *err)
{
	static const char *const words[] = {
		[MIRROR_NOTHING] = "nothing",	[MIRROR_SAME] = "same",		[MIRROR_PUSHED] = "pushed",
		[MIRROR_REPLACED] = "replaced", [MIRROR_DIVERGED] = "diverged", [MIRROR_FAILED] = "failed",
	};

	if (app->json)
		report_event(json_pack("{s:s, s:s, s:s, s:s*, s:s*, s:s*}", "event", "mirror", "job", job,
				       "outcome", words[m->outcome], "here", *m->here ? m->here : NULL, "there",
				       *m->there ? m->there : NULL, "error", failed ? err->text : NULL));
	if (failed)
		report_line(app, job, "%s", err->text);
	else if (app->verbose && !app->json && (m->outcome == MIRROR_PUSHED || m->outcome == MIRROR_REPLACED))
		printf("%s: pushed to the mirror%s\n", job,
		       m->outcome == MIRROR_REPLACED ? ", in place of the history before forget" : "");
}

enum exit_status mirror_push(struct app *app, const struct config_job *job)
{
	char *path = config_store_path(job->store, job->whose);
	char *url = config_store_mirror(job->store, job->whose);
	struct mirroring m = { .url = url, .stop = app->stop };
	struct err err = { 0 };
	int failed = gitstore_mirror(path, &m, &err);

	tell_mirror(app, job->head.name, &m, failed, &err);
	if (m.outcome == MIRROR_DIVERGED && !app->json)
		tell_how_to_replace(app, job->head.name, path, url);
	free(path);
	free(url);
	if (m.outcome == MIRROR_DIVERGED)
		return EXIT_INCOMPLETE;
	return failed ? exit_of_err(err.kind) : EXIT_DONE;
}

bool mirror_may_push(const struct config_job *job, int failed, const struct err *err)
{
	if (!job->store || job->store->type != CONFIG_STORE_GIT || !job->store->mirror)
		return false;
	return failed == 0 || err->kind == ERR_RETRY || err->kind == ERR_AUTH;
}
