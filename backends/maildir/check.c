#include "backends/maildir/check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "backends/maildir/index_check.h"
#include "backends/maildir/index.h"
#include "backends/maildir/maildir.h"
#include "backends/maildir/read.h"
#include "backends/maildir/rows.h"
#include "core/base/err.h"
#include "core/base/lockfile.h"
#include "core/base/mem.h"

/* What helps, in words that are true of a backup: each was tried by tests/live/test_check.c. */
static const char fetch_again[] =
	"The next backup fetches messages whose files are missing again, if the account still has "
	"them.";
static const char fetch_unnoticed[] =
	"The next backup would not notice that files are missing where the directory looks as "
	"before: touch its cur, then back up; that fetches them again, if the account still has "
	"them.";
static const char move_away[] =
	"A backup does not look into files. Move the damaged ones out of the store and back up: "
	"that fetches these messages again, if the account still has them.";
static const char no_source[] =
	"What is damaged of messages that are gone at the account comes back only from another "
	"copy of this store: put the file back in its place.";
static const char no_rights[] = "Check as the user who makes the backups.";
static const char rebuild[] =
	"The index, " INDEX_FILE ", cannot be trusted; the mail beside it is not concerned. Move "
	"it away with the files that are named like it, remove the job's .run file in the state "
	"directory, and back up once with --adopt, which pairs every message with its file.";
static const char next_run[] = "The next backup does it.";

struct checking {
	struct maildir *m;
	struct check *ck;
	struct leftovers left;
	uint64_t *rows; /* of each mailbox */
};

static const char *advice_for(struct box *box, const struct row *row, const struct place *at)
{
	struct stamp now;
	struct err err;

	if (row->source_uid == 0)
		return no_source;
	if (at)
		return move_away;
	return stamp_is_set(&box->stamp) && box_stamp(box, &now, &err) == 0 &&
			       stamp_equal(&now, &box->stamp)
		       ? fetch_unnoticed
		       : fetch_again;
}

static const char *const dir_words[] = { [DIR_CUR] = "cur", [DIR_NEW] = "new", [DIR_TMP] = "tmp" };

void check_message(struct check *ck, struct box *box, enum finding_kind kind, const struct row *row,
		   const struct place *at, const char *what)
{
	char *mailbox = mailbox_name_text(&box->mb.name);
	const char *slash = box->dir[0] ? "/" : "";
	char *file = at ? xasprintf("%s%s%s/%s", box->dir, slash, dir_words[at->which], at->name)
			: xasprintf("%s%scur/%.*s", box->dir, slash, (int)row->base.n,
				    (const char *)row->base.p);

	check_found(ck, &(struct finding){
		.kind = kind,
		.mailbox = mailbox,
		.uid = row->uid,
		.file = file,
		.what = what,
		.advice = kind == FINDING_DAMAGE ? advice_for(box, row, at) : no_rights,
	});
	free(mailbox);
	free(file);
}

void check_index_finding(struct check *ck, const struct box *box, uint32_t uid, const char *what)
{
	char *mailbox = box ? mailbox_name_text(&box->mb.name) : NULL;

	check_found(ck, &(struct finding){ .kind = FINDING_DAMAGE, .mailbox = mailbox, .uid = uid,
					   .what = what, .advice = rebuild });
	free(mailbox);
}

void check_mailbox(struct check *ck, const struct box *box, enum finding_kind kind,
		   const char *what, const char *advice)
{
	char *mailbox = mailbox_name_text(&box->mb.name);

	check_found(ck, &(struct finding){ .kind = kind, .mailbox = mailbox, .what = what,
					   .advice = advice });
	free(mailbox);
}

static void on_index_problem(void *ctx, const struct box *box, const char *what)
{
	check_index_finding(ctx, box, 0, what);
}

/* A run that was stopped before it renamed the directory leaves it, and those in it, elsewhere. */
static bool is_yet_to_move(struct maildir *m, const struct box *box)
{
	for (size_t i = 0; i < m->n; i++) {
		struct box *top = m->box[i];
		size_t n = strlen(top->dir);
		struct stamp now;
		struct err err;

		if (!top->moved_from || strncmp(box->dir, top->dir, n) != 0 ||
		    (box->dir[n] != '\0' && box->dir[n] != '/'))
			continue;
		if (box_stamp(top, &now, &err) < 0 || !stamp_is_set(&now))
			return true;
	}
	return false;
}

