/* `find`: the program, on every kind of local store. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "backends/git/git.h"
#include "backends/maildir/maildir.h"
#include "core/base/file.h"
#include "core/base/mem.h"
#include "tests/lib/conformance.h"
#include "tests/lib/git_rig.h"
#include "tests/lib/maildir_rig.h"
#include "tests/lib/proc.h"
#include "tests/lib/support.h"

static const struct store_under_test stores[] = {
	{ "maildir", &maildir_store, "fs" },
	{ "git", &git_store, NULL },
};

static const char letter[] =
	"From: =?utf-8?Q?J=C3=B6rg?= <joerg@example.org>\r\n"
	"To: Anna <anna@example.org>\r\n"
	"Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?= from home\r\n"
	"Message-ID: <1@example.org>\r\n"
	"List-Id: dev.example.org\r\n"
	"Content-Type: multipart/mixed; boundary=b\r\n"
	"\r\n"
	"--b\r\n"
	"Content-Type: text/plain; charset=iso-8859-1\r\n"
	"Content-Transfer-Encoding: quoted-printable\r\n"
	"\r\n"
	"The new house is sch=F6n.\r\n"
	"--b\r\n"
	"Content-Type: image/png\r\n"
	"Content-Disposition: attachment; filename=\"kitchen.png\"\r\n"
	"Content-Transfer-Encoding: base64\r\n"
	"\r\n"
	"c2VjcmV0\r\n"
	"--b--\r\n";

static const char page[] =
	"From: Bob <bob@example.org>\r\n"
	"Subject: page\r\n"
	"Content-Type: text/html; charset=utf-8\r\n"
	"\r\n"
	"<style>p { color: blue }</style><p title=\"hidden\">Gem<b>&uuml;</b>se&#33; &amp; fruit</p>"
	"<!-- nothing --><script>evil()</script><p>house new</p>\r\n";

static char *cache; /* $XDG_CACHE_HOME */

/* Given to the program; the answers are the caller's. */
static void run(struct proc_result *res, const char *const *args)
{
	const char *argv[16] = { program_path() };
	const char *home[] = { xasprintf("XDG_CACHE_HOME=%s", cache), "TZ=UTC", "LC_ALL=C.UTF-8",
			       "MAILCASK_CONFIG=/nonexistent", NULL };
	struct proc_opts opts = { .env = home };

	for (size_t i = 0; args[i]; i++)
		argv[i + 1] = args[i];
	proc_run(res, &opts, argv);
	free((char *)(uintptr_t)home[0]);
}

#define RUN(res, ...) run(res, (const char *const[]){ __VA_ARGS__, NULL })

