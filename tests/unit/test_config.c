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

#include "cmd/config.h"
#include "core/base/buf.h"
#include "core/base/mem.h"
#include "tests/lib/config_files.h"
#include "tests/lib/support.h"

#define ACCOUNT "[account work]\nhost = mail.example.org\nuser = anna\n"
#define STORE "[store archive]\ntype = maildir\npath = /srv/mail/%a\n"
#define JOB "[job nightly]\nkind = backup\nfrom = work\nto = archive\n"
#define REST "\n" STORE JOB

static void test_a_minimal_configuration_is_sound(void **state)
{
	struct config *cfg = config_load_text(ACCOUNT "password_command = pass show work\n" REST);
	const struct config_account *ac = config_section(cfg, CONFIG_ACCOUNT, "work");
	const struct config_job *job;
	char *path;

	(void)state;
	assert_int_equal(cfg->n_problems, 0);
	assert_string_equal(ac->host, "mail.example.org");
	assert_string_equal(ac->password_command, "pass show work");
	assert_int_equal(ac->port, 0);
	assert_int_equal(ac->tls, IMAP_TLS_IMPLICIT);
	assert_int_equal(ac->timeout, 60);
	assert_int_equal(config_jobs(cfg), 1);
	job = config_job_at(cfg, 0);
	assert_ptr_equal(job->account, ac);
	assert_int_equal(job->deletions, DELETIONS_MIRROR);
	assert_int_equal(job->max_delete.count, 20);
	assert_int_equal(job->max_delete.percent, 10);
	assert_int_equal(job->mailboxes.n, 0);
	assert_int_equal(job->guard_exempt.n, 2);
	assert_string_equal(job->guard_exempt.v[0], "\\Trash");
	path = config_store_path(job->store, ac->head.name);
	assert_string_equal(path, "/srv/mail/work");
	free(path);
	config_free(cfg);
}

static void test_a_store_can_be_what_is_read(void **state)
{
	struct config *cfg = config_load_text(ACCOUNT STORE JOB "[store copy]\ntype = maildir\npath = /srv/copy/%a\n"
				  "[store plain]\ntype = maildir\npath = /srv/plain\n"
				  "[job second]\nkind = backup\nfrom = archive/work\nto = copy\n"
				  "[job third]\nkind = backup\nfrom = plain\nto = copy\n");
	static const char *const sources[] = { "/srv/mail/work", "/srv/plain" };
	static const char *const targets[] = { "/srv/copy/work", "/srv/copy/plain" };

	(void)state;
	assert_int_equal(cfg->n_problems, 0);
	for (size_t i = 0; i < 2; i++) {
		const struct config_job *job = config_job_at(cfg, i + 1);
		char *from = config_store_path(job->source, job->whose);
		char *to = config_store_path(job->store, job->whose);

		assert_null(job->account);
		assert_string_equal(from, sources[i]);
		assert_string_equal(to, targets[i]);
		free(from);
		free(to);
	}
	config_free(cfg);
}

static void test_a_migration_goes_to_another_account_and_keeps_what_is_gone(void **state)
{
	/* The same user at the same host through another port, as with two tunnels, is another account. */
	static const char *const others[] = { "host = other.example.org\nuser = anna\n",
					      "host = mail.example.org\nuser = bert\n",
					      "host = mail.example.org\nuser = anna\nport = 1993\n" };
	static const struct {
		const char *global, *line;
		enum job_deletions want;
	} deletions[] = { { "", "", DELETIONS_KEEP },
			  { "", "deletions = mirror\n", DELETIONS_MIRROR },
			  { "[global]\ndeletions = mirror\n", "", DELETIONS_KEEP } };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		char *text = xasprintf("%s" ACCOUNT "[account new]\n%s[job move]\nkind = migrate\nfrom = "
				       "work\nto = new\n%s",
				       deletions[i].global, others[i], deletions[i].line);
		struct config *cfg = config_load_text(text);
		const struct config_job *job = config_job_at(cfg, 0);

		assert_int_equal(cfg->n_problems, 0);
		assert_ptr_equal(job->account, config_section(cfg, CONFIG_ACCOUNT, "work"));
		assert_ptr_equal(job->target, config_section(cfg, CONFIG_ACCOUNT, "new"));
		assert_null(job->store);
		assert_int_equal(job->deletions, deletions[i].want);
		config_free(cfg);
		free(text);
	}
}