static int compare_all(struct checking *c, struct err *err)
{
	struct maildir *m = c->m;

	/* Where time is short, not always the same mailbox shall come last. */
	uint32_t first = 0;

	if (c->ck->deadline && m->n > 0 && getrandom(&first, sizeof(first), 0) == sizeof(first))
		first %= (uint32_t)m->n;
	for (size_t i = 0; i < m->n; i++) {
		struct box *box = m->box[(i + first) % m->n];

		check_progress(c->ck);
		if (store_check_stop(&m->st, err) < 0)
			return -1;
		if (check_time_is_up(c->ck))
			return 0;
		if (box->attributes & MAILBOX_NOSELECT)
			continue;
		if (is_yet_to_move(m, box))
			check_mailbox(c->ck, box, FINDING_UNCHECKED,
				      "its directory is yet to be renamed",
				      "The next backup renames it; check again then.");
		else if (check_files(c->ck, box, &c->left, err) < 0)
			return -1;
	}
	return 0;
}

/* Reading one message. */
struct reading {
	struct checking *c;
	EVP_MD_CTX *sha;
	uint64_t size;
};

static int take_piece(void *ctx, struct bytes piece, struct err *err)
{
	struct reading *r = ctx;

	EVP_DigestUpdate(r->sha, piece.p, piece.n);
	r->size += piece.n;
	r->c->ck->read_bytes += piece.n;
	check_progress(r->c->ck);
	return store_check_stop(&r->c->m->st, err);
}

static const char *verdict(struct reading *r, struct box *box, const struct row *row, int fd)
{
	uint8_t sum[EVP_MAX_MD_SIZE];
	struct stat sb;

	EVP_DigestFinal_ex(r->sha, sum, NULL);
	if (row->sha256.n == 0)
		r->c->ck->unhashed++;
	if (row->form == FORM_UNKNOWN)
		return NULL;
	/* A length that the directory shows was told by the comparison. */
	if (r->size != row->size && fstat(fd, &sb) == 0 && !check_length_fits(box, row, &sb))
		return NULL;
	if (r->size != row->size)
		return "it is not as long as it was when stored";
	if (row->sha256.n == SHA256_SIZE && memcmp(sum, row->sha256.p, SHA256_SIZE) != 0)
		return "its content is not what was stored";
	return NULL;
}

static int read_file(struct checking *c, struct box *box, const struct row *row,
		     const struct place *at, EVP_MD_CTX *sha, struct err *err)
{
	struct reading r = { .c = c, .sha = sha };
	int fd = open_message(at->dir, at->name);
	const char *wrong = NULL;
	enum finding_kind kind = FINDING_DAMAGE;
	char *why = NULL;

	/* What was missing or no file was told by the comparison. */
	if (fd < 0 && (errno == ENOENT || errno == ELOOP || errno == EINVAL))
		return 0;
	if (fd < 0) {
		kind = errno == EACCES || errno == EPERM ? FINDING_UNCHECKED : FINDING_DAMAGE;
		wrong = why = xasprintf("its file cannot be opened: %s", strerror(errno));
	} else {
		posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
		EVP_DigestInit_ex(sha, EVP_sha256(), NULL);
		if (read_wire(fd, row->form, take_piece, &r, err) == 0)
			wrong = verdict(&r, box, row, fd);
		else if (err->kind == ERR_MESSAGE)
			wrong = why = xasprintf("its file cannot be read: %s", strerror(err->sys));
		else {
			close(fd);
			return -1;
		}
		close(fd);
		c->ck->read++;
	}
	if (wrong)
		check_message(c->ck, box, kind, row, at, wrong);
	free(why);
	return 0;
}

static int copy_next(struct box *box, uint32_t from, uint32_t to, struct row_copy *out,
		     struct err *err)
{
	struct maildir *m = maildir_of(box);
	sqlite3_stmt *st = index_stmt(m, ST_MESSAGES_FROM);
	struct row row;
	int got;

	database_bind(st, "ii", box->id, (int64_t)from);
	got = database_step(&m->db, st, err);
	if (got <= 0)
		return got;
	index_row(st, &row);
	if (row.uid > to || row.uid < from)
		got = 0;
	else
		row_copy(out, &row);
	sqlite3_reset(st);
	return got;
}

/* Messages with UIDs of a range, one at a time: nothing of the index is held while a file is read. */
static int read_range(struct checking *c, struct box *box, uint32_t from, uint32_t to,
		      struct err *err)
{
	struct row_copy copy = { .bytes = BUF_INIT(SIZE_MAX / 4) };
	EVP_MD_CTX *sha = EVP_MD_CTX_new();
	int got = 0;

