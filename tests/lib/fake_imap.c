#include "tests/lib/fake_imap.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/mem.h"
#include "tests/lib/fake_private.h"
#include "tests/lib/proc.h"
#include "tests/lib/support.h"

#define BODY_MAX ((size_t)1 << 30)

struct fake_imap *fake_new(void)
{
	struct fake_imap *f = xcalloc(1, sizeof(*f));

	f->listener = listen_loopback(&f->port);
	f->delimiter = '/';
	f->capability = xstrdup("IMAP4rev1 LITERAL+ ID NAMESPACE UIDPLUS LIST-EXTENDED LIST-STATUS "
				"ENABLE ESEARCH");
	f->log_path = path_join(tmp_dir(), "commands");
	f->log = open(f->log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	f->sent_path = path_join(tmp_dir(), "bodies");
	f->sent = open(f->sent_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	f->left = mmap(NULL, FAKE_TRICKS_MAX * sizeof(int), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (f->log < 0 || f->sent < 0 || f->left == MAP_FAILED)
		test_die_sys("fake server");
	return f;
}

static void message_free(struct fake_msg *m)
{
	free(m->flags);
	free(m->date);
	free(m->identity);
	buf_release(&m->body);
}

static void mailbox_free(struct fake_mailbox *mb)
{
	for (size_t i = 0; i < mb->n; i++)
		message_free(&mb->msg[i]);
	free(mb->msg);
	free(mb->gone);
	free(mb->attributes);
	buf_release(&mb->name);
	free(mb);
}

void fake_free(struct fake_imap *f)
{
	if (!f)
		return;
	fake_stop(f);
	for (size_t i = 0; i < f->n; i++)
		mailbox_free(f->mb[i]);
	free(f->mb);
	close(f->listener);
	close(f->log);
	close(f->sent);
	munmap(f->left, FAKE_TRICKS_MAX * sizeof(int));
	free(f->log_path);
	free(f->sent_path);
	free(f->capability);
	free(f);
}

int fake_port(const struct fake_imap *f)
{
	return f->port;
}

/* One process per connection, so that each can be simple and block. */
static _Noreturn void accept_for_ever(const struct fake_imap *f)
{
	signal(SIGCHLD, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	for (;;) {
		int fd = accept4(f->listener, NULL, NULL, SOCK_CLOEXEC);

		if (fd < 0 && errno != EINTR && errno != ECONNABORTED)
			_exit(1);
		if (fd >= 0 && fork() == 0) {
			close(f->listener);
			fake_serve(f, fd);
		}
		if (fd >= 0)
			close(fd);
	}
}

void fake_start(struct fake_imap *f)
{
	const int keep[] = { f->listener, f->log, f->sent };

	fake_stop(f);
	f->pid = proc_fork_server(keep, 3);
	if (f->pid == 0)
		accept_for_ever(f);
}

void fake_stop(struct fake_imap *f)
{
	if (f->pid)
		proc_end_group(f->pid);
	f->pid = 0;
}

void fake_capability(struct fake_imap *f, const char *list)
{
	free(f->capability);
	f->capability = xstrdup(list);
}

void fake_delimiter(struct fake_imap *f, char delimiter)
{
	f->delimiter = delimiter;
}

struct fake_mailbox *fake_mailbox(struct fake_imap *f, struct bytes name)
{
	struct fake_mailbox *mb = xcalloc(1, sizeof(*mb));

	buf_init(&mb->name, 65536);
	buf_add(&mb->name, name);
	mb->attributes = xstrdup("");
	mb->uidvalidity = mb->uidnext = 1;
	mb->modseq = 1;
	f->mb = xgrow(f->mb, f->n, &f->cap, sizeof(struct fake_mailbox *));
	f->mb[f->n++] = mb;
	return mb;
}

struct fake_mailbox *fake_find(struct fake_imap *f, struct bytes name)
{
	for (size_t i = 0; i < f->n; i++)
		if (bytes_equal(buf_bytes(&f->mb[i]->name), name))
			return f->mb[i];
	return NULL;
}

void fake_remove(struct fake_imap *f, struct bytes name)
{
	struct fake_mailbox *mb = fake_find(f, name);
	size_t i = 0;

	if (!mb)
		test_die("fake server: no such mailbox to remove");
	while (f->mb[i] != mb)
		i++;
	memmove(&f->mb[i], &f->mb[i + 1], (--f->n - i) * sizeof(struct fake_mailbox *));
	for (i = 0; i < f->tricks; i++)
		if (f->trick[i].mb == mb)
			f->left[i] = 0;
	mailbox_free(mb);
}

void fake_attributes(struct fake_mailbox *mb, const char *attributes)
{
	free(mb->attributes);
	mb->attributes = xstrdup(attributes);
}

void fake_uidnext(struct fake_mailbox *mb, uint32_t uidnext)
{
	mb->uidnext = uidnext;
}

void fake_uidvalidity(struct fake_mailbox *mb, uint32_t uidvalidity)
{
	mb->uidvalidity = uidvalidity;
}

void fake_message(struct fake_mailbox *mb, uint32_t uid, const char *flags, const char *date,
		  struct bytes body)
{
	struct fake_msg *m;

	if (mb->n > 0 && mb->msg[mb->n - 1].uid >= uid)
		test_die("fake server: UID %u does not ascend", uid);
	mb->msg = xgrow(mb->msg, mb->n, &mb->cap, sizeof(*mb->msg));
	m = &mb->msg[mb->n++];
	*m = (struct fake_msg){ .uid = uid, .modseq = ++mb->modseq, .body = BUF_INIT(BODY_MAX) };
	m->flags = xstrdup(flags);
	m->date = xstrdup(date ? date : "01-Jan-2020 00:00:00 +0000");
	buf_add(&m->body, body);
	if (uid >= mb->uidnext)
		mb->uidnext = uid < UINT32_MAX ? uid + 1 : uid;
}

static struct fake_msg *find_message(const struct fake_mailbox *mb, uint32_t uid)
{
	for (size_t i = 0; i < mb->n; i++)
		if (mb->msg[i].uid == uid)
			return &mb->msg[i];
	test_die("fake server: there is no UID %u", uid);
}

void fake_identity(struct fake_mailbox *mb, uint32_t uid, const char *identity)
{
	struct fake_msg *m = find_message(mb, uid);

	free(m->identity);
	m->identity = xstrdup(identity);
}

void fake_expunge(struct fake_mailbox *mb, uint32_t uid)
{
	struct fake_msg *m = find_message(mb, uid);

	mb->gone = xgrow(mb->gone, mb->n_gone, &mb->cap_gone, sizeof(*mb->gone));
	mb->gone[mb->n_gone++] = (struct fake_gone){ uid, ++mb->modseq };
	message_free(m);
	memmove(m, m + 1, (size_t)(&mb->msg[--mb->n] - m) * sizeof(*m));
}

void fake_flags(struct fake_mailbox *mb, uint32_t uid, const char *flags)
{
	struct fake_msg *m = find_message(mb, uid);

	free(m->flags);
	m->flags = xstrdup(flags);
	m->modseq = ++mb->modseq;
}

#define LITERAL(s) { (const uint8_t *)(s), sizeof(s) - 1 }

void fake_hostile_messages(struct fake_mailbox *mb, uint32_t first_uid)
{
	static const struct bytes body[] = {
		LITERAL("Subject: bare LF\n\nonly\nLF\n"),
		LITERAL("Subject: mixed\r\n\r\none\ntwo\r\nthree\n"),
		LITERAL("Subject: CR CR LF\r\n\r\ndouble\r\r\nline\r\n"),
		LITERAL("Subject: CR CR LF alone\n\r\r\n"),
		LITERAL("Subject: bare CR\r\n\r\none\rtwo\r\n"),
		LITERAL("Subject: NUL\r\n\r\na\0b\0\r\n"),
		LITERAL("Subject: no final newline\r\n\r\nend"),
		LITERAL("Subject: ends in CR\r\n\r\nend\r"),
		LITERAL("Subject: ends in LF\r\n\r\nend\n"),
		LITERAL("Subject: headers only\r\n"),
		LITERAL(""),
		LITERAL("\r\n"),
		LITERAL("\n"),
		LITERAL("\r"),
		LITERAL("\0"),
		LITERAL("From someone Thu Jan  1 00:00:00 1970\r\n\r\n"
			">From here\r\nFrom there\r\n"),
		LITERAL("A: b\r\n\r\n* 1 FETCH (UID 1 BODY[] {4}\r\n)\r\na1 OK done\r\n"),
	};
	struct buf high = BUF_INIT(4096);
	const uint32_t n = sizeof(body) / sizeof(body[0]);

	for (uint32_t i = 0; i < n; i++)
		fake_message(mb, first_uid + i, i % 2 ? "\\Seen" : "", NULL, body[i]);
	buf_add_str(&high, "Subject: every byte\r\n\r\n");
	for (unsigned c = 0; c < 256; c++)
		buf_add_byte(&high, (uint8_t)c);
	fake_message(mb, first_uid + n, "", NULL, buf_bytes(&high));
	buf_release(&high);
}

const struct bytes *fake_hostile_names(size_t *n)
{
	static const char long_name[] = "a-name-of-300-bytes-"
		"0123456789012345678901234567890123456789012345678901234567890123456789"
		"0123456789012345678901234567890123456789012345678901234567890123456789"
		"0123456789012345678901234567890123456789012345678901234567890123456789"
		"0123456789012345678901234567890123456789012345678901234567890123456789";
	static const struct bytes name[] = {
		LITERAL("../../x"), LITERAL("a/b"), LITERAL("a.b"), LITERAL("."), LITERAL(".."),
		LITERAL("cur"), LITERAL("new"), LITERAL("tmp"), LITERAL(".git"), LITERAL(".GIT"),
		LITERAL("Case"), LITERAL("case"),
		LITERAL("a\x01\x1b[2Jb"), LITERAL("line\nbreak\r"),
		LITERAL("back\\slash"), LITERAL("quo\"ted"), LITERAL("%s%n%00"), LITERAL(" blank "),
		LITERAL("-rf"), LITERAL("~"), LITERAL("/etc/passwd"), LITERAL("mailcask.db"),
		LITERAL("caf\xe9"), LITERAL("caf\xc3\xa9"), LITERAL("&bad"), LITERAL("&AGE-"),
		LITERAL("&2D0-"), LITERAL("CON"), LITERAL("dovecot-uidlist"), LITERAL("x:2,S"),
		{ (const uint8_t *)long_name, sizeof(long_name) - 1 },
	};

	*n = sizeof(name) / sizeof(name[0]);
	return name;
}

void fake_hostile_mailboxes(struct fake_imap *f)
{
	size_t n;
	const struct bytes *name = fake_hostile_names(&n);

	for (size_t i = 0; i < n; i++) {
		char hex[SHA256_HEX_SIZE];

		sha256_hex(name[i], hex);
		fake_message(fake_mailbox(f, name[i]), 1, "", NULL, bytes_of(hex));
	}
}

void fake_trick(struct fake_imap *f, struct fake_mailbox *mb, enum fake_trick what, uint32_t uid,
		int64_t at, int times)
{
	if (f->tricks == FAKE_TRICKS_MAX)
		test_die("fake server: too many tricks");
	f->trick[f->tricks] = (struct fake_trick_entry){ mb, what, uid, at };
	__atomic_store_n(&f->left[f->tricks++], times, __ATOMIC_SEQ_CST);
}

void fake_tricks_clear(struct fake_imap *f)
{
	for (size_t i = 0; i < f->tricks; i++)
		__atomic_store_n(&f->left[i], 0, __ATOMIC_SEQ_CST);
	f->tricks = 0;
}

const struct fake_trick_entry *fake_use(const struct fake_imap *f, const struct fake_mailbox *mb,
					enum fake_trick what, uint32_t uid)
{
	for (size_t i = 0; i < f->tricks; i++) {
		const struct fake_trick_entry *t = &f->trick[i];
		int left = __atomic_load_n(&f->left[i], __ATOMIC_SEQ_CST);

		if (t->what != what || t->mb != mb || t->uid != uid)
			continue;
		while (left > 0 && !__atomic_compare_exchange_n(&f->left[i], &left, left - 1, false,
								__ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
			;
		if (left != 0)
			return t;
	}
	return NULL;
}

bool fake_can(const struct fake_imap *f, const char *capability)
{
	size_t n = strlen(capability);

	for (const char *p = f->capability; (p = strstr(p, capability)); p += n)
		if ((p == f->capability || p[-1] == ' ') && (p[n] == ' ' || p[n] == '\0'))
			return true;
	return false;
}

void fake_commands(struct fake_imap *f, struct buf *out)
{
	read_file(f->log_path, out);
}

void fake_bodies(struct fake_imap *f, struct buf *out)
{
	read_file(f->sent_path, out);
}

void fake_forget(struct fake_imap *f)
{
	if (ftruncate(f->log, 0) < 0 || ftruncate(f->sent, 0) < 0)
		test_die_sys("forget commands");
}