static void test_every_mistake_is_told_with_its_file_and_line(void **state)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{ ACCOUNT "hots = x\n" REST,
		  "main.ini:4: unknown key 'hots' in [account work]; did you mean 'host'?\n" },
		{ ACCOUNT "zzzzzz = x\n" REST,
		  "main.ini:4: unknown key 'zzzzzz' in [account work]\n" },
		{ ACCOUNT "path = x\n" REST,
		  "main.ini:4: 'path' does not belong in [account work] but in [store NAME]\n" },
		{ ACCOUNT "port = 99999\n" REST,
		  "main.ini:4: port must be a number from 1 to 65535, not '99999'\n" },
		{ ACCOUNT "port = imaps\n" REST,
		  "main.ini:4: port must be a number from 1 to 65535, not 'imaps'\n" },
		{ ACCOUNT "port = -1\n" REST,
		  "main.ini:4: port must be a number from 1 to 65535, not '-1'\n" },
		{ ACCOUNT "tls = implict\n" REST,
		  "main.ini:4: tls must be one of 'implicit', 'starttls', 'none', not 'implict'; "
		  "did you mean 'implicit'?\n" },
		{ ACCOUNT "tls = yes\n" REST,
		  "main.ini:4: tls must be one of 'implicit', 'starttls', 'none', not 'yes'\n" },
		{ ACCOUNT "tls_pin = sha256:abc\n" REST,
		  "main.ini:4: tls_pin must be 'sha256:' and the base64 form of 32 bytes (44 "
		  "characters), not 'sha256:abc'\n" },
		{ ACCOUNT "tls_ca_file = $CERTS/ca.pem\n" REST,
		  "main.ini:4: tls_ca_file must be a path; '~/' and '$HOME/' at its start "
		  "are known, "
		  "nothing else, not '$CERTS/ca.pem'\n" },
		{ ACCOUNT "authzid =\n" REST, "main.ini:4: authzid: there is no value\n" },
		{ ACCOUNT "authzid = \"bert\"\n" REST,
		  "main.ini:4: authzid: quotes would be part of the value: leave them out\n" },
		{ ACCOUNT "authzid = bert # the boss\n" REST,
		  "main.ini:4: authzid: a comment must stand on a line of its own\n" },
		{ ACCOUNT "disable_extensions = QRESYNC, MOVEE\n" REST,
		  "main.ini:4: disable_extensions: no extension named MOVEE is known\n" },
		{ ACCOUNT REST "mailboxes = \\Sentt\n",
		  "main.ini:12: mailboxes: '\\\\Sentt' is no special use; known are "
		  "\\\\All \\\\Archive "
		  "\\\\Drafts \\\\Flagged \\\\Junk \\\\Sent \\\\Trash\n" },
		{ ACCOUNT "user = bert\n" REST,
		  "main.ini:4: 'user' is here a second time; first in line 3\n" },
		{ ACCOUNT "tls_client_key = k\n" REST,
		  "main.ini:4: 'tls_client_key' is of no use without 'tls_client_cert'\n" },
		{ ACCOUNT "password_command = a\npassword_file = b\n" REST,
		  "main.ini:1: [account work]: give only one of 'password', 'password_command', "
		  "'password_file', 'token_command'\n" },
		{ ACCOUNT "password = a\ntoken_command = b\n" REST,
		  "main.ini:1: [account work]: give only one of 'password', 'password_command', "
		  "'password_file', 'token_command'\n" },
		{ ACCOUNT "auth = cram-md5\nauthzid = bert\n" REST,
		  "main.ini:5: 'authzid' needs auth = plain or scram-sha-256: LOGIN and CRAM-MD5 "
		  "cannot carry it\n" },
		{ ACCOUNT "auth = xoauth2\n" REST, "main.ini:4: this auth needs a 'token_command'\n" },
		{ ACCOUNT "auth = plain\ntoken_command = x\n" REST,
		  "main.ini:4: with a 'token_command' auth can only be auto, oauthbearer or "
		  "xoauth2\n" },
		{ ACCOUNT "auth = external\n" REST,
		  "main.ini:4: auth = external needs a 'tls_client_cert'\n" },
		{ ACCOUNT "tunnel = ssh x\nport = 99\ntls_ca_file = x\n" REST,
		  "main.ini:5: 'port' is of no use with a 'tunnel'\n"
		  "main.ini:6: 'tls_ca_file' is of no use with a 'tunnel'\n" },
		{ "[account work]\nuser = anna\n" REST,
		  "main.ini:1: [account work] has no 'host'\n" },
		{ "[acount work]\nhosst = x\n" ACCOUNT REST,
		  "main.ini:1: unknown section [acount]; did you mean 'account'?\n" },
		{ "[server work]\nhost = x\n" ACCOUNT REST,
		  "main.ini:1: unknown section [server]; there are account, store, job "
		  "and global\n" },
		{ "[account]\n" ACCOUNT REST,
		  "main.ini:1: [account NAME]: a name of letters, digits and . _ - @ + is "
		  "expected, "
		  "at most 64\n" },
		{ "[account ../x]\n" ACCOUNT REST,
		  "main.ini:1: [account ../x]: a name of letters, digits and . _ - @ + is "
		  "expected, "
		  "at most 64\n" },
		{ "[account work] x\n" ACCOUNT REST,
		  "main.ini:1: a section's line ends with ']' and has nothing after it\n" },
		{ "host = x\n" ACCOUNT REST,
		  "main.ini:1: 'host' stands before the first section, like [account NAME]\n" },
		{ ACCOUNT "just words\n" REST,
		  "main.ini:4: neither 'key = value' nor a [section]\n" },
		{ ACCOUNT STORE "[store spare]\ntype = maildr\npath = x\n" JOB,
		  "main.ini:8: type must be one of 'maildir', 'git', not 'maildr'; did you mean 'maildir'?\n" },
		{ ACCOUNT STORE "[store work]\ntype = maildir\npath = x\n" JOB,
		  "main.ini:1: an account and a store are both named 'work': jobs could "
		  "mean either\n" },
		{ ACCOUNT STORE "[store spare]\ntype = maildir\npath = x%b\n" JOB,
		  "main.ini:9: path: after '%' only 'a' (the account's name) or '%' can follow\n" },
		{ ACCOUNT STORE "[job j]\nkind = backup\nfrom = wrok\nto = archive\n",
		  "main.ini:9: from: there is no [account wrok]; did you mean 'work'?\n" },
		{ ACCOUNT STORE "[job j]\nkind = backup\nfrom = archive\nto = archive\n",
		  "main.ini:9: from: the store archive has a directory for each account: say "
		  "archive/ACCOUNT\n" },
		{ ACCOUNT STORE "[job j]\nkind = backup\nfrom = archive/work\nto = archive\n",
		  "main.ini:10: to: /srv/mail/work and /srv/mail/work, which is read, lie one "
		  "within the other\n" },
		{ ACCOUNT STORE "[store s]\ntype = maildir\npath = /srv/mail\n"
		  "[job j]\nkind = backup\nfrom = s\nto = archive\n",
		  "main.ini:13: to: /srv/mail/s and /srv/mail, which is read, lie one within the "
		  "other\n" },
		{ ACCOUNT STORE "[store s]\ntype = maildir\npath = /srv/x\n"
		  "[job j]\nkind = backup\nfrom = s/work\nto = archive\n",
		  "main.ini:12: from: there is no %a in the path of the store s: say s\n" },
		{ ACCOUNT STORE "[job j]\nkind = backup\nfrom = archiv/work\nto = archive\n",
		  "main.ini:9: from: there is no [account archiv/work]\n" },
		{ ACCOUNT STORE "[job j]\nkind = backup\nfrom = archiv\nto = archive\n",
		  "main.ini:9: from: there is no [store archiv]; did you mean 'archive'?\n" },
		{ ACCOUNT STORE "[job j]\nkind = backup\nfrom = work\nto = work\n",
		  "main.ini:10: to: 'work' is an account; a backup goes from an account "
		  "or a Maildir to a store (kind = migrate copies to an account)\n" },
		{ ACCOUNT STORE "[job j]\nkind = migrate\nfrom = work\nto = archive\n",
		  "main.ini:10: to: 'archive' is a store; a migration goes from an account to another "
		  "(kind = backup fills a store)\n" },
		{ ACCOUNT STORE "[job j]\nkind = migrate\nfrom = archive/work\nto = work\n",
		  "main.ini:9: from: 'archive/work' is a store; a migration goes from an account to another "
		  "(restore puts what a store holds into an account)\n" },
		{ ACCOUNT "[job j]\nkind = migrate\nfrom = work\nto = work\n",
		  "main.ini:7: to: 'work' is the account that is read: a migration goes to another\n" },
		{ ACCOUNT "[account again]\nhost = mail.example.org\nuser = anna\n"
		  "[job j]\nkind = migrate\nfrom = work\nto = again\n",
		  "main.ini:10: to: 'again' is the account that is read: a migration goes to another\n" },
		{ ACCOUNT "[job j]\nkind = migrate\nfrom = work\nto = wrok\n",
		  "main.ini:7: to: there is no [account wrok]; did you mean 'work'?\n" },
		{ ACCOUNT REST "max_delete = many\n",
		  "main.ini:12: max_delete must be a count, a percentage, or both, like "
		  "'20 and 10%', not 'many'\n" },
		{ ACCOUNT REST "max_delete = 20 and\n",
		  "main.ini:12: max_delete must be a count, a percentage, or both, like "
		  "'20 and 10%', not '20 and'\n" },
		{ ACCOUNT REST "max_delete = 101%\n",
		  "main.ini:12: max_delete must be a count, a percentage, or both, like "
		  "'20 and 10%', not '101%'\n" },
		{ ACCOUNT REST "mailboxes = a,,b\n",
		  "main.ini:12: mailboxes must be items separated by single commas, not 'a,,b'\n" },
		{ "[account bee]\nhost = h\nuser = u\n" ACCOUNT
		  "[store s]\ntype = maildir\npath = /m\n"
		  "[job a]\nkind = backup\nfrom = work\nto = s\n"
		  "[job b]\nkind = backup\nfrom = bee\nto = s\n",
		  "main.ini:17: the jobs a and b would put two accounts into /m; write %a in the "
		  "store's path\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_config_problems(cases[i].text, cases[i].want);
}

