/*
 * Whole domains: ACCOUNTS accounts (200; half of them are migrated) in 16 workers, which are killed at random while
 * they run. The next run ends it: every account has every message once, as it is at the server. SEED chooses whom it
 * hits.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <fcntl.h>
#include <jansson.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "tests/lib/accounts.h"
#include "tests/lib/archive.h"
#include "tests/lib/backup.h"
#include "tests/lib/corpus.h"
#include "tests/lib/dovecot.h"
#include "tests/lib/imap_oracle.h"
#include "tests/lib/proc.h"

enum { IN_INBOX = 5, IN_WORK = 3, EACH = IN_INBOX + IN_WORK, WORKERS = 16 };

static struct dovecot *server;
static struct backup home; /* its directory, state and environment; the configuration is ours */
static unsigned n_accounts;

static unsigned from_env(const char *name, unsigned otherwise)
{
	const char *text = getenv(name);

	return text && *text ? (unsigned)strtoul(text, NULL, 10) : otherwise;
}

static char *user_of(const char *domain, unsigned i)
{
	return xasprintf("user%03u@%s.example", i, domain);
}

static struct oracle *open_user(const char *domain, unsigned i)
{
	char *user = user_of(domain, i);
	struct oracle *o = oracle_open(server->port, user);

	free(user);
	return o;
}

static void write_accounts(const char *name, unsigned n)
{
	char *path = path_join(home.dir, name);
	struct buf csv = BUF_INIT(1 << 20);

	buf_add_str(&csv, "user,to,password\r\n");
	for (unsigned i = 0; i < n; i++)
		buf_addf(&csv, "user%03u@old.example,user%03u@new.example,\"pw\"\r\n", i, i);
	write_file(path, buf_bytes(&csv));
	if (chmod(path, 0600) < 0)
		test_die_sys("chmod %s", path);
	buf_release(&csv);
	free(path);
}

/* The backup logs in as a master user, the migration as the users themselves. */
static void write_config(void)
{
	struct buf text = BUF_INIT(65536);
	char *secret = path_join(home.dir, "master");

	write_file(secret, bytes_of("of-the-master\n"));
	if (chmod(secret, 0600) < 0)
		test_die_sys("chmod %s", secret);
	buf_addf(&text,
		 "[global]\naccounts = users.csv\nhost = 127.0.0.1\nport = %d\ntls = none\n"
		 "[account %%]\nuser = %%{user}*master\npassword_file = master\n"
		 "[account old-%%]\nuser = %%{user}\npassword = %%{password}\n"
		 "[account new-%%]\nuser = %%{to}\npassword = %%{password}\n"
		 "[store archive]\ntype = git\npath = store/%%a\n"
		 "[job nightly-%%]\nkind = backup\nfrom = %%\nto = archive\n"
		 "[job move-%%]\nkind = migrate\nfrom = old-%%\nto = new-%%\n",
		 server->port);
	write_file(home.config, buf_bytes(&text));
	buf_release(&text);
	free(secret);
}

static void fill(unsigned i)
{
	struct oracle *o = open_user("old", i);

	corpus_fill(o, "INBOX", EACH * i, IN_INBOX, 0, 4000);
	oracle_create(o, "Work");
	corpus_fill(o, "Work", EACH * i + IN_INBOX, IN_WORK, 0, 4000);
	oracle_close(o);
}

static int start(void **state)
{
	const char *mail = tmp_dir_in_memory(); /* thousands of files, which nobody looks at afterwards */
	char *extra = xasprintf("mail_location = maildir:%s/%%u\n"
				"service imap {\n  service_count = 1000\n}\n", mail);
	const struct dovecot_opts opts = {
		.passdb = "auth_master_user_separator = *\n"
			  "passdb {\n  driver = static\n  master = yes\n  args = password=of-the-master\n}\n"
			  "passdb {\n  driver = static\n  args = password=pw\n}\n",
		.extra = extra,
	};
	const struct backup_config any = { .port = 1 };

	(void)state;
	n_accounts = from_env("ACCOUNTS", TEST_SANITIZED ? 40 : 200);
	srand(from_env("SEED", 1));
	dovecot_own(mail);
	server = dovecot_start(&opts);
	free(extra);
	backup_init(&home, &any);
	write_accounts("users.csv", n_accounts);
	write_accounts("some.csv", n_accounts / 2);
	write_config();
	for (unsigned i = 0; i < n_accounts; i++)
		fill(i);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	dovecot_stop(server);
	backup_release(&home);
	return 0;
}