/* "INBOX 1, Work 2" of the events, owned by the caller. */
static char *places(struct proc_result *res)
{
	struct buf out = BUF_INIT(1 << 16);
	char *save = NULL;

	for (char *line = strtok_r((char *)res->out.p, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		json_t *event = json_loads(line, 0, NULL);

		assert_non_null(event);
		buf_addf(&out, "%s%s %d%s", out.n ? ", " : "",
			 json_string_value(json_object_get(event, "mailbox")),
			 (int)json_integer_value(json_object_get(event, "uid")),
			 json_is_true(json_object_get(event, "kept")) ? " kept" : "");
		json_decref(event);
	}
	return buf_take(&out);
}

static void finds(int line, const char *want, const char *const *args)
{
	struct proc_result res;
	char *got;

	run(&res, args);
	if (res.status != 0)
		test_die("line %d: exit %d: %s", line, res.status, buf_str(&res.err));
	got = places(&res);
	if (strcmp(got, want) != 0)
		test_die("line %d: '%s' instead of '%s'", line, got, want);
	free(got);
	proc_result_release(&res);
}

#define FINDS(store, want, ...)                                                                    \
	finds(__LINE__, want, (const char *const[]){ "find", "--json", store, __VA_ARGS__, NULL })

static void complains(struct proc_result *res, int status, const char *what)
{
	if (res->status != status || !strstr(buf_str(&res->err), what))
		test_die("exit %d instead of %d, and this, not '%s':\n%s%s", res->status, status,
			 what, buf_str(&res->out), buf_str(&res->err));
	assert_string_equal(buf_str(&res->out), "");
	proc_result_release(res);
}

static void put(struct bench *b, const char *mailbox, uint32_t uid, const char *body,
		const char *flags)
{
	struct put p = { .body = bytes_of(body), .flags = flags };

	bench_put(bench_mailbox(b, mailbox), uid, &p, NULL);
}

static void end_run(struct bench *b)
{
	struct err err = { 0 };

	must(store_snapshot(b->st, &err), &err);
	bench_close(b);
}

/* INBOX 1 the letter, 2 the page; Work 1 the letter again. */
static int setup(void **state)
{
	const struct store_under_test *sut = *state;
	struct bench *b = xcalloc(1, sizeof(*b));

	cache = xasprintf("%s/cache", tmp_dir());
	bench_init(b, sut);
	bench_open(b);
	put(b, "INBOX", 1, letter, "\\Seen $Work");
	put(b, "INBOX", 2, page, "\\Flagged");
	put(b, "Work", 1, letter, "");
	end_run(b);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	bench_release(*state);
	free(*state);
	free(cache);
	return 0;
}

static char *index_path(const struct bench *b)
{
	return xasprintf("%s/%s", b->path,
			 b->sut->ops == &git_store ? "mailcask/find.db" : "mailcask-find.db");
}

static bool exists(const char *path)
{
	struct stat sb;

	return stat(path, &sb) == 0;
}

/* --- */

static void test_each_criterion_finds_what_it_says(void **state)
{
	const char *at = ((struct bench *)*state)->path;

	for (int again = 0; again < 2; again++) {
		FINDS(at, "INBOX 1, Work 1", "from", "JÖRG");
		FINDS(at, "INBOX 1, Work 1", "to", "anna@example.org");
		FINDS(at, "INBOX 1, Work 1", "subject", "grüsse from");
		FINDS(at, "INBOX 1, Work 1", "subject \"grüße from\"");
		FINDS(at, "INBOX 1, Work 1", "message-id", "<1@example.org>");
		FINDS(at, "INBOX 1, Work 1", "header", "list-id: dev");
		FINDS(at, "INBOX 2", "not", "header", "list-id");
		FINDS(at, "INBOX 1", "seen", "header", "list-id");
		FINDS(at, "INBOX 1", "keyword", "$work");
		FINDS(at, "INBOX 2", "flagged", "not", "from", "jörg");
		FINDS(at, "INBOX 1, INBOX 2, Work 1", "before 2000-01");
		FINDS(at, "", "since 2000-01");
		FINDS(at, "INBOX 2", "smaller", "400");
		FINDS(at, "", "from", "example", "subject", "nothing");
	}
}

static void test_words_are_found_in_text_subject_and_names(void **state)
{
	const char *at = ((struct bench *)*state)->path;

	FINDS(at, "INBOX 1, Work 1", "text", "new house");
	FINDS(at, "INBOX 1, INBOX 2, Work 1", "text", "new", "text", "HOUSE");
	FINDS(at, "INBOX 2", "not text \"new house\"");
	FINDS(at, "INBOX 1, INBOX 2, Work 1", "text", "hous*");
	FINDS(at, "", "text", "hous");
	FINDS(at, "INBOX 1, Work 1", "text", "schön");
	FINDS(at, "INBOX 1, Work 1", "text", "joerg@example.org");
	FINDS(at, "INBOX 1, Work 1", "text", "kitchen");
	FINDS(at, "INBOX 2", "text", "gemüse");
	FINDS(at, "INBOX 2", "text", "fruit", "flagged");
	FINDS(at, "", "text", "hidden");
	FINDS(at, "", "text", "color");
	FINDS(at, "", "text", "evil");
	FINDS(at, "", "text", "c2VjcmV0");
	FINDS(at, "", "text", "new\" OR \"fruit");
	FINDS(at, "Work 1", "--mailbox", "W*", "text", "house");
}

static void test_what_is_found_can_be_shown(void **state)
{
	struct bench *b = *state;
	struct proc_result res;

	RUN(&res, "find", b->path, "subject", "gr");
	assert_int_equal(res.status, 0);
	assert_string_equal(buf_str(&res.out),
			    "MAILBOX      UID  DATE                   SIZE  FLAGS   FROM                    SUBJECT\n"
			    "INBOX          1  1996-07-17 09:44      492 B  S+      Jörg                    Grüße from home\n"
			    "Work           1  1996-07-17 09:44      492 B  -       Jörg                    Grüße from home\n");
	proc_result_release(&res);
	RUN(&res, "find", b->path, "subject", "unheard of");
	assert_string_equal(buf_str(&res.out), "no message found\n");
	proc_result_release(&res);
}

/* What came, went and changed flags since the index was made. */
static void test_the_index_follows_the_store(void **state)
{
	struct bench *b = *state;
	struct uidset one = set_of("1");
	struct err err = { 0 };

	FINDS(b->path, "INBOX 1, Work 1", "text", "schön");
	bench_open(b);
	put(b, "INBOX", 7, "Subject: seven\r\n\r\nschön\r\n", "");
	must(mailbox_expunge(bench_find(b, "Work"), &one, &err), &err);
	end_run(b);
	FINDS(b->path, b->sut->ops == &git_store ? "INBOX 1, INBOX 7" : "INBOX 1, INBOX 3", "text",
	      "schön");
	FINDS(b->path, b->sut->ops == &git_store ? "INBOX 7" : "INBOX 3", "text", "schön", "unseen");
	uidset_release(&one);
}

static void test_kept_messages_are_found_and_shown(void **state)
{
	struct bench *b = *state;
	struct uidset one = set_of("1");
	struct proc_result res;
	struct err err = { 0 };

	bench_open(b);
	must(mailbox_keep(bench_find(b, "INBOX"), &one, false, &err), &err);
	end_run(b);
	FINDS(b->path, "INBOX 1 kept, Work 1", "text", "schön");
	RUN(&res, "show", "--raw", b->path, "INBOX", "1");
	assert_int_equal(res.status, 0);
	assert_string_equal(buf_str(&res.out), letter);
	proc_result_release(&res);
	uidset_release(&one);
}

static void test_only_messages_that_are_new_are_read(void **state)
{
	struct bench *b = *state;
	struct proc_result res;
	char *path = index_path(b);
	struct stat before, after;

	FINDS(b->path, "INBOX 2", "from", "bob");
	FINDS(b->path, "INBOX 2", "text", "fruit"); /* words are added to what is there */
	FINDS(b->path, "INBOX 1, Work 1", "text", "kitchen");
	assert_int_equal(stat(path, &before), 0);
	assert_int_equal(before.st_mode & 0777, 0600);
	FINDS(b->path, "INBOX 1, Work 1", "from", "jörg");
	assert_int_equal(stat(path, &after), 0);
	assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
	RUN(&res, "check", b->path);
	if (res.status != 0)
		test_die("check: %s", buf_str(&res.err));
	proc_result_release(&res);
	free(path);
}

static void test_an_index_that_is_damaged_or_of_another_store_is_made_anew(void **state)
{
	struct bench *b = *state;
	char *path = index_path(b);
	static const char *const sql[] = { "UPDATE about SET value = 'x' WHERE key = 'uuid'",
					   "UPDATE about SET value = '0' WHERE key = 'version'",
					   "DROP TABLE words", "DELETE FROM message",
					   "DROP TABLE about" };

	FINDS(b->path, "INBOX 2", "text", "fruit");
	for (size_t i = 0; i < sizeof(sql) / sizeof(sql[0]); i++) {
		mdir_sql_file(path, sql[i]);
		FINDS(b->path, "INBOX 2", "text", "fruit");
	}
	for (int i = 0; i < 2; i++) {
		struct buf data = BUF_INIT(1 << 24);
		struct err err = { 0 };

		must(file_read(path, &data, &err), &err);
		assert_true(data.n > 8192);
		if (i)
			memset(data.p + 4096, 0x5a, data.n - 4096);
		else
			memset(data.p, 0x5a, data.n);
		must(file_replace(path, buf_bytes(&data), 0600, &err), &err);
		buf_release(&data);
		FINDS(b->path, "INBOX 1, Work 1", "text", "schön");
		FINDS(b->path, "INBOX 2", "text", "fruit");
	}
	free(path);
}

/* A directory in its place: also for root that is no file. */
static void test_where_the_store_cannot_be_written_the_cache_is_used(void **state)
{
	struct bench *b = *state;
	char *path = index_path(b), *dir = xasprintf("%s/mailcask", cache);

	assert_int_equal(mkdir(path, 0700), 0);
	FINDS(b->path, "INBOX 2", "text", "fruit");
	assert_true(exists(dir));
	FINDS(b->path, "INBOX 2", "text", "fruit");
	/* Nor that: it works all the same. */
	free(cache);
	cache = xstrdup("/proc/nowhere");
	FINDS(b->path, "INBOX 2", "text", "fruit");
	assert_int_equal(rmdir(path), 0);
	free(path);
	free(dir);
}

static void test_a_malformed_search_is_refused_and_nothing_made(void **state)
{
	static const struct {
		const char *criterion, *says;
	} cases[] = {
		{ "form bob", "'form' is no criterion" },
		{ "from", "from needs a TEXT" },
		{ "subject \"open", "quotation mark" },
		{ "since tomorrowish", "since" },
		{ "larger much", "larger" },
		{ "not", "nothing after 'not'" },
		{ "text ...", "there is no word" },
		{ " ", "no criterion" },
	};
	struct bench *b = *state;
	char *path = index_path(b);
	struct proc_result res;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		RUN(&res, "find", b->path, cases[i].criterion);
		complains(&res, 2, cases[i].says);
	}
	RUN(&res, "find", b->path);
	complains(&res, 2, "a STORE is needed, and what to look for");
	RUN(&res, "find", "--mailbox", "", b->path, "seen");
	complains(&res, 2, "--mailbox");
	assert_false(exists(path));
	free(path);
}