static void test_every_way_to_log_in_can_be_asked_for(void **state)
{
	static const struct {
		const char *word;
		enum imap_auth auth;
	} cases[] = {
		{ "auto", IMAP_AUTH_AUTO },
		{ "plain", IMAP_AUTH_PLAIN },
		{ "login", IMAP_AUTH_LOGIN },
		{ "scram-sha-256-plus", IMAP_AUTH_SCRAM_SHA_256_PLUS },
		{ "scram-sha-1-plus", IMAP_AUTH_SCRAM_SHA_1_PLUS },
		{ "scram-sha-256", IMAP_AUTH_SCRAM_SHA_256 },
		{ "scram-sha-1", IMAP_AUTH_SCRAM_SHA_1 },
		{ "external\ntls_client_cert = x", IMAP_AUTH_EXTERNAL },
		{ "oauthbearer\ntoken_command = x", IMAP_AUTH_OAUTHBEARER },
		{ "xoauth2\ntoken_command = x", IMAP_AUTH_XOAUTH2 },
		{ "cram-md5", IMAP_AUTH_CRAM_MD5 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf text = BUF_INIT(4096);
		struct config *cfg;

		buf_addf(&text, "%sauth = %s\n%s", ACCOUNT, cases[i].word, REST);
		cfg = config_load_text(buf_str(&text));
		if (cfg->n_problems)
			fail_msg("%s", cfg->problems[0]);
		assert_int_equal(config_job_at(cfg, 0)->account->auth, cases[i].auth);
		config_free(cfg);
		buf_release(&text);
	}
}

/* The defaults are for the accounts that connect. */
static void test_a_tunnel_may_stand_beside_global_tls_settings(void **state)
{
	struct config *cfg = config_load_text("[global]\ntls = starttls\ntls_ca_file = x\ntoken_command = t\n"
				  ACCOUNT "tunnel = ssh \"a b\" # c\npassword = p\n" REST);

	(void)state;
	if (cfg->n_problems)
		fail_msg("%s", cfg->problems[0]);
	assert_string_equal(config_job_at(cfg, 0)->account->tunnel, "ssh \"a b\" # c");
	assert_null(config_job_at(cfg, 0)->account->token_command);
	config_free(cfg);
}

static void test_what_a_later_version_will_do_is_refused_by_this_one(void **state)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{ ACCOUNT REST "flag_check = 1\n",
		  "main.ini:12: flag_check must be a number and s, m, h, d or w, like 24h, not '1'\n" },
		{ ACCOUNT REST "[job s]\nkind = sync\nfrom = work\nto = archive\n",
		  "main.ini:13: kind = sync is not supported by this version yet\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_config_problems(cases[i].text, cases[i].want);
}

static void test_a_mirror_is_of_an_archive_and_of_one_only(void **state)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{ ACCOUNT "[store g]\ntype = maildir\npath = x\nmirror = y\n" REST,
		  "main.ini:7: mirror: only a store of type git can be pushed to another place\n" },
		{ ACCOUNT "[store g]\ntype = git\npath = x/%a\nmirror = y\n" REST,
		  "main.ini:7: mirror: the path has a directory for each account: write %a here, too\n" },
		{ ACCOUNT "[store g]\ntype = git\npath = x\nmirror = y%20\n" REST,
		  "main.ini:7: mirror: after '%' only 'a' (the account's name) or '%' can follow\n" },
		{ ACCOUNT "[store g]\ntype = git\npath = x\nmirror = https://u:p@h/x\n" REST,
		  "main.ini:7: mirror: leave the password out of the URL and give it to git: git help "
		  "credentials\n" },
		{ ACCOUNT "[store g]\ntype = git\npath = x\nmirror = https://u@h:80/x\n" REST, "" },
		{ ACCOUNT "[store g]\ntype = git\npath = x/%a\nmirror = h:x/%a\n" REST, "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_config_problems(cases[i].text, cases[i].want);
}

static void test_where_a_mirror_is_goes_by_what_git_makes_of_it(void **state)
{
	static const struct {
		const char *written, *want;
	} cases[] = {
		{ "h:mail/%a.git", "h:mail/work.git" },
		{ "ssh://h/~/%a", "ssh://h/~/work" },
		{ "/m/100%%/%a", "/m/100%/work" },
		{ "~/m", "HOME/m" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *text = bytes_dup(bytes_of(cases[i].written)), *home = config_path("~", ""), *got, *want;
		struct config_store st = { .type = CONFIG_STORE_GIT, .mirror = text };

		for (size_t k = 0; k < CONFIG_KEYS_MAX; k++)
			st.head.at[k].file = "";
		got = config_store_mirror(&st, "work");
		want = strncmp(cases[i].want, "HOME", 4) == 0 ? xasprintf("%s%s", home, cases[i].want + 4)
							      : xasprintf("%s", cases[i].want);
		assert_string_equal(got, want);
		free(text);
		free(home);
		free(got);
		free(want);
	}
	assert_null(config_store_mirror(&(struct config_store){ .type = CONFIG_STORE_GIT }, "work"));
}

static void test_only_a_maildir_has_a_layout(void **state)
{
	(void)state;
	assert_config_problems(ACCOUNT "[store g]\ntype = git\npath = x\nlayout = fs\n" REST,
			"main.ini:7: layout: a store of type git has none; it is for maildir\n");
	/* Said for all stores, it is meant for those that have one. */
	assert_config_problems("[global]\nlayout = maildir++\n" ACCOUNT
			"[store g]\ntype = git\npath = x\n" REST,
			"");
}

static void test_all_problems_of_a_file_are_told_at_once(void **state)
{
	(void)state;
	assert_config_problems("[account work]\nhots = a\nport = 0\n" STORE "layout = flat\n" JOB,
			"main.ini:2: unknown key 'hots' in [account work]; did you mean 'host'?\n"
			"main.ini:3: port must be a number from 1 to 65535, not '0'\n"
			"main.ini:7: layout must be one of 'fs', 'maildir++', not 'flat'\n"
			"main.ini:1: [account work] has no 'host'\n"
			"main.ini:1: [account work] has no 'user'\n");
}

static void test_indented_keys_are_keys(void **state)
{
	struct config *cfg = config_load_text("[account work]\n  host = h\n\tuser = u\n  [store archive]\n"
				  "  type = maildir\n  path = /m\n");
	const struct config_account *ac = config_section(cfg, CONFIG_ACCOUNT, "work");

	(void)state;
	assert_int_equal(cfg->n_problems, 0);
	assert_string_equal(ac->host, "h");
	assert_string_equal(ac->user, "u");
	config_free(cfg);
}

static void test_a_value_goes_on_on_indented_lines(void **state)
{
	struct config *cfg = config_load_text(ACCOUNT REST "mailboxes = INBOX, Archive/*,\n    # not this\n\n"
						"    !Archive/Old stuff,\n  !\\Junk\n");
	const struct config_job *job = config_job_at(cfg, 0);

	(void)state;
	assert_int_equal(cfg->n_problems, 0);
	assert_int_equal(job->mailboxes.n, 4);
	assert_string_equal(job->mailboxes.v[2], "!Archive/Old stuff");
	assert_string_equal(job->mailboxes.v[3], "!\\Junk");
	config_free(cfg);
	assert_config_problems("[account work]\n  more\n" ACCOUNT REST,
			"main.ini:2: neither 'key = value' nor a [section]\n"
			"main.ini:3: [account work] is here a second time; first at main.ini:1\n"
			"main.ini:1: [account work] has no 'host'\n"
			"main.ini:1: [account work] has no 'user'\n");
}

/* What inih alone would do in silence. */
static void test_no_line_is_cut_or_taken_for_another(void **state)
{
	char *text = xasprintf("%spassword_command = echo %0300d\n  rest\nport = 0\n%s", ACCOUNT, 1,
			       REST);
	char *longest;
	struct config *cfg;

	(void)state;
	assert_config_problems(text, "main.ini:4: this line has 324 bytes; 198 are allowed: go on in the "
			      "next line, indented\n"
			      "main.ini:6: port must be a number from 1 to 65535, not '0'\n");
	free(text);
	/* The longest that is allowed arrives whole. */
	longest = xasprintf("password_command = echo %0*d", 198 - 24, 7);
	assert_int_equal(strlen(longest), 198);
	text = xasprintf("%s%s\n%s", ACCOUNT, longest, REST);
	cfg = config_load_text(text);
	assert_int_equal(cfg->n_problems, 0);
	assert_string_equal(((struct config_account *)config_section(cfg, CONFIG_ACCOUNT, "work"))
				    ->password_command,
			    longest + strlen("password_command = "));
	config_free(cfg);
	free(text);
	free(longest);
	assert_config_problems(ACCOUNT "password_command = a ;b\n" REST,
			"main.ini:4: ';' after a blank would begin a comment and cut the value: "
			"comments stand on lines of their own\n");
	assert_config_problems(ACCOUNT "authzid = \xff\n" REST, "main.ini:4: this line is not UTF-8\n");
	assert_config_problems(ACCOUNT "authzid = a\001b\n" REST,
			"main.ini:4: there is a control character in this line\n");
}

static void test_semicolons_within_a_command_stay(void **state)
{
	struct config *cfg = config_load_text(ACCOUNT "password_command = cd /tmp; echo \"a # b\"\r\n" REST);
	const struct config_account *ac = config_section(cfg, CONFIG_ACCOUNT, "work");

	(void)state;
	assert_int_equal(cfg->n_problems, 0);
	assert_string_equal(ac->password_command, "cd /tmp; echo \"a # b\"");
	config_free(cfg);
}

static void test_a_long_section_name_is_kept_whole(void **state)
{
	struct config *cfg = config_load_text(
		"\xEF\xBB\xBF[account "
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1]\n"
		"host = h\nuser = u\n"
		"[account aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa2]\n"
		"host = h\nuser = u\n");

	(void)state;
	assert_int_equal(cfg->n_problems, 0);
	assert_int_equal(cfg->all[CONFIG_ACCOUNT].n, 2);
	config_free(cfg);
}

static void test_sections_are_given_once_also_when_empty(void **state)
{
	(void)state;
	assert_config_problems("[store spare]\n" ACCOUNT REST "[store archive]\n[global]\n[global]\n",
			"main.ini:13: [store archive] is here a second time; first at main.ini:6\n"
			"main.ini:15: [global] is here a second time; first at main.ini:14\n"
			"main.ini:1: [store spare] has no 'type'\n"
			"main.ini:1: [store spare] has no 'path'\n");
}

static void test_globals_are_defaults(void **state)
{
	struct config *cfg = config_load_text("[global]\ntimeout = 7\nmax_delete = 5%\nuser = all\n"
				  "password_command = x\nmailboxes = INBOX\n"
				  "[account a]\nhost = h\npassword_file = /p\n"
				  "[account b]\nhost = h\ntimeout = 9\nuser = bert\n" REST);
	const struct config_account *a = config_section(cfg, CONFIG_ACCOUNT, "a");
	const struct config_account *b = config_section(cfg, CONFIG_ACCOUNT, "b");
	const struct config_job *job = config_job_at(cfg, 0);

	(void)state;
	assert_int_equal(cfg->n_problems, 1); /* there is no account `work` here */
	assert_int_equal(a->timeout, 7);
	assert_string_equal(a->user, "all");
	assert_null(a->password_command); /* it said where its password is */
	assert_int_equal(b->timeout, 9);
	assert_string_equal(b->user, "bert");
	assert_string_equal(b->password_command, "x");
	assert_int_equal(job->max_delete.count, 0);
	assert_int_equal(job->max_delete.percent, 5);
	assert_string_equal(job->mailboxes.v[0], "INBOX");
	config_free(cfg);
	assert_config_problems("[global]\ntimeout = 0\ntimeuot = 1\n" ACCOUNT REST,
			"main.ini:2: timeout must be a number from 1 to 3600, not '0'\n"
			"main.ini:3: unknown key 'timeuot' in [global]; did you mean 'timeout'?\n");
}

static void test_max_delete_takes_a_count_a_percentage_or_both(void **state)
{
	static const struct {
		const char *text;
		unsigned count, percent;
	} cases[] = {
		{ "20 and 10%", 20, 10 }, { "5% and 3", 3, 5 }, { "7", 7, 0 },
		{ "50%", 0, 50 },	  { "0", 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *text = xasprintf("%smax_delete = %s\n", ACCOUNT REST, cases[i].text);
		struct config *cfg = config_load_text(text);

		assert_int_equal(cfg->n_problems, 0);
		assert_int_equal(config_job_at(cfg, 0)->max_delete.count, cases[i].count);
		assert_int_equal(config_job_at(cfg, 0)->max_delete.percent, cases[i].percent);
		config_free(cfg);
		free(text);
	}
}

static void test_an_empty_list_means_none(void **state)
{
	struct config *cfg = config_load_text(ACCOUNT REST "guard_exempt =\n");

	(void)state;
	assert_int_equal(cfg->n_problems, 0);
	assert_int_equal(config_job_at(cfg, 0)->guard_exempt.n, 0);
	config_free(cfg);
}

static void test_paths_start_at_home_or_beside_the_file(void **state)
{
	static const struct {
		const char *text, *want; /* want without '/': below the directory of the file */
	} cases[] = {
		{ "~/mail", "/home/anna/mail" },
		{ "$HOME/mail", "/home/anna/mail" },
		{ "~", "/home/anna" },
		{ "/m", "/m" },
		{ "mail", "mail" },
		{ "a%%b", "a%b" },
	};
	char *home = xstrdup(getenv("HOME") ? getenv("HOME") : "/");

	(void)state;
	setenv("HOME", "/home/anna", 1);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *text = xasprintf(ACCOUNT "[store archive]\ntype = maildir\npath = %s\n" JOB,
				       cases[i].text);
		struct config *cfg = config_load_text(text);
		const struct config_job *job = config_job_at(cfg, 0);
		char *got, *want = *cases[i].want == '/' ? xstrdup(cases[i].want) :
							   path_join(config_dir, cases[i].want);

		assert_int_equal(cfg->n_problems, 0);
		got = config_store_path(job->store, job->from);
		assert_string_equal(got, want);
		free(got);
		free(want);
		free(text);
		config_free(cfg);
	}
	setenv("HOME", home, 1);
	free(home);
}

static void test_a_percent_sign_alone_is_told_and_shown_as_it_is(void **state)
{
	static const char *const paths[] = { "/m%", "/m/%b", "%" };
	struct config_store st = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		char *text = xasprintf(ACCOUNT "[store archive]\ntype = maildir\npath = %s\n" JOB,
				       paths[i]);
		struct config *cfg = config_load_text(text);
		char *got;

		assert_true(cfg->n_problems > 0);
		st.path = xstrdup(paths[i]);
		got = config_store_path(&st, "work");
		assert_string_equal(got, paths[i]);
		free(got);
		free(st.path);
		free(text);
		config_free(cfg);
	}
}

