#include "backends/maildir/maildir.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "backends/maildir/adopt.h"
#include "backends/maildir/box.h"
#include "backends/maildir/check.h"
#include "backends/maildir/contents.h"
#include "backends/maildir/deliver.h"
#include "backends/maildir/held.h"
#include "backends/maildir/identity.h"
#include "backends/maildir/index.h"
#include "backends/maildir/mailboxes.h"
#include "backends/maildir/read.h"
#include "backends/maildir/rows.h"
#include "backends/maildir/scan.h"
#include "backends/maildir/settle.h"
#include "backends/maildir/source.h"
#include "core/base/clock.h"
#include "core/base/err.h"
#include "core/base/file.h"
#include "core/base/lockfile.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/uuid.h"

static void free_all(struct maildir *m)
{
	appenders_free(m);
	delivery_free(m->spare);
	index_close(m);
	for (size_t i = 0; i < m->n; i++)
		box_free(m, m->box[i]);
	for (size_t i = 0; i < m->n_gone; i++)
		box_free(m, m->gone[i]);
	free(m->box);
	free(m->gone);
	if (m->root >= 0)
		close(m->root);
	free(m->path);
	free(m->index);
	free(m->account);
	free(m);
}

/* Whether what lies there may be opened like this; *make says that it is to be made ours. */
static int check_presence(const struct store_config *cfg, enum store_mode mode,
			  enum store_presence presence, bool *make, struct err *err)
{
	bool nothing = presence == STORE_MISSING || presence == STORE_EMPTY;

	*make = false;
	if (presence == STORE_OURS)
		return 0;
	if (mode == STORE_READ && cfg->as_source && nothing)
		return err_set(err, ERR_MISSING, "%s is %s: is a disk missing?", cfg->path,
			       presence == STORE_MISSING ? "not there" : "empty");
	if (mode == STORE_READ) {
		if (presence == STORE_FOREIGN &&
		    (cfg->claim_foreign || cfg->as_source || cfg->adopt))
			return 0;
		return err_set(err, ERR_MISSING, "%s: there is no mailcask store", cfg->path);
	}
	*make = true;
	if (nothing && !cfg->create)
		return err_set(err, ERR_MISSING, "%s is %s: is a disk missing?", cfg->path,
			       presence == STORE_MISSING ? "not there" : "empty");
	if (!nothing && !cfg->adopt)
		return err_set(err, ERR_HELD,
			       "%s is not empty and not a mailcask store; it was left alone",
			       cfg->path);
	return 0;
}

/* Local file systems stamp times to a few milliseconds; of others we know nothing. */
static int64_t tick_of(const struct maildir *m)
{
	struct statfs fs;
	bool memory = fstatfs(m->root, &fs) == 0 && ((unsigned long)fs.f_type == 0x01021994 ||
						     (unsigned long)fs.f_type == 0x794c7630);

	return m->batch || memory ? 20000000 : 2000000000;
}