static void test_only_history_knows_what_was_deleted(void **state)
{
	struct bench *b = *state;
	bool has_history = b->sut->ops == &git_store;
	char *at = xasprintf("%s%s", b->path, has_history ? "@latest" : "");
	struct proc_result res;

	RUN(&res, "find", "--deleted", at, "seen");
	complains(&res, 2, has_history ? "leave @" : "has no snapshots");
	free(at);
}

/* --- git --- */

static json_t *only_event(struct proc_result *res)
{
	json_t *event = json_loads(buf_str(&res->out), 0, NULL);

	if (res->status != 0 || !event)
		test_die("exit %d: %s%s", res->status, buf_str(&res->out), buf_str(&res->err));
	proc_result_release(res);
	return event;
}

static const char *text_of(const json_t *event, const char *key)
{
	const char *text = json_string_value(json_object_get(event, key));

	assert_non_null(text);
	return text;
}

static void test_what_was_deleted_is_found_with_the_snapshots_it_lived_in(void **state)
{
	struct bench *b = *state;
	struct uidset nine = set_of("9"), one = set_of("1");
	char *first, *last, *where;
	struct proc_result res;
	struct err err = { 0 };
	json_t *event;

	bench_open(b);
	put(b, "Work", 9, "Subject: nine\r\nFrom: N <n@x>\r\n\r\nlost words\r\n", "\\Answered");
	end_run(b);
	first = git_id(b->path, "main");
	bench_open(b);
	put(b, "INBOX", 10, "Subject: ten\r\n\r\nten\r\n", "");
	end_run(b);
	last = git_id(b->path, "main");
	bench_open(b);
	must(mailbox_expunge(bench_find(b, "Work"), &nine, &err), &err);
	must(mailbox_expunge(bench_find(b, "Work"), &one, &err), &err); /* a copy is in INBOX */
	end_run(b);
	FINDS(b->path, "", "text", "lost words");
	for (int again = 0; again < 2; again++) {
		RUN(&res, "find", "--json", "--deleted", b->path, "text", "lost words", "answered");
		event = only_event(&res);
		assert_string_equal(text_of(event, "mailbox"), "Work");
		assert_int_equal(json_integer_value(json_object_get(event, "uid")), 9);
		assert_string_equal(text_of(event, "first_snapshot"), first);
		assert_string_equal(text_of(event, "last_snapshot"), last);
		assert_string_equal(text_of(event, "subject"), "nine");
		json_decref(event);
	}
	RUN(&res, "find", "--deleted", b->path, "from", "n@x");
	where = xasprintf("%.8s..%.8s", first, last);
	assert_non_null(strstr(buf_str(&res.out), where));
	free(where);
	where = xasprintf("\n%s@%.8s  Work ", b->path, last); /* what `show` takes */
	assert_non_null(strstr(buf_str(&res.out), where));
	proc_result_release(&res);
	free(where);
	where = xasprintf("%s@%.8s", b->path, last);
	RUN(&res, "show", "--raw", where, "Work", "9");
	assert_non_null(strstr(buf_str(&res.out), "lost words"));
	proc_result_release(&res);
	FINDS(where, "Work 9", "text", "lost words");
	free(where);
	free(first);
	free(last);
	uidset_release(&nine);
	uidset_release(&one);
}

