#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/base/buf.h"
#include "tests/lib/corpus.h"
#include "tests/lib/dovecot.h"
#include "tests/lib/imap_oracle.h"
#include "tests/lib/maildir_oracle.h"
#include "tests/lib/support.h"

static struct dovecot *server;

static int start(void **state)
{
	(void)state;
	server = dovecot_start(NULL);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	dovecot_stop(server);
	return 0;
}

static void damage_flags(const char *file)
{
	char to[4096];

	snprintf(to, sizeof(to), "%sPX", file);
	assert_int_equal(rename(file, to), 0);
}

static void damage_date(const char *file)
{
	const struct timeval t[2] = { { .tv_sec = 1 }, { .tv_sec = 1 } };

	assert_int_equal(utimes(file, t), 0);
}

static void damage_bytes(const char *file)
{
	struct buf body = BUF_INIT(1 << 24);
	struct stat st;
	struct timeval t[2];

	assert_int_equal(stat(file, &st), 0);
	read_file(file, &body);
	body.p[body.n / 2] ^= 1;
	write_file(file, buf_bytes(&body));
	buf_release(&body);
	t[0] = t[1] = (struct timeval){ .tv_sec = st.st_mtime };
	assert_int_equal(utimes(file, t), 0);
}

static void lose(const char *file)
{
	assert_int_equal(unlink(file), 0);
}

/* Dovecot's own Maildir is what a perfect backup looks like. */
static void test_a_true_copy_matches_and_a_damaged_one_does_not(void **state)
{
	static void (*const damage[])(const char *file) = { damage_flags, damage_date,
							     damage_bytes, lose };

	(void)state;
	for (size_t i = 0; i <= sizeof(damage) / sizeof(damage[0]); i++) {
		char user[16];
		struct buf why = BUF_INIT(65536);
		struct name_list files = { 0 };
		struct oracle_dump d;
		struct oracle *o;
		char *dir, *file;

		snprintf(user, sizeof(user), "user%zu", i);
		o = oracle_open(server->port, user);
		corpus_fill_mixed(o, "INBOX", 0, 60, 100000);
		oracle_dump(o, "INBOX", &d);
		oracle_close(o);
		dir = dovecot_maildir(server, user);
		if (i > 0) {
			char *cur = path_join(dir, "cur");

			dir_entries(cur, &files);
			file = path_join(cur, files.name[30]);
			damage[i - 1](file);
			free(file);
			free(cur);
		}
		assert_int_equal(maildir_matches(dir, &d, &why), i == 0);
		assert_int_equal(why.n == 0, i == 0);
		name_list_release(&files);
		oracle_dump_release(&d);
		buf_release(&why);
		free(dir);
	}
}

static void test_line_ends_are_put_back_by_the_documented_rules(void **state)
{
	static const struct {
		const char *name, *file, *wire;
	} cases[] = {
		{ "1,S=5", "a\nb\n", "a\r\nb\r\n" },
		{ "2:2,SX", "a\nb", "a\r\nb" },
		{ "3,X", "a\nb", "a\nb" },
		{ "4,S=1,X:2,S", "a\n", "a\n" },
		{ "5", "a\nb\r\n", "a\nb\r\n" },
		{ "6", "a\rb\n", "a\rb\r\n" },
		{ "7", "", "" },
	};
	const char *dir = tmp_dir();
	struct maildir_dump d;
	char path[4096];

	(void)state;
	snprintf(path, sizeof(path), "mkdir %s/cur %s/new %s/tmp", dir, dir, dir);
	assert_int_equal(system(path), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char hex[SHA256_HEX_SIZE];

		snprintf(path, sizeof(path), "%s/cur/%s", dir, cases[i].name);
		write_file(path, bytes_of(cases[i].file));
		maildir_dump(dir, &d);
		sha256_hex(bytes_of(cases[i].wire), hex);
		assert_int_equal(d.n, 1);
		assert_string_equal(d.msg[0].sha256, hex);
		maildir_dump_release(&d);
		remove_tree(path);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_true_copy_matches_and_a_damaged_one_does_not),
		cmocka_unit_test(test_line_ends_are_put_back_by_the_documented_rules),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
