#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cmd/config.h"
#include "core/base/buf.h"
#include "core/base/mem.h"
#include "tests/lib/config_files.h"
#include "tests/lib/support.h"

#define FILE_KEY "[global]\naccounts = users.csv\n"
#define ACCOUNT "[account %]\nhost = mail.example.org\nuser = %{user}\n"
#define STORE "[store archive]\ntype = git\npath = /srv/mail/%a\n"
#define JOB "[job nightly-%]\nkind = backup\nfrom = %\nto = archive\n"
#define ALL FILE_KEY ACCOUNT STORE JOB

static struct config *load(const char *text, const char *csv)
{
	free(config_put("users.csv", csv, 0600));
	return config_load_text(text);
}

static void assert_csv_problems(const char *csv, const char *want)
{
	free(config_put("users.csv", csv, 0600));
	assert_config_problems(ALL, want);
}

static void assert_sound(const struct config *cfg)
{
	char *got = config_problems(cfg);

	assert_string_equal(got, "");
	free(got);
}

static void test_a_template_becomes_a_section_for_each_line(void **state)
{
	struct config *cfg = load(ALL, "user\nanna@example.org\nbert\n");
	const struct config_account *ac = config_section(cfg, CONFIG_ACCOUNT, "anna@example.org");
	const struct config_job *job = config_section(cfg, CONFIG_JOB, "nightly-anna@example.org");
	char *path;

	(void)state;
	assert_sound(cfg);
	assert_int_equal(config_jobs(cfg), 2);
	assert_string_equal(ac->user, "anna@example.org");
	assert_string_equal(ac->head.template, "%");
	assert_string_equal(job->head.template, "nightly-%");
	assert_ptr_equal(job->account, ac);
	path = config_store_path(job->store, job->whose);
	assert_string_equal(path, "/srv/mail/anna@example.org");
	free(path);
	assert_non_null(config_section(cfg, CONFIG_JOB, "nightly-bert"));
	config_free(cfg);
}

static void test_a_migration_has_a_template_for_each_side(void **state)
{
	struct config *cfg =
		load(FILE_KEY "[account old-%]\nhost = a\nuser = %{user}*master\npassword_file = master\n"
			      "[account new-%]\nhost = b\nuser = master\nauth = plain\nauthzid = %{new_name}\n"
			      "[job %]\nkind = migrate\nfrom = old-%\nto = new-%\n",
		     "account,user,new_name\nanna,A. M.,anna.m\n");
	const struct config_job *job;

	(void)state;
	assert_sound(cfg);
	job = config_job_at(cfg, 0);
	assert_string_equal(job->head.name, "anna");
	assert_string_equal(job->account->user, "A. M.*master");
	assert_string_equal(job->target->authzid, "anna.m");
	config_free(cfg);
}

static void test_fields_are_read_as_other_programs_write_them(void **state)
{
	struct config *cfg = load(FILE_KEY "[account %]\nhost = h\nuser = %{user}\npassword = %{password}\n",
				  "\xEF\xBB\xBFuser,password\r\n\"anna\",\"a \"\"b\"\", c%{user}\"\r\n\r\n# no,\"longer\nbert , x\n");
	const struct config_account *ac;

	(void)state;
	assert_sound(cfg);
	ac = config_section(cfg, CONFIG_ACCOUNT, "anna");
	assert_string_equal(ac->password, "a \"b\", c%{user}");
	ac = config_section(cfg, CONFIG_ACCOUNT, "bert");
	assert_string_equal(ac->user, "bert");
	assert_string_equal(ac->password, "x");
	config_free(cfg);
}

