#include "tests/lib/prune_scene.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "tests/lib/archive.h"

void prune_remember(struct prune_scene *s)
{
	struct name_list boxes = { 0 };

	oracle_list(s->o, &boxes);
	for (size_t i = 0; i < boxes.n; i++) {
		struct oracle_dump d;

		oracle_dump(s->o, boxes.name[i], &d);
		for (size_t k = 0; k < d.n; k++)
			if (!name_list_has(&s->ever, d.msg[k].sha256))
				name_list_add(&s->ever, d.msg[k].sha256);
		oracle_dump_release(&d);
	}
	name_list_release(&boxes);
}

void prune_append_now(struct prune_scene *s, const char *mailbox, const char *text)
{
	oracle_append(s->o, mailbox, &(struct oracle_new){ .flags = "", .body = bytes_of(text) }, 1);
}

void prune_append_old(struct prune_scene *s, const char *mailbox, const char *flags, const char *text)
{
	oracle_append(s->o, mailbox, &(struct oracle_new){ .flags = flags, .date = " 1-Feb-2010 03:04:05 +0100",
							   .body = bytes_of(text) }, 1);
}

void prune_begin(struct prune_scene *s, const struct dovecot *server, const char *user, const char *type,
		 const char *more)
{
	*s = (struct prune_scene){ .o = oracle_open(server->port, user) };
	backup_init(&s->job, &(struct backup_config){ .port = server->port, .user = user, .type = type, .job = more });
	oracle_create(s->o, "Work");
	for (uint32_t i = 1; i <= 30; i++) {
		char *text = xasprintf("Message-ID: <%u@%s>\r\nSubject: number %u\r\n\r\nold\r\n%s", i, user, i,
				       i % 3 ? "" : "no final newline");

		prune_append_old(s, i <= 20 ? "INBOX" : "Work", i % 4 ? "\\Seen" : "", text);
		free(text);
	}
	prune_append_now(s, "INBOX", "Subject: new\r\n\r\nnew\r\n");
	prune_append_now(s, "Work", "Subject: new\r\n\r\nnew at work\r\n");
	backup_ends_with(&s->job, 0, "");
	prune_remember(s);
}

void prune_end(struct prune_scene *s)
{
	backup_release(&s->job);
	name_list_release(&s->ever);
	oracle_close(s->o);
}

size_t prune_count_at_account(struct prune_scene *s, const char *mailbox)
{
	struct oracle_dump d;
	size_t n;

	oracle_dump(s->o, mailbox, &d);
	n = d.n;
	oracle_dump_release(&d);
	return n;
}

void prune_nothing_is_lost(const struct prune_scene *s, const char *root)
{
	struct name_list now = { 0 };

	archive_hashes(root, &now);
	for (size_t i = 0; i < s->ever.n; i++)
		if (!name_list_has(&now, s->ever.name[i]))
			test_die("%s has not got message %s any more", root, s->ever.name[i]);
	name_list_release(&now);
}

void prune_says(const struct prune_scene *s, const char *command, const char *args, int status, const char *out,
		const char *err)
{
	struct backup_result res;

	program_run(&s->job, &res, NULL, command, args);
	if (res.status != status || !strstr(buf_str(&res.out), out) || !strstr(buf_str(&res.err), err))
		test_die("%s %s: exit %d, not %d, and this:\n%s%s", command, args, res.status, status,
			 buf_str(&res.out), buf_str(&res.err));
	backup_result_release(&res);
}

void prune_is_complete(struct prune_scene *s)
{
	for (int i = 0; i < 2; i++) {
		if (prune_count_at_account(s, "INBOX") != 1 || prune_count_at_account(s, "Work") != 1)
			test_die("old messages are at the account still");
		prune_nothing_is_lost(s, s->job.root);
		archive_holds(s->job.root, 2, 30);
		if (i == 0)
			backup_idle(&s->job);
	}
}
