#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "backends/maildir/maildir.h"
#include "cmd/cmd.h"
#include "cmd/config.h"
#include "cmd/store_arg.h"
#include "core/base/mem.h"
#include "tests/lib/conformance.h"
#include "tests/lib/support.h"

#define ACCOUNT(name) "[account " name "]\nhost = mail.example.org\nuser = " name "\npassword_command = x\n"
#define STORE(name, path) "[store " name "]\ntype = maildir\npath = " path "\n"
#define JOB(name, from, to) "[job " name "]\nkind = backup\nfrom = " from "\nto = " to "\n"

static const char sound[] =
	ACCOUNT("anna") ACCOUNT("bert") ACCOUNT("carl@home") STORE("archive", "stores/plain")
	STORE("each", "stores/each/%a") STORE("one", "stores/one/%a") STORE("none", "stores/none/%a")
	STORE("at@home", "stores/at") STORE("gone", "stores/gone")
	JOB("a", "anna", "each") JOB("b", "bert", "each") JOB("b2", "bert", "each")
	JOB("c", "carl@home", "one") JOB("d", "anna", "archive");

/* A store with one mailbox of this name. */
static void make_store(const char *path, const char *layout, const char *mailbox)
{
	struct store_under_test sut = { path, &maildir_store, layout };
	struct bench b = { .sut = &sut, .path = xstrdup(path) };

	b.cfg = (struct store_config){ .name = path, .path = path, .layout = layout,
				       .account = "anna@host", .create = true };
	bench_open(&b);
	bench_put_text(bench_mailbox(&b, mailbox), 1, "x");
	bench_commit(&b);
	bench_close(&b);
	free(b.path);
}

static int set_up(void **state)
{
	static const char *const stores[] = { "stores/plain",  "stores/each/anna", "stores/each/bert",
					      "stores/at",     "stores/one/carl@home",
					      "stores/none/x", "plus@1" };

	(void)state;
	if (chdir(tmp_dir()) < 0)
		test_die_sys("chdir");
	unsetenv("MAILCASK_CONFIG");
	setenv("XDG_CONFIG_HOME", "/nonexistent", 1);
	for (size_t i = 0; i < sizeof(stores) / sizeof(stores[0]); i++)
		make_store(stores[i], strcmp(stores[i], "plus@1") ? "fs" : "maildir++", stores[i]);
	write_file("sound.ini", bytes_of(sound));
	write_file("broken.ini", bytes_of("[account x]\nhots = y\n" STORE("archive", "stores/plain")));
	assert_int_equal(mkdir("archive", 0755), 0);
	assert_int_equal(mkdir("foreign", 0755), 0);
	write_file("foreign/file", bytes_of("x"));
	return 0;
}

/* What store_arg_find() makes of `text`; the error's text in `why` ("" if it was found). */
static void find(const char *config, const char *text, struct store_arg *out, struct err *err)
{
	static const volatile int stop;
	struct app app = { .config_path = config, .stop = &stop };

	*err = (struct err){ 0 };
	if (store_arg_find(out, &app, text, err) == 0)
		err->text[0] = '\0';
	config_free(app.config);
}