static void test_every_mistake_in_the_file_is_told_with_its_line(void **state)
{
	(void)state;
	assert_csv_problems("", "users.csv: there is no account in it\n");
	assert_csv_problems("user,password\n", "users.csv: there is no account in it\n");
	assert_csv_problems("name\nanna\n", "users.csv:1: no column is called 'account', or 'user': it is what the "
					    "accounts are named by\n");
	assert_csv_problems("user;password\n",
			    "users.csv:1: the first line names the columns, separated by commas, such as "
			    "'user,password'; field 1 is no name of letters, digits, _ and -\n");
	/* Without that line it is an account's: its password is not to be read in logs. */
	assert_csv_problems("anna,pa$$word\n",
			    "users.csv:1: the first line names the columns, separated by commas, such as "
			    "'user,password'; field 2 is no name of letters, digits, _ and -\n");
	assert_csv_problems("user,user\n", "users.csv:1: the column 'user' is there twice\n");
	assert_csv_problems("user,password\nanna\n\nbert,x,y\n",
			    "users.csv:2: 1 field, but the first line names 2 columns\n"
			    "users.csv:4: 3 fields, but the first line names 2 columns: a field with a comma in it "
			    "stands in quotes\n");
	assert_csv_problems("user\n\"anna\nbert\nca\"rl\n",
			    "users.csv:2: a quote is not closed: a field ends in the line it began in\n"
			    "users.csv:4: a quote stands within a field: the whole field goes into quotes, and a quote "
			    "in it is doubled\n");
	assert_csv_problems("user\nanna\n../bert\nanna\n",
			    "users.csv:3: '../bert' cannot name an account: letters, digits and . _ - @ + are allowed, "
			    "at most 64 of them; a column 'account' can name it otherwise than 'user'\n"
			    "users.csv:4: anna is here a second time; first in line 2\n");
	assert_csv_problems("user\nan\x01na\n\xff\n", "users.csv:2: there is a control character in this line\n"
						      "users.csv:3: this line is not UTF-8\n");
	assert_csv_problems("account,user\nanna,\n", "users.csv:2: [account anna] has no 'user'\n");
}

static void test_a_template_that_asks_for_what_is_not_there_is_told_once(void **state)
{
	(void)state;
	free(config_put("users.csv", "user,pass\nanna,x\nbert,y\n", 0600));
	assert_config_problems(FILE_KEY ACCOUNT "password = %{pas}\n" STORE JOB,
			       "main.ini:6: password: users.csv has no column 'pas'; did you mean 'pass'?\n");
	assert_config_problems(FILE_KEY ACCOUNT "password_command = cat %{pass\n",
			       "main.ini:6: password_command: '%{' begins the name of a column, and '}' ends it\n");
	assert_config_problems(FILE_KEY ACCOUNT "port = 0\ncolour = red\nuser = x\n",
			       "main.ini:6: port must be a number from 1 to 65535, not '0'\n"
			       "main.ini:7: unknown key 'colour' in [account %]\n"
			       "main.ini:8: 'user' is here a second time; first in line 5\n");
	assert_config_problems(FILE_KEY ACCOUNT "\n" ACCOUNT,
			       "main.ini:7: [account %] is here a second time; first at main.ini:3\n");
	assert_config_problems(FILE_KEY ACCOUNT STORE "[job %]\nkind = backup\nfrom = %\nto = nowhere\n",
			       "main.ini:12: to: there is no [store nowhere]\n");
	assert_config_problems(FILE_KEY ACCOUNT "[account %%]\n",
			       "main.ini:6: [account %%]: a name of letters, digits and . _ - @ + is expected, at most "
			       "64\n");
}

static void test_a_section_is_not_made_twice(void **state)
{
	(void)state;
	free(config_put("users.csv", "user\nanna\n", 0600));
	assert_config_problems(FILE_KEY ACCOUNT "[account anna]\nhost = h\nuser = u\n",
			       "users.csv:2: [account anna] is there already, at main.ini:6\n");
}