/* Also where it has the UID that it had before. */
static void test_a_deleted_message_that_had_been_away_is_told_from_when_it_came_back(void **state)
{
	static const char text[] = "Subject: nine\r\n\r\nlost words\r\n";
	static const uint32_t then[] = { 9, 12, 12 };
	struct bench *b = *state;
	struct uidset both = set_of("9,12");
	struct proc_result res;
	struct err err = { 0 };
	char *came = NULL;
	json_t *event;

	for (size_t i = 0; i < sizeof(then) / sizeof(then[0]); i++) {
		free(came);
		bench_open(b);
		put(b, "Work", then[i], text, "");
		end_run(b);
		came = git_id(b->path, "main");
		bench_open(b);
		must(mailbox_expunge(bench_find(b, "Work"), &both, &err), &err);
		end_run(b);
	}
	RUN(&res, "find", "--json", "--deleted", b->path, "text", "lost words");
	event = only_event(&res);
	assert_int_equal(json_integer_value(json_object_get(event, "uid")), 12);
	assert_string_equal(text_of(event, "first_snapshot"), came);
	assert_string_equal(text_of(event, "last_snapshot"), came);
	json_decref(event);
	free(came);
	uidset_release(&both);
}

/* Snapshots were dropped: words that only they had are in the file no longer. */
static void test_an_index_from_before_history_was_rewritten_is_made_anew(void **state)
{
	struct bench *b = *state;
	char *path = index_path(b), *old = git_id(b->path, "main");
	struct buf data = BUF_INIT(1 << 24);
	struct err err = { 0 };

	bench_open(b);
	put(b, "Work", 9, "Subject: nine\r\n\r\nxylophone\r\n", "");
	end_run(b);
	FINDS(b->path, "Work 9", "text", "xylophone");
	git_do(b->path, "update-ref", "refs/heads/main", old);
	FINDS(b->path, "", "text", "xylophone");
	must(file_read(path, &data, &err), &err);
	assert_null(memmem(data.p, data.n, "xylophone", 9));
	buf_release(&data);
	free(path);
	free(old);
}