/* Largest resident memory so far; 0 when it has ended. */
static long peak_kb(pid_t pid)
{
	char path[64], line[256];
	long kb = 0;
	FILE *in;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	in = fopen(path, "re");
	while (in && fgets(line, sizeof(line), in))
		if (strncmp(line, "VmHWM:", 6) == 0)
			kb = strtol(line + 6, NULL, 10);
	if (in)
		fclose(in);
	return kb;
}

static size_t children_of(pid_t pid, pid_t *out, size_t max)
{
	char path[64];
	size_t n = 0;
	FILE *in;
	int child;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid, (int)pid);
	in = fopen(path, "re");
	while (in && n < max && fscanf(in, "%d", &child) == 1)
		if (getsid(child) == child) /* else it is no worker, but what LeakSanitizer looks for leaks by */
			out[n++] = child;
	if (in)
		fclose(in);
	return n;
}

struct run {
	int status;
	int64_t ms;
	long parent_kb, worker_kb;
	size_t most, killed; /* workers at a time; signals sent */
	struct buf out;
	json_t *sums; /* its last event */
};

static json_t *last_event(struct buf *out)
{
	const char *text = buf_str(out), *last = text;
	json_t *event;

	for (const char *at = text; *at; at += strcspn(at, "\n"), at += *at == '\n')
		last = at;
	event = json_loads(last, 0, NULL);
	if (!event)
		test_die("the last event is none: %s", last);
	return event;
}

static int64_t sum(const struct run *r, const char *member)
{
	return json_integer_value(json_object_get(r->sums, member));
}

