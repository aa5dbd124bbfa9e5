/* Packs from outside, and every object in them. */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include <git2.h>

#include "backends/git/check.h"
#include "backends/git/pack_set.h"
#include "core/base/mem.h"

static const char advice_index[] =
	"An index is made anew from its pack: remove the damaged .idx, then run git index-pack with "
	"the .pack.";

static const char advice_lost_index[] =
	"Do this first: run git index-pack with each .pack that lacks its index, which makes that anew, "
	"and check again. It may be all there is to do.";

static bool is_gone(const struct pack *p)
{
	return access(p->path, F_OK) < 0 || access(p->idx_path, F_OK) < 0;
}

/* About a pack as a whole. */
static void tell_pack(struct checking *c, const struct pack *p, bool index, const char *what)
{
	char *file = xasprintf("objects/pack/%s.%s", p->name, index ? "idx" : "pack");

	check_found(c->ck, &(struct finding){
		.kind = FINDING_DAMAGE,
		.file = file,
		.what = what,
		.advice = index ? advice_index : check_advice_content,
	});
	free(file);
}

/* Checked before, it would not be looked at again: a damage that came since goes unseen. */
static int check_ends(struct checking *c, struct pack *p, struct err *err)
{
	struct err why;
	bool index = pack_index_check(p, &why) < 0;

	if (!index && pack_pin(c->repo->packs, p, &why) == 0) {
		pack_unpin(p);
		return 0;
	}
	if (is_gone(p)) {
		c->vanished = true;
		return 0;
	}
	if (!index && p->damage.kind == ERR_NONE) { /* nothing that the file holds is to blame */
		*err = why;
		return -1;
	}
	tell_pack(c, p, index, why.text);
	return 0;
}

static bool was_looked_at(const struct checking *c, const struct pack *p)
{
	for (size_t i = 0; i < c->n_packs; i++)
		if (c->pack[i] == p)
			return true;
	return false;
}

static int look_at(struct checking *c, struct pack *p, struct err *err)
{
	if (check_ends(c, p, err) < 0)
		return -1;
	c->pack = xgrow(c->pack, c->n_packs, &c->cap_packs, sizeof(struct pack *));
	c->pack[c->n_packs++] = p;
	c->ck->to_read += p->count;
	c->ck->bytes_to_read += p->size;
	return 0;
}

/* Those of the set that are new to us. */
static int look_at_new(struct checking *c, struct err *err)
{
	struct pack_set *set = c->repo->packs;

	for (size_t i = 0; i < set->n; i++)
		if (!was_looked_at(c, set->v[i]) && look_at(c, set->v[i], err) < 0)
			return -1;
	return 0;
}

/* What took the place of those that vanished. */
static int look_again(struct checking *c, struct err *err)
{
	c->vanished = false;
	return repo_refresh(c->repo, err) < 0 ? -1 : look_at_new(c, err);
}

int check_pack_ends(struct checking *c, struct err *err)
{
	int ret = look_at_new(c, err);

	while (ret == 0 && c->vanished)
		ret = look_again(c, err);
	return ret;
}

/*
 * A pack is published before its index, so this alone is no damage: a run may be at work, or have
 * been stopped between the two.
 */
void check_tell_lost_indexes(struct checking *c)
{
	DIR *d = opendir(c->repo->packs->dir);
	struct dirent *e;

	while (d && (e = readdir(d)) != NULL) {
		size_t n = strlen(e->d_name);
		char *idx, *file;

		if (n < 5 || strncmp(e->d_name, "pack-", 5) != 0 ||
		    strcmp(e->d_name + n - 5, ".pack") != 0)
			continue;
		idx = xasprintf("%.*s.idx", (int)(n - 5), e->d_name);
		file = xasprintf("objects/pack/%s", e->d_name);
		if (faccessat(dirfd(d), idx, F_OK, 0) < 0)
			check_found(c->ck, &(struct finding){
				.kind = FINDING_DAMAGE,
				.file = file,
				.what = "the index of this pack is missing",
				.advice = advice_lost_index,
			});
		free(idx);
		free(file);
	}
	if (d)
		closedir(d);
}

int check_is_there(struct checking *c, const struct object_id *id, struct err *err)
{
	struct git_odb *odb;
	struct pack_at at;
	git_oid oid;

	if (pack_set_find(c->repo->packs, id, &at))
		return 1;
	/* Packs that were merged meanwhile; loose objects, which only git makes. */
	if (repo_refresh(c->repo, err) < 0)
		return -1;
	if (pack_set_find(c->repo->packs, id, &at))
		return 1;
	odb = repo_odb(c->repo, err);
	if (!odb)
		return -1;
	git_oid_fromraw(&oid, id->b);
	return git_odb_exists(odb, &oid);
}

/* --- every object --- */

struct reading {
	struct checking *c;
	struct pack *pack;
	uint32_t from, to; /* entries of it, by number */
	uint32_t at;
	bool stopped; /* time is up */
};

static int drop(void *ctx, struct bytes piece, struct err *err)
{
	struct reading *r = ctx;
	const struct run *run = r->c->cfg->run;

	(void)piece;
	check_progress(r->c->ck);
	if (run && run->stop && *run->stop)
		return err_set(err, ERR_STOPPED, "interrupted");
	return 0;
}

