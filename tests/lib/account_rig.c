#include "tests/lib/account_rig.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "backends/imap/imap.h"
#include "core/base/mem.h"
#include "core/imap/account.h"
#include "tests/lib/support.h"

static struct dovecot *server;

struct account_rig {
	struct imap_account account;
	char *port, *user, *index;
};

void account_rig_start(const struct dovecot_opts *opts)
{
	if (!server)
		server = dovecot_start(opts);
}

struct dovecot *account_rig_server(void)
{
	return server;
}

static int give_password(void *ctx, struct buf *out, struct err *err)
{
	(void)ctx;
	(void)err;
	buf_add_str(out, "pw");
	return 0;
}

void account_rig_prepare(struct bench *b)
{
	static unsigned number;
	struct account_rig *rig = xcalloc(1, sizeof(*rig));

	account_rig_start(NULL);
	if (mkdir(b->path, 0755) < 0)
		test_die_sys("make %s", b->path);
	rig->user = xasprintf("user%u", ++number);
	rig->port = xasprintf("%d", server->port);
	rig->index = path_join(b->path, "ledger.db");
	rig->account = (struct imap_account){
		.name = b->sut->name,
		.host = "127.0.0.1",
		.port = rig->port,
		.tls = IMAP_TLS_NONE,
		.user = rig->user,
		.password = give_password,
		.timeout_ms = 20000,
	};
	b->account = rig;
	b->cfg.path = NULL;
	b->cfg.settings = &rig->account;
	b->cfg.index = rig->index;
}

void account_rig_finish(struct bench *b)
{
	struct account_rig *rig = b->account;

	if (!rig)
		return;
	free(rig->user);
	free(rig->port);
	free(rig->index);
	free(rig);
}

struct oracle *account_rig_oracle(const struct bench *b)
{
	return oracle_open(server->port, b->account->user);
}
