#include "cmd/config.h"

#define AT(type, member) .at = offsetof(struct type, member)

const struct config_choice config_tls_words[] = {
	{ "implicit", IMAP_TLS_IMPLICIT },
	{ "starttls", IMAP_TLS_STARTTLS },
	{ "none", IMAP_TLS_NONE },
	{ NULL, 0 },
};

static const struct config_choice auth_words[] = {
	{ "auto", IMAP_AUTH_AUTO },
	{ "plain", IMAP_AUTH_PLAIN },
	{ "login", IMAP_AUTH_LOGIN },
	{ "scram-sha-256-plus", IMAP_AUTH_SCRAM_SHA_256_PLUS },
	{ "scram-sha-1-plus", IMAP_AUTH_SCRAM_SHA_1_PLUS },
	{ "scram-sha-256", IMAP_AUTH_SCRAM_SHA_256 },
	{ "scram-sha-1", IMAP_AUTH_SCRAM_SHA_1 },
	{ "external", IMAP_AUTH_EXTERNAL },
	{ "oauthbearer", IMAP_AUTH_OAUTHBEARER },
	{ "xoauth2", IMAP_AUTH_XOAUTH2 },
	{ "cram-md5", IMAP_AUTH_CRAM_MD5 },
	{ NULL, 0 },
};

static const struct config_choice compress_words[] = {
	{ "auto", IMAP_COMPRESS_AUTO },
	{ "yes", IMAP_COMPRESS_YES },
	{ "no", IMAP_COMPRESS_NO },
	{ NULL, 0 },
};

const struct config_choice config_type_words[] = {
	{ "maildir", CONFIG_STORE_MAILDIR },
	{ "git", CONFIG_STORE_GIT },
	{ NULL, 0 },
};

const struct config_choice config_layout_words[] = {
	{ "fs", 0 },
	{ "maildir++", 1 },
	{ NULL, 0 },
};

const struct config_choice config_kind_words[] = {
	{ "backup", CONFIG_JOB_BACKUP },
	{ "sync", CONFIG_CHOICE_LATER },
	{ "migrate", CONFIG_JOB_MIGRATE },
	{ "restore", CONFIG_CHOICE_LATER },
	{ NULL, 0 },
};

const struct config_choice config_deletions_words[] = {
	{ "mirror", DELETIONS_MIRROR },
	{ "keep", DELETIONS_KEEP },
	{ NULL, 0 },
};

static const struct config_key account_keys[] = {
	{ "host", CONFIG_TEXT, AT(config_account, host), .required = true, .value = "NAME",
	  .help = "The IMAP server." },
	{ "port", CONFIG_NUMBER, AT(config_account, port), .min = 1, .max = 65535,
	  .value = "993, or 143 without implicit TLS", .help = "Its port." },
	{ "tls", CONFIG_CHOICE, AT(config_account, tls), .choices = config_tls_words,
	  .value = "implicit",
	  .help = "implicit, starttls, or none (the password goes in the clear)." },
	{ "tls_ca_file", CONFIG_PATH, AT(config_account, tls_ca_file), .value = "the system's",
	  .help = "Certificates to trust: a PEM file, or a directory of hashed ones." },
	{ "tls_pin", CONFIG_PIN, AT(config_account, tls_pin), .value = "sha256:BASE64",
	  .help = "Accept exactly this server key, whatever its certificate says." },
	{ "tls_client_cert", CONFIG_PATH, AT(config_account, tls_client_cert), .value = "PATH",
	  .help = "Client certificate, PEM." },
	{ "tls_client_key", CONFIG_PATH, AT(config_account, tls_client_key),
	  .value = "in tls_client_cert", .help = "Its key, PEM." },
	{ "user", CONFIG_TEXT, AT(config_account, user), .required = true, .value = "NAME",
	  .help = "Login name." },
	{ "authzid", CONFIG_TEXT, AT(config_account, authzid), .value = "NAME",
	  .help = "Read this user's mail with an administrator's login." },
	{ "auth", CONFIG_CHOICE, AT(config_account, auth), .choices = auth_words, .value = "auto",
	  .help = "auto, or the one SASL mechanism to use: scram-sha-256, plain, external..." },
	{ "password", CONFIG_COMMAND, AT(config_account, password), .secret = true,
	  .value = "TEXT", .help = "The password itself; the file must then have mode 0600." },
	{ "password_command", CONFIG_COMMAND, AT(config_account, password_command),
	  .value = "COMMAND",
	  .help = "Run by /bin/sh; the first line it prints is the password." },
	{ "password_file", CONFIG_PATH, AT(config_account, password_file), .value = "PATH",
	  .help = "Its first line is the password; mode 0600 or stricter." },
	{ "token_command", CONFIG_COMMAND, AT(config_account, token_command), .value = "COMMAND",
	  .help = "Run by /bin/sh at each login; the first line it prints is an OAuth token." },
	{ "tunnel", CONFIG_COMMAND, AT(config_account, tunnel), .value = "COMMAND",
	  .help = "Run by /bin/sh; its input and output are the server's (ssh host imapd)." },
	{ "connections", CONFIG_NUMBER, AT(config_account, connections), .min = 1, .max = 16,
	  .value = "4", .help = "Connections used at once for fetching." },
	{ "compress", CONFIG_CHOICE, AT(config_account, compress), .choices = compress_words,
	  .value = "auto",
	  .help = "COMPRESS=DEFLATE: auto (when the line is found to be slow), yes or no." },
	{ "disable_extensions", CONFIG_EXTENSIONS, AT(config_account, disable_extensions),
	  .value = "NAME, ...", .help = "IMAP extensions to act as if the server did not have." },
	{ "accounts", CONFIG_PATH, AT(config_account, accounts), .value = "FILE",
	  .help = "Of a template such as [account %]: a CSV file with a line for each account." },
	{ "timeout", CONFIG_NUMBER, AT(config_account, timeout), .min = 1, .max = 3600,
	  .value = "60", .help = "Seconds of silence after which the server counts as gone." },
};