static void test_included_files_are_read_in_order_and_told_by_name(void **state)
{
	struct config *cfg;
	char *dir = path_join(config_dir, "conf.d"), *got;

	(void)state;
	assert_int_equal(mkdir(dir, 0755), 0);
	free(dir);
	free(config_put("conf.d/20.ini", STORE JOB, 0600));
	free(config_put("conf.d/10.ini", ACCOUNT "hots = 1\n", 0600));
	free(config_put("conf.d/10.txt", "nonsense", 0600));
	cfg = config_load_text("include = conf.d/*.ini\ninclude = none.d/*\n");
	got = config_problems(cfg);
	assert_string_equal(got, "conf.d/10.ini:4: unknown key 'hots' in [account work]; did you "
				 "mean 'host'?\n");
	assert_int_equal(config_jobs(cfg), 1);
	free(got);
	config_free(cfg);
	assert_config_problems("[global]\ninclude = gone.ini\n",
			"main.ini:2: include: gone.ini: no such file\n");
	assert_config_problems(ACCOUNT "include = x.ini\n" REST,
			"main.ini:4: 'include' does not belong in [account work] but in [global] "
			"or before the first section\n");
}

static void test_include_cycles_and_depth_are_refused(void **state)
{
	(void)state;
	free(config_put("b.ini", "include = main.ini\n", 0600));
	assert_config_problems("include = b.ini\n", "b.ini:1: main.ini includes itself\n");
	for (int i = 0; i < 12; i++) {
		char *name = xasprintf("n%d.ini", i);
		char *text = xasprintf("include = n%d.ini\n", i + 1);

		free(config_put(name, text, 0600));
		free(name);
		free(text);
	}
	assert_config_problems("include = n0.ini\n", "n7.ini:1: includes are nested more than 8 deep\n");
}

