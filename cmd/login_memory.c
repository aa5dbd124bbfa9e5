#include "cmd/login_memory.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/imap/account.h"
#include "core/sync/record.h"

#include "cmd/config.h"
#include "cmd/jobs.h"

/* Longer than any name of a mechanism. */
#define FILE_MAX 256

void login_memory_init(struct login_memory *m, const struct config_account *ac, bool read_only)
{
	long long port = ac->port ? ac->port : ac->tls == IMAP_TLS_IMPLICIT ? 993 : 143;
	char *state_dir = jobs_state_dir(), *host = xstrdup(ac->host), *login;

	for (char *p = host; *p; p++)
		*p = (char)ascii_lower((uint8_t)*p);
	login = xasprintf("%s@%s:%lld", ac->user, host, port);
	*m = (struct login_memory){ .path = state_path(state_dir, login, ".login"),
				    .read_only = read_only };
	m->remedy = xasprintf("remove %s", m->path);
	free(state_dir);
	free(host);
	free(login);
}

void login_memory_release(struct login_memory *m)
{
	free(m->path);
	free(m->mechanism);
	free(m->remedy);
	*m = (struct login_memory){ 0 };
}

static int unknown(const struct login_memory *m, const char *why, struct err *err)
{
	return err_set(err, ERR_FATAL,
		       "%s: %s, so it is not known whether the server offers less than before. Remove "
		       "that file to begin anew, or set 'auth' to the one mechanism to be used",
		       m->path, why);
}

static int parse(struct login_memory *m, struct bytes text, struct err *err)
{
	char *name;

	if (text.n && text.p[text.n - 1] == '\n')
		text.n--;
	name = bytes_dup(text);
	if (strlen(name) != text.n || !imap_login_strength(name)) {
		free(name);
		return unknown(m, "names no mechanism that this version knows", err);
	}
	m->mechanism = name;
	return 0;
}

static int load(struct login_memory *m, struct err *err)
{
	struct buf text = BUF_INIT(FILE_MAX);
	struct err why;
	int ret = 0;

	if (m->is_loaded)
		return 0;
	/* A directory that is missing or closed to us holds nothing that we wrote. */
	if (access(m->path, F_OK) == 0) {
		if (file_read(m->path, &text, &why) < 0)
			ret = unknown(m, why.sys ? strerror(why.sys) : "is damaged", err);
		else
			ret = parse(m, buf_bytes(&text), err);
	}
	m->is_loaded = ret == 0;
	buf_release(&text);
	return ret;
}

int login_memory_recall(void *ctx, struct imap_login_memory *out, struct err *err)
{
	struct login_memory *m = ctx;

	if (load(m, err) < 0)
		return -1;
	*out = (struct imap_login_memory){ .mechanism = m->mechanism, .remedy = m->remedy };
	return 0;
}

static int save(const struct login_memory *m, struct err *err)
{
	char *dir = jobs_state_dir(), *text = xasprintf("%s\n", m->mechanism);
	int ret = dir_make(dir, 0700, err);

	if (ret == 0)
		ret = file_replace(m->path, bytes_of(text), 0600, err);
	free(dir);
	free(text);
	return ret;
}

void login_memory_note(void *ctx, const char *mechanism)
{
	struct login_memory *m = ctx;
	unsigned known = 1; /* handing the password over is nothing that could get worse */
	struct err err;

	/* Fails for a mechanism asked for by name only; a file that nobody understands is left. */
	if (load(m, &err) < 0)
		return;
	if (m->mechanism)
		known = imap_login_strength(m->mechanism);
	if (imap_login_strength(mechanism) <= known)
		return;
	free(m->mechanism);
	m->mechanism = xstrdup(mechanism);
	if (!m->read_only && save(m, &err) < 0)
		log_warn("logins by %s cannot be remembered, so it would not be noticed if the server "
			 "offered less: %s",
			 mechanism, err.text);
}