static const struct config_key store_keys[] = {
	{ "type", CONFIG_CHOICE, AT(config_store, type), .choices = config_type_words,
	  .required = true, .value = "maildir",
	  .help = "maildir, or git (an archive that keeps every earlier state)." },
	{ "path", CONFIG_PATH, AT(config_store, path), .required = true, .value = "PATH",
	  .help = "Its directory; %a stands for the account's name." },
	{ "layout", CONFIG_CHOICE, AT(config_store, layout), .choices = config_layout_words,
	  .value = "fs", .help = "Of a maildir: fs (nested directories) or maildir++ (.Work.Reports)." },
	{ "mirror", CONFIG_TEXT, AT(config_store, mirror), .value = "URL or PATH",
	  .help = "Of an archive: a bare git repository to push it to after each run; %a as in path." },
};

static const struct config_key job_keys[] = {
	{ "kind", CONFIG_CHOICE, AT(config_job, kind), .choices = config_kind_words,
	  .required = true, .value = "backup",
	  .help = "backup, or migrate: from one account to another." },
	{ "from", CONFIG_TEXT, AT(config_job, from), .required = true, .value = "ACCOUNT or STORE",
	  .help = "What is read: an account, or a store of type maildir." },
	{ "to", CONFIG_TEXT, AT(config_job, to), .required = true, .value = "STORE",
	  .help = "What is written: a store, or the account of a migration." },
	{ "mailboxes", CONFIG_LIST, AT(config_job, mailboxes), .value = "*",
	  .help = "IMAP patterns; !PATTERN excludes; \\Sent and the like mean special use." },
	{ "map", CONFIG_MAP, AT(config_job, map), .value = "OLD -> NEW, ...",
	  .help = "Names that mailboxes have there; 'Old/* -> New/*' means all below Old." },
	{ "deletions", CONFIG_CHOICE, AT(config_job, deletions),
	  .choices = config_deletions_words, .value = "mirror; keep for migrate",
	  .help = "What is gone at the source: mirror (remove it there too) or keep." },
	{ "max_delete", CONFIG_LIMITS, AT(config_job, max_delete), .value = "20 and 10%",
	  .help = "The guard trips when a run would delete more than both of these." },
	{ "guard_exempt", CONFIG_LIST, AT(config_job, guard_exempt), .value = "\\Trash, \\Junk",
	  .help = "Mailboxes whose deletions the guard does not count." },
	{ "flag_check", CONFIG_DURATION, AT(config_job, flag_check), .value = "24h",
	  .help = "How often flags are compared where the server does not tell what changed." },
};

#define KEYS(a) .keys = a, .n_keys = sizeof(a) / sizeof((a)[0])

const struct config_section_type config_sections[CONFIG_KINDS] = {
	[CONFIG_ACCOUNT] = { "account", KEYS(account_keys), sizeof(struct config_account) },
	[CONFIG_STORE] = { "store", KEYS(store_keys), sizeof(struct config_store) },
	[CONFIG_JOB] = { "job", KEYS(job_keys), sizeof(struct config_job) },
};

_Static_assert(sizeof(account_keys) / sizeof(account_keys[0]) <= CONFIG_KEYS_MAX, "keys");
_Static_assert(sizeof(store_keys) / sizeof(store_keys[0]) <= CONFIG_KEYS_MAX, "keys");
_Static_assert(sizeof(job_keys) / sizeof(job_keys[0]) <= CONFIG_KEYS_MAX, "keys");

const char *config_store_layout(const struct config_store *st)
{
	return st->type == CONFIG_STORE_MAILDIR
		       ? config_choice_word(config_layout_words, st->layout)
		       : NULL;
}

const char *config_choice_word(const struct config_choice *choices, int value)
{
	for (; choices->word; choices++)
		if (choices->value == value)
			return choices->word;
	return NULL;
}
