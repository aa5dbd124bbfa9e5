#include "core/sync/scope.h"

static const struct {
	const char *name;
	unsigned attribute;
} special_uses[] = {
	{ "\\All", MAILBOX_ALL },	  { "\\Archive", MAILBOX_ARCHIVE },
	{ "\\Drafts", MAILBOX_DRAFTS },	  { "\\Flagged", MAILBOX_FLAGGED },
	{ "\\Junk", MAILBOX_JUNK },	  { "\\Sent", MAILBOX_SENT },
	{ "\\Trash", MAILBOX_TRASH },
};

static unsigned special_use(struct bytes pattern)
{
	for (size_t i = 0; i < sizeof(special_uses) / sizeof(special_uses[0]); i++)
		if (bytes_is_nocase(pattern, special_uses[i].name))
			return special_uses[i].attribute;
	return 0;
}

static bool matches(struct bytes pattern, const struct mailbox_name *name, unsigned attributes)
{
	if (pattern.n > 0 && pattern.p[0] == '\\')
		return (attributes & special_use(pattern)) != 0;
	return mailbox_name_matches(name, pattern);
}

bool scope_contains(const char *const *patterns, size_t n, const struct mailbox_name *name,
		    unsigned attributes)
{
	bool in = n == 0 || patterns[0][0] == '!';

	for (size_t i = 0; i < n; i++) {
		bool exclude = patterns[i][0] == '!';

		if (matches(bytes_of(patterns[i] + exclude), name, attributes))
			in = !exclude;
	}
	return in;
}

int scope_check_pattern(const char *pattern, struct err *err)
{
	struct bytes p = bytes_of(pattern + (pattern[0] == '!'));

	if (p.n == 0)
		return err_set(err, ERR_CONFIG, "empty mailbox pattern");
	if (p.p[0] == '\\' && special_use(p) == 0)
		return err_set(err, ERR_CONFIG,
			       "'%s' is no special use; known are \\All \\Archive \\Drafts "
			       "\\Flagged \\Junk \\Sent \\Trash",
			       pattern);
	return 0;
}
