#include "core/sync/record.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include <jansson.h>

#include "core/base/buf.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/mem.h"

#define RECORD_VERSION 1
#define RECORD_MAX ((size_t)64 << 20) /* it may name every message of the account */
#define RUNS_KEPT 50

void record_release(struct record *r)
{
	free(r->account);
	free(r->scope);
	free(r->hint);
	json_decref(r->runs);
	leaving_list_release(&r->leaving);
	*r = (struct record){ 0 };
}

char *state_path(const char *state_dir, const char *name, const char *suffix)
{
	struct buf b = BUF_INIT(1 << 16);

	buf_addf(&b, "%s/", state_dir);
	for (const char *p = name; *p; p++)
		if (*p == '/' || *p == '%' || (p == name && *p == '.') || (unsigned char)*p < 0x20)
			buf_addf(&b, "%%%02X", (unsigned char)*p);
		else
			buf_add_byte(&b, (uint8_t)*p);
	buf_add_str(&b, suffix);
	return buf_take(&b);
}

char *record_path(const char *state_dir, const char *job)
{
	return state_path(state_dir, job, ".run");
}

char *record_source_index(const char *state_dir, const char *job, const char *path)
{
	uint64_t hash = 14695981039346656037u; /* FNV-1a: tells the few paths of a job apart */
	char suffix[32];

	for (; *path; path++)
		hash = (hash ^ (unsigned char)*path) * 1099511628211u;
	snprintf(suffix, sizeof(suffix), ".%016llx.uids", (unsigned long long)hash);
	return state_path(state_dir, job, suffix);
}

/* A copy of a string member, NULL when there is none. */
static char *member(const json_t *root, const char *key)
{
	const char *s = json_string_value(json_object_get(root, key));

	return s ? xstrdup(s) : NULL;
}

static int damaged(const char *path, const char *why, struct err *err)
{
	return err_set(err, ERR_HELD,
		       "%s is damaged (%s), so the store cannot be recognised; look at the "
		       "store, and when it is the right one, remove that file and run again",
		       path, why);
}

static int parse(const char *path, struct bytes text, struct record *out, struct err *err)
{
	json_error_t why;
	json_t *root = json_loadb((const char *)text.p, text.n, 0, &why);
	const char *uuid;
	int ret = -1;

	if (!root)
		return damaged(path, why.text, err);
	if (json_integer_value(json_object_get(root, "version")) > RECORD_VERSION) {
		err_set(err, ERR_HELD, "%s was written by a newer mailcask; use that one", path);
		goto out;
	}
	uuid = json_string_value(json_object_get(root, "store"));
	if (!uuid || strlen(uuid) != sizeof(out->uuid) - 1) {
		damaged(path, "no store", err);
		goto out;
	}
	out->exists = true;
	memcpy(out->uuid, uuid, sizeof(out->uuid));
	out->account = member(root, "account");
	out->scope = member(root, "scope");
	out->hint = member(root, "hint");
	out->generation = (uint64_t)json_integer_value(json_object_get(root, "generation"));
	out->source_generation =
		(uint64_t)json_integer_value(json_object_get(root, "source_generation"));
	out->adopting = json_is_true(json_object_get(root, "adopting"));
	out->flags_checked = json_integer_value(json_object_get(root, "flags_checked"));
	out->runs = json_incref(json_object_get(root, "runs"));
	ret = leaving_from_json(&out->leaving, json_object_get(root, "leaving"))
		      ? 0
		      : damaged(path, "what prune-server was about cannot be read", err);
out:
	json_decref(root);
	return ret;
}

int record_load(const char *state_dir, const char *job, struct record *out, struct err *err)
{
	char *path = record_path(state_dir, job);
	struct buf text = BUF_INIT(RECORD_MAX);
	int ret;

	*out = (struct record){ 0 };
	ret = file_read(path, &text, err);
	if (ret < 0 && (err->sys == ENOENT || err->sys == ENOTDIR))
		ret = 0;
	else if (ret == 0)
		ret = parse(path, buf_bytes(&text), out, err);
	buf_release(&text);
	free(path);
	return ret;
}

