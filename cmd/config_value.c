#include "cmd/config_priv.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/bytes.h"
#include "core/base/err.h"
#include "core/base/mem.h"
#include "core/base/when.h"
#include "core/imap/caps.h"
#include "core/sync/name_map.h"
#include "core/sync/scope.h"

static const char *const default_exempt[] = { "\\Trash", "\\Junk" };

static void *member(const struct config_key *key, void *section)
{
	return (char *)section + key->at;
}

int config_key_index(enum config_kind kind, const char *name)
{
	const struct config_section_type *type = &config_sections[kind];

	for (size_t i = 0; i < type->n_keys; i++)
		if (strcmp(type->keys[i].name, name) == 0)
			return (int)i;
	return -1;
}

static void list_release(struct config_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		free(list->v[i]);
	free(list->v);
	*list = (struct config_list){ 0 };
}

static void list_add(struct config_list *list, struct bytes item)
{
	list->v = xrealloc(list->v, (list->n + 1) * sizeof(*list->v));
	list->v[list->n++] = bytes_dup(item);
}

void config_defaults(enum config_kind kind, void *section)
{
	if (kind == CONFIG_ACCOUNT) {
		struct config_account *ac = section;

		ac->connections = 4;
		ac->timeout = 60;
	} else if (kind == CONFIG_JOB) {
		struct config_job *job = section;

		job->max_delete = (struct guard_limits)GUARD_LIMITS_DEFAULT;
		job->flag_check = 24 * 3600;
		for (size_t i = 0; i < sizeof(default_exempt) / sizeof(default_exempt[0]); i++)
			list_add(&job->guard_exempt, bytes_of(default_exempt[i]));
	}
}

void config_section_free(enum config_kind kind, void *section)
{
	const struct config_section_type *type = &config_sections[kind];
	struct config_head *head = section;

	if (!head)
		return;
	for (size_t i = 0; i < type->n_keys; i++) {
		const struct config_key *key = &type->keys[i];

		switch (key->type) {
		case CONFIG_TEXT:
		case CONFIG_COMMAND:
		case CONFIG_PATH:
		case CONFIG_PIN:
		case CONFIG_EXTENSIONS:
			secret_free(*(char **)member(key, section));
			break;
		case CONFIG_LIST:
		case CONFIG_MAP:
			list_release(member(key, section));
			break;
		case CONFIG_NUMBER:
		case CONFIG_CHOICE:
		case CONFIG_DURATION:
		case CONFIG_LIMITS:
			break;
		}
	}
	free(head->name);
	free(section);
}

static struct bytes trimmed(struct bytes b)
{
	while (b.n > 0 && isspace(b.p[0]))
		b = bytes_skip(b, 1);
	while (b.n > 0 && isspace(b.p[b.n - 1]))
		b.n--;
	return b;
}

static void set_text(char **to, char *value)
{
	secret_free(*to);
	*to = value;
}

static bool set_number(const struct config_key *key, int64_t *to, const char *value)
{
	uint64_t n;

	if (!bytes_to_u64(bytes_of(value), &n) || n < (uint64_t)key->min ||
	    n > (uint64_t)key->max)
		return false;
	*to = (int64_t)n;
	return true;
}

/* `20`, `10%`, or both joined by `and`; each at most once. */
static const char *set_limits(struct guard_limits *to, const char *value)
{
	static const char *const expected = "a count, a percentage, or both, like '20 and 10%'";
	struct guard_limits out = { 0 };
	bool has_count = false, has_percent = false, want = true;
	char *copy = xstrdup(value), *save = NULL;

	for (char *w = strtok_r(copy, " \t", &save); w; w = strtok_r(NULL, " \t", &save)) {
		size_t n = strlen(w);
		uint64_t number;

		if (!want) {
			if (strcmp(w, "and") != 0)
				goto bad;
			want = true;
			continue;
		}
		if (w[n - 1] == '%') {
			if (has_percent || !bytes_to_u64(bytes_from(w, n - 1), &number) ||
			    number > 100)
				goto bad;
			out.percent = (unsigned)number;
			has_percent = true;
		} else {
			if (has_count || !bytes_to_u64(bytes_of(w), &number))
				goto bad;
			out.count = number;
			has_count = true;
		}
		want = false;
	}
	if (want)
		goto bad;
	free(copy);
	*to = out;
	return NULL;
bad:
	free(copy);
	return expected;
}

/* Commas separate; a blank may be part of a mailbox name. */
static const char *set_list(struct config_list *to, const char *value)
{
	struct config_list out = { 0 };
	struct bytes left = trimmed(bytes_of(value));

	while (left.n > 0) {
		const uint8_t *comma = memchr(left.p, ',', left.n);
		size_t n = comma ? (size_t)(comma - left.p) : left.n;
		struct bytes item = trimmed(bytes_from(left.p, n));

		if (item.n == 0 || bytes_is(item, "!")) {
			list_release(&out);
			return "items separated by single commas";
		}
		list_add(&out, item);
		if (!comma)
			break;
		left = trimmed(bytes_skip(left, n + 1)); /* a comma at the very end is fine */
	}
	list_release(to);
	*to = out;
	return NULL;
}

static void check_patterns(struct config *cfg, const struct config_key *key,
			   const struct config_list *list, struct config_place place)
{
	struct err err = { 0 };

	for (size_t i = 0; i < list->n; i++)
		if (scope_check_pattern(list->v[i], &err) < 0)
			config_problem(cfg, place, "%s: %s", key->name, err.text);
}