static void test_forget_takes_the_index_along(void **state)
{
	struct bench *b = *state;
	char *path = index_path(b);
	struct proc_result res;

	bench_open(b);
	put(b, "Work", 9, "Subject: nine\r\n\r\nxylophone\r\n", "");
	end_run(b);
	FINDS(b->path, "Work 9", "text", "xylophone");
	RUN(&res, "forget", "--dry-run", "--keep-last", "1", b->path);
	assert_int_equal(res.status, 0);
	proc_result_release(&res);
	assert_true(exists(path));
	RUN(&res, "forget", "--keep-last", "1", b->path);
	assert_int_equal(res.status, 0);
	proc_result_release(&res);
	assert_false(exists(path));
	FINDS(b->path, "Work 9", "text", "xylophone");
	free(path);
}

static void test_history_and_what_git_sees_stay_as_they_are(void **state)
{
	struct bench *b = *state;
	char *before = git_out(b->path, "for-each-ref", NULL), *after;

	FINDS(b->path, "INBOX 2", "text", "fruit");
	after = git_out(b->path, "for-each-ref", NULL);
	assert_string_equal(before, after);
	git_check_all(b->path);
	free(before);
	free(after);
}

static void test_a_message_that_cannot_be_read_is_named_and_the_others_found(void **state)
{
	struct bench *b = *state;
	struct proc_result res;

	bench_open(b);
	put(b, "Work", 9, "Subject: nine\r\n\r\nfruit\r\n", "");
	end_run(b);
	git_damage(b->path, "main:mailboxes/INBOX/messages/000000/00/0000000002.eml");
	RUN(&res, "find", "--json", b->path, "text", "fruit");
	assert_int_equal(res.status, 3);
	assert_non_null(strstr(buf_str(&res.err), "message 2 of INBOX cannot be read"));
	assert_non_null(strstr(buf_str(&res.out), "\"uid\":9"));
	proc_result_release(&res);
	RUN(&res, "find", "--json", b->path, "flagged");
	assert_int_equal(res.status, 3);
	assert_non_null(strstr(buf_str(&res.out), "\"uid\":2"));
	proc_result_release(&res);
}

#define ON(test, i) { #test, test, setup, teardown, (void *)(uintptr_t)&stores[i] }
#define BOTH(test) ON(test, 0), ON(test, 1)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(test_each_criterion_finds_what_it_says),
		BOTH(test_words_are_found_in_text_subject_and_names),
		BOTH(test_what_is_found_can_be_shown),
		BOTH(test_the_index_follows_the_store),
		BOTH(test_kept_messages_are_found_and_shown),
		BOTH(test_only_messages_that_are_new_are_read),
		BOTH(test_an_index_that_is_damaged_or_of_another_store_is_made_anew),
		BOTH(test_where_the_store_cannot_be_written_the_cache_is_used),
		BOTH(test_a_malformed_search_is_refused_and_nothing_made),
		BOTH(test_only_history_knows_what_was_deleted),
		ON(test_what_was_deleted_is_found_with_the_snapshots_it_lived_in, 1),
		ON(test_a_deleted_message_that_had_been_away_is_told_from_when_it_came_back, 1),
		ON(test_an_index_from_before_history_was_rewritten_is_made_anew, 1),
		ON(test_forget_takes_the_index_along, 1),
		ON(test_history_and_what_git_sees_stay_as_they_are, 1),
		ON(test_a_message_that_cannot_be_read_is_named_and_the_others_found, 1),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
