#include "cmd/snapshot_arg.h"

#include <stdlib.h>
#include <time.h>

#include "backends/git/history.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"

#include "cmd/store_arg.h"

int snapshot_arg_open(const struct store_arg *arg, struct history **out, struct err *err)
{
	char *name;

	if (arg->ops->traits & STORE_HAS_HISTORY)
		return history_open(arg->path, out, err);
	name = escape_text(bytes_of(arg->name), 400);
	err_set(err, ERR_CONFIG,
		"%s is of type %s, which holds only what it holds now: it has no snapshots", name,
		arg->ops->type);
	free(name);
	return -1;
}

static char *moment_of(const struct history *h, size_t i)
{
	const struct snapshot *s = history_snapshot(h, i);
	time_t when = (time_t)s->time;
	struct tm tm = { 0 };
	char text[64];

	localtime_r(&when, &tm);
	strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm);
	return xasprintf("%.*s of %s", history_id_digits(h), s->id, text);
}

int snapshot_arg_resolve(struct store_arg *arg, struct err *err)
{
	struct history *h;
	size_t i;
	int ret;

	if (!arg->snapshot)
		return 0;
	if (snapshot_arg_open(arg, &h, err) < 0)
		return -1;
	ret = history_resolve(h, arg->snapshot, clock_unix(), &i, err);
	if (ret == 0) {
		free(arg->snapshot);
		arg->snapshot = xstrdup(history_snapshot(h, i)->id);
		arg->config.snapshot = arg->snapshot;
		arg->moment = moment_of(h, i);
	}
	history_close(h);
	return ret;
}
