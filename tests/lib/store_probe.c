#include "tests/lib/store_probe.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "backends/imap/imap.h"
#include "core/base/buf.h"
#include "core/base/mem.h"

static int give_password(void *ctx, struct buf *out, struct err *err)
{
	(void)ctx;
	(void)err;
	buf_add_str(out, "pw");
	return 0;
}

void probe_init(struct store_probe *p, int port, const char *user)
{
	*p = (struct store_probe){ .port = xasprintf("%d", port) };
	p->account = (struct imap_account){
		.name = "test",
		.host = "127.0.0.1",
		.port = p->port,
		.tls = IMAP_TLS_NONE,
		.user = user,
		.password = give_password,
		.timeout_ms = 20000,
	};
	p->run.stop = &p->stop;
	p->cfg = (struct store_config){ .name = "test", .settings = &p->account, .run = &p->run };
}

void probe_open(struct store_probe *p)
{
	struct err err;

	if (store_open(&imap_store, &p->store, &p->cfg, STORE_READ, &err) < 0)
		test_die("open: %s", err.text);
}

void probe_list(struct store_probe *p, const char *hint)
{
	struct err err;

	mailbox_list_release(&p->list);
	if (store_list(p->store, hint, &p->list, &err) < 0)
		test_die("list: %s", err.text);
	if (!p->list.complete)
		test_die("the list is not complete");
}

const struct mailbox_info *probe_info(const struct store_probe *p, const char *name)
{
	for (size_t i = 0; i < p->list.n; i++) {
		char *text = mailbox_name_text(&p->list.v[i].name);
		bool same = strcmp(text, name) == 0;

		free(text);
		if (same)
			return &p->list.v[i];
	}
	return NULL;
}

struct mailbox *probe_mailbox(struct store_probe *p, const char *name)
{
	const struct mailbox_info *info = probe_info(p, name);
	struct mailbox *mb;
	struct err err;

	if (!info)
		test_die("%s is not in the list", name);
	if (mailbox_open(p->store, info, STORE_READ, &mb, &err) < 0)
		test_die("open %s: %s", name, err.text);
	return mb;
}

void probe_close(struct store_probe *p)
{
	store_close(p->store);
	mailbox_list_release(&p->list);
	free(p->port);
}

/* --- the sink --- */

struct passing {
	EVP_MD_CTX *hash;
	struct probed_message msg;
};

static int probe_begin(void *ctx, void *tag, const struct message *msg, void **handle,
		       struct err *err)
{
	struct probe_sink *s = ctx;
	struct passing *p = xcalloc(1, sizeof(*p));

	(void)err;
	p->hash = EVP_MD_CTX_new();
	EVP_DigestInit_ex(p->hash, EVP_sha256(), NULL);
	p->msg.tag = tag;
	p->msg.uid = msg->uid;
	if (++s->open > s->most_open)
		s->most_open = s->open;
	*handle = p;
	return 0;
}

static int probe_write(void *ctx, void *handle, struct bytes piece, struct err *err)
{
	struct probe_sink *s = ctx;
	struct passing *p = handle;

	if (s->refuse_uid && p->msg.uid == s->refuse_uid)
		return err_set(err, ERR_MESSAGE, "refused by the test");
	EVP_DigestUpdate(p->hash, piece.p, piece.n);
	p->msg.size += piece.n;
	s->bytes += piece.n;
	return 0;
}

static void remember(struct probe_sink *s, struct passing *p, const struct message *msg)
{
	struct buf text = BUF_INIT(65536);
	unsigned char digest[32];

	EVP_DigestFinal_ex(p->hash, digest, NULL);
	for (size_t i = 0; i < sizeof(digest); i++)
		snprintf(p->msg.sha256 + 2 * i, 3, "%02x", digest[i]);
	if (msg->uid != p->msg.uid)
		test_die("begin() had UID %u, end() has %u", p->msg.uid, msg->uid);
	flags_format(msg->flags, &text);
	p->msg.flags = xstrdup(buf_str(&text));
	buf_clear(&text);
	maildate_format(msg->date, &text);
	p->msg.date = xstrdup(buf_str(&text));
	buf_release(&text);
	s->msg = xgrow(s->msg, s->n, &s->cap, sizeof(*s->msg));
	s->msg[s->n++] = p->msg;
}

static int probe_end(void *ctx, void *handle, const struct message *msg, bool complete,
		     struct err *err)
{
	struct probe_sink *s = ctx;
	struct passing *p = handle;
	bool fatal = complete && s->fatal_uid && p->msg.uid == s->fatal_uid;

	s->open--;
	if (complete && !fatal)
		remember(s, p, msg);
	else
		s->cut++;
	if (complete && s->stop_at_end)
		*s->stop_at_end = 1;
	EVP_MD_CTX_free(p->hash);
	free(p);
	return fatal ? err_set(err, ERR_FATAL, "the disk of the test is full") : 0;
}

void probe_sink_init(struct probe_sink *s)
{
	*s = (struct probe_sink){ .sink = { .ctx = s, .begin = probe_begin, .write = probe_write,
					    .end = probe_end } };
}

void probe_sink_release(struct probe_sink *s)
{
	for (size_t i = 0; i < s->n; i++) {
		free(s->msg[i].flags);
		free(s->msg[i].date);
	}
	for (size_t i = 0; i < s->n_outcomes; i++)
		free(s->outcome[i].why);
	free(s->msg);
	free(s->outcome);
}

void probe_report(void *ctx, void *tag, uint32_t uid, enum outcome what, uint32_t new_uid,
		  const struct err *why)
{
	struct probe_sink *s = ctx;

	(void)new_uid;
	s->outcome = xgrow(s->outcome, s->n_outcomes, &s->cap_outcomes, sizeof(*s->outcome));
	s->outcome[s->n_outcomes++] = (struct probed_outcome){
		.tag = tag, .uid = uid, .what = what, .why = why ? xstrdup(why->text) : NULL
	};
}

const struct probed_message *probe_message(const struct probe_sink *s, const void *tag,
					   uint32_t uid)
{
	const struct probed_message *found = NULL;

	for (size_t i = 0; i < s->n; i++)
		if (s->msg[i].uid == uid && s->msg[i].tag == tag) {
			if (found)
				test_die("UID %u came twice", uid);
			found = &s->msg[i];
		}
	if (!found)
		test_die("UID %u did not come", uid);
	return found;
}

const struct probed_outcome *probe_outcome(const struct probe_sink *s, const void *tag,
					   uint32_t uid)
{
	const struct probed_outcome *found = NULL;

	for (size_t i = 0; i < s->n_outcomes; i++)
		if (s->outcome[i].uid == uid && s->outcome[i].tag == tag) {
			if (found)
				test_die("UID %u was reported twice", uid);
			found = &s->outcome[i];
		}
	if (!found)
		test_die("UID %u was not reported", uid);
	return found;
}