static int open_root(struct maildir *m, bool make, struct err *err)
{
	struct stat sb;

	if (make && dir_make(m->path, 0700, err) < 0)
		return -1;
	m->root = open(m->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (m->root < 0)
		return err_sys(err, ERR_FATAL, "open %s", m->path);
	if (fstat(m->root, &sb) < 0)
		return err_sys(err, ERR_FATAL, "look at %s", m->path);
	m->device = sb.st_dev;
	m->batch = sync_can_batch(m->root);
	m->tick_ns = tick_of(m);
	return 0;
}

static void take_identity(struct maildir *m, struct store_identity *id)
{
	if (id->presence == STORE_OURS)
		memcpy(m->uuid, id->uuid, sizeof(m->uuid));
	else
		uuid_make(m->uuid);
	m->generation = id->generation;
	m->account = id->account;
	id->account = NULL;
	m->key = name_hash(bytes_of(m->uuid), 0);
	identity_host(m->host, sizeof(m->host));
}

/* Who gives files a row, and where that is written. */
static void choose_index(struct maildir *m, enum store_presence presence)
{
	const struct store_config *cfg = m->st.cfg;
	bool foreign = presence == STORE_FOREIGN && m->mode == STORE_READ;

	m->claim = cfg->claim_foreign || (foreign && cfg->as_source);
	m->side = foreign && cfg->as_source && cfg->index && cfg->create;
	m->memory = m->mode == STORE_READ && !m->side && (m->claim || (foreign && cfg->adopt));
}

static int open_index(struct maildir *m, bool make, struct err *err)
{
	if (index_open(m, make, err) < 0 || index_load(m, err) < 0)
		return -1;
	if (m->mode == STORE_READ)
		return m->claim || m->memory ? mailboxes_discover(m, err) : 0;
	if (maildir_settle(m, err) < 0 || (make && fsync(m->root) < 0))
		return -1;
	if (m->st.cfg->older && mailboxes_renumber(m, err) < 0)
		return -1;
	if (m->st.cfg->rebind && maildir_rebind(m, err) < 0)
		return -1;
	return m->st.cfg->adopt || m->claim ? mailboxes_discover(m, err) : 0;
}

static int maildir_open(struct store **out, const struct store_config *cfg,
			enum store_mode mode, struct err *err)
{
	struct store_identity id;
	struct maildir *m;
	bool make;

	if (maildir_identify(cfg, &id, err) < 0 ||
	    check_presence(cfg, mode, id.presence, &make, err) < 0) {
		store_identity_release(&id);
		return -1;
	}
	m = xcalloc(1, sizeof(*m));
	m->st = (struct store){ .ops = &maildir_store, .cfg = cfg };
	m->mode = mode;
	m->root = m->lock = -1;
	m->path = xstrdup(cfg->path);
	store_identity_release(&id);
	if (!layout_from_text(cfg->layout, &m->layout)) {
		err_set(err, ERR_CONFIG, "%s: layout is \"fs\" or \"maildir++\", not \"%s\"",
			cfg->name, cfg->layout);
		goto fail;
	}
	if (open_root(m, make, err) < 0)
		goto fail;
	if (!cfg->layout)
		m->layout = discover_layout(m); /* of a store of ours the index will tell */
	if (mode == STORE_WRITE &&
	    lockfile_lock(m->root, m->path, &m->lock, &m->unclean, err) < 0)
		goto fail;
	/* Again, under the lock: another run may just have made or changed it. */
	if (maildir_identify(cfg, &id, err) < 0 ||
	    check_presence(cfg, mode, id.presence, &make, err) < 0) {
		store_identity_release(&id);
		goto fail;
	}
	choose_index(m, id.presence);
	take_identity(m, &id);
	if (open_index(m, make, err) < 0)
		goto fail;
	*out = &m->st;
	return 0;
fail:
	lockfile_unlock(m->lock, false);
	free_all(m);
	return -1;
}

static void maildir_close(struct store *st)
{
	struct maildir *m = (struct maildir *)st;
	/* A transaction that nobody committed leaves files in tmp. */
	bool clean = !m->db.broken && !m->db.in_tx;
	struct err err = { 0 };

	if (clean && m->mode == STORE_WRITE && maildir_finish(m, &err) < 0) {
		log_debug("%s: not closed in order: %s", m->path, err.text);
		clean = false;
	}
	index_close(m); /* rolls back */
	lockfile_unlock(m->lock, clean);
	free_all(m);
}

int maildir_strip(const char *path, struct err *err)
{
	static const char *const ours[] = { INDEX_FILE, INDEX_FILE "-wal", INDEX_FILE "-shm",
					    INDEX_FILE "-journal", LOCK_FILE };
	int root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), ret = 0;

	if (root < 0)
		return err_sys(err, ERR_FATAL, "open %s", path);
	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]) && ret == 0; i++)
		if (unlinkat(root, ours[i], 0) < 0 && errno != ENOENT)
			ret = err_sys(err, ERR_FATAL, "remove %s/%s", path, ours[i]);
	close(root);
	return ret;
}

static int maildir_exists(struct store *st, const struct mailbox_name *name, bool *out,
			  struct err *err)
{
	struct box *box = box_find((struct maildir *)st, name);
	struct mailbox_info info = { 0 };

	(void)err;
	*out = box && (!st->cfg->as_source || source_info(box, &info));
	return 0;
}

static int maildir_open_mailbox(struct store *st, const struct mailbox_info *info,
				enum store_mode mode, struct mailbox **out, struct err *err)
{
	struct maildir *m = (struct maildir *)st;
	struct box *box = box_find(m, &info->name);

	assert(mode == STORE_READ || m->mode == STORE_WRITE);
	if (!box)
		return err_set(err, ERR_MAILBOX, "it does not exist in %s", m->path);
	if (box->attributes & MAILBOX_NOSELECT)
		return err_set(err, ERR_MAILBOX, "it is a name only and holds no messages");
	*out = &box->mb;
	return 0;
}

const struct store_ops maildir_store = {
	.type = "maildir",
	.traits = STORE_HOLDS_BASE | STORE_ADOPTS,
	.identify = maildir_identify,
	.open = maildir_open,
	.close = maildir_close,
	.check = maildir_check,
	.list = maildir_list,
	.exists = maildir_exists,
	.open_mailbox = maildir_open_mailbox,
	.base = maildir_base,
	.quarantine = maildir_quarantine,
	.changes = maildir_changes,
	.fetch = maildir_fetch,
	.append = maildir_append,
	.holds_identities = maildir_holds_identities,
	.find_identity = maildir_find_identity,
	.copy_as = maildir_copy_as,
	.strangers = maildir_strangers,
	.take = maildir_take,
	.change_flags = maildir_change_flags,
	.copy = maildir_copy,
	.expunge = maildir_expunge,
	.keep = maildir_keep,
	.count_lost = maildir_count_lost,
	.set_base = maildir_set_base,
	.renumber = maildir_renumber,
	.contents = maildir_contents,
	.create = maildir_create,
	.rename = maildir_rename,
	.remove = maildir_remove,
	.subscribe = maildir_subscribe,
	.commit = maildir_commit,
};