static void test_there_is_one_file_and_it_belongs_to_templates(void **state)
{
	(void)state;
	free(config_put("users.csv", "user\nanna\n", 0600));
	assert_config_problems("[account a]\nhost = h\nuser = u\naccounts = users.csv\n",
			       "main.ini:4: 'accounts' belongs to a template, such as [account %], not to one "
			       "account\n");
	assert_config_problems(FILE_KEY, "main.ini:2: there is no template to make sections of with it, such as [account "
					 "%] and [job %]\n");
	assert_config_problems(ACCOUNT "accounts = users.csv\n[account new-%]\nhost = h\nuser = u\naccounts = others.csv\n",
			       "main.ini:8: accounts: all templates are made into sections with one file; at main.ini:4 "
			       "it is users.csv\n");
	assert_config_problems(FILE_KEY ACCOUNT "accounts = %{user}\n",
			       "main.ini:6: accounts: there is one file for all accounts, so its name has no %{}\n");
	assert_config_problems("[global]\naccounts = gone.csv\n" ACCOUNT,
			       "main.ini:2: gone.csv: No such file or directory\n");
}

static void test_without_a_file_templates_make_nothing(void **state)
{
	struct config *cfg = config_load_text(ACCOUNT STORE JOB);

	(void)state;
	assert_sound(cfg);
	assert_int_equal(config_jobs(cfg), 0);
	assert_int_equal(cfg->n_templates, 2);
	assert_null(cfg->accounts);
	config_free(cfg);
}

static void test_the_file_of_the_command_line_comes_first(void **state)
{
	char *main = config_put("main.ini", ALL, 0600), *other = config_put("other.csv", "user\nbert\n", 0600);
	struct config *cfg;

	(void)state;
	free(config_put("users.csv", "user\nanna\n", 0600));
	cfg = config_load(main, other);
	assert_sound(cfg);
	assert_null(config_section(cfg, CONFIG_ACCOUNT, "anna"));
	assert_non_null(config_section(cfg, CONFIG_ACCOUNT, "bert"));
	assert_string_equal(cfg->accounts, other);
	config_free(cfg);
	free(main);
	free(other);
}

static void test_a_field_cannot_become_another_command_or_path(void **state)
{
	static const char *const commands[] = { "$(id)", "a b", "a;b", "a'b", "a|b", "`id`", "-rf", "a\\b", "a&b", "a>b" };
	static const char *const paths[] = { "../etc", "a/b", ".", "..", "a%a", "~", "$HOME" };
	static const char *const names[] = { "\"a, Other\"", "*", "a%", "a -> b" };

	(void)state;
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		char *csv = xasprintf("user,x\nanna,%s\n", commands[i]);
		struct config *cfg = load(FILE_KEY ACCOUNT "password_command = echo \"%{x}\"\n", csv);

		assert_int_equal(cfg->n_problems, 1);
		assert_non_null(strstr(cfg->problems[0], "users.csv:2: 'password_command' of [account %] cannot have"));
		config_free(cfg);
		free(csv);
	}
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		char *csv = xasprintf("user,x\nanna,%s\n", paths[i]);
		struct config *cfg = load(FILE_KEY ACCOUNT "[store s-%]\ntype = git\npath = /srv/%{x}\nmirror = h:%{x}\n",
					  csv);

		assert_int_equal(cfg->n_problems, 2);
		assert_non_null(strstr(cfg->problems[0], "'path' of [store s-%] cannot have"));
		assert_non_null(strstr(cfg->problems[1], "'mirror' of [store s-%] cannot have"));
		config_free(cfg);
		free(csv);
	}
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char *csv = xasprintf("user,x\nanna,%s\n", names[i]);
		struct config *cfg = load(ALL "mailboxes = Users/%{x}/*, INBOX\nmap = Users/%{x} -> Mine\n", csv);

		assert_int_equal(cfg->n_problems, 2);
		assert_non_null(strstr(cfg->problems[0], "'mailboxes' of [job nightly-%] cannot have"));
		assert_non_null(strstr(cfg->problems[1], "'map' of [job nightly-%] cannot have"));
		config_free(cfg);
		free(csv);
	}
	free(config_put("users.csv", "user,x\nanna,\n", 0600));
	assert_config_problems(FILE_KEY ACCOUNT "password_command = cat %{x}\n",
			       "users.csv:2: 'password_command' of [account %] cannot have the field 'x' as a part: it is "
			       "empty\n");
}

