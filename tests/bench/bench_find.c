/*
 * `find` on 100,000 messages of two kilobytes, in a git archive and in a Maildir: the first search, which makes the
 * index of headers, the first one for words, and later ones. Prints; judges nothing but that what is found is right.
 */
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "backends/git/git.h"
#include "backends/maildir/maildir.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/mem.h"
#include "core/mail/flags.h"
#include "core/sync/store.h"

enum { MESSAGES = 100000, WORDS = 260, VOCABULARY = 30000 };

static void must(int ret, const struct err *err)
{
	if (ret == 0)
		return;
	fprintf(stderr, "%s\n", err->text);
	exit(EXIT_FAILURE);
}

static uint32_t next_random(void)
{
	static uint64_t x = 88172645463325252ull;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return (uint32_t)(x >> 32);
}

/* As in a language: the square makes few words frequent. */
static void add_word(struct buf *out)
{
	uint64_t r = next_random() % VOCABULARY;

	buf_addf(out, "w%llx%c", (unsigned long long)(r * r / VOCABULARY * 7919 % 1000003),
		 next_random() % 12 ? ' ' : '\n');
}

static void add_words(struct buf *out, int n)
{
	for (int i = 0; i < n; i++)
		add_word(out);
}

static void begin_part(struct buf *out, const char *type, const char *encoding)
{
	buf_addf(out, "\r\n--=_b\r\nContent-Type: %s\r\nContent-Transfer-Encoding: %s\r\n\r\n", type,
		 encoding);
}

static void add_base64(struct buf *out, struct bytes bytes)
{
	uint8_t line[64 + 1];

	for (size_t i = 0; i < bytes.n; i += 48) {
		size_t n = bytes.n - i < 48 ? bytes.n - i : 48;

		buf_add(out, bytes_from(line, (size_t)EVP_EncodeBlock(line, bytes.p + i, (int)n)));
		buf_add_str(out, "\r\n");
	}
}

/* As mail programs write it: mostly not words. */
static void add_html(struct buf *out)
{
	buf_add_str(out, "<html><head><style>p {margin: 0;}</style></head><body>\r\n");
	for (int i = 0; i < 40; i++) {
		buf_add_str(out, "<tr><td style=3D\"font-family: Arial, sans-serif; color: #333\"><p "
				 "class=3D\"x\">");
		add_words(out, 5);
		buf_addf(out,
			 "J=C3=B6rg &amp; co <a "
			 "href=3D\"https://example.org/%08x%08x\">w%x</a></p></td></tr>=\r\n",
			 next_random(), next_random(), next_random() % 500);
	}
	buf_add_str(out, "</body></html>\r\n");
}

static void add_attachment(struct buf *out)
{
	static uint32_t noise[6000];

	for (size_t i = 0; i < sizeof(noise) / sizeof(noise[0]); i++)
		noise[i] = next_random();
	begin_part(out, "application/pdf; name=\"report.pdf\"", "base64");
	add_base64(out, bytes_from(noise, sizeof(noise)));
}

/* Of ten messages four are plain text, four come as HTML, too, one is text in base64, and one has
 * something attached. */
static void message(uint32_t uid, struct buf *out)
{
	struct buf words = BUF_INIT(1 << 16);
	unsigned kind = uid % 10;

	buf_clear(out);
	buf_addf(
		out,
		"Message-ID: <%u@bench.example>\r\nFrom: =?utf-8?q?J=C3=B6rg?= %u <u%u@example.org>\r\n"
		"To: me@example.org\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?= number %u\r\n"
		"Date: Thu, 29 Feb 2024 12:00:00 +0100\r\n%s",
		uid, uid % 500, uid % 500, uid,
		kind < 4    ? "Content-Type: text/plain; charset=utf-8\r\n\r\n"
		: kind < 8  ? "Content-Type: multipart/alternative; boundary=\"=_b\"\r\n"
		: kind == 8 ? "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: "
			      "base64\r\n\r\n"
			    : "Content-Type: multipart/mixed; boundary=\"=_b\"\r\n");
	if (kind >= 4 && kind != 8)
		begin_part(out, "text/plain; charset=utf-8", "7bit");
	add_words(&words, WORDS);
	buf_addf(&words, "needle%u\r\n", uid);
	if (kind == 8)
		add_base64(out, buf_bytes(&words));
	else
		buf_add(out, buf_bytes(&words));
	if (kind >= 4 && kind < 8) {
		begin_part(out, "text/html; charset=utf-8", "quoted-printable");
		add_html(out);
	} else if (kind == 9) {
		add_attachment(out);
	}
	if (kind >= 4 && kind != 8)
		buf_add_str(out, "\r\n--=_b--\r\n");
	buf_release(&words);
}