static pid_t launch(const char *command, const char *accounts, const char *out)
{
	const char *argv[] = { program_path(), command, "--json", "--workers=16", "--accounts", accounts, NULL };
	const char *env[] = { home.env[0], home.env[1], "TZ=UTC", NULL };
	int fd = open(out, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	const struct proc_spawn how = { .env = env, .out_fd = fd, .err_fd = fd };
	pid_t pid;

	if (fd < 0)
		test_die_sys("open %s", out);
	pid = proc_spawn(argv, &how);
	close(fd);
	return pid;
}

/* What goes to standard error is among the events: those lines are left out. */
static void read_events(const char *path, struct buf *out)
{
	struct buf all = BUF_INIT((size_t)64 << 20);

	read_file(path, &all);
	for (const char *at = buf_str(&all); *at; at += strcspn(at, "\n"), at += *at == '\n')
		if (*at == '{')
			buf_addf(out, "%.*s\n", (int)strcspn(at, "\n"), at);
	buf_release(&all);
}

/* `with_kills`: now and then one of the workers gets a SIGKILL, whatever it is doing. */
static void run_all(struct run *r, const char *command, const char *accounts, bool with_kills)
{
	char *out = path_join(home.dir, "out");
	int64_t started = clock_ms();
	pid_t pid = launch(command, accounts, out);

	*r = (struct run){ .out = BUF_INIT((size_t)64 << 20) };
	while (!proc_wait(pid, 5, &r->status)) {
		pid_t worker[4 * WORKERS];
		size_t n = children_of(pid, worker, 4 * WORKERS);
		long kb = peak_kb(pid);

		r->most = n > r->most ? n : r->most;
		r->parent_kb = kb > r->parent_kb ? kb : r->parent_kb;
		for (size_t i = 0; i < n; i++) {
			kb = peak_kb(worker[i]);
			r->worker_kb = kb > r->worker_kb ? kb : r->worker_kb;
		}
		if (with_kills && n > 0 && rand() % 8 == 0)
			r->killed += kill(worker[(size_t)rand() % n], SIGKILL) == 0;
		if (clock_ms() - started > 240000) {
			proc_end(pid, SIGKILL);
			test_die("%s does not end", command);
		}
	}
	r->ms = clock_ms() - started;
	read_events(out, &r->out);
	r->sums = last_event(&r->out);
	free(out);
}

static void run_release(struct run *r)
{
	json_decref(r->sums);
	buf_release(&r->out);
}

static void tell(const char *what, const struct run *r)
{
	printf("%s: %lld accounts in %.1f s, %lld killed, %lld new, %ld kB here, %ld kB in a worker\n", what,
	       (long long)sum(r, "jobs"), (double)r->ms / 1000, (long long)sum(r, "killed"),
	       (long long)sum(r, "new"), r->parent_kb, r->worker_kb);
}

static void expect(const struct run *r, int status, unsigned accounts)
{
	if (r->status != status || sum(r, "jobs") != accounts || sum(r, "done") + sum(r, "killed") != accounts)
		test_die("it ended with %d: %s", r->status, buf_str(&r->out));
}

static void run_to_the_end(const char *command, const char *accounts, unsigned n, uint64_t least, uint64_t most)
{
	struct run r;

	run_all(&r, command, accounts, false);
	tell("again", &r);
	expect(&r, 0, n);
	assert_in_range(sum(&r, "new"), least, most);
	run_release(&r);
}

/* Who was killed in the first run is done in the second one, and a third finds nothing to do. */
static void run_until_idle(const char *command, const char *file, unsigned n)
{
	char *accounts = path_join(home.dir, file);
	struct run r;

	run_all(&r, command, accounts, true);
	tell(command, &r);
	expect(&r, 1, n);
	assert_in_range(sum(&r, "killed"), 1, r.killed); /* some had ended when the signal came */
	assert_int_equal(r.most, WORKERS);
	if (!TEST_SANITIZED)
		assert_true(r.parent_kb < 24 * 1024 && r.worker_kb < 48 * 1024);
	run_release(&r);
	run_to_the_end(command, accounts, n, 1, EACH * n);
	run_to_the_end(command, accounts, n, 0, 0);
	free(accounts);
}

struct crew {
	pid_t first, worker[4 * WORKERS];
	size_t n;
};

static bool is_complete(void *ctx)
{
	struct crew *c = ctx;

	c->n = children_of(c->first, c->worker, 4 * WORKERS);
	return c->n >= WORKERS;
}

/* Before the others, which go on from what it leaves. */
static void test_workers_end_well_when_the_process_that_started_them_is_killed(void **state)
{
	char *accounts = path_join(home.dir, "users.csv"), *out = path_join(home.dir, "out");
	struct crew c = { .first = launch("backup", accounts, out) };
	size_t asked = 0;
	int status;

	(void)state;
	assert_true(test_until(is_complete, &c, 20000));
	assert_int_equal(proc_end(c.first, SIGKILL), 128 + SIGKILL);
	for (size_t i = 0; i < c.n; i++) {
		assert_true(proc_wait(c.worker[i], 20000, &status)); /* it is a child of this process now */
		assert_true(status == 130 || status == 0 || status == 1 /* nobody reads what it says */);
		asked += status == 130;
	}
	assert_true(asked > c.n / 4);
	free(accounts);
	free(out);
}

static void test_workers_that_are_killed_cost_no_account_a_message_of_its_backup(void **state)
{
	(void)state;
	run_until_idle("backup", "users.csv", n_accounts);
	for (unsigned i = 0; i < n_accounts; i++) {
		char *root = xasprintf("%s/user%03u@old.example", home.parent, i);
		struct oracle *o = open_user("old", i);

		archive_equals(root, o);
		oracle_close(o);
		free(root);
	}
}

static void test_workers_that_are_killed_lose_and_double_nothing_of_a_migration(void **state)
{
	(void)state;
	run_until_idle("migrate", "some.csv", n_accounts / 2);
	for (unsigned i = 0; i < n_accounts / 2; i++) {
		struct oracle *from = open_user("old", i), *to = open_user("new", i);

		accounts_equal(from, to, "");
		assert_int_equal(mailbox_count(to, "INBOX"), IN_INBOX);
		assert_int_equal(mailbox_count(to, "Work"), IN_WORK);
		oracle_close(from);
		oracle_close(to);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_workers_end_well_when_the_process_that_started_them_is_killed),
		cmocka_unit_test(test_workers_that_are_killed_cost_no_account_a_message_of_its_backup),
		cmocka_unit_test(test_workers_that_are_killed_lose_and_double_nothing_of_a_migration),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