static void test_a_store_is_found_by_its_name_or_its_path(void **state)
{
	static const struct {
		const char *config, *text, *name, *path, *snapshot;
	} cases[] = {
		{ "sound.ini", "archive", "archive", "stores/plain", NULL },
		{ "sound.ini", "archive@2024-05-06", "archive", "stores/plain", "2024-05-06" },
		{ "sound.ini", "at@home", "at@home", "stores/at", NULL },
		{ "sound.ini", "at@home@latest", "at@home", "stores/at", "latest" },
		/* %a: said, or meant because one job uses it. */
		{ "sound.ini", "each/anna", "each/anna", "stores/each/anna", NULL },
		{ "sound.ini", "each/bert@1", "each/bert", "stores/each/bert", "1" },
		{ "sound.ini", "one", "one/carl@home", "stores/one/carl@home", NULL },
		{ "sound.ini", "one/carl@home", "one/carl@home", "stores/one/carl@home", NULL },
		{ "sound.ini", "one/carl@home@x", "one/carl@home", "stores/one/carl@home", "x" },
		/* An account that is no longer in the configuration. */
		{ "sound.ini", "none/x", "none/x", "stores/none/x", NULL },
		/* Paths, with a sound configuration, a broken one, and none. */
		{ "sound.ini", "stores/plain", "stores/plain", "stores/plain", NULL },
		{ "broken.ini", "stores/plain@y", "stores/plain", "stores/plain", "y" },
		{ NULL, "./stores/plain", "./stores/plain", "./stores/plain", NULL },
		{ NULL, "plus@1", "plus@1", "plus@1", NULL },
		{ NULL, "plus@1@2", "plus@1", "plus@1", "2" },
		{ NULL, "stores/one/carl@home", "stores/one/carl@home", "stores/one/carl@home", NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct store_arg arg;
		struct err err;

		find(cases[i].config, cases[i].text, &arg, &err);
		if (*err.text)
			fail_msg("%s: %s", cases[i].text, err.text);
		assert_string_equal(arg.name, cases[i].name);
		assert_string_equal(arg.path, cases[i].path);
		assert_true(!arg.snapshot == !cases[i].snapshot);
		if (arg.snapshot)
			assert_string_equal(arg.snapshot, cases[i].snapshot);
		assert_ptr_equal(arg.ops, &maildir_store);
		assert_string_equal(arg.identity.account, "anna@host");
		store_arg_release(&arg);
	}
}

static void test_what_is_no_store_is_told_with_what_to_say_instead(void **state)
{
	static const struct {
		const char *config, *text;
		enum err_kind kind;
		const char *want;
	} cases[] = {
		{ "sound.ini", "each", ERR_CONFIG,
		  "the store each has a directory for each account; say one of each/anna, each/bert" },
		{ "sound.ini", "each@1", ERR_CONFIG,
		  "the store each has a directory for each account; say one of each/anna, each/bert" },
		{ "sound.ini", "none", ERR_CONFIG,
		  "the store none has a directory for each account, and no job uses it; say "
		  "none/ACCOUNT" },
		{ "sound.ini", "archive@", ERR_CONFIG, "archive@: no snapshot is named after the @" },
		{ "sound.ini", "archiv", ERR_MISSING,
		  "there is no store and no directory 'archiv'; did you mean 'archive'?" },
		{ "sound.ini", "archiv@1", ERR_MISSING,
		  "there is no store and no directory 'archiv@1'; did you mean 'archive'?" },
		{ "sound.ini", "zzz", ERR_MISSING, "there is no store and no directory 'zzz'" },
		{ "sound.ini", "archive/anna", ERR_MISSING,
		  "there is no store and no directory 'archive/anna'; did you mean 'archive'?" },
		{ "sound.ini", "./zzz\033", ERR_MISSING,
		  "there is no store and no directory './zzz\\x1B'" },
		{ "sound.ini", "gone", ERR_MISSING, "stores/gone is not there: is a disk missing?" },
		{ "sound.ini", "each/zoe", ERR_MISSING,
		  "there is no store and no directory 'each/zoe'; did you mean 'each'?" },
		{ "sound.ini", "each/carl@home", ERR_MISSING,
		  "stores/each/carl@home is not there: is a disk missing?" },
		/* The name comes before the directory, which ./ means. */
		{ "sound.ini", "./archive", ERR_MISSING, "./archive is empty: is a disk missing?" },
		{ "sound.ini", "foreign", ERR_MISSING, "foreign is not a store of mailcask" },
		{ "sound.ini", "foreign/file", ERR_FATAL, "foreign/file is not a directory" },
		{ NULL, "zzz", ERR_MISSING,
		  "there is no directory 'zzz', and no configuration that knows a store of that name" },
		{ NULL, "/zzz", ERR_MISSING, "there is no store and no directory '/zzz'" },
		{ "broken.ini", "zzz", ERR_CONFIG,
		  "there is no directory 'zzz', and the configuration, which may know a store of that "
		  "name, cannot be used" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct store_arg arg;
		struct err err;

		find(cases[i].config, cases[i].text, &arg, &err);
		assert_string_equal(err.text, cases[i].want);
		assert_int_equal(err.kind, cases[i].kind);
		store_arg_release(&arg);
	}
}

/* A directory of another user, for one; this is how it goes for root, too. */
static void test_what_cannot_be_looked_at_is_not_called_missing(void **state)
{
	struct store_arg arg;
	struct err err;

	(void)state;
	assert_int_equal(symlink("loop", "loop"), 0);
	find(NULL, "loop/store", &arg, &err);
	assert_int_equal(err.kind, ERR_FATAL);
	assert_string_equal(err.text, "look at loop/store: Too many levels of symbolic links");
	find(NULL, "loop/store@latest", &arg, &err);
	assert_int_equal(err.kind, ERR_FATAL);
}

static void test_a_damaged_store_is_not_called_foreign(void **state)
{
	struct store_arg arg;
	struct err err;

	(void)state;
	assert_int_equal(mkdir("damaged", 0755), 0);
	write_file("damaged/mailcask.db", bytes_of("this was a database once, and is none now"));
	find(NULL, "damaged", &arg, &err);
	assert_non_null(strstr(err.text, "damaged/mailcask.db is damaged"));
	assert_int_equal(err.kind, ERR_FATAL);
	store_arg_release(&arg);
}

static void test_the_store_is_opened_with_the_layout_it_has(void **state)
{
	struct mailbox_list list = { 0 };
	struct store_arg arg;
	struct store *st;
	struct err err;

	(void)state;
	find(NULL, "plus@1", &arg, &err);
	must(store_open(arg.ops, &st, &arg.config, STORE_READ, &err), &err);
	must(store_list(st, NULL, &list, &err), &err);
	assert_int_equal(list.n, 1);
	store_close(st);
	mailbox_list_release(&list);
	store_arg_release(&arg);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_store_is_found_by_its_name_or_its_path),
		cmocka_unit_test(test_what_is_no_store_is_told_with_what_to_say_instead),
		cmocka_unit_test(test_what_cannot_be_looked_at_is_not_called_missing),
		cmocka_unit_test(test_a_damaged_store_is_not_called_foreign),
		cmocka_unit_test(test_the_store_is_opened_with_the_layout_it_has),
	};

	return cmocka_run_group_tests_name("store_arg", tests, set_up, NULL);
}