static void test_a_field_that_is_the_whole_value_is_taken_as_it_is(void **state)
{
	struct config *cfg = load(FILE_KEY ACCOUNT "password_command = %{command}\npassword_file = %{file}\n",
				  "user,command,file\nanna,\"pass show 'a b' | head -1\",\nbert,,keys/bert\n");
	const struct config_account *ac;
	char *path = path_join(config_dir, "keys/bert");

	(void)state;
	assert_sound(cfg);
	ac = config_section(cfg, CONFIG_ACCOUNT, "anna");
	assert_string_equal(ac->password_command, "pass show 'a b' | head -1");
	assert_null(ac->password_file);
	ac = config_section(cfg, CONFIG_ACCOUNT, "bert");
	assert_null(ac->password_command);
	assert_string_equal(ac->password_file, path);
	config_free(cfg);
	free(path);
}

static void test_a_file_with_passwords_must_be_private(void **state)
{
	(void)state;
	free(config_put("users.csv", "user,password\nanna,x\n", 0644));
	assert_config_problems(FILE_KEY ACCOUNT "password = %{password}\n",
			       "main.ini:6: a file with 'password' in it must not be readable by others: chmod 600 "
			       "users.csv\n");
	assert_config_problems(FILE_KEY ACCOUNT "password_command = pass %{user}\n", "");
	/* The file of the templates, too, as soon as part of one stands in it. */
	free(config_put("users.csv", "user,password\nanna,x\n", 0600));
	free(config_put("more.ini", ACCOUNT "password = secret-%{password}\n", 0644));
	assert_config_problems(FILE_KEY "include = more.ini\n",
			       "more.ini:4: a file with 'password' in it must not be readable by others: chmod 600 "
			       "more.ini\n");
	free(config_put("more.ini", ACCOUNT "password = %{password}\n", 0644));
	assert_config_problems(FILE_KEY "include = more.ini\n", "");
}

static void test_what_is_wrong_with_many_is_told_of_some(void **state)
{
	struct buf csv = BUF_INIT(1 << 20);
	struct config *cfg;

	(void)state;
	buf_add_str(&csv, "user,password\n");
	for (int i = 0; i < 1000; i++)
		buf_addf(&csv, "user%d\n", i);
	cfg = load(ALL, buf_str(&csv));
	assert_int_equal(cfg->n_problems, 201);
	assert_string_equal(cfg->problems[200], "and more of this kind");
	config_free(cfg);
	buf_release(&csv);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CONFIG_CASE(test_a_template_becomes_a_section_for_each_line),
		CONFIG_CASE(test_a_migration_has_a_template_for_each_side),
		CONFIG_CASE(test_fields_are_read_as_other_programs_write_them),
		CONFIG_CASE(test_every_mistake_in_the_file_is_told_with_its_line),
		CONFIG_CASE(test_a_template_that_asks_for_what_is_not_there_is_told_once),
		CONFIG_CASE(test_a_section_is_not_made_twice),
		CONFIG_CASE(test_there_is_one_file_and_it_belongs_to_templates),
		CONFIG_CASE(test_without_a_file_templates_make_nothing),
		CONFIG_CASE(test_the_file_of_the_command_line_comes_first),
		CONFIG_CASE(test_a_field_cannot_become_another_command_or_path),
		CONFIG_CASE(test_a_field_that_is_the_whole_value_is_taken_as_it_is),
		CONFIG_CASE(test_a_file_with_passwords_must_be_private),
		CONFIG_CASE(test_what_is_wrong_with_many_is_told_of_some),
	};

	return cmocka_run_group_tests_name("config_template", tests, NULL, NULL);
}