static void add_run(struct record *r, const struct record_run *run)
{
	if (!r->runs)
		r->runs = json_array();
	json_array_append_new(
		r->runs, json_pack("{s:I, s:I, s:s, s:I, s:I, s:I, s:I, s:b}", "started",
				   (json_int_t)run->started, "ended", (json_int_t)run->ended,
				   "outcome", run->outcome, "new",
				   (json_int_t)run->new_messages, "removed",
				   (json_int_t)run->removed, "flags",
				   (json_int_t)run->flags_changed, "bytes",
				   (json_int_t)run->bytes, "trouble", run->trouble));
	while (json_array_size(r->runs) > RUNS_KEPT)
		json_array_remove(r->runs, 0);
}

int record_save(const char *state_dir, const char *job, struct record *r,
		const struct record_run *run, struct err *err)
{
	char *path = record_path(state_dir, job);
	json_t *root = json_object();
	char *text = NULL;
	int ret = -1;

	if (run)
		add_run(r, run);
	json_object_set_new(root, "version", json_integer(RECORD_VERSION));
	json_object_set_new(root, "store", json_string(r->uuid));
	json_object_set_new(root, "generation", json_integer((json_int_t)r->generation));
	if (r->source_generation)
		json_object_set_new(root, "source_generation",
				    json_integer((json_int_t)r->source_generation));
	if (r->adopting)
		json_object_set_new(root, "adopting", json_true());
	if (r->flags_checked)
		json_object_set_new(root, "flags_checked",
				    json_integer((json_int_t)r->flags_checked));
	if (r->account)
		json_object_set_new(root, "account", json_string(r->account));
	if (r->scope)
		json_object_set_new(root, "scope", json_string(r->scope));
	if (r->hint)
		json_object_set_new(root, "hint", json_string(r->hint));
	if (r->leaving.n)
		json_object_set_new(root, "leaving", leaving_to_json(&r->leaving));
	if (r->runs)
		json_object_set(root, "runs", r->runs);
	text = json_dumps(root, JSON_INDENT(1) | JSON_PRESERVE_ORDER);
	if (!text) {
		err_set(err, ERR_FATAL, "%s: its content is no valid text", path);
		goto out;
	}
	if (dir_make(state_dir, 0700, err) < 0)
		goto out;
	ret = file_replace(path, bytes_of(text), 0600, err);
	if (ret == 0)
		r->exists = true;
out:
	free(text);
	json_decref(root);
	free(path);
	return ret;
}

int64_t record_estimate(const struct record *r, uint64_t bytes)
{
	for (size_t i = json_array_size(r->runs); i-- > 0;) {
		const json_t *run = json_array_get(r->runs, i);
		json_int_t moved = json_integer_value(json_object_get(run, "bytes"));
		json_int_t took = json_integer_value(json_object_get(run, "ended")) -
				  json_integer_value(json_object_get(run, "started"));

		if (moved >= 1000000 && took > 0)
			return (int64_t)((double)bytes / (double)moved * (double)took) + 1;
	}
	return 0;
}

int record_lock(const char *state_dir, const char *job, int *fd, struct err *err)
{
	char *path = state_path(state_dir, job, ".lock");
	char pid[32] = "";
	int ret = -1;

	*fd = -1;
	if (dir_make(state_dir, 0700, err) < 0)
		goto out;
	*fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (*fd < 0) {
		err_sys(err, ERR_FATAL, "open %s", path);
		goto out;
	}
	if (flock(*fd, LOCK_EX | LOCK_NB) < 0) {
		bool busy = errno == EWOULDBLOCK;
		ssize_t n = pread(*fd, pid, sizeof(pid) - 1, 0);

		pid[n > 0 ? strcspn(pid, "\n") : 0] = '\0';
		if (busy)
			err_set(err, ERR_LOCKED,
				"another run of this job is under way (process %s)",
				pid[0] ? pid : "unknown");
		else
			err_sys(err, ERR_FATAL, "lock %s", path);
		close(*fd);
		*fd = -1;
		goto out;
	}
	/* The pid is for the message above only; the lock is the kernel's. */
	if (ftruncate(*fd, 0) == 0)
		dprintf(*fd, "%ld\n", (long)getpid());
	ret = 0;
out:
	free(path);
	return ret;
}

void record_unlock(int fd)
{
	if (fd < 0)
		return;
	if (ftruncate(fd, 0) < 0) /* then it only seems to be running, while another has the pid */
		log_debug("the lock could not be emptied");
	close(fd);
}

