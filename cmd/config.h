#ifndef CMD_CONFIG_H
#define CMD_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/buf.h"
#include "core/imap/account.h"
#include "core/sync/job.h"

/*
 * The configuration: INI files with the sections [global], [account NAME], [store NAME] and
 * [job NAME]. Every key is one line in a table (config_keys.c) that says what it may be, where
 * it goes and what it is for; reading, help and the checks of the manual all use that table.
 */

enum config_type {
	CONFIG_TEXT,
	CONFIG_COMMAND, /* text taken as it is, quotes and '#' included */
	CONFIG_PATH,    /* `~/` and `$HOME/` become the home directory; else relative to the file */
	CONFIG_NUMBER,
	CONFIG_CHOICE,
	CONFIG_LIST,     /* separated by commas; may be empty; may go on on indented lines */
	CONFIG_MAP,      /* such a list, of rules as name_map_parse() takes them */
	CONFIG_DURATION, /* seconds: `90s`, `24h`, `7d` */
	CONFIG_LIMITS,   /* struct guard_limits: `20`, `10%`, `20 and 10%` */
	CONFIG_PIN,      /* sha256: and the base64 of 32 bytes */
	CONFIG_EXTENSIONS, /* names of IMAP extensions, kept as one text */
};

/* Where something was written. */
struct config_place {
	const char *file; /* owned by the config */
	unsigned line;    /* 0: not written at all */
};

struct config_choice {
	const char *word;
	int value; /* CONFIG_CHOICE_LATER: known, refused as not supported yet */
};
#define CONFIG_CHOICE_LATER (-1)

struct config_key {
	const char *name;
	enum config_type type;
	size_t at; /* of the member in the section's struct */
	int64_t min, max;
	const struct config_choice *choices; /* ends with word NULL */
	const char *value;                   /* the default, or what kind of value; for people */
	const char *help;                    /* one line */
	bool required;
	bool secret; /* never shown; the file must be private */
};

enum config_kind { CONFIG_ACCOUNT, CONFIG_STORE, CONFIG_JOB, CONFIG_KINDS };

struct config_section_type {
	const char *name; /* "account" */
	const struct config_key *keys;
	size_t n_keys;
	size_t size; /* of the struct */
};

extern const struct config_section_type config_sections[CONFIG_KINDS];

#define CONFIG_KEYS_MAX 24

/* First member of every section. */
struct config_head {
	char *name;
	const char *template; /* what it was made from, "nightly-%"; owned by the config. NULL: it was written so */
	struct config_place place; /* where it was written, or its line in the accounts file */
	struct config_place at[CONFIG_KEYS_MAX]; /* of each key, by its index in the table */
};

/* Texts are NULL when not given. */
struct config_account {
	struct config_head head;
	char *host, *user, *authzid;
	int64_t port; /* 0: by `tls` */
	int tls;      /* enum imap_tls */
	int auth;     /* enum imap_auth */
	int compress; /* enum imap_compress */
	char *tls_ca_file, *tls_pin, *tls_client_cert, *tls_client_key;
	char *password, *password_command, *password_file, *token_command;
	char *tunnel;
	char *disable_extensions;
	char *accounts; /* of a template */
	int64_t connections, timeout;
};

enum config_store_type { CONFIG_STORE_MAILDIR, CONFIG_STORE_GIT };

struct config_store {
	struct config_head head;
	int type; /* enum config_store_type */
	int layout; /* of a maildir */
	char *path; /* may hold %a */
	char *mirror; /* of an archive: where it is pushed to; may hold %a, see config_store_mirror() */
};

enum config_job_kind { CONFIG_JOB_BACKUP, CONFIG_JOB_MIGRATE };

struct config_list {
	char **v;
	size_t n;
};

struct config_job {
	struct config_head head;
	int kind; /* enum config_job_kind */
	char *from, *to;
	struct config_list mailboxes, map, guard_exempt;
	int deletions; /* enum job_deletions; of a migration that does not say it, DELETIONS_KEEP */
	struct guard_limits max_delete;
	int64_t flag_check; /* seconds */
	/* Filled when the whole configuration is sound. */
	const struct config_account *account; /* what is read; NULL: a store is */
	const struct config_store *source;    /* that store */
	const struct config_store *store;     /* what is written; NULL: an account is */
	const struct config_account *target;  /* that account */
	/* Name of the account or store that is read: what `%a` in a store's path stands for. */
	const char *whose;
};

struct config {
	/* Of each kind, in the order of the file; every element begins with a config_head. */
	struct config_all {
		void **v;
		size_t n, cap;
	} all[CONFIG_KINDS];
	/* What is wrong, all of it, one line each: `FILE:LINE: text`. */
	char **problems;
	size_t n_problems;
	/* Templates among the sections, whatever became of them; and the file they were made into sections with, or NULL. */
	size_t n_templates;
	const char *accounts;
	struct config_priv *priv;
};

/*
 * Where the configuration is: `given` (from --config), else $MAILCASK_CONFIG, else
 * $XDG_CONFIG_HOME/mailcask/config.ini, else ~/.config/mailcask/config.ini. Owned by the caller.
 */
char *config_find(const char *given);
/*
 * Read it and the files it includes, and make templates into sections. `accounts` (from --accounts, or NULL) comes before
 * the key of that name. Never NULL; sound when n_problems is 0.
 */
struct config *config_load(const char *path, const char *accounts);
void config_free(struct config *cfg); /* NULL is allowed; wipes secrets */

static inline size_t config_jobs(const struct config *cfg)
{
	return cfg->all[CONFIG_JOB].n;
}

static inline const struct config_job *config_job_at(const struct config *cfg, size_t i)
{
	return cfg->all[CONFIG_JOB].v[i];
}

/* The section of that name: a struct config_account, _store or _job. NULL when there is none. */
void *config_section(const struct config *cfg, enum config_kind kind, const char *name);
/* Whether the store's layout was written down, or is the default. */
bool config_store_has_layout(const struct config_store *st);
/* Whether `%a` is in the store's path. */
bool config_store_is_per_account(const struct config_store *st);
/* The name of that kind which someone who wrote `wrong` probably meant, or NULL. */
const char *config_nearest(const struct config *cfg, enum config_kind kind, const char *wrong);

/* The store's path for the account of this name: that is what `%a` becomes; `%%` is a percent sign. */
char *config_store_path(const struct config_store *st, const char *account);
/*
 * Where its archive is pushed to: a URL as git takes it, or a path, which is made absolute. The caller frees
 * it; NULL: nowhere.
 */
char *config_store_mirror(const struct config_store *st, const char *account);
/*
 * A path as written in `file`: `~/x` and `$HOME/x` from the home directory, other relative ones
 * from the file's directory. Owned by the caller; NULL for other variables.
 */
char *config_path(const char *text, const char *file);
/* Of a maildir its layout, of others NULL. */
const char *config_store_layout(const struct config_store *st);
/* "maildir++" for 1 and so on; NULL when the value has no word. */
const char *config_choice_word(const struct config_choice *choices, int value);
extern const struct config_choice config_tls_words[], config_layout_words[],
	config_deletions_words[], config_kind_words[], config_type_words[];

/* Which of `n` words someone who wrote `wrong` probably meant; NULL when none is near. */
const char *nearest_word(const char *wrong, const char *const *words, size_t n);

#endif