static void test_a_file_with_a_password_must_be_private(void **state)
{
	char *path = config_put("open.ini", ACCOUNT "password = secret\n" REST, 0644);
	struct config *cfg = config_load(path, NULL);
	char *got = config_problems(cfg);

	(void)state;
	assert_string_equal(got, "open.ini:4: a file with 'password' in it must not be readable by "
				 "others: chmod 600 open.ini\n");
	free(got);
	config_free(cfg);
	assert_int_equal(chmod(path, 0400), 0);
	cfg = config_load(path, NULL);
	assert_int_equal(cfg->n_problems, 0);
	config_free(cfg);
	free(path);
}

static void test_what_is_no_readable_file_is_an_error(void **state)
{
	struct config *cfg = config_load(config_dir, NULL);

	(void)state;
	assert_int_equal(cfg->n_problems, 1);
	assert_non_null(strstr(cfg->problems[0], "it is a directory"));
	config_free(cfg);
	cfg = config_load("/nonexistent/config.ini", NULL);
	assert_int_equal(cfg->n_problems, 1);
	assert_string_equal(cfg->problems[0],
			    "/nonexistent/config.ini: cannot be read: No such file or directory");
	config_free(cfg);
}

static void assert_found(const char *given, const char *want)
{
	char *path = config_find(given);

	assert_string_equal(path, want);
	free(path);
}