long record_running(const char *state_dir, const char *job)
{
	char *path = state_path(state_dir, job, ".lock"), text[32] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
	long pid = n > 0 ? strtol(text, NULL, 10) : 0;

	if (fd >= 0)
		close(fd);
	free(path);
	return pid > 0 && (kill((pid_t)pid, 0) == 0 || errno == EPERM) ? pid : 0;
}

static enum identity_verdict refuse_lost(const struct identity_question *q, const char *what,
					 struct err *err)
{
	err_set(err, ERR_HELD,
		"%s %s, but this job stored mail there before. Is its disk mounted, is the path "
		"right? Nothing was changed. To begin a new store there on purpose, remove %s "
		"first",
		q->path, what, q->record_path);
	return IDENTITY_REFUSED;
}

/* Of an account. Without the ledger nothing is lost: what is there shows what was copied. */
static enum identity_verdict judge_ledger(const struct identity_question *q, struct err *err)
{
	const struct record *r = q->record;

	if (q->store->presence == STORE_MISSING)
		return r->exists ? IDENTITY_FORGOTTEN : IDENTITY_FIRST_RUN;
	if (q->store->presence == STORE_OURS && !r->exists)
		return IDENTITY_RETURNED;
	if (q->store->presence == STORE_OURS && strcmp(r->uuid, q->store->uuid) == 0)
		return q->store->generation < r->generation ? IDENTITY_OLDER : IDENTITY_GO_ON;
	err_set(err, ERR_HELD,
		"%s is %s. Nothing was changed. Put back the one of the last run; or remove it: then the "
		"next run finds out anew what is at the target already, copies nothing twice, and removes "
		"nothing",
		q->path,
		q->store->presence == STORE_OURS ? "another ledger than that of the last run" : "no ledger");
	return IDENTITY_REFUSED;
}

enum identity_verdict identity_judge(const struct identity_question *q, struct err *err)
{
	const struct record *r = q->record;

	if (q->account)
		return judge_ledger(q, err);
	if (q->store->presence == STORE_MISSING || q->store->presence == STORE_EMPTY) {
		if (!r->exists)
			return IDENTITY_FIRST_RUN;
		return refuse_lost(q,
				   q->store->presence == STORE_MISSING ? "does not exist" :
									 "is empty",
				   err);
	}
	if (q->store->presence == STORE_FOREIGN) {
		if (r->exists)
			return refuse_lost(q, "is not the store of mailcask that was there", err);
		if (q->adopt && q->can_adopt)
			return IDENTITY_ADOPT;
		err_set(err, ERR_CONFIG,
			q->can_adopt ? "%s is not empty and was not made by mailcask. Use --adopt to "
				       "take it over (its files are paired with the account's "
				       "messages, never changed or removed), or another path"
				     : "%s is not empty and was not made by mailcask, and a store of "
				       "this type takes nothing over: use another path",
			q->path);
		return IDENTITY_REFUSED;
	}
	if (!r->exists)
		return IDENTITY_RETURNED;
	if (strcmp(r->uuid, q->store->uuid) != 0)
		return refuse_lost(q, "is another store of mailcask than the one that was there",
				   err);
	return q->store->generation < r->generation ? IDENTITY_OLDER : IDENTITY_GO_ON;
}

bool identity_same_account(const char *fingerprint_now, const char *fingerprint_then,
			   const struct mailbox_list *source, const struct mailbox_list *target)
{
	size_t common = 0, same = 0;

	if (!fingerprint_then || !*fingerprint_then || strcmp(fingerprint_now, fingerprint_then) == 0)
		return true;
	for (size_t i = 0; i < target->n; i++) {
		const struct mailbox_info *t = &target->v[i];
		const struct mailbox_info *s;

		if (!t->token.known || t->token.uidvalidity == 0)
			continue;
		s = mailbox_list_find(source, &t->name);
		if (!s || !s->token.known)
			continue;
		if (t->token.uidvalidity < UIDVALIDITY_TELLING &&
		    s->token.uidvalidity < UIDVALIDITY_TELLING)
			continue;
		common++;
		same += s->token.uidvalidity == t->token.uidvalidity &&
			s->token.uidnext >= t->token.uidnext;
	}
	/* One mailbox may have been made in the same second. */
	return common >= 2 && same * 2 > common;
}