static void check_map(struct config *cfg, const struct config_key *key,
		      const struct config_list *list, struct config_place place)
{
	struct name_map map = { 0 };
	struct err err = { 0 };

	if (name_map_parse(&map, (const char *const *)list->v, list->n, &err) < 0)
		config_problem(cfg, place, "%s: %s", key->name, err.text);
	name_map_release(&map);
}

static void check_extensions(struct config *cfg, const struct config_key *key, const char *value,
			     struct config_place place)
{
	struct imap_caps caps;
	struct err err = { 0 };

	imap_caps_init(&caps);
	if (imap_caps_disable(&caps, value, &err) < 0)
		config_problem(cfg, place, "%s: %s", key->name, err.text);
	imap_caps_release(&caps);
}

static bool is_pin(const char *value)
{
	static const char base64[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	if (strncmp(value, "sha256:", 7) != 0 || strlen(value) != 7 + 44)
		return false;
	return strspn(value + 7, base64) == 43 && value[50] == '=';
}

static bool is_quoted(const char *value)
{
	size_t n = strlen(value);

	return n >= 2 && (value[0] == '"' || value[0] == '\'') && value[n - 1] == value[0];
}

static char *choice_list(const struct config_choice *choices)
{
	struct buf out = BUF_INIT(1024);

	for (const struct config_choice *c = choices; c->word; c++)
		if (c->value != CONFIG_CHOICE_LATER)
			buf_addf(&out, "%s'%s'", out.n ? ", " : "", c->word);
	return buf_take(&out);
}

static void set_choice(struct config *cfg, const struct config_key *key, int *to,
		       const char *value, struct config_place place)
{
	const char *words[16], *near;
	size_t n = 0;
	char *all;

	for (const struct config_choice *c = key->choices; c->word; c++) {
		if (c->value != CONFIG_CHOICE_LATER)
			words[n++] = c->word;
		if (strcmp(c->word, value) != 0)
			continue;
		if (c->value != CONFIG_CHOICE_LATER)
			*to = c->value;
		else
			config_problem(cfg, place, "%s = %s is not supported by this version yet",
				       key->name, value);
		return;
	}
	all = choice_list(key->choices);
	near = nearest_word(value, words, n);
	config_problem(cfg, place, "%s must be %s%s, not '%s'%s%s%s", key->name,
		       n > 1 ? "one of " : "", all, value, near ? "; did you mean '" : "",
		       near ? near : "", near ? "'?" : "");
	free(all);
}

/* What every kind of value but commands, passwords and lists must not look like. */
static const char *suspicious(const struct config_key *key, const char *value)
{
	if (key->type == CONFIG_COMMAND)
		return NULL;
	if (is_quoted(value))
		return "quotes would be part of the value: leave them out";
	if (strstr(value, " # "))
		return "a comment must stand on a line of its own";
	if (key->type == CONFIG_TEXT && strcmp(key->name, "host") == 0 && strpbrk(value, " \t/"))
		return "expected the name or address of a server, nothing else";
	return NULL;
}

void config_set(struct config *cfg, enum config_kind kind, void *section, size_t index,
		const char *value, struct config_place place)
{
	const struct config_key *key = &config_sections[kind].keys[index];
	const char *expected = NULL, *odd = suspicious(key, value);

	((struct config_head *)section)->at[index] = place;
	if (odd || (*value == '\0' && key->type != CONFIG_LIST && key->type != CONFIG_MAP)) {
		config_problem(cfg, place, "%s: %s", key->name, odd ? odd : "there is no value");
		return;
	}
	switch (key->type) {
	case CONFIG_EXTENSIONS:
		check_extensions(cfg, key, value, place);
		set_text(member(key, section), xstrdup(value));
		break;
	case CONFIG_TEXT:
	case CONFIG_COMMAND:
		set_text(member(key, section), xstrdup(value));
		break;
	case CONFIG_PATH:
		set_text(member(key, section), config_path(value, place.file));
		if (!*(char **)member(key, section))
			expected = "a path; '~/' and '$HOME/' at its start are known, nothing else";
		break;
	case CONFIG_PIN:
		if (is_pin(value))
			set_text(member(key, section), xstrdup(value));
		else
			expected = "'sha256:' and the base64 form of 32 bytes (44 characters)";
		break;
	case CONFIG_NUMBER:
		if (!set_number(key, member(key, section), value))
			config_problem(cfg, place,
				       "%s must be a number from %lld to %lld, not '%s'", key->name,
				       (long long)key->min, (long long)key->max, value);
		break;
	case CONFIG_CHOICE:
		set_choice(cfg, key, member(key, section), value, place);
		break;
	case CONFIG_LIST:
		expected = set_list(member(key, section), value);
		if (!expected)
			check_patterns(cfg, key, member(key, section), place);
		break;
	case CONFIG_MAP:
		expected = set_list(member(key, section), value);
		if (!expected)
			check_map(cfg, key, member(key, section), place);
		break;
	case CONFIG_DURATION:
		if (!duration_parse(value, member(key, section)))
			expected = "a number and s, m, h, d or w, like 24h";
		break;
	case CONFIG_LIMITS:
		expected = set_limits(member(key, section), value);
		break;
	}
	if (expected)
		config_problem(cfg, place, "%s must be %s, not '%s'", key->name, expected, value);
}