static void test_the_configuration_is_searched_where_the_manual_says(void **state)
{
	(void)state;
	setenv("MAILCASK_CONFIG", "/env.ini", 1);
	setenv("XDG_CONFIG_HOME", "/xdg", 1);
	assert_found("given.ini", "given.ini");
	assert_found(NULL, "/env.ini");
	unsetenv("MAILCASK_CONFIG");
	assert_found(NULL, "/xdg/mailcask/config.ini");
	unsetenv("XDG_CONFIG_HOME");
	setenv("HOME", "/home/anna", 1);
	assert_found(NULL, "/home/anna/.config/mailcask/config.ini");
}

static void test_the_example_is_sound_and_names_every_key(void **state)
{
	char *path = path_join(getenv("TOP") ? getenv("TOP") : ".", "config.example.ini");
	struct config *cfg = config_load(path, NULL);
	struct buf text = BUF_INIT(1 << 20);

	(void)state;
	for (size_t i = 0; i < cfg->n_problems; i++)
		print_error("%s\n", cfg->problems[i]);
	assert_int_equal(cfg->n_problems, 0);
	assert_true(config_jobs(cfg) > 0);
	read_file(path, &text);
	for (enum config_kind k = 0; k < CONFIG_KINDS; k++)
		for (size_t i = 0; i < config_sections[k].n_keys; i++) {
			const struct config_key *key = &config_sections[k].keys[i];
			char *line = xasprintf("%s =", key->name);

			if (!strstr(buf_str(&text), line))
				fail_msg("%s in the example", key->name);
			free(line);
		}
	buf_release(&text);
	config_free(cfg);
	free(path);
}