static int read_entry(struct reading *r, const struct pack_entry *e, struct err *err)
{
	struct pack_at at = { .id = e->id, .pack = r->pack, .offset = e->offset };
	struct pack_set *set = r->c->repo->packs;

	if (e->type == GIT_NONE)
		return err_set(err, ERR_FATAL, "%s is damaged: the object at %llu has no sound head",
			       r->pack->path, (unsigned long long)e->offset);
	if (pack_entry_copy(set, r->pack, e, drop, r, err) < 0)
		return -1;
	return pack_object_stream(set, &at, NULL, NULL, drop, r, err);
}

/* Whether the copy that readers find is a sound one. */
static bool good_copy_is_read(struct reading *r, const struct object_id *id)
{
	struct pack_at at;
	struct err err;

	return pack_set_find(r->c->repo->packs, id, &at) && at.pack != r->pack &&
	       pack_object_stream(r->c->repo->packs, &at, NULL, NULL, drop, r, &err) == 0;
}

static void add_fault(struct reading *r, const struct pack_entry *e, const struct err *why)
{
	struct checking *c = r->c;
	struct fault f = { .id = e->id, .good_copy = good_copy_is_read(r, &e->id) };

	if (pack_table_find(&c->faulty, &e->id) || is_gone(r->pack))
		return;
	f.why = xstrdup(why->text);
	/* The snapshots were looked at before, and what could not be read was told. */
	f.told = pack_table_find(&c->told, &e->id) != NULL;
	c->fault = xgrow(c->fault, c->n_faults, &c->cap_faults, sizeof(*c->fault));
	pack_table_add(&c->faulty, &(struct pack_record){ .id = e->id, .where = c->n_faults });
	c->fault[c->n_faults++] = f;
}

static int on_entry(void *ctx, const struct pack_entry *e, struct err *err)
{
	struct reading *r = ctx;
	struct err why;
	int ret;

	if (r->at < r->from || r->at >= r->to) {
		r->at++;
		return 0;
	}
	ret = check_go_on(r->c, err);
	if (ret != 0) {
		r->stopped = ret > 0;
		return -1;
	}
	r->at++;
	if (read_entry(r, e, &why) < 0) {
		if (why.kind == ERR_STOPPED) {
			*err = why;
			return -1;
		}
		add_fault(r, e, &why);
	}
	r->c->ck->read++;
	r->c->ck->read_bytes += e->span;
	return 0;
}

/* It went before `n` entries of it were read. */
static void note_vanished(struct checking *c, const struct pack *p, uint32_t n)
{
	c->vanished = true;
	c->ck->to_read -= n;
	c->ck->bytes_to_read -= p->size / p->count * n;
}

/* 1: time is up. */
static int read_pack(struct checking *c, struct pack *p, uint32_t from, uint32_t to,
		     struct err *err)
{
	struct reading r = { .c = c, .pack = p, .from = from, .to = to };

	if (p->damage.kind != ERR_NONE || from >= to)
		return 0;
	/* Some are still open, and could be read, but that would say nothing of what is there. */
	if (p->gone || is_gone(p)) {
		note_vanished(c, p, to - from);
		return 0;
	}
	if (pack_each(c->repo->packs, p, on_entry, &r, err) == 0)
		return 0;
	if (r.stopped)
		return 1;
	if (err->kind == ERR_STOPPED)
		return -1;
	if (is_gone(p))
		note_vanished(c, p, to - from);
	else
		tell_pack(c, p, false, err->text);
	return 0;
}

static uint64_t random_below(uint64_t n)
{
	uint64_t r = 0;

	if (n == 0 || getrandom(&r, sizeof(r), 0) != sizeof(r))
		return 0;
	return r % n;
}

/* All packs that were looked at, from entry `skip` round to it again. */
static int read_round(struct checking *c, uint64_t skip, struct err *err)
{
	size_t n = c->n_packs, first = 0;
	int ret = 0;

	while (first + 1 < n && skip >= c->pack[first]->count)
		skip -= c->pack[first++]->count;
	for (size_t i = 0; n > 0 && i <= n && ret == 0; i++) {
		struct pack *p = c->pack[(first + i) % n];

		ret = read_pack(c, p, i == 0 ? (uint32_t)skip : 0, i == n ? (uint32_t)skip : p->count,
				err);
	}
	return ret;
}

/*
 * Where time is short, from a random object on, so that runs that each read a part come to read all.
 * A run at work may write packs meanwhile; they are read if they are what others were merged into.
 */
int check_pack_data(struct checking *c, struct err *err)
{
	int ret = read_round(c, c->ck->deadline ? random_below(c->ck->to_read) : 0, err);

	while (ret == 0 && c->vanished) {
		size_t i = c->n_packs;

		ret = look_again(c, err);
		for (; i < c->n_packs && ret == 0; i++)
			ret = read_pack(c, c->pack[i], 0, c->pack[i]->count, err);
	}
	return ret < 0 ? -1 : 0;
}