	while (from <= to && !check_time_is_up(c->ck)) {
		struct place at;

		got = copy_next(box, from, to, &copy, err);
		if (got > 0)
			got = store_check_stop(&c->m->st, err) < 0 ? -1 : 1;
		if (got <= 0)
			break;
		got = box_find_file(box, copy.row.uid, copy.row.base, copy.row.letters, &at, err);
		if (got > 0)
			got = read_file(c, box, &copy.row, &at, sha, err);
		if (got < 0 && err->kind != ERR_MAILBOX && err->sys != EIO)
			break;
		got = 0;
		check_progress(c->ck);
		if (copy.row.uid == UINT32_MAX)
			break;
		from = copy.row.uid + 1;
	}
	EVP_MD_CTX_free(sha);
	buf_release(&copy.bytes);
	box_forget_listing(box);
	return got;
}

/* A number below `n`, of which all are as likely. */
static uint64_t random_below(uint64_t n)
{
	uint64_t r = 0;

	if (n == 0 || getrandom(&r, sizeof(r), 0) != sizeof(r))
		return 0;
	return r % n;
}

/*
 * All messages, from a random one round to it again where time is short: so runs that each read a
 * part come to read all.
 */
static int read_all(struct checking *c, struct err *err)
{
	struct maildir *m = c->m;
	uint64_t skip = c->ck->deadline ? random_below(c->ck->messages) : 0;
	size_t first = 0;
	uint32_t middle = 1;

	while (first + 1 < m->n && skip >= c->rows[first])
		skip -= c->rows[first++];
	if (m->n == 0)
		return 0;
	if (skip > 0 && m->box[first]->next_uid > 1)
		middle = 1 + (uint32_t)random_below(m->box[first]->next_uid - 1);
	for (size_t i = 0; i <= m->n; i++) {
		struct box *box = m->box[(first + i) % m->n];
		uint32_t from = i == 0 ? middle : 1, to = i == m->n ? middle - 1 : UINT32_MAX;

		if (c->rows[(first + i) % m->n] > 0 && read_range(c, box, from, to, err) < 0)
			return -1;
	}
	return 0;
}

static void unfinished(struct check *ck, uint64_t n, const char *what)
{
	char *text;

	if (n == 0)
		return;
	text = xasprintf("a run was stopped: %llu %s", (unsigned long long)n, what);
	check_found(ck, &(struct finding){ .kind = FINDING_HARMLESS, .what = text,
					   .advice = next_run });
	free(text);
}

static int tell_leftovers(struct checking *c, struct err *err)
{
	enum lock_holder holder = lockfile_holder(c->m->root);
	uint64_t removals;

	c->ck->in_use = holder == LOCK_HELD;
	if (index_removals(c->m, &removals, err) < 0)
		return -1;
	if (c->ck->in_use)
		return 0;
	unfinished(c->ck, c->left.unplaced, "messages are stored and yet to be moved from tmp to cur");
	unfinished(c->ck, removals, "removed messages may still have their files");
	if (holder == LOCK_ABANDONED)
		unfinished(c->ck, c->left.litter, "unfinished files are in tmp");
	return 0;
}

static int check_opened(struct checking *c, struct err *err)
{
	int sound = index_check(c->m, on_index_problem, c->ck, err);

	if (sound < 0)
		return -1;
	c->ck->mailboxes = c->m->n;
	/* Without its pages it would find damage in every message. */
	if (sound == 0)
		return 0;
	c->rows = xcalloc(c->m->n + 1, sizeof(*c->rows));
	if (index_totals(c->m, c->rows, &c->ck->messages, &c->ck->bytes, err) < 0 ||
	    compare_all(c, err) < 0)
		return -1;
	c->ck->to_read = c->ck->messages;
	c->ck->bytes_to_read = c->ck->bytes;
	if (c->ck->read_data && read_all(c, err) < 0)
		return -1;
	return tell_leftovers(c, err);
}

int maildir_check(const struct store_config *cfg, struct check *ck, struct err *err)
{
	struct checking c = { .ck = ck };
	struct store *st;
	int ret;

	if (store_open(&maildir_store, &st, cfg, STORE_READ, err) < 0)
		return -1;
	c.m = (struct maildir *)st;
	ret = check_opened(&c, err);
	free(c.rows);
	store_close(st);
	return ret;
}