static void test_near_words_are_found_and_far_ones_are_not(void **state)
{
	static const char *const words[] = { "host", "port", "password_command", "user" };
	static const struct {
		const char *wrong, *want;
	} cases[] = {
		{ "hots", "host" },	{ "hst", "host" },    { "prot", "port" },
		{ "passwd_command", "password_command" },     { "username", NULL },
		{ "colour", NULL },	{ "", NULL },	      { "users", "user" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *got = nearest_word(cases[i].wrong, words, 4);

		if (cases[i].want)
			assert_string_equal(got, cases[i].want);
		else
			assert_null(got);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CONFIG_CASE(test_every_way_to_log_in_can_be_asked_for),
		CONFIG_CASE(test_a_tunnel_may_stand_beside_global_tls_settings),
		CONFIG_CASE(test_a_minimal_configuration_is_sound),
		CONFIG_CASE(test_a_store_can_be_what_is_read),
		CONFIG_CASE(test_a_migration_goes_to_another_account_and_keeps_what_is_gone),
		CONFIG_CASE(test_every_mistake_is_told_with_its_file_and_line),
		CONFIG_CASE(test_what_a_later_version_will_do_is_refused_by_this_one),
		CONFIG_CASE(test_a_mirror_is_of_an_archive_and_of_one_only),
		CONFIG_CASE(test_where_a_mirror_is_goes_by_what_git_makes_of_it),
		CONFIG_CASE(test_only_a_maildir_has_a_layout),
		CONFIG_CASE(test_all_problems_of_a_file_are_told_at_once),
		CONFIG_CASE(test_indented_keys_are_keys),
		CONFIG_CASE(test_a_value_goes_on_on_indented_lines),
		CONFIG_CASE(test_no_line_is_cut_or_taken_for_another),
		CONFIG_CASE(test_semicolons_within_a_command_stay),
		CONFIG_CASE(test_a_long_section_name_is_kept_whole),
		CONFIG_CASE(test_sections_are_given_once_also_when_empty),
		CONFIG_CASE(test_globals_are_defaults),
		CONFIG_CASE(test_max_delete_takes_a_count_a_percentage_or_both),
		CONFIG_CASE(test_an_empty_list_means_none),
		CONFIG_CASE(test_paths_start_at_home_or_beside_the_file),
		CONFIG_CASE(test_a_percent_sign_alone_is_told_and_shown_as_it_is),
		CONFIG_CASE(test_included_files_are_read_in_order_and_told_by_name),
		CONFIG_CASE(test_include_cycles_and_depth_are_refused),
		CONFIG_CASE(test_a_file_with_a_password_must_be_private),
		CONFIG_CASE(test_what_is_no_readable_file_is_an_error),
		CONFIG_CASE(test_the_configuration_is_searched_where_the_manual_says),
		CONFIG_CASE(test_the_example_is_sound_and_names_every_key),
		CONFIG_CASE(test_near_words_are_found_and_far_ones_are_not),
	};

	return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