static void fill(const struct store_ops *ops, const char *path)
{
	const struct store_config cfg = { .name = "bench", .path = path, .account = "user@bench",
					  .layout = ops == &maildir_store ? "fs" : NULL, .create = true };
	struct mailbox_info info = { .name = MAILBOX_NAME_INIT };
	struct flags flags = { .bits = FLAG_SEEN };
	struct buf text = BUF_INIT(1 << 20);
	struct message_sink sink;
	struct maildate date;
	struct mailbox *mb;
	struct store *st;
	struct err err;

	must(store_open(ops, &st, &cfg, STORE_WRITE, &err), &err);
	must(mailbox_name_from_display(&info.name, bytes_of("INBOX"), &err), &err);
	must(store_create(st, &info.name, 0, &err), &err);
	must(mailbox_open(st, &info, STORE_WRITE, &mb, &err), &err);
	must(mailbox_append(mb, NULL, NULL, NULL, &sink, &err), &err);
	maildate_init(&date);
	for (uint32_t uid = 1; uid <= MESSAGES; uid++) {
		struct message msg = { .uid = uid, .flags = &flags, .date = &date };
		void *handle;

		message(uid, &text);
		msg.size = text.n;
		maildate_set(&date, 1700000000 + uid, 60);
		must(sink.begin(sink.ctx, NULL, &msg, &handle, &err), &err);
		must(sink.write(sink.ctx, handle, buf_bytes(&text), &err), &err);
		must(sink.end(sink.ctx, handle, &msg, true, &err), &err);
		if (uid % 10000 == 0)
			must(store_commit(st, &err), &err);
	}
	must(store_snapshot(st, &err), &err);
	store_close(st);
	mailbox_name_release(&info.name);
	buf_release(&text);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* How many are found. */
static void search(const char *program, const char *path, const char *criteria, long want)
{
	char *command = xasprintf("%s find %s --json %s | wc -l", program, path, criteria);
	double start = now();
	FILE *out = popen(command, "r");
	long found = -1;

	if (!out || fscanf(out, "%ld", &found) != 1 || pclose(out) != 0 || found != want) {
		fprintf(stderr, "%s: %ld instead of %ld\n", command, found, want);
		exit(EXIT_FAILURE);
	}
	printf("  %-28s %6ld found  %6.2f s\n", criteria, found, now() - start);
	fflush(stdout);
	free(command);
}

int main(void)
{
	static const struct store_ops *const kinds[] = { &git_store, &maildir_store };
	char root[] = "bench-find.XXXXXX";
	const char *build = getenv("B");
	char *program = xasprintf("%s/mailcask", build ? build : "build"), *clean;

	if (!mkdtemp(root))
		return EXIT_FAILURE;
	for (size_t i = 0; i < 2; i++) {
		char *path = xasprintf("./%s/%s", root, kinds[i]->type);

		fill(kinds[i], path);
		printf("%s, %d messages\n", kinds[i]->type, MESSAGES);
		search(program, path, "from u77@example.org", MESSAGES / 500);
		search(program, path, "from u77@example.org", MESSAGES / 500);
		search(program, path, "text needle777", 1);
		search(program, path, "text needle777", 1);
		search(program, path, "subject 'number 1234'", 11);
		search(program, path, "text needle5* seen", 11111);
		free(path);
	}
	clean = xasprintf("du -sh %s/*/mailcask/find.db %s/*/*find.db 2>/dev/null; rm -r %s", root, root, root);
	free(program);
	return system(clean) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
